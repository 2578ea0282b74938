//! The linear probe: a linear classifier trained by SGD on frozen features.
//!
//! The reference's protocol (`eval_linear.py`): weights N(0, 0.01²), bias 0, mean cross-entropy, momentum
//! 0.9, no weight decay, a rate of `lr · batch / 256` that falls by a cosine to 0, lowered once an
//! epoch, the best epoch kept. It trains on augmented pictures; here the features are computed once
//! and kept, so every epoch sees the same ones. Several rates are trained together, since their
//! logits are then one wide matrix product.

mod heads;

use clap::ValueEnum;

use super::labelled::Labelled;
use super::nearest::{Features, ProbeError, same_length};
use crate::data::draws::Draws;
use crate::model::Init;
use heads::Heads;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Standard deviation of the weights a classifier starts with.
const START_STD: f32 = 0.01;
/// The batch that rates are given for.
const RATE_BATCH: f64 = 256.0;

/// How fast a classifier learns and how fast it forgets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Learning rate for a batch of 256; it is multiplied by `batch / 256`.
    pub lr: f64,
    /// Added to the gradient times weight and bias, as in PyTorch's SGD; by LARS to that of the weights alone. The
    /// reference's is 0.
    pub weight_decay: f64,
    pub rule: Rule,
}

/// How a step follows from the gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Rule {
    /// Momentum
    #[default]
    Sgd,
    /// Momentum of gradients as long as a thousandth of the weights (You et al. 2017)
    Lars,
}

/// What all classifiers of a run share.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearOptions {
    /// Classes there are; labels lie below it.
    pub classes: usize,
    pub epochs: usize,
    /// Rows a step; the last step of an epoch takes what is left.
    pub batch: usize,
    pub momentum: f32,
    /// Chooses start weights and the order of rows.
    pub seed: u64,
    /// Rows in a new order every epoch; else as they are given.
    pub shuffle: bool,
    /// Weights to start with instead of random ones.
    pub start: Option<Head>,
}

impl LinearOptions {
    /// The reference's: 100 epochs in batches of 1024.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            epochs: 100,
            batch: 1024,
            momentum: 0.9,
            seed: 0,
            shuffle: true,
            start: None,
        }
    }

    fn start(&self, dim: usize) -> Result<Head, ProbeError> {
        let (weights, classes) = (self.classes * dim, self.classes);
        let head = self.start.clone().unwrap_or_else(|| Head {
            weight: Init::Normal(START_STD).fill(weights, self.seed, "linear probe"),
            bias: vec![0.0; classes],
        });
        same_length(
            "start weights of the linear probe",
            weights,
            head.weight.len(),
        )?;
        same_length("start biases of the linear probe", classes, head.bias.len())?;
        Ok(head)
    }

    /// The rows of epoch `epoch`, in the order in which they are learned from.
    fn order(&self, rows: usize, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows).collect();
        if self.shuffle {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(epoch as u64);
            rng.shuffle(&mut order);
        }
        order
    }
}

/// A linear classifier: the class of a row is that of its largest logit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    /// `[classes, dim]`.
    pub weight: Vec<f32>,
    /// `[classes]`.
    pub bias: Vec<f32>,
}

impl Head {
    /// Logits `[rows, classes]` of features of the width it was trained on.
    pub fn logits(&self, features: &Features) -> Result<Vec<f32>, ProbeError> {
        let weights = self.bias.len() * features.dim;
        same_length("weights of the linear probe", weights, self.weight.len())?;
        Ok(Heads::new(self, 1).logits(&features.data))
    }
}

/// What a classifier is worth on some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean over batches of their mean cross-entropy, which is how the reference reports it: the mean over
    /// rows where the batch divides them. Not finite where training has diverged.
    pub loss: f64,
    /// Fraction of right answers, `[0, 1]`.
    pub top1: f64,
    /// `None` with fewer than five classes.
    pub top5: Option<f64>,
}

impl Score {
    /// Whether this is the better result: more right answers, or as many at a lower loss.
    pub fn beats(&self, other: &Score) -> bool {
        self.top1 > other.top1 || (self.top1 == other.top1 && self.loss < other.loss)
    }
}

/// One epoch of one classifier.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch {
    /// The rate that steps were made with.
    pub lr: f64,
    /// Mean over rows of the loss at the step that they were learned from.
    pub train_loss: f64,
    /// On the test rows after the epoch.
    pub test: Score,
}

/// One trained classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearResult {
    pub rate: Rate,
    pub epochs: Vec<Epoch>,
    /// The epoch with the best test score, counted from 0. It is chosen on the test rows, as in the
    /// reference, so its score flatters; [`sweep`](super::sweep::sweep) also chooses without them.
    pub best: usize,
    /// The classifier after that epoch.
    pub best_head: Head,
    /// The classifier after the last epoch.
    pub last_head: Head,
    /// Loss of every step.
    pub step_losses: Vec<f64>,
}

