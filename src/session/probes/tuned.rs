//! Probes that train the whole network on labels: fine-tuning, and learning from few labels.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use burn::tensor::Device;

use super::measures::{labelled, neighbours_best};
use super::rows::{Bench, Eyes, Rows, What};
use super::{Measure, Plan, Report, Row, Sets};
use crate::data::Source;
use crate::explore::{Cache, Encoder, Tell};
use crate::finetune::Recipe;
use crate::probe::interval::{spread, wilson};
use crate::probe::linear::LinearOptions;
use crate::probe::logistic::{LogisticOptions, logistic};
use crate::probe::pooled::Pooling;
use crate::probe::splits;
use crate::probe::sweep::{rates, sweep};
use crate::session::pictures::Subset;
use crate::session::tuning::{Epoch, Job, Outcome, tune};
use crate::weights::Found;

/// What is trained, and how.
pub struct Tuned<'a> {
    pub found: &'a Found,
    /// The same network to look through: it says the side and the normalisation.
    pub encoder: &'a Encoder,
    pub recipe: Recipe,
    /// Begin from the first layer of the projection head.
    pub from_head: bool,
    /// Where metrics and checkpoints go.
    pub folder: Option<PathBuf>,
    /// Shares of the labels, for learning from few.
    pub shares: Vec<f64>,
}

impl Tuned<'_> {
    fn job(&self, train: &Arc<dyn Source>, test: &Arc<dyn Source>, seed: u64) -> Job<'_> {
        Job {
            found: self.found,
            recipe: Recipe {
                seed,
                ..self.recipe.clone()
            },
            from_head: self.from_head,
            train: train.clone(),
            test: test.clone(),
            side: self.encoder.side,
            framing: self.encoder.framing,
            mean: self.encoder.mean,
            std: self.encoder.std,
            folder: self.folder.clone(),
        }
    }
}

/// Pictures to learn from, pictures to test with, and where these are from.
type Parts = (Arc<dyn Source>, Arc<dyn Source>, String);

/// The pictures of `sets`, or a part of them held out.
fn parts(plan: &Plan, sets: &Sets, seed: u64) -> Result<Parts> {
    if let Some(test) = &sets.test {
        return Ok((sets.train.clone(), test.clone(), sets.from.clone()));
    }
    let (pictures, labels) = known(&sets.train);
    let split = splits::held_out(&labels, plan.held_out, seed)?;
    let part = |rows: &[usize]| {
        let indices = rows.iter().map(|&row| pictures[row]).collect();
        Subset::of(&sets.train, indices)
    };
    let words = format!(
        "{:.0} % held out of every class (seed {seed})",
        100.0 * plan.held_out
    );
    Ok((part(&split.train), part(&split.held_out), words))
}

/// Labelled pictures and their labels.
fn known(source: &Arc<dyn Source>) -> (Vec<usize>, Vec<u32>) {
    let labelled = |i: usize| Some((i, source.label(i)? as u32));
    (0..source.len()).filter_map(labelled).unzip()
}

fn empty_report(plan: &Plan, sets: &Sets, train: &str) -> Report {
    Report {
        train_pictures: sets.train.len(),
        classes: sets.train.classes().len(),
        intervals: "95 % for so many test pictures (Wilson)".into(),
        ..Report::empty(plan.kind, train)
    }
}

fn accuracy(name: &str, value: f64, tested: usize) -> Result<Measure> {
    let right = (value * tested as f64).round() as usize;
    Ok(Measure {
        name: name.to_owned(),
        value,
        interval: Some(wilson(right, tested)?),
    })
}

/// Trains backbone and classifier on all training pictures.
///
/// # Errors
/// What [`tune`] says.
pub fn finetune(
    plan: &Plan,
    tuned: &Tuned,
    (sets, train): (&Sets, &str),
    device: &Device,
    tell: Tell,
    see: &mut dyn FnMut(&Epoch),
) -> Result<Report> {
    let (learn, test, from) = parts(plan, sets, plan.seed)?;
    let job = tuned.job(&learn, &test, plan.seed);
    let outcome = tune(&job, device, tell, see)?;
    let mut report = empty_report(plan, sets, train);
    (report.train_pictures, report.test_pictures) = (learn.len(), outcome.tested);
    report.test = from;
    report.rows.push(row(tuned, &outcome)?);
    Ok(report)
}

fn row(tuned: &Tuned, outcome: &Outcome) -> Result<Row> {
    let (Some(best), Some(last)) = (outcome.best(), outcome.epochs.last()) else {
        bail!("there is nothing to train: the recipe has no epoch");
    };
    let from = match tuned.from_head {
        true => "from the head's first layer",
        false => "from the backbone",
    };
    Ok(Row {
        features: tuned.encoder.name.clone(),
        measures: vec![
            accuracy("last epoch", last.top1, outcome.tested)?,
            accuracy("best epoch", best.top1, outcome.tested)?,
            accuracy("top-5, last epoch", last.top5, outcome.tested)?,
        ],
        notes: vec![format!(
            "{from}; the best epoch, {} of {}, is chosen on the test pictures, as in the reference",
            best.epoch,
            outcome.epochs.len()
        )],
    })
}

