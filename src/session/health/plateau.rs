//! Whether a run has stopped becoming better.
//!
//! Where pictures have labels, k-NN alone decides. Without them there is only the loss and the
//! agreement of teacher and student: weaker witnesses, since the loss also rises in good runs. They
//! count only while the teacher's entropy stands still too.

use super::collapse::Tokens;
use super::{Health, Remedy, Verdict, WINDOW, last_change, mean, remedies};
use crate::session::events::StepMetrics;
use crate::session::history::History;
use crate::settings::Settings;

/// Share of the whole run in which nothing may have become better. The longest that k-NN of the
/// demo's good runs stood still before it rose again was 0.13 of the run, 0.17 at the very end.
pub const SHARE: f64 = 0.2;

/// Evaluations that must lie in that share: the best of fewer is luck.
pub(super) const FEWEST_EVALS: usize = 3;

/// How much better k-NN must be to count. The demo's k-NN moves by 0.002 from one evaluation to the
/// next when the learning rate is all but 0.
pub(super) const KNN_GAIN: f64 = 0.003;

/// And at least so many test pictures more: with 100 of them 0.003 is none.
pub(super) const PICTURES_GAIN: f64 = 2.0;

/// How much lower the loss must be to count, as a share of it.
pub(super) const LOSS_GAIN: f32 = 0.01;

/// How much higher the agreement must be to count; a mean over 50 batches of 64 pictures is good to
/// 0.01.
pub(super) const AGREEMENT_GAIN: f32 = 0.02;

/// How far the entropy of the class tokens may move, as a share of ln K. On CIFAR-10 it fell by 0.04
/// in a fifth of a run whose k-NN rose while its loss did not fall.
pub(super) const ENTROPY_MOVE: f32 = 0.01;

/// Share of ln K from which on a teacher that teaches nothing new is probably too vague: of the short
/// runs on the built-in pictures, none above it gained more than 4 points of k-NN, and all that gained
/// 10 stayed below.
pub(super) const VAGUE: f32 = 0.8;

/// Share of its peak below which the learning rate is not what holds a run back.
pub(super) const SLOW: f64 = 0.2;

/// Steps of an epoch, from the plan or from when epochs begin. `None` in a first epoch without plan.
fn steps_per_epoch(history: &History) -> Option<f64> {
    if let Some(plan) = &history.plan
        && plan.steps_per_epoch > 0
    {
        return Some(plan.steps_per_epoch as f64);
    }
    let last = history.steps.last().filter(|last| last.epoch > 0)?;
    let begins = history.steps.partition_point(|s| s.epoch < last.epoch);
    Some(history.steps.get(begins)?.step as f64 / last.epoch as f64)
}

/// Says that nothing became better, if so.
pub(super) fn plateau(
    history: &History,
    recent: &[StepMetrics],
    settings: &Settings,
) -> Option<Health> {
    let per_epoch = steps_per_epoch(history)?;
    let total = per_epoch * settings.run.epochs as f64;
    let span = (SHARE * total).ceil() as usize;
    let end = history.last_step()?;
    let since = end.checked_sub(span)?;
    // The clock starts when the learning rate has its height, and again with every change.
    let start = (settings.optim.warmup_epochs * per_epoch).ceil() as usize;
    let start = start.max(last_change(history).map_or(0, |change| change.step));
    if since < start || span == 0 {
        return None;
    }
    let what = match history.evals.iter().any(|eval| eval.knn.is_some()) {
        true => knn_stands(history, settings, since)?,
        false => loss_stands(history, settings, (since, end), span / 2)?,
    };
    let reason = format!(
        "{what} since step {since}, {:.0} % of the run.",
        100.0 * SHARE
    );
    let remedies = remedies_for(recent, settings);
    let headline = "Nothing has become better for a while";
    Some(Health::new(Verdict::Plateau, headline, reason, remedies))
}

fn knn_stands(history: &History, settings: &Settings, since: usize) -> Option<String> {
    let knn: Vec<(usize, f64)> = (history.evals.iter())
        .filter_map(|eval| Some((eval.step, eval.knn?)))
        .collect();
    let (before, after) = knn.split_at(knn.partition_point(|(step, _)| *step <= since));
    if before.is_empty() || after.len() < FEWEST_EVALS {
        return None;
    }
    let best = |values: &[(usize, f64)]| values.iter().map(|v| v.1).fold(0.0, f64::max);
    let (old, new) = (best(before), best(after));
    let known = history.plan.as_ref().map_or(0, |plan| plan.test_pictures);
    let tested = match known {
        0 => settings.data.knn_test,
        known => known.min(settings.data.knn_test),
    };
    let gain = KNN_GAIN.max(PICTURES_GAIN / tested.max(1) as f64);
    // 1e-9: a gain of exactly so much, rounded down in binary, counts.
    (new - old + 1e-9 < gain).then(|| {
        format!(
            "k-NN has not risen: {:.1} % at best before, {:.1} % in the {} evaluations",
            100.0 * old,
            100.0 * new,
            after.len()
        )
    })
}

/// Compares the last `width` steps with those before step `since`.
fn loss_stands(
    history: &History,
    settings: &Settings,
    (since, end): (usize, usize),
    width: usize,
) -> Option<String> {
    let cut = |from: usize, to: usize| {
        let at = |step| history.steps.partition_point(|s| s.step < step);
        history.steps.get(at(from)..at(to))
    };
    let before = cut(since.saturating_sub(width), since)?;
    let after = cut(end.saturating_sub(width), end)?;
    if before.len().min(after.len()) < WINDOW {
        return None;
    }
    // Another temperature is another loss.
    let temps = |s: &StepMetrics| (s.teacher_temp, s.teacher_patch_temp);
    if before.first().map(temps) != after.last().map(temps) {
        return None;
    }
    let loss = [before, after].map(|steps| mean(steps, |s| s.loss));
    let agreement = [before, after].map(|steps| mean(steps, |s| s.agreement));
    let most = (settings.head.out_dim.max(2) as f32).ln();
    let entropy = [before, after].map(|steps| mean(steps, |s| s.entropy_cls) / most);
    let better = (entropy[1] - entropy[0]).abs() >= ENTROPY_MOVE
        || loss[1] <= loss[0] * (1.0 - LOSS_GAIN)
        || agreement[1] - agreement[0] + 1e-6 >= AGREEMENT_GAIN;
    (!better).then(|| {
        format!(
            "Without labels there is no k-NN; the loss has not fallen ({:.3} before, {:.3} now) nor \
             has the agreement of teacher and student risen ({:.0} %, {:.0} %)",
            loss[0],
            loss[1],
            100.0 * agreement[0],
            100.0 * agreement[1]
        )
    })
}

fn remedies_for(recent: &[StepMetrics], settings: &Settings) -> Vec<Remedy> {
    let vague = Tokens::of_pictures(recent, None, settings).filter(|t| t.undecidedness() > VAGUE);
    let sharper =
        vague.and_then(|_| remedies::Temperatures::of_pictures(settings).sharpen(settings));
    let peak = settings.optim.lr * settings.run.batch as f64 / 256.0;
    let lr = recent.last().map_or(0.0, |last| last.lr);
    let rate = match lr > SLOW * peak {
        true => remedies::settle(settings),
        false => Some(remedies::longer(settings)),
    };
    sharper.into_iter().chain(rate).collect()
}
