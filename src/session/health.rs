//! How a run is doing, in words: a verdict, the numbers it rests on, and what would help.
//!
//! Self-distillation fails in two ways that the loss alone hides, since both make it fall: the teacher says the
//! same of everything (one prototype takes all), or it says nothing (every prototype is as likely as any
//! other). Centring works against the first and sharpening against the second; a verdict looks at what
//! is left of that balance. The thresholds were read off small runs that were made to collapse on
//! purpose (tests/health.rs).

use super::events::StepMetrics;
use super::history::History;
use crate::settings::{Row, Settings};

/// Steps that a verdict looks at.
const WINDOW: usize = 30;

/// Steps before which nothing is said: the first ones have large gradients and empty centres.
const SOONEST: usize = 40;

/// Share of ln K from which on the teacher counts as undecided. A run at temperature 1 is at 0.998, healthy
/// ones are below 0.7.
const UNDECIDED: f32 = 0.98;

/// Prototypes that the class tokens of a batch win at least in a healthy run, mean over the window.
/// Healthy small runs have 6 and more, collapsing ones come down to 2 within 120 steps.
const FEWEST: f32 = 3.0;

/// The same for patches, of which a batch has many more.
const FEWEST_PATCH: f32 = 6.0;

/// Evaluations without a better one before a plateau is spoken of, and how much better counts.
const PLATEAU: (usize, f64) = (6, 0.003);

/// How a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    WarmingUp,
    Learning,
    Plateau,
    Collapsing,
    NotFinite,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Verdict::WarmingUp => "warming up",
            Verdict::Learning => "learning",
            Verdict::Plateau => "plateau",
            Verdict::Collapsing => "collapsing",
            Verdict::NotFinite => "not finite",
        }
    }
}

/// Something that would help.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// What to press.
    pub label: String,
    /// Why it helps, in a sentence.
    pub help: String,
    /// Live settings and their new values, as typed.
    pub changes: Vec<(&'static str, String)>,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub verdict: Verdict,
    /// What was seen, with the numbers.
    pub reason: String,
    /// At most two.
    pub remedies: Vec<Remedy>,
}

/// Judges the run whose numbers are `history`. `settings` are those it has now.
pub fn judge(history: &History, settings: &Settings) -> Health {
    let steps = &history.steps;
    let Some(last) = steps.last() else {
        return say(Verdict::WarmingUp, "No step has been made yet.");
    };
    if !(last.loss.is_finite() && last.grad_norm.is_finite()) {
        let mut health = say(
            Verdict::NotFinite,
            format!(
                "At step {} the loss is {} and the gradient's norm {}.",
                last.step, last.loss, last.grad_norm
            ),
        );
        health.remedies.push(slower(settings));
        return health;
    }
    if steps.len() < SOONEST {
        let text = format!(
            "The first {SOONEST} steps say little: {} are done.",
            steps.len()
        );
        return say(Verdict::WarmingUp, text);
    }
    let window = &steps[steps.len() - WINDOW..];
    let mean = |value: fn(&StepMetrics) -> f32| {
        window.iter().map(value).sum::<f32>() / window.len() as f32
    };
    if let Some(health) = undecided(settings, mean(|s| s.entropy_cls), mean(|s| s.entropy_patch)) {
        return health;
    }
    let used = (
        mean(|s| s.prototypes_used as f32),
        mean(|s| s.prototypes_used_patch as f32),
    );
    if let Some(health) = one_for_all(settings, used, mean(|s| s.agreement)) {
        return health;
    }
    let per_epoch = history.plan.as_ref().map_or(0, |plan| plan.steps_per_epoch);
    let warm_up = settings.optim.warmup_epochs * per_epoch as f64;
    if (last.step as f64) < warm_up {
        let text = format!("The learning rate still rises, until step {warm_up:.0}.");
        return say(Verdict::WarmingUp, text);
    }
    if let Some(health) = plateau(history, settings) {
        return health;
    }
    let seen = match history.evals.iter().rev().find_map(|eval| eval.knn) {
        Some(knn) => format!("k-NN {:.1} %, ", 100.0 * knn),
        None => String::new(),
    };
    say(
        Verdict::Learning,
        format!(
            "{seen}{:.0} class and {:.0} patch prototypes in use in a batch, teacher and student agree on {:.0} % of \
             the pictures.",
            used.0,
            used.1,
            100.0 * mean(|s| s.agreement)
        ),
    )
}