/// Trains one classifier on `train` and scores it on `test` after every epoch. The result does not
/// depend on the number of threads.
pub fn train_linear(
    train: Labelled,
    test: Labelled,
    rate: Rate,
    options: &LinearOptions,
) -> Result<LinearResult, ProbeError> {
    let mut results = train_together(train, test, &[rate], options)?;
    results.pop().ok_or(ProbeError::Empty("no learning rate"))
}

/// Trains one classifier a rate, all from the same weights on the same batches; results in the order of
/// `rates`. Each learns as it would alone, but for `f32` rounding: wider products add up differently. Memory: six times `rates · classes · dim` floats beside the features.
pub fn train_together(
    train: Labelled,
    test: Labelled,
    rates: &[Rate],
    options: &LinearOptions,
) -> Result<Vec<LinearResult>, ProbeError> {
    check(&train, &test, rates, options)?;
    let (dim, rows) = (train.features.dim, train.labels.len());
    let start = options.start(dim)?;
    let mut heads = Heads::new(&start, rates.len());
    let mut results: Vec<LinearResult> = rates.iter().map(|rate| empty(*rate, options)).collect();
    let (mut x, mut labels) = (vec![], vec![]);
    for epoch in 0..options.epochs {
        let lrs: Vec<f64> = rates
            .iter()
            .map(|rate| cosine(rate, epoch, options))
            .collect();
        let order = options.order(rows, epoch);
        let mut sums = vec![0.0; rates.len()];
        for batch in order.chunks(options.batch) {
            gather(&train, batch, &mut x, &mut labels);
            let losses = heads.step(&x, &labels, rates, &lrs, options.momentum);
            for ((result, sum), loss) in results.iter_mut().zip(&mut sums).zip(losses) {
                result.step_losses.push(loss);
                *sum += loss * batch.len() as f64;
            }
        }
        let scores = heads.scores(&test, options.batch);
        for (i, result) in results.iter_mut().enumerate() {
            let (Some(&test), Some(&lr), Some(&sum)) = (scores.get(i), lrs.get(i), sums.get(i))
            else {
                continue;
            };
            let best = result.epochs.get(result.best);
            if best.is_none_or(|best| test.beats(&best.test)) {
                result.best = epoch;
                result.best_head = heads.head(i);
            }
            result.epochs.push(Epoch {
                lr,
                train_loss: sum / rows as f64,
                test,
            });
        }
    }
    for (i, result) in results.iter_mut().enumerate() {
        result.last_head = heads.head(i);
    }
    Ok(results)
}

fn empty(rate: Rate, options: &LinearOptions) -> LinearResult {
    LinearResult {
        rate,
        epochs: Vec::with_capacity(options.epochs),
        best: 0,
        best_head: Head::default(),
        last_head: Head::default(),
        step_losses: vec![],
    }
}

/// The rate of an epoch: `lr · batch / 256`, falling to 0 at the end of the last epoch.
fn cosine(rate: &Rate, epoch: usize, options: &LinearOptions) -> f64 {
    let scaled = rate.lr * options.batch as f64 / RATE_BATCH;
    let done = epoch as f64 / options.epochs as f64;
    scaled * (1.0 + (std::f64::consts::PI * done).cos()) / 2.0
}

fn gather(train: &Labelled, rows: &[usize], x: &mut Vec<f32>, labels: &mut Vec<u32>) {
    let dim = train.features.dim;
    x.clear();
    labels.clear();
    for row in rows {
        let own = train.features.data.get(row * dim..(row + 1) * dim);
        x.extend_from_slice(own.unwrap_or_default());
        labels.extend(train.labels.get(*row));
    }
}

fn check(
    train: &Labelled,
    test: &Labelled,
    rates: &[Rate],
    options: &LinearOptions,
) -> Result<(), ProbeError> {
    train.check("training", options.classes)?;
    test.check("test", options.classes)?;
    same_length(
        "values of a test row",
        train.features.dim,
        test.features.dim,
    )?;
    if rates.is_empty() {
        return Err(ProbeError::Empty("no learning rate"));
    }
    let setting = |setting, value, allowed| ProbeError::Setting {
        setting,
        value,
        allowed,
    };
    if options.epochs == 0 || options.batch == 0 {
        let (name, allowed) = ("epochs or batch of the linear probe", "1 or more");
        return Err(setting(name, 0.0, allowed));
    }
    if !(0.0..1.0).contains(&options.momentum) {
        let momentum = f64::from(options.momentum);
        return Err(setting(
            "momentum of the linear probe",
            momentum,
            "0 to 1, without 1",
        ));
    }
    for rate in rates {
        for (name, value) in [
            ("learning rate of the linear probe", rate.lr),
            ("weight decay of the linear probe", rate.weight_decay),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(setting(name, value, "0 or more"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
