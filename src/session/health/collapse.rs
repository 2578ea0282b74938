//! The two ways in which the teacher stops telling things apart, for pictures and for patches.

use super::remedies;
use super::{Health, SOONEST, Verdict, last_change, mean};
use crate::session::events::{EvalMetrics, StepMetrics};
use crate::session::history::History;
use crate::settings::Settings;

/// Share of ln K from which on the teacher counts as undecided. At temperature 1 a run is at 0.997 from
/// its first step on, a run that collapsed to uniform stays at 0.999; of fifty that did not, the highest
/// 50 steps were at 0.970.
pub(super) const UNDECIDED: f32 = 0.985;

/// Share of ln K below which the teacher is sure enough that few winners mean few answers. Above it
/// the centre still keeps targets apart: runs that did not collapse had 2.8 winners at 0.93.
pub(super) const SURE: f32 = 0.25;

/// Prototypes that class tokens of a batch win at least. Runs without a centre fall to 2 within a
/// hundred steps; sure ones that learn have 4 and more even of 128 tokens.
pub(super) const FEWEST: f32 = 3.0;

/// The same for masked patches. The fewest that a run which did not collapse had was 11.
pub(super) const FEWEST_PATCH: f32 = 6.0;

/// Agreement of teacher and student from which on they agree because there is one answer. The longest
/// good run came to 0.69, with 44 winners; runs without a centre pass 0.7 before 100 steps.
pub(super) const AGREED: f32 = 0.7;

/// Tokens for each prototype that a batch can be expected to win: a batch of 4 pictures has 8 class
/// tokens and is judged by one winner alone.
const TOKENS_EACH: f32 = 4.0;

/// Fewest class tokens or masked patches in a batch of which one can say that few prototypes win.
const FEWEST_TOKENS: f32 = 8.0;

/// Prototypes that all test pictures together win at least, once centred. The worst runs that did not
/// collapse had 3 for class tokens and 23 for patches; a learning rate of 100 leaves 1 of each,
/// whatever the entropy.
pub(super) const FEWEST_TESTED: usize = 3;

/// Centre momentum from which on the centre stands still: 0.9999 moves half the way in 6900 steps. The
/// paper finds no harm in 0.999.
pub(super) const CENTRE_OFF: f64 = 0.9999;

/// What the teacher says of one kind of token, mean over the window.
pub(super) struct Tokens {
    of: &'static str,
    /// Entropy in nats, and the most that it can be.
    pub(super) entropy: f32,
    prototypes: usize,
    /// Winners in a batch.
    used: f32,
    /// How many there are in a batch.
    count: f32,
    fewest: f32,
    /// Winners over the test pictures, where they were looked at since the last change.
    tested: Option<usize>,
    /// Of the pictures; nothing is known of patches.
    agreement: Option<f32>,
    /// Highest teacher temperature of the window.
    temp: f64,
    centre: (&'static str, f64),
    remedy: remedies::Temperatures,
}

impl Tokens {
    /// Class tokens, where they are trained.
    pub(super) fn of_pictures(
        recent: &[StepMetrics],
        eval: Option<&EvalMetrics>,
        settings: &Settings,
    ) -> Option<Self> {
        (settings.loss.lambda_cls > 0.0).then(|| Tokens {
            of: "pictures",
            entropy: mean(recent, |s| s.entropy_cls),
            prototypes: settings.head.out_dim,
            used: mean(recent, |s| s.prototypes_used as f32),
            count: (settings.run.batch * settings.views.global_crops) as f32,
            fewest: FEWEST,
            tested: eval.map(|eval| eval.prototypes_used),
            agreement: Some(mean(recent, |s| s.agreement)),
            temp: recent.iter().map(|s| s.teacher_temp).fold(0.0, f64::max),
            centre: ("loss.centre_momentum", settings.loss.centre_momentum),
            remedy: remedies::Temperatures::of_pictures(settings),
        })
    }

    /// Masked patches, where they are trained. Steps that hide none say nothing: what they report is
    /// padding.
    fn of_patches(
        recent: &[StepMetrics],
        eval: Option<&EvalMetrics>,
        settings: &Settings,
    ) -> Option<Self> {
        let hidden = |s: &&StepMetrics| s.prototypes_used_patch > 0;
        let recent: Vec<StepMetrics> = recent.iter().filter(hidden).cloned().collect();
        if settings.loss.lambda_patch <= 0.0 || recent.is_empty() {
            return None;
        }
        let (head, mask) = (&settings.head, &settings.mask);
        let side = settings.views.global_size / settings.model.cell().max(1);
        let crops = settings.run.batch * settings.views.global_crops;
        let share = mask.ratio.iter().sum::<f64>() / mask.ratio.len().max(1) as f64;
        Some(Tokens {
            of: "patches",
            entropy: mean(&recent, |s| s.entropy_patch),
            prototypes: head.teacher_patches(),
            used: mean(&recent, |s| s.prototypes_used_patch as f32),
            count: (crops * side * side) as f32 * share as f32,
            fewest: FEWEST_PATCH,
            tested: eval.map(|eval| eval.prototypes_used_patch),
            agreement: None,
            temp: (recent.iter().map(|s| s.teacher_patch_temp)).fold(0.0, f64::max),
            centre: (
                "loss.patch_centre_momentum",
                settings.loss.patch_centre_momentum,
            ),
            remedy: remedies::Temperatures::of_patches(settings),
        })
    }