fn say(verdict: Verdict, reason: impl Into<String>) -> Health {
    Health {
        verdict,
        reason: reason.into(),
        remedies: Vec::new(),
    }
}

/// The teacher says nothing.
fn undecided(settings: &Settings, class: f32, patch: f32) -> Option<Health> {
    let head = &settings.head;
    let patches = match head.shared || head.shared_teacher {
        true => head.out_dim,
        false => head.patch_out_dim,
    };
    let most = |prototypes: usize| (prototypes.max(2) as f32).ln();
    let (of, entropy, most) = match () {
        () if class > UNDECIDED * most(head.out_dim) => ("pictures", class, most(head.out_dim)),
        () if patch > UNDECIDED * most(patches) => ("patches", patch, most(patches)),
        () => return None,
    };
    let mut health = say(
        Verdict::Collapsing,
        format!(
            "The teacher is undecided: of {of} every prototype is about as likely as any other (entropy {entropy:.2} of \
             at most {most:.2} nats), so there is nothing to learn from it."
        ),
    );
    let keys = match of {
        "pictures" => ["loss.warmup_teacher_temp", "loss.teacher_temp"],
        _ => ["loss.warmup_teacher_patch_temp", "loss.teacher_patch_temp"],
    };
    let loss = &settings.loss;
    let now = match of {
        "pictures" => loss.warmup_teacher_temp.max(loss.teacher_temp),
        _ => loss.warmup_teacher_patch_temp.max(loss.teacher_patch_temp),
    };
    let sharper = (now / 2.0).clamp(0.001, 0.04);
    health.remedies.push(Remedy {
        label: format!("Sharpen the teacher (temperature {sharper:.3})"),
        help: "A lower temperature makes the teacher choose.".into(),
        changes: keys.map(|key| (key, format!("{sharper:.3}"))).into(),
    });
    Some(health)
}

/// The teacher says the same of everything.
fn one_for_all(settings: &Settings, used: (f32, f32), agreement: f32) -> Option<Health> {
    // A batch of a few pictures cannot win many prototypes.
    let pictures = settings.run.batch as f32;
    let few = |used: f32, least: f32| used < least.min(pictures / 4.0);
    let class = settings.loss.lambda_cls > 0.0 && few(used.0, FEWEST);
    let patch = settings.loss.lambda_patch > 0.0 && few(used.1, FEWEST_PATCH);
    if !class && !patch {
        return None;
    }
    let (of, used) = match class {
        true => ("class", used.0),
        false => ("patch", used.1),
    };
    let centred = [
        settings.loss.centre_momentum,
        settings.loss.patch_centre_momentum,
    ];
    let off = match centred.iter().any(|&momentum| momentum >= 1.0) {
        true => {
            " The centre is switched off (a centre momentum of 1), which cannot be changed during a run."
        }
        false => "",
    };
    let mut health = say(
        Verdict::Collapsing,
        format!(
            "The teacher says the same of almost everything: {used:.1} {of} prototypes take a whole batch of {pictures}, and \
             both networks agree on {:.0} % of the pictures.{off}",
            100.0 * agreement
        ),
    );
    let now = settings
        .loss
        .teacher_temp
        .max(settings.loss.warmup_teacher_temp);
    let softer = (1.5 * now).clamp(0.02, 0.07);
    if softer > now {
        health.remedies.push(Remedy {
            label: format!("Soften the teacher (temperature {softer:.3})"),
            help: "A higher temperature gives other prototypes a share again.".into(),
            changes: ["loss.warmup_teacher_temp", "loss.teacher_temp"]
                .map(|key| (key, format!("{softer:.3}")))
                .into(),
        });
    }
    health.remedies.push(slower(settings));
    Some(health)
}

/// k-NN has not become better for some evaluations.
fn plateau(history: &History, settings: &Settings) -> Option<Health> {
    let knn: Vec<f64> = history.evals.iter().filter_map(|eval| eval.knn).collect();
    let (rounds, better) = PLATEAU;
    if knn.len() <= rounds + 1 {
        return None;
    }
    let (before, recent) = knn.split_at(knn.len() - rounds);
    let best = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    if best(recent) > best(before) + better {
        return None;
    }
    let mut health = say(
        Verdict::Plateau,
        format!(
            "k-NN has not risen in the last {rounds} evaluations: {:.1} % before, {:.1} % since.",
            100.0 * best(before),
            100.0 * best(recent)
        ),
    );
    health.remedies.push(slower(settings));
    Some(health)
}

