//! Residual branches under stochastic depth.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::{Kernel, dims, is_cpu, matrix, run, simd, slice};

/// `x + scale · branch`: `x, branch [rows, width]`, `scale [rows, 1]` a constant per row.
pub fn add_scaled(x: Tensor<2>, branch: Tensor<2>, scale: Tensor<2>) -> Tensor<2> {
    if is_cpu(&x.device()) {
        run(AddScaled, x, branch, scale)
    } else {
        x + branch * scale
    }
}

#[derive(Debug)]
struct AddScaled;

impl Kernel for AddScaled {
    fn forward(&self, [mut x, branch, scale]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [_, width] = dims(&x);
        let (b, s) = (slice(&branch), slice(&scale));
        simd::on_rows(
            x.storage_mut(),
            width,
            #[inline(always)]
            |row, x| {
                for (x, &b) in x.iter_mut().zip(&b[row * width..][..width]) {
                    *x += s[row] * b;
                }
            },
        );
        (x, vec![scale])
    }

    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        grad: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [rows, width] = dims(&grad);
        let (g, s) = (slice(&grad), slice(&saved[0]));
        let mut branch = vec![0.0; rows * width];
        simd::on_rows(
            &mut branch,
            width,
            #[inline(always)]
            |row, b| {
                for (b, &g) in b.iter_mut().zip(&g[row * width..][..width]) {
                    *b = s[row] * g;
                }
            },
        );
        let branch = matrix(branch, rows, width);
        [Some(grad), Some(branch), None]
    }
}