    /// Entropy as a share of ln K.
    pub(super) fn undecidedness(&self) -> f32 {
        self.entropy / (self.prototypes.max(2) as f32).ln()
    }

    fn is_undecided(&self) -> bool {
        self.undecidedness() >= UNDECIDED
    }

    /// Whether the teacher can never be surer than the student.
    fn is_hopeless(&self, settings: &Settings) -> bool {
        self.temp >= settings.loss.student_temp
    }

    fn has_few_winners(&self) -> bool {
        let fewest = self.fewest.min(self.count / TOKENS_EACH);
        let in_batches = self.count >= FEWEST_TOKENS
            && self.used < fewest
            && self.undecidedness() < SURE
            && self.agreement.is_none_or(|share| share >= AGREED);
        in_batches || self.tested.is_some_and(|used| used < FEWEST_TESTED)
    }

    fn entropy_in_words(&self) -> String {
        format!(
            "mean entropy {:.2} nats, {:.1} % of ln {}",
            self.entropy,
            100.0 * self.undecidedness(),
            self.prototypes
        )
    }
}

/// Looks for either collapse in the `recent` steps. While the learning rate is `rising`, an
/// undecided teacher is no collapse: fresh networks find all pictures alike, and the centre then
/// leaves nothing. Only a temperature that can never work is told at once.
pub(super) fn collapse(
    history: &History,
    recent: &[StepMetrics],
    settings: &Settings,
    rising: bool,
) -> Option<Health> {
    let since = last_change(history).map_or(0, |change| change.step);
    let after = since.max(if rising { usize::MAX } else { SOONEST });
    let eval = history.evals.last().filter(|eval| eval.step >= after);
    let kinds = [
        Tokens::of_pictures(recent, eval, settings),
        Tokens::of_patches(recent, eval, settings),
    ];
    let (mut undecided, mut won) = (Vec::new(), Vec::new());
    for tokens in kinds.iter().flatten() {
        if tokens.is_undecided() && (!rising || tokens.is_hopeless(settings)) {
            undecided.push(tokens);
        } else if tokens.has_few_winners() {
            won.push(tokens);
        }
    }
    match undecided.is_empty() {
        false => says_nothing(&undecided, settings),
        true => says_the_same(&won, settings),
    }
}

fn says_nothing(undecided: &[&Tokens], settings: &Settings) -> Option<Health> {
    let worst = undecided.first()?;
    let mut reason = format!(
        "The teacher cannot tell {} apart: every prototype is about as likely as any other ({}).",
        worst.of,
        worst.entropy_in_words()
    );
    if worst.is_hopeless(settings) {
        reason += &format!(
            " Its temperature {} is not below the student's, {}, so it is never the surer one.",
            worst.temp, settings.loss.student_temp
        );
    }
    let sharper = undecided.iter().filter_map(|t| t.remedy.sharpen(settings));
    let remedies = sharper.chain(remedies::slower(settings)).take(2).collect();
    let headline = "The teacher is undecided";
    Some(Health::new(Verdict::Collapsing, headline, reason, remedies))
}

fn says_the_same(won: &[&Tokens], settings: &Settings) -> Option<Health> {
    let worst = won.first()?;
    let mut reason = format!(
        "The teacher says the same of almost all {}: {:.1} prototypes win all {:.0} in a batch ({}",
        worst.of,
        worst.used,
        worst.count,
        worst.entropy_in_words()
    );
    if let Some(used) = worst.tested {
        reason += &format!("; {used} over all test pictures");
    }
    if let Some(agreement) = worst.agreement {
        let percent = 100.0 * agreement;
        reason += &format!("; the student agrees on {percent:.0} % of the pictures");
    }
    reason += ").";
    let stuck = won.iter().find(|tokens| tokens.centre.1 >= CENTRE_OFF);
    let remedies = match stuck.map(|tokens| tokens.centre) {
        Some((key, momentum)) => {
            reason += &format!(
                " Its centre stands still ({key} = {momentum}), which no live setting makes good: it \
                 needs a new run."
            );
            vec![remedies::centre(key)]
        }
        None => {
            // With a centre at work, only far too high a learning rate has been seen to do this.
            let slower = remedies::slower(settings).into_iter();
            slower.chain(worst.remedy.soften(settings)).collect()
        }
    };
    let headline = "Few prototypes take everything";
    Some(Health::new(Verdict::Collapsing, headline, reason, remedies))
}
