//! Multinomial logistic regression on frozen features: a linear classifier without learning rates.
//!
//! The reference hands its features to the Cyanure solver (`multiclass-logistic` loss, `l2` penalty, no
//! intercept). Cyanure's documentation gives the objective as
//!
//! `(1/n) Σ_i log Σ_j exp(w_j·x_i − w_{y_i}·x_i) + (λ/2) Σ_j ‖w_j‖²`,
//!
//! so λ weighs the penalty against the *mean* loss: scikit-learn's `C` is `1 / (λ n)`. Its tolerance
//! of 1e-3 is a relative duality gap, checked at intervals: it promises `f − f* ≤ 1e-3 f`. Here the
//! objective, which is strictly convex, is minimised much further by L-BFGS until its gradient vanishes;
//! `f − f* ≤ ‖gradient‖² / (2 λ)` then bounds what is left. The second λ that the reference passes
//! has no part in an `l2` penalty, and its Catalyst-MISO only is another road to the same minimum.

use super::labelled::{Accuracy, Labelled, rank};
use super::lbfgs::minimise;
use super::nearest::{Features, ProbeError, same_length};
use super::product::{add_products, dot_rows};
use rayon::prelude::*;

/// The penalties that the reference tries.
pub const LAMBDAS: [f64; 3] = [0.01, 0.1, 1.0];

/// Rows of one matrix product: 128 of 384 `f64` are 400 KB, within a second-level cache.
const BLOCK: usize = 128;
/// Partial sums at most, each as large as the weights.
const PARTS: usize = 64;

/// What to fit and how far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogisticOptions {
    /// Classes there are; labels lie below it.
    pub classes: usize,
    /// Weight of the penalty against the mean loss, above 0.
    pub lambda: f64,
    /// Rows are divided by their Euclidean length first, as in the k-NN protocol.
    pub normalise: bool,
    /// Largest Euclidean norm of the gradient that counts as solved.
    pub tolerance: f64,
    pub max_iterations: usize,
}

impl LogisticOptions {
    /// Normalised rows, gradient norm 1e-6, at most 1000 iterations.
    pub fn new(classes: usize, lambda: f64) -> Self {
        Self {
            classes,
            lambda,
            normalise: true,
            tolerance: 1e-6,
            max_iterations: 1000,
        }
    }
}

/// A fitted classifier and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    /// `[classes, dim]`; a row's class is that of the largest product.
    pub weights: Vec<f64>,
    /// On the test rows.
    pub accuracy: Accuracy,
    /// Mean loss on the training rows plus penalty.
    pub objective: f64,
    /// Euclidean norm of the objective's gradient.
    pub gradient_norm: f64,
    pub iterations: usize,
    /// Whether the tolerance was reached.
    pub converged: bool,
}

/// Fits the classifier to `train` from weights of zero and scores it on `test`. The result does not
/// depend on the number of threads. Memory beside the features: at most 64 times the weights.
pub fn logistic(
    train: Labelled,
    test: Labelled,
    options: &LogisticOptions,
) -> Result<Logistic, ProbeError> {
    check(&train, &test, options)?;
    let (classes, dim) = (options.classes, train.features.dim);
    let problem = Problem::new(train, options);
    let start = vec![0.0; classes * dim];
    let found = minimise(start, options.tolerance, options.max_iterations, |w| {
        problem.value_and_gradient(w)
    });
    Ok(Logistic {
        accuracy: problem.accuracy(&found.point, &test),
        weights: found.point,
        objective: found.value,
        gradient_norm: found.gradient_norm,
        iterations: found.iterations,
        converged: found.converged,
    })
}

fn check(train: &Labelled, test: &Labelled, options: &LogisticOptions) -> Result<(), ProbeError> {
    train.check("training", options.classes)?;
    test.check("test", options.classes)?;
    same_length(
        "values of a test row",
        train.features.dim,
        test.features.dim,
    )?;
    let above_zero = [
        ("lambda of the logistic regression", options.lambda),
        ("tolerance of the logistic regression", options.tolerance),
    ];
    match above_zero
        .iter()
        .find(|(_, v)| !(v.is_finite() && *v > 0.0))
    {
        Some((setting, value)) => Err(ProbeError::Setting {
            setting,
            value: *value,
            allowed: "above 0",
        }),
        None => Ok(()),
    }
}

/// The objective on some rows.
struct Problem<'a> {
    rows: Labelled<'a>,
    scales: Vec<f64>,
    classes: usize,
    lambda: f64,
    normalise: bool,
}

