//! The exact (erf) GELU, `x·Φ(x)`.

use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;

use super::{Kernel, dims, is_cpu, matrix, run, simd, slice};

/// `x·Φ(x)` elementwise, `[rows, width]` → the same.
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    if is_cpu(&x.device()) {
        let unused = x.clone().inner();
        run(Gelu, x, unused.clone(), unused)
    } else {
        // Not Burn's own gelu: its forward is this one, but its backward is the derivative of the
        // tanh approximation. Seen on wgpu, 0.22.1: gradients off by 8e-4, which four blocks and a
        // head enlarge to 1e-2. Composed of erf, the gradient belongs to the function: 4e-7.
        ((x.clone() * std::f32::consts::FRAC_1_SQRT_2).erf() + 1.0) * x * 0.5
    }
}

#[derive(Debug)]
struct Gelu;

impl Kernel for Gelu {
    fn forward(&self, [x, ..]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [rows, width] = dims(&x);
        let mut y = vec![0.0; rows * width];
        let input = slice(&x);
        simd::on_rows(
            &mut y,
            width,
            #[inline(always)]
            |row, out| {
                for (y, &x) in out.iter_mut().zip(&input[row * width..][..width]) {
                    let (tail, _) = simd::normal_tail(x);
                    *y = if x > 0.0 { x - x * tail } else { x * tail };
                }
            },
        );
        (matrix(y, rows, width), vec![x])
    }

    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        mut grad: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [_, width] = dims(&grad);
        let input = slice(&saved[0]);
        simd::on_rows(
            grad.storage_mut(),
            width,
            #[inline(always)]
            |row, out| {
                for (g, &x) in out.iter_mut().zip(&input[row * width..][..width]) {
                    let (tail, density) = simd::normal_tail(x);
                    let cumulative = if x > 0.0 { 1.0 - tail } else { tail };
                    *g *= cumulative + x * density;
                }
            },
        );
        [Some(grad), None, None]
    }
}
