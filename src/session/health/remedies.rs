//! What may help a run: values computed from those it has, always valid and always a change.

use super::Remedy;
use crate::settings::Settings;

/// Teacher temperatures above this share of the student's make a poor teacher: published recipes end
/// at it.
const SOFTEST: f64 = 0.7;

/// What makes an undecided teacher choose again, as a share of the student's temperature. A tiny
/// network that had 130 steps at temperature 1 had 65 % of ln K 50 steps after the change and 86 % in
/// the end; with 0.4, where published recipes begin, 89 % and 98 %.
const SHARP: f64 = 0.2;

/// Lowest temperature that the table allows.
const COLDEST: f64 = 0.001;

/// The two settings of a teacher temperature: during its warm-up, and after it.
pub(super) struct Temperatures {
    of: &'static str,
    keys: [&'static str; 2],
    now: [f64; 2],
}

impl Temperatures {
    pub(super) fn of_pictures(settings: &Settings) -> Self {
        let loss = &settings.loss;
        Temperatures {
            of: "class token",
            keys: ["loss.warmup_teacher_temp", "loss.teacher_temp"],
            now: [loss.warmup_teacher_temp, loss.teacher_temp],
        }
    }

    pub(super) fn of_patches(settings: &Settings) -> Self {
        let loss = &settings.loss;
        Temperatures {
            of: "patches",
            keys: ["loss.warmup_teacher_patch_temp", "loss.teacher_patch_temp"],
            now: [loss.warmup_teacher_patch_temp, loss.teacher_patch_temp],
        }
    }

    fn highest(&self) -> f64 {
        self.now[0].max(self.now[1])
    }

    /// Half the temperature, or a fifth of the student's if that is lower still.
    pub(super) fn sharpen(&self, settings: &Settings) -> Option<Remedy> {
        let sharp = SHARP * settings.loss.student_temp;
        let target = two_digits((self.highest() / 2.0).min(sharp)).max(COLDEST);
        self.remedy(
            target,
            |now| now > target,
            format!("Sharpen the teacher of the {} to {target:?}", self.of),
            "A lower temperature makes the teacher choose, so that the student has something to learn.",
        )
    }

    /// Half as much again, up to where published recipes end.
    pub(super) fn soften(&self, settings: &Settings) -> Option<Remedy> {
        let most = SOFTEST * settings.loss.student_temp;
        let target = two_digits((1.5 * self.highest()).min(most)).max(COLDEST);
        self.remedy(
            target,
            |now| now < target,
            format!("Soften the teacher of the {} to {target:?}", self.of),
            "A higher temperature gives the prototypes that lose a share again.",
        )
    }

    fn remedy(
        &self,
        target: f64,
        applies: impl Fn(f64) -> bool,
        label: String,
        help: &str,
    ) -> Option<Remedy> {
        let pairs = self.keys.iter().zip(self.now);
        let changes: Vec<_> = pairs
            .filter(|(_, now)| applies(*now))
            .map(|(&key, _)| (key, format!("{target:?}")))
            .collect();
        (!changes.is_empty()).then(|| Remedy {
            label,
            help: help.into(),
            changes,
        })
    }
}

/// A third of the learning rate.
pub(super) fn slower(settings: &Settings) -> Option<Remedy> {
    lower_rate(
        settings,
        3.0,
        "Smaller steps keep gradients in bounds and leave the teacher time to average.",
    )
}

/// Half the learning rate, for a run that stands still.
pub(super) fn settle(settings: &Settings) -> Option<Remedy> {
    lower_rate(
        settings,
        2.0,
        "Smaller steps let the weights settle; k-NN mostly rises when the learning rate falls.",
    )
}

fn lower_rate(settings: &Settings, by: f64, help: &str) -> Option<Remedy> {
    let lr = two_digits(settings.optim.lr / by);
    (lr > 0.0 && lr < settings.optim.lr).then(|| Remedy {
        label: format!("Lower the learning rate to {lr:?}"),
        help: help.into(),
        changes: vec![("optim.lr", format!("{lr:?}"))],
    })
}

/// A smaller limit for gradients, which a run cannot take while it goes on.
pub(super) fn clip(settings: &Settings) -> Option<Remedy> {
    let clip = settings.optim.clip;
    let smaller = if clip > 0.0 {
        clip.min(3.0) / 10.0
    } else {
        3.0
    };
    let smaller = two_digits(smaller);
    (smaller > 0.0).then(|| Remedy {
        label: format!("New run with optim.clip = {smaller:?}"),
        help: format!(
            "Larger gradients are shortened to this (now {}); it cannot change during a run.",
            if clip > 0.0 {
                format!("{clip:?}")
            } else {
                "off".into()
            }
        ),
        changes: Vec::new(),
    })
}

/// The centre at work again, which a run cannot take while it goes on.
pub(super) fn centre(key: &str) -> Remedy {
    Remedy {
        label: format!("New run with {key} = 0.9"),
        help:
            "A centre that follows the teacher takes from the winner what it wins everywhere; it \
               cannot be switched on during a run."
                .into(),
        changes: Vec::new(),
    }
}

/// More epochs, which a run cannot take while it goes on.
pub(super) fn longer(settings: &Settings) -> Remedy {
    Remedy {
        label: format!("New run with run.epochs = {}", 2 * settings.run.epochs),
        help:
            "The learning rate has come down, so this run has learned what it will; a longer one \
               stays high for longer."
                .into(),
        changes: Vec::new(),
    }
}

/// The number with two digits that count, as a person would type it.
fn two_digits(x: f64) -> f64 {
    format!("{x:.1e}").parse().unwrap_or(x)
}
