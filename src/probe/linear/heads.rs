//! Several linear classifiers of one shape as one wide matrix: their steps and their scores.

use super::{Head, Rate, Rule, Score};
use crate::probe::labelled::{Accuracy, Labelled, rank};
use crate::probe::product::{add_products, dot_rows, even_block};
use rayon::prelude::*;

/// Rows of the weights that a thread updates at a time.
const WEIGHT_ROWS: usize = 64;

/// Classifiers one below the other: row `head · classes + class`.
pub struct Heads {
    count: usize,
    classes: usize,
    dim: usize,
    weight: Vec<f32>,
    bias: Vec<f32>,
    weight_velocity: Vec<f32>,
    bias_velocity: Vec<f32>,
    /// Of the weights, during a step.
    gradient: Vec<f32>,
}

/// Length of a step of LARS with rate 1, in lengths of the weights.
const TRUST: f64 = 1e-3;

/// What LARS multiplies a gradient by; 1 where either is 0.
fn trust(weight: &[f32], gradient: &[f32]) -> f32 {
    let length = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let (weight, gradient) = (length(weight), length(gradient));
    match weight > 0.0 && gradient > 0.0 {
        true => (TRUST * weight / gradient) as f32,
        false => 1.0,
    }
}

impl Heads {
    /// `count` times the same classifier.
    pub fn new(start: &Head, count: usize) -> Self {
        let classes = start.bias.len();
        Self {
            count,
            classes,
            dim: start.weight.len() / classes.max(1),
            weight: start.weight.repeat(count),
            bias: start.bias.repeat(count),
            weight_velocity: vec![0.0; start.weight.len() * count],
            bias_velocity: vec![0.0; classes * count],
            gradient: vec![0.0; start.weight.len() * count],
        }
    }

    /// A copy of one of them.
    pub fn head(&self, number: usize) -> Head {
        let part = |all: &[f32], size: usize| {
            let own = all.iter().skip(number * size).take(size);
            own.copied().collect()
        };
        Head {
            weight: part(&self.weight, self.classes * self.dim),
            bias: part(&self.bias, self.classes),
        }
    }

    /// Logits `[rows, heads, classes]` of `x [rows, dim]`.
    pub fn logits(&self, x: &[f32]) -> Vec<f32> {
        let (dim, width) = (self.dim.max(1), self.bias.len().max(1));
        let rows = x.len() / dim;
        let block = even_block(rows);
        let mut logits = vec![0.0; rows * width];
        (logits.par_chunks_mut(block * width))
            .zip(x.par_chunks(block * dim))
            .for_each(|(logits, x)| {
                dot_rows(x, &self.weight, dim, logits);
                for row in logits.chunks_exact_mut(width) {
                    row.iter_mut().zip(&self.bias).for_each(|(z, b)| *z += b);
                }
            });
        logits
    }

    /// One step: `v ← momentum · v + q · (gradient + decay · w)`, `w ← w − lr · v`, where `q` is 1 for SGD. For
    /// LARS it is a thousandth of the length of a head's weights over that of what stands in the brackets, and 1,
    /// without decay, for biases. Returns the mean loss of the batch before it, one a head.
    pub fn step(
        &mut self,
        x: &[f32],
        labels: &[u32],
        rates: &[Rate],
        lrs: &[f64],
        momentum: f32,
    ) -> Vec<f64> {
        let (classes, dim, width) = (self.classes.max(1), self.dim.max(1), self.bias.len().max(1));
        let mut slopes = self.logits(x);
        let losses = self.losses(&mut slopes, labels, |probabilities, label| {
            if let Some(own) = probabilities.get_mut(label as usize) {
                *own -= 1.0;
            }
            let scale = 1.0 / labels.len() as f32;
            probabilities.iter_mut().for_each(|p| *p *= scale);
        });
        (self.gradient.par_chunks_mut(WEIGHT_ROWS * dim))
            .enumerate()
            .for_each(|(block, gradient)| {
                let first = block * WEIGHT_ROWS;
                add_products((&slopes, width), first, (x, dim), 0.0, gradient);
            });
        let size = classes * dim;
        (self.weight.par_chunks_exact_mut(size))
            .zip(self.weight_velocity.par_chunks_exact_mut(size))
            .zip(self.gradient.par_chunks_exact_mut(size))
            .zip(rates.par_iter().zip(lrs))
            .for_each(|(((weight, velocity), gradient), (rate, lr))| {
                let (decay, lr) = (rate.weight_decay as f32, *lr as f32);
                for (g, w) in gradient.iter_mut().zip(&*weight) {
                    *g += decay * w;
                }
                let q = match rate.rule {
                    Rule::Sgd => 1.0,
                    Rule::Lars => trust(weight, gradient),
                };
                for ((w, v), g) in weight.iter_mut().zip(velocity).zip(gradient) {
                    *v = momentum * *v + q * *g;
                    *w -= lr * *v;
                }
            });
        let mut gradient = vec![0.0; width];
        for row in slopes.chunks_exact(width) {
            gradient
                .iter_mut()
                .zip(row)
                .for_each(|(g, s)| *g += f64::from(*s));
        }
        let bias = self.bias.iter_mut().zip(&mut self.bias_velocity);
        for (row, ((b, v), g)) in bias.zip(gradient).enumerate() {
            let head = row / classes;
            let decay = match rates.get(head) {
                Some(rate) if rate.rule == Rule::Sgd => rate.weight_decay as f32,
                _ => 0.0,
            };
            *v = momentum * *v + g as f32 + decay * *b;
            *b -= lrs.get(head).map_or(0.0, |lr| *lr as f32) * *v;
        }
        losses
    }