/// Learning from a share of the labels: k-NN, the linear sweep and logistic regression on frozen features, and all of
/// the network from the first layer of its head (from its backbone where it has no head).
///
/// # Errors
/// What [`tune`] and the probes say.
pub fn semi(
    plan: &Plan,
    tuned: &Tuned,
    (sets, train): (&Sets, &str),
    cache: &Cache,
    device: &Device,
    tell: Tell,
    see: &mut dyn FnMut(&Epoch),
) -> Result<Report> {
    let (learn, test, from) = parts(plan, sets, plan.seed)?;
    let mut report = empty_report(plan, sets, train);
    report.test = from;
    let eyes = Eyes::Network(Box::new(tuned.encoder.clone()));
    let what = What::Pooled(1, Pooling::Class);
    let (blocks, pooling) = eyes.linear_protocol();
    let wide = What::Pooled(blocks, pooling);
    let mut bench = Bench {
        plan,
        eyes: &eyes,
        cache,
        tell: &mut *tell,
    };
    let (frozen, frozen_test) = (bench.rows(&learn, what)?, bench.rows(&test, what)?);
    let (layers, layers_test) = (bench.rows(&learn, wide)?, bench.rows(&test, wide)?);
    let (pictures, labels) = known(&learn);
    let classes = learn.classes().len();
    report.test_pictures = frozen_test.labels.len();
    for &share in &tuned.shares {
        let mut each: Vec<[f64; 4]> = Vec::new();
        let mut count = 0;
        for repeat in 0..plan.repeats.max(1) {
            let seed = plan.seed.wrapping_add(repeat);
            let chosen = splits::subset(&labels, share, seed)?;
            count = chosen.len();
            let (few, few_layers) = (frozen.take(&chosen), layers.take(&chosen));
            let knn = neighbours_best(plan, &few, &frozen_test)?;
            let linear = best_linear(plan, &few_layers, &layers_test, classes, seed)?;
            let logistic = best_logistic(plan, &few, &frozen_test, classes)?;
            let indices = chosen.iter().map(|&row| pictures[row]).collect();
            let few = Subset::of(&learn, indices);
            let mut job = tuned.job(&few, &test, seed);
            job.folder = tuned
                .folder
                .as_ref()
                .map(|folder| folder.join(format!("share-{share}-seed-{seed}")));
            let outcome = tune(&job, device, tell, see)?;
            let last = outcome.epochs.last().map_or(0.0, |epoch| epoch.top1);
            each.push([knn, linear, logistic, last]);
        }
        let names = ["k-NN", "linear", "logistic", "fine-tuned"];
        let mut measures = Vec::new();
        for (i, name) in names.into_iter().enumerate() {
            let values: Vec<f64> = each.iter().map(|row| row[i]).collect();
            measures.push(match values.len() {
                1 => accuracy(name, values[0], report.test_pictures)?,
                _ => {
                    let over = spread(&values)?;
                    Measure {
                        name: name.to_owned(),
                        value: over.mean,
                        interval: over.interval,
                    }
                }
            });
        }
        report.rows.push(Row {
            features: format!("{:.0} % of the labels ({count})", 100.0 * share),
            measures,
            notes: Vec::new(),
        });
    }
    if plan.repeats > 1 {
        report.intervals = format!(
            "95 % of the mean over {} subsets (Student's t)",
            plan.repeats
        );
    }
    Ok(report)
}

/// The sweep's result at the rate and epoch chosen on training pictures, or on the test pictures where there are too
/// few to hold any out.
fn best_linear(plan: &Plan, train: &Rows, test: &Rows, classes: usize, seed: u64) -> Result<f64> {
    let options = LinearOptions {
        epochs: plan.epochs,
        batch: plan.batch.min(train.labels.len()),
        seed,
        ..LinearOptions::new(classes)
    };
    let rates = rates(&plan.rules, &plan.decays);
    let found = sweep(labelled(train), labelled(test), &rates, &options)?;
    Ok(found.honest.unwrap_or(found.on_test).test.top1)
}

fn best_logistic(plan: &Plan, train: &Rows, test: &Rows, classes: usize) -> Result<f64> {
    let mut best = 0.0f64;
    for &lambda in &plan.lambdas {
        let options = LogisticOptions::new(classes, lambda);
        let found = logistic(labelled(train), labelled(test), &options)?;
        best = best.max(found.accuracy.top1);
    }
    Ok(best)
}
