//! Fully connected layers: `y = x Wᵀ + b`, weights stored `[out, in]` as in the reference's files.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::Tensor;

use super::{Kernel, dims, is_cpu, matrix, run, simd, slice};

/// `x [rows, in]`, `weight [out, in]`, `bias [1, out]` → `[rows, out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<2>) -> Tensor<2> {
    if is_cpu(&x.device()) {
        run(Linear { bias: true }, x, weight, bias)
    } else {
        x.matmul(weight.transpose()) + bias
    }
}

/// `x [rows, in]`, `weight [out, in]` → `x Wᵀ [rows, out]`.
pub fn matmul_transposed(x: Tensor<2>, weight: Tensor<2>) -> Tensor<2> {
    if is_cpu(&x.device()) {
        // The third input is not used; a tracked tensor there would only cost a node.
        let unused = weight.clone().inner();
        run(Linear { bias: false }, x, weight, unused)
    } else {
        x.matmul(weight.transpose())
    }
}

#[derive(Debug)]
struct Linear {
    bias: bool,
}

impl Kernel for Linear {
    fn forward(&self, [x, weight, bias]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [out, _] = dims(&weight);
        let mut y = Flex::float_matmul(x.clone(), weight.transpose(0, 1));
        if self.bias {
            let bias = slice(&bias);
            simd::on_rows(
                y.storage_mut(),
                out,
                #[inline(always)]
                |_, row| {
                    for (v, &b) in row.iter_mut().zip(bias) {
                        *v += b;
                    }
                },
            );
        }
        (y, vec![x, weight])
    }

    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        grad: FlexTensor,
        wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [rows, out] = dims(&grad);
        let (x, weight) = (&saved[0], &saved[1]);
        let dx = wanted[0].then(|| Flex::float_matmul(grad.clone(), weight.clone()));
        let dw = wanted[1].then(|| Flex::float_matmul(grad.transpose(0, 1), x.clone()));
        let db = (self.bias && wanted[2]).then(|| {
            let grad = slice(&grad);
            let sums = simd::sum_rows(
                rows,
                out,
                #[inline(always)]
                |row, sum| {
                    for (s, &g) in sum.iter_mut().zip(&grad[row * out..][..out]) {
                        *s += g;
                    }
                },
            );
            matrix(sums, 1, out)
        });
        [dx, dw, db]
    }
}