    /// Loss and accuracy on labelled rows, one a head; `batch` rows are averaged at a time.
    pub fn scores(&self, test: &Labelled, batch: usize) -> Vec<Score> {
        let (classes, dim, width) = (self.classes.max(1), self.dim.max(1), self.bias.len().max(1));
        let mut losses = vec![0.0; self.count];
        let mut ranks: Vec<Vec<Option<usize>>> = vec![vec![]; self.count];
        let batch = batch.clamp(1, test.labels.len().max(1));
        let batches = test.features.data.chunks(batch * dim);
        let count = batches.len() as f64;
        for (x, labels) in batches.zip(test.labels.chunks(batch)) {
            let mut logits = self.logits(x);
            for (row, label) in logits.chunks_exact(width).zip(labels) {
                for (logits, ranks) in row.chunks_exact(classes).zip(&mut ranks) {
                    ranks.push(rank(logits, *label));
                }
            }
            let mean = self.losses(&mut logits, labels, |_, _| {});
            losses
                .iter_mut()
                .zip(mean)
                .for_each(|(l, m)| *l += m / count);
        }
        let score = |(loss, ranks): (f64, Vec<Option<usize>>)| {
            let accuracy = Accuracy::from_ranks(ranks.into_iter(), classes);
            Score {
                loss,
                top1: accuracy.top1,
                top5: accuracy.top5,
            }
        };
        losses.into_iter().zip(ranks).map(score).collect()
    }

    /// Mean cross-entropy of the rows, one a head. Logits become probabilities, which `then` may change
    /// further, row by row and head by head.
    fn losses(
        &self,
        logits: &mut [f32],
        labels: &[u32],
        then: impl Fn(&mut [f32], u32) + Sync,
    ) -> Vec<f64> {
        let (classes, width) = (self.classes.max(1), self.bias.len().max(1));
        let each: Vec<f32> = (logits.par_chunks_exact_mut(width))
            .zip(labels)
            .flat_map_iter(|(row, &label)| {
                let then = &then;
                row.chunks_exact_mut(classes).map(move |logits| {
                    let loss = softmax(logits, label);
                    then(logits, label);
                    loss
                })
            })
            .collect();
        let mut sums = vec![0.0; self.count];
        for row in each.chunks_exact(self.count.max(1)) {
            sums.iter_mut()
                .zip(row)
                .for_each(|(s, loss)| *s += f64::from(*loss));
        }
        sums.iter().map(|s| s / labels.len() as f64).collect()
    }
}

/// Cross-entropy of one row; its logits become probabilities.
fn softmax(logits: &mut [f32], label: u32) -> f32 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let own = logits.get(label as usize).copied().unwrap_or(f32::NAN);
    let mut sum = 0.0;
    for z in logits.iter_mut() {
        *z = (*z - largest).exp();
        sum += *z;
    }
    logits.iter_mut().for_each(|z| *z /= sum);
    sum.ln() + largest - own
}