impl<'a> Problem<'a> {
    fn new(rows: Labelled<'a>, options: &LogisticOptions) -> Self {
        Self {
            rows,
            scales: scales(rows.features, options.normalise),
            classes: options.classes,
            lambda: options.lambda,
            normalise: options.normalise,
        }
    }

    fn value_and_gradient(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let rows = self.rows.labels.len();
        let part = rows.div_ceil(PARTS).next_multiple_of(BLOCK);
        let dim = self.rows.features.dim;
        let parts: Vec<(f64, Vec<f64>)> = (self.rows.features.data.par_chunks(part * dim))
            .zip(self.rows.labels.par_chunks(part))
            .zip(self.scales.par_chunks(part))
            .map(|((x, labels), scales)| self.part(weights, x, labels, scales))
            .collect();
        let squares: f64 = weights.iter().map(|w| w * w).sum();
        let mut loss = 0.0;
        let mut gradient = vec![0.0; weights.len()];
        for (part_loss, part_gradient) in parts {
            loss += part_loss;
            gradient
                .iter_mut()
                .zip(part_gradient)
                .for_each(|(g, p)| *g += p);
        }
        let count = rows as f64;
        for (g, w) in gradient.iter_mut().zip(weights) {
            *g = *g / count + self.lambda * w;
        }
        (loss / count + self.lambda / 2.0 * squares, gradient)
    }

    /// Summed loss and gradient of some rows.
    fn part(&self, weights: &[f64], x: &[f32], labels: &[u32], scales: &[f64]) -> (f64, Vec<f64>) {
        let (dim, classes) = (self.rows.features.dim, self.classes);
        let (mut loss, mut gradient) = (0.0, vec![0.0; weights.len()]);
        let mut logits = vec![0.0; BLOCK * classes];
        let blocks = x.chunks(BLOCK * dim).zip(labels.chunks(BLOCK));
        for ((x, labels), scales) in blocks.zip(scales.chunks(BLOCK)) {
            let x = scaled(x, dim, scales);
            logits.truncate(labels.len() * classes);
            dot_rows(&x, weights, dim, &mut logits);
            for (logits, label) in logits.chunks_exact_mut(classes).zip(labels) {
                loss += loss_and_slope(logits, *label);
            }
            add_products((&logits, classes), 0, (&x, dim), 1.0, &mut gradient);
        }
        (loss, gradient)
    }

    fn accuracy(&self, weights: &[f64], test: &Labelled) -> Accuracy {
        let (dim, classes) = (test.features.dim, self.classes);
        let scales = scales(test.features, self.normalise);
        let ranks: Vec<Option<usize>> = (test.features.data.par_chunks(BLOCK * dim))
            .zip(test.labels.par_chunks(BLOCK))
            .zip(scales.par_chunks(BLOCK))
            .flat_map_iter(|((x, labels), scales)| {
                let mut logits = vec![0.0; labels.len() * classes];
                dot_rows(&scaled(x, dim, scales), weights, dim, &mut logits);
                let rows = logits.chunks_exact(classes).zip(labels);
                rows.map(|(logits, label)| rank(logits, *label))
                    .collect::<Vec<_>>()
            })
            .collect();
        Accuracy::from_ranks(ranks.into_iter(), classes)
    }
}

/// What every row is multiplied with. Rows of zeros stay, as in PyTorch's `normalize`.
fn scales(features: &Features, normalise: bool) -> Vec<f64> {
    let rows = features.data.par_chunks_exact(features.dim);
    rows.map(|row| {
        let square: f64 = row.iter().map(|x| f64::from(*x).powi(2)).sum();
        if normalise {
            1.0 / square.sqrt().max(1e-12)
        } else {
            1.0
        }
    })
    .collect()
}

fn scaled(x: &[f32], dim: usize, scales: &[f64]) -> Vec<f64> {
    let rows = x.chunks_exact(dim).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |x| f64::from(*x) * scale))
        .collect()
}

/// Cross-entropy of one row; its logits become the derivative, softmax minus one-hot.
fn loss_and_slope(logits: &mut [f64], label: u32) -> f64 {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let own = logits.get(label as usize).copied().unwrap_or(largest);
    let mut sum = 0.0;
    for z in logits.iter_mut() {
        *z = (*z - largest).exp();
        sum += *z;
    }
    logits.iter_mut().for_each(|z| *z /= sum);
    if let Some(z) = logits.get_mut(label as usize) {
        *z -= 1.0;
    }
    sum.ln() + largest - own
}

#[cfg(test)]
mod tests;
