//! How a run is doing, in words: a verdict, the numbers behind it, and what would help.
//!
//! Self-distillation fails in two ways that its loss does not show. The teacher may say the same of
//! every picture (few prototypes take everything), which makes the loss fall towards 0, or say
//! nothing at all (every prototype equally likely), which holds it at ln K. Centring works against
//! the first, sharpening against the second. The verdict is a pure function of the numbers of a run,
//! so that a window, a report and a test see the same. Thresholds were read off some fifty short runs
//! of small networks on the built-in pictures and CIFAR-10, and off runs made to collapse on purpose
//! (tests/health.rs).

mod collapse;
mod plateau;
mod remedies;
#[cfg(test)]
mod tests;

use super::events::StepMetrics;
use super::history::{Change, History};
use crate::settings::Settings;

/// Steps that a verdict looks at. One batch of a small run is noise; 50 are steady to a few percent
/// and still show a collapse soon.
const WINDOW: usize = 50;

/// Steps before which nothing but broken numbers is judged: the window, and 30 more in which
/// centres of momentum 0.9 find the mean (0.9^30 = 4 % is left of where they began).
const SOONEST: usize = WINDOW + 30;

/// How a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Too few steps to judge, or the learning rate still rises.
    WarmingUp,
    Learning,
    /// Nothing became better for a fifth of the run.
    Plateau,
    Collapsing,
    /// A loss or gradient is infinite or not a number.
    NotFinite,
}

impl Verdict {
    /// A short word for it.
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
    /// What a button says.
    pub label: String,
    /// Why it helps, in a sentence.
    pub help: String,
    /// Live settings and their new values as a person types them, in an order in which each is valid.
    /// Empty where only a new run can have the remedy.
    pub changes: Vec<(&'static str, String)>,
}

/// A verdict with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    pub verdict: Verdict,
    /// A few words.
    pub headline: String,
    /// A sentence or two with the numbers that led to it.
    pub reason: String,
    /// At most two, the better first.
    pub remedies: Vec<Remedy>,
}

impl Health {
    fn new(verdict: Verdict, headline: &str, reason: String, remedies: Vec<Remedy>) -> Self {
        Health {
            verdict,
            headline: headline.into(),
            reason,
            remedies,
        }
    }
}

/// Judges the run that told `history` so far. `settings` are those that hold now, with all changes
/// made while it went on.
pub fn judge(history: &History, settings: &Settings) -> Health {
    if let Some(health) = not_finite(history, settings) {
        return health;
    }
    let steps = &history.steps;
    if steps.len() < SOONEST {
        let reason = format!(
            "{} of the {SOONEST} steps that a verdict needs are done.",
            steps.len()
        );
        return Health::new(Verdict::WarmingUp, "Too early to say", reason, Vec::new());
    }
    let rising = rate_rises(steps, settings);
    let recent = &steps[steps.len().saturating_sub(WINDOW)..];
    if let Some(mut health) = collapse::collapse(history, recent, settings, rising) {
        wait_for_the_last_change(&mut health, history);
        return health;
    }
    if rising {
        let reason = format!(
            "The learning rate still rises: {} of the first {} epochs are done.",
            recent.last().map_or(0, |last| last.epoch),
            settings.optim.warmup_epochs
        );
        let headline = "The learning rate rises";
        return Health::new(Verdict::WarmingUp, headline, reason, Vec::new());
    }
    plateau::plateau(history, recent, settings).unwrap_or_else(|| learning(history, settings))
}

/// The first step whose loss or gradient is not a number: what comes after it is worth nothing.
fn not_finite(history: &History, settings: &Settings) -> Option<Health> {
    let broken = |s: &&StepMetrics| !(s.loss.is_finite() && s.grad_norm.is_finite());
    let step = history.steps.iter().find(broken)?;
    let saved = history.checkpoints.iter().filter(|&&at| at <= step.step);
    let back = match saved.max() {
        Some(at) => format!("go on from the checkpoint of step {at}"),
        None => "no checkpoint is older, so start anew".into(),
    };
    let reason = format!(
        "At step {} the loss is {} and the norm of the gradient {}. The weights are lost from there \
         on; {back}.",
        step.step, step.loss, step.grad_norm
    );
    let remedies = [remedies::slower(settings), remedies::clip(settings)];
    Some(Health::new(
        Verdict::NotFinite,
        "The numbers have become infinite",
        reason,
        remedies.into_iter().flatten().collect(),
    ))
}

/// Whether the warm-up of the learning rate goes on. A raised `optim.lr` later in the run is none.
fn rate_rises(steps: &[StepMetrics], settings: &Settings) -> bool {
    match steps {
        [.., before, last] => {
            last.lr > before.lr && (last.epoch as f64) < settings.optim.warmup_epochs
        }
        _ => true,
    }
}

/// The last change of something that matters to learning.
fn last_change(history: &History) -> Option<&Change> {
    let mut latest = history.changes.iter().rev();
    latest.find(|change| !change.key.starts_with("run."))
}

/// A remedy just taken needs the window's steps to show; until then none is offered again.
fn wait_for_the_last_change(health: &mut Health, history: &History) {
    let Some(change) = last_change(history) else {
        return;
    };
    let since = |s: &&StepMetrics| s.step >= change.step;
    if history.steps.iter().rev().take_while(since).count() < WINDOW {
        health.remedies.clear();
        health.reason += &format!(
            " {} was changed at step {}: give it {WINDOW} steps.",
            change.key, change.step
        );
    }
}

/// What takes the changes of a remedy back: the values that its settings have in `settings`.
pub fn undo(remedy: &Remedy, settings: &Settings) -> Vec<(&'static str, String)> {
    let now = |key: &'static str| {
        let row = crate::settings::Row::find(key)?;
        let value = crate::settings::describe::plain(&row.get(settings));
        Some((key, value))
    };
    let keys = remedy.changes.iter().rev();
    keys.filter_map(|(key, _)| now(key)).collect()
}

fn learning(history: &History, settings: &Settings) -> Health {
    let recent = &history.steps[history.steps.len().saturating_sub(WINDOW)..];
    let knn: Vec<(usize, f64)> = (history.evals.iter())
        .filter_map(|eval| Some((eval.step, eval.knn?)))
        .collect();
    let mut reason = match knn.as_slice() {
        [(first, from), .., (last, to)] => format!(
            "k-NN went from {:.1} % at step {first} to {:.1} % at step {last}. ",
            100.0 * from,
            100.0 * to
        ),
        _ => String::new(),
    };
    reason += &format!(
        "A batch uses {:.0} class and {:.0} patch prototypes, teacher and student agree on {:.0} % of \
         the pictures.",
        mean(recent, |s| s.prototypes_used as f32),
        mean(recent, |s| s.prototypes_used_patch as f32),
        100.0 * mean(recent, |s| s.agreement)
    );
    if settings.loss.lambda_cls == 0.0 {
        // The paper's ablation: k-NN 9.5 % on ImageNet with patches alone.
        reason += " The class term is off (loss.lambda_cls = 0): patches alone learn little about \
                   what a picture shows.";
    }
    Health::new(Verdict::Learning, "Learning", reason, Vec::new())
}

/// Mean over `steps`; not a number where there are none.
fn mean(steps: &[StepMetrics], value: impl Fn(&StepMetrics) -> f32) -> f32 {
    steps.iter().map(value).sum::<f32>() / steps.len() as f32
}
