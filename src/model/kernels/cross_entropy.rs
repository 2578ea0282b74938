//! The two halves of the loss: the teacher's sharpened distribution and the student's cross-entropy.

use burn::backend::flex::FlexTensor;
use burn::tensor::{Tensor, activation};

use super::{Kernel, dims, is_cpu, matrix, run, simd, slice};

/// The teacher's targets, `softmax((logits − centre) / temperature)` over the columns.
/// `logits [rows, K]`, `centre [1, K]` → `[rows, K]`. Not differentiable: a teacher has no gradient.
pub fn centred_softmax(logits: Tensor<2>, centre: Tensor<2>, temperature: f32) -> Tensor<2> {
    if is_cpu(&logits.device()) {
        let unused = centre.clone();
        run(CentredSoftmax { temperature }, logits, centre, unused)
    } else {
        activation::softmax((logits - centre) / temperature, 1)
    }
}

/// `−Σ_k target_k · log_softmax(logits / temperature)_k` of every row.
/// `logits, targets [rows, K]` → `[rows, 1]`. Targets are constants and need not sum to one.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>, temperature: f32) -> Tensor<2> {
    if is_cpu(&logits.device()) {
        let unused = targets.clone();
        run(CrossEntropy { temperature }, logits, targets, unused)
    } else {
        -(targets * activation::log_softmax(logits / temperature, 1)).sum_dim(1)
    }
}

#[derive(Debug)]
struct CentredSoftmax {
    temperature: f32,
}

impl Kernel for CentredSoftmax {
    fn forward(&self, [logits, centre, _]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [rows, width] = dims(&logits);
        let mut y = vec![0.0; rows * width];
        let (input, centre) = (slice(&logits), slice(&centre));
        simd::on_rows(
            &mut y,
            width,
            #[inline(always)]
            |row, out| {
                for ((y, &x), &c) in out.iter_mut().zip(&input[row * width..]).zip(centre) {
                    *y = x - c;
                }
                let top = simd::max(out);
                let norm = 1.0 / simd::exp_sum(out, 1.0 / self.temperature, top);
                for y in out {
                    *y *= norm;
                }
            },
        );
        (matrix(y, rows, width), Vec::new())
    }

    fn backward(&self, _: Vec<FlexTensor>, _: FlexTensor, _: [bool; 3]) -> [Option<FlexTensor>; 3] {
        [None, None, None]
    }
}

#[derive(Debug)]
struct CrossEntropy {
    temperature: f32,
}

impl Kernel for CrossEntropy {
    fn forward(&self, [logits, targets, _]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [rows, width] = dims(&logits);
        let scale = 1.0 / self.temperature;
        let (s, p) = (slice(&logits), slice(&targets));
        let mut losses = vec![0.0; rows];
        // Per row: the largest logit, and Σ p / Σ e^((s − largest)/τ).
        let mut statistics = vec![0.0; rows * 2];
        let (losses_out, statistics_out) = ((&mut losses[..], 1), (&mut statistics[..], 2));
        simd::on_row_pairs(
            losses_out,
            statistics_out,
            width,
            #[inline(always)]
            |row, loss, statistics| {
                let span = row * width..(row + 1) * width;
                let (s, p) = (&s[span.clone()], &p[span]);
                let top = simd::max(s);
                // The largest logit is taken off everywhere: large numbers that cancel would cost
                // two of seven digits.
                let sum = simd::sum_exp(s, scale, top);
                let mass = simd::sum(p);
                loss[0] = mass * sum.ln() - scale * simd::dot_shifted(s, top, p);
                statistics.copy_from_slice(&[top, mass / sum]);
            },
        );
        let saved = vec![logits.clone(), targets.clone(), matrix(statistics, rows, 2)];
        (matrix(losses, rows, 1), saved)
    }

    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        grad: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [rows, width] = dims(&saved[0]);
        let scale = 1.0 / self.temperature;
        let (s, p, statistics) = (slice(&saved[0]), slice(&saved[1]), slice(&saved[2]));
        let grad = slice(&grad);
        let mut ds = vec![0.0; rows * width];
        simd::on_rows(
            &mut ds,
            width,
            #[inline(always)]
            |row, out| {
                let span = row * width..(row + 1) * width;
                let (top, norm) = (statistics[row * 2], statistics[row * 2 + 1]);
                let g = grad[row] * scale;
                for ((d, &s), &p) in out.iter_mut().zip(&s[span.clone()]).zip(&p[span]) {
                    *d = g * (norm * simd::exp(scale * (s - top)) - p);
                }
            },
        );
        [Some(matrix(ds, rows, width)), None, None]
    }
}