/// A third of the learning rate.
fn slower(settings: &Settings) -> Remedy {
    let lr = settings.optim.lr / 3.0;
    Remedy {
        label: format!("Lower the learning rate to {lr:.1e}"),
        help: "Smaller steps leave the teacher time to average.".into(),
        changes: vec![("optim.lr", format!("{lr:e}"))],
    }
}

/// What takes the changes of a remedy back: the values that its settings have now.
pub fn undo(remedy: &Remedy, settings: &Settings) -> Vec<(&'static str, String)> {
    let now = |key: &'static str| {
        let row = Row::find(key)?;
        Some((key, crate::settings::describe::plain(&row.get(settings))))
    };
    remedy
        .changes
        .iter()
        .filter_map(|(key, _)| now(key))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::events::EvalMetrics;

    /// A history of `count` healthy steps, changed by `change`.
    fn history(count: usize, change: impl Fn(&mut StepMetrics)) -> History {
        let step = |step| {
            let mut metrics = StepMetrics {
                step,
                loss: 5.0,
                grad_norm: 2.0,
                entropy_cls: 2.0,
                entropy_patch: 1.5,
                prototypes_used: 9,
                prototypes_used_patch: 40,
                agreement: 0.3,
                ..StepMetrics::default()
            };
            change(&mut metrics);
            metrics
        };
        History {
            steps: (0..count).map(step).collect(),
            ..History::default()
        }
    }

    fn verdict(history: &History) -> Verdict {
        let settings = Settings::default();
        let health = judge(history, &settings);
        assert!(!health.reason.is_empty() && health.remedies.len() <= 2);
        for remedy in &health.remedies {
            let mut changed = settings.clone();
            for (key, text) in &remedy.changes {
                changed.set_live(key, text, "a remedy").unwrap();
            }
            assert_ne!(changed, settings, "{remedy:?} changes nothing");
            for (key, text) in undo(remedy, &settings) {
                changed.set_live(key, &text, "undone").unwrap();
            }
            assert_eq!(changed, settings);
        }
        health.verdict
    }

    #[test]
    fn every_verdict_has_its_reason_and_a_remedy_that_can_be_undone() {
        let most = (8192.0f32).ln();
        assert_eq!(verdict(&History::default()), Verdict::WarmingUp);
        assert_eq!(verdict(&history(SOONEST - 1, |_| ())), Verdict::WarmingUp);
        assert_eq!(verdict(&history(100, |_| ())), Verdict::Learning);
        let nan = history(50, |s| s.loss = f32::NAN);
        assert_eq!(verdict(&nan), Verdict::NotFinite);
        let hot = history(100, |s| s.entropy_cls = 0.99 * most);
        assert_eq!(verdict(&hot), Verdict::Collapsing);
        let warm = history(100, |s| s.entropy_cls = 0.97 * most);
        assert_eq!(verdict(&warm), Verdict::Learning);
        let hot = history(100, |s| s.entropy_patch = 0.99 * most);
        assert_eq!(verdict(&hot), Verdict::Collapsing);
        let one = history(100, |s| s.prototypes_used = 2);
        assert_eq!(verdict(&one), Verdict::Collapsing);
        let one = history(100, |s| s.prototypes_used_patch = 5);
        assert_eq!(verdict(&one), Verdict::Collapsing);
    }

    #[test]
    fn a_rising_rate_is_a_warm_up_and_a_k_nn_that_stands_still_a_plateau() {
        let mut rising = history(100, |_| ());
        rising.plan = Some(crate::session::events::Plan {
            steps_per_epoch: 20,
            ..Default::default()
        });
        assert_eq!(verdict(&rising), Verdict::WarmingUp); // ten epochs of twenty steps
        let with_knn = |values: &[f64]| {
            let mut history = history(100, |_| ());
            let eval = |&knn| EvalMetrics {
                knn: Some(knn),
                ..EvalMetrics::default()
            };
            history.evals = values.iter().map(eval).collect();
            verdict(&history)
        };
        assert_eq!(
            with_knn(&[0.1, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4]),
            Verdict::Plateau
        );
        assert_eq!(
            with_knn(&[0.1, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.41]),
            Verdict::Learning
        );
        assert_eq!(with_knn(&[0.1, 0.4, 0.4]), Verdict::Learning);
    }
}
