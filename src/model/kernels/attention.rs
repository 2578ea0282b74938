//! Multi-head self-attention over the packed projections `[q | k | v]`.

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape, Tensor, activation};
use rayon::prelude::*;

use super::{Kernel, dims, is_cpu, matrix, run, simd, slice};

/// `softmax(q kᵀ / √head) v` for every image and head.
///
/// `qkv [batch * tokens, 3 * width]` holds queries, keys and values side by side, each split into
/// `heads` runs of `width / heads` columns, as the reference lays them out → `[batch * tokens, width]`.
pub fn attention(qkv: Tensor<2>, batch: usize, tokens: usize, heads: usize) -> Tensor<2> {
    let width = qkv.dims()[1] / 3;
    if is_cpu(&qkv.device()) {
        let unused = qkv.clone().inner();
        let kernel = Attention {
            batch,
            tokens,
            heads,
        };
        return run(kernel, qkv, unused.clone(), unused);
    }
    let head = width / heads;
    let part = |i: usize| -> Tensor<4> {
        qkv.clone()
            .slice([0..batch * tokens, i * width..(i + 1) * width])
            .reshape([batch, tokens, heads, head])
            .swap_dims(1, 2)
    };
    let scores = part(0).matmul(part(1).transpose()) * (head as f32).powf(-0.5);
    activation::softmax(scores, 3)
        .matmul(part(2))
        .swap_dims(1, 2)
        .reshape([batch * tokens, width])
}

#[derive(Debug)]
struct Attention {
    batch: usize,
    tokens: usize,
    heads: usize,
}

impl Attention {
    /// A `[batch, heads, tokens, head]` view of columns `offset..` of a matrix with `stride` columns.
    fn heads_of(&self, x: &FlexTensor, width: usize, stride: usize, offset: usize) -> FlexTensor {
        let head = width / self.heads;
        let strides = [self.tokens * stride, head, stride, 1].map(|s| s as isize);
        let shape = Shape::from([self.batch, self.heads, self.tokens, head]);
        let start = x.layout().start_offset() + offset;
        let layout = Layout::new(shape, strides.to_vec(), start);
        FlexTensor::from_arc(x.data_arc(), layout, DType::F32)
    }

    /// Writes `[batch, heads, tokens, head]` parts next to each other into `[batch * tokens, parts * width]`.
    fn merge(&self, parts: &[FlexTensor], width: usize) -> FlexTensor {
        let (head, tokens, stride) = (width / self.heads, self.tokens, parts.len() * width);
        let mut out = vec![0.0; self.batch * tokens * stride];
        let sources: Vec<&[f32]> = parts.iter().map(slice).collect();
        out.par_chunks_mut(stride)
            .enumerate()
            .for_each(|(row, out)| {
                let (image, token) = (row / tokens, row % tokens);
                for (part, source) in sources.iter().enumerate() {
                    for h in 0..self.heads {
                        let from = ((image * self.heads + h) * tokens + token) * head;
                        out[part * width + h * head..][..head]
                            .copy_from_slice(&source[from..][..head]);
                    }
                }
            });
        matrix(out, self.batch * tokens, stride)
    }
}

impl Kernel for Attention {
    fn forward(&self, [qkv, ..]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [_, stride] = dims(&qkv);
        let width = stride / 3;
        let scale = ((width / self.heads) as f32).powf(-0.5);
        let [q, k, v] = [0, 1, 2].map(|i| self.heads_of(&qkv, width, stride, i * width));
        let mut weights = Flex::float_matmul(q, k.transpose(2, 3));
        simd::on_rows(
            weights.storage_mut(),
            self.tokens,
            #[inline(always)]
            |_, row| {
                let top = simd::max(row);
                let norm = 1.0 / simd::exp_sum(row, scale, top);
                for w in row {
                    *w *= norm;
                }
            },
        );
        let out = self.merge(&[Flex::float_matmul(weights.clone(), v)], width);
        (out, vec![qkv, weights])
    }

    fn backward(
        &self,
        saved: Vec<FlexTensor>,
        grad: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let [_, stride] = dims(&saved[0]);
        let width = stride / 3;
        let scale = ((width / self.heads) as f32).powf(-0.5);
        let [q, k, v] = [0, 1, 2].map(|i| self.heads_of(&saved[0], width, stride, i * width));
        let weights = &saved[1];
        let grad = self.heads_of(&grad, width, width, 0);
        let dv = Flex::float_matmul(weights.transpose(2, 3), grad.clone());
        let mut scores = Flex::float_matmul(grad, v.transpose(2, 3));
        let (tokens, w) = (self.tokens, slice(weights));
        simd::on_rows(
            scores.storage_mut(),
            tokens,
            #[inline(always)]
            |row, d| {
                let w = &w[row * tokens..][..tokens];
                let mean = simd::dot(d, w);
                for (d, &w) in d.iter_mut().zip(w) {
                    *d = (*d - mean) * w * scale;
                }
            },
        );
        let dq = Flex::float_matmul(scores.clone(), k);
        let dk = Flex::float_matmul(scores.transpose(2, 3), q);
        [Some(self.merge(&[dq, dk, dv], width)), None, None]
    }
}
