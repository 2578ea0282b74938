//! Normalisation of rows: layer norm with gain and bias, and projection onto the unit sphere.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::{Kernel, dims, is_cpu, matrix, run, simd, slice};

/// Layer norm over the columns of `x [rows, width]`; `gain` and `bias` are `[1, width]`.
pub fn layer_norm(x: Tensor<2>, gain: Tensor<2>, bias: Tensor<2>, epsilon: f32) -> Tensor<2> {
    if is_cpu(&x.device()) {
        run(LayerNorm { epsilon }, x, gain, bias)
    } else {
        let centred = x.clone() - x.mean_dim(1);
        let variance = (centred.clone() * centred.clone()).mean_dim(1);
        centred / (variance + epsilon).sqrt() * gain + bias
    }
}

/// Every row of `x [rows, width]` divided by its length, or by `epsilon` where that is larger.
pub fn l2_normalise(x: Tensor<2>, epsilon: f32) -> Tensor<2> {
    if is_cpu(&x.device()) {
        let unused = x.clone().inner();
        run(Normalise { epsilon }, x, unused.clone(), unused)
    } else {
        let length = (x.clone() * x.clone()).sum_dim(1).sqrt();
        x / length.clamp_min(epsilon)
    }
}

#[derive(Debug)]
struct LayerNorm {
    epsilon: f32,
}

impl Kernel for LayerNorm {
    fn forward(&self, [x, gain, bias]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [rows, width] = dims(&x);
        let mut y = vec![0.0; rows * width];
        let mut statistics = vec![0.0; rows * 2];
        let (input, g, b) = (slice(&x), slice(&gain), slice(&bias));
        simd::on_row_pairs(
            (&mut y, width),
            (&mut statistics, 2),
            width,
            #[inline(always)]
            |row, out, statistics| {
                let x = &input[row * width..][..width];
                let mean = simd::sum(x) / width as f32;
                for (y, &x) in out.iter_mut().zip(x) {
                    *y = x - mean;
                }
                let scale = 1.0 / (simd::dot(out, out) / width as f32 + self.epsilon).sqrt();
                for ((y, &g), &b) in out.iter_mut().zip(g).zip(b) {
                    *y = *y * scale * g + b;
                }
                statistics[0] = mean;
                statistics[1] = scale;
            },
        );
        let statistics = matrix(statistics, rows, 2);
        (matrix(y, rows, width), vec![x, gain, statistics])
    }

    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        grad: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [rows, width] = dims(&grad);
        let (x, gain, statistics) = (slice(&saved[0]), slice(&saved[1]), slice(&saved[2]));
        let gradient = slice(&grad);
        let row_of = |row: usize| {
            let (mean, scale) = (statistics[row * 2], statistics[row * 2 + 1]);
            let span = row * width..(row + 1) * width;
            (&x[span.clone()], &gradient[span], mean, scale)
        };
        let parameters = (wanted[1] || wanted[2]).then(|| {
            simd::sum_rows(
                rows,
                2 * width,
                #[inline(always)]
                |row, sum| {
                    let (x, g, mean, scale) = row_of(row);
                    let (gains, biases) = sum.split_at_mut(width);
                    for (((dg, db), &x), &g) in gains.iter_mut().zip(biases).zip(x).zip(g) {
                        *dg += g * (x - mean) * scale;
                        *db += g;
                    }
                },
            )
        });
        let dx = wanted[0].then(|| {
            let mut dx = vec![0.0; rows * width];
            simd::on_rows(
                &mut dx,
                width,
                #[inline(always)]
                |row, out| {
                    let (x, g, mean, scale) = row_of(row);
                    for ((d, &g), &gain) in out.iter_mut().zip(g).zip(gain) {
                        *d = g * gain;
                    }
                    // With x̂ = (x − mean)·scale: dx = scale·(d − mean(d) − x̂·mean(d·x̂)).
                    let mean_d = simd::sum(out) / width as f32;
                    let along = (simd::dot(out, x) / width as f32 - mean * mean_d) * scale * scale;
                    for (d, &x) in out.iter_mut().zip(x) {
                        *d = scale * (*d - mean_d - (x - mean) * along);
                    }
                },
            );
            matrix(dx, rows, width)
        });
        let (gains, biases) = match parameters {
            Some(mut gains) => {
                let biases = gains.split_off(width);
                (
                    Some(matrix(gains, 1, width)),
                    Some(matrix(biases, 1, width)),
                )
            }
            None => (None, None),
        };
        [dx, gains, biases]
    }
}

#[derive(Debug)]
struct Normalise {
    epsilon: f32,
}

impl Kernel for Normalise {
    fn forward(&self, [x, ..]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [rows, width] = dims(&x);
        let mut y = vec![0.0; rows * width];
        let mut lengths = vec![0.0; rows];
        let input = slice(&x);
        simd::on_row_pairs(
            (&mut y, width),
            (&mut lengths, 1),
            width,
            #[inline(always)]
            |row, out, length| {
                let x = &input[row * width..][..width];
                length[0] = simd::dot(x, x).sqrt();
                let scale = 1.0 / length[0].max(self.epsilon);
                for (y, &x) in out.iter_mut().zip(x) {
                    *y = x * scale;
                }
            },
        );
        let y = matrix(y, rows, width);
        (y.clone(), vec![y, matrix(lengths, rows, 1)])
    }

    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        mut grad: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [_, width] = dims(&grad);
        let (y, lengths) = (slice(&saved[0]), slice(&saved[1]));
        simd::on_rows(
            grad.storage_mut(),
            width,
            #[inline(always)]
            |row, g| {
                let y = &y[row * width..][..width];
                let length = lengths[row];
                // Below epsilon the length is a constant and only scales.
                let along = if length > self.epsilon {
                    simd::dot(g, y)
                } else {
                    0.0
                };
                let scale = 1.0 / length.max(self.epsilon);
                for (g, &y) in g.iter_mut().zip(y) {
                    *g = (*g - along * y) * scale;
                }
            },
        );
        [Some(grad), None, None]
    }
}
