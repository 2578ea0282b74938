//! Multi-head self-attention over the packed projections `[q | k | v]`, of whole images or of windows.

use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::flex::{FlexTensor, Layout};
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape, Tensor, TensorData, activation};
use rayon::prelude::*;

use super::{Kernel, dims, is_cpu, matrix, run, simd, slice};

/// `softmax(q kᵀ / √head) v` for every image and head.
///
/// `qkv [batch * tokens, 3 * width]` holds queries, keys and values side by side, each split into
/// `heads` runs of `width / heads` columns, as the reference lays them out → `[batch * tokens, width]`.
pub fn attention(qkv: Tensor<2>, batch: usize, tokens: usize, heads: usize) -> Tensor<2> {
    attend(qkv, None, None, [batch, tokens, heads])
}

/// The same within windows: `softmax(q kᵀ / √head + bias + mask) v`.
///
/// `bias [heads * tokens, tokens]` is learned; `mask`, where there is one, holds `[windows, tokens, tokens]`
/// for the windows of an image, which repeat through the batch.
pub fn window_attention(
    qkv: Tensor<2>,
    bias: Tensor<2>,
    mask: Option<&Arc<[f32]>>,
    shape: [usize; 3],
) -> Tensor<2> {
    attend(qkv, Some(bias), mask, shape)
}

fn attend(
    qkv: Tensor<2>,
    bias: Option<Tensor<2>>,
    mask: Option<&Arc<[f32]>>,
    [batch, tokens, heads]: [usize; 3],
) -> Tensor<2> {
    let width = qkv.dims()[1] / 3;
    if is_cpu(&qkv.device()) {
        let unused = qkv.clone().inner();
        let kernel = Attention {
            batch,
            tokens,
            heads,
            bias: bias.is_some(),
            mask: mask.cloned(),
        };
        return run(kernel, qkv, bias.unwrap_or(unused.clone()), unused);
    }
    let [q, k, v] = split(&qkv, [batch, tokens, heads]);
    weights(q, k, bias, mask)
        .matmul(v)
        .swap_dims(1, 2)
        .reshape([batch * tokens, width])
}

/// The weights of it, `[batch, heads, tokens, tokens]`: row = query, column = key.
pub fn window_weights(
    qkv: Tensor<2>,
    bias: Tensor<2>,
    mask: Option<&Arc<[f32]>>,
    shape: [usize; 3],
) -> Tensor<4> {
    let [q, k, _] = split(&qkv, shape);
    weights(q, k, Some(bias), mask)
}

/// Queries, keys and values, `[batch, heads, tokens, head]` each.
fn split(qkv: &Tensor<2>, [batch, tokens, heads]: [usize; 3]) -> [Tensor<4>; 3] {
    let width = qkv.dims()[1] / 3;
    [0, 1, 2].map(|i| {
        qkv.clone()
            .slice([0..batch * tokens, i * width..(i + 1) * width])
            .reshape([batch, tokens, heads, width / heads])
            .swap_dims(1, 2)
    })
}

/// `softmax(q kᵀ / √head + bias + mask)`.
fn weights(
    q: Tensor<4>,
    k: Tensor<4>,
    bias: Option<Tensor<2>>,
    mask: Option<&Arc<[f32]>>,
) -> Tensor<4> {
    let [batch, heads, tokens, head] = q.dims();
    let mut scores = q.matmul(k.transpose()) * (head as f32).powf(-0.5);
    if let Some(bias) = bias {
        scores = scores + bias.reshape([1, heads, tokens, tokens]);
    }
    if let Some(mask) = mask {
        let windows = mask.len() / (tokens * tokens);
        let data = TensorData::new(mask.to_vec(), [1, windows, 1, tokens, tokens]);
        let mask: Tensor<5> = Tensor::from_data(data, &scores.device().inner());
        let mask = match scores.is_autodiff() {
            true => mask.autodiff(),
            false => mask,
        };
        let shape = [batch / windows, windows, heads, tokens, tokens];
        scores = (scores.reshape(shape) + mask).reshape([batch, heads, tokens, tokens]);
    }
    activation::softmax(scores, 3)
}

#[derive(Debug)]
struct Attention {
    batch: usize,
    tokens: usize,
    heads: usize,
    /// Whether the second input is a bias.
    bias: bool,
    mask: Option<Arc<[f32]>>,
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

    /// Puts scale, bias and mask on a row of scores; `row` counts over images, heads and queries.
    #[inline(always)]
    fn place(&self, row: usize, scores: &mut [f32], scale: f32, bias: &[f32]) {
        let tokens = self.tokens;
        let bias = &bias[row % (self.heads * tokens) * tokens..][..tokens];
        for (s, &b) in scores.iter_mut().zip(bias) {
            *s = *s * scale + b;
        }
        if let Some(mask) = &self.mask {
            let windows = mask.len() / (tokens * tokens);
            let window = row / (self.heads * tokens) % windows;
            let mask = &mask[(window * tokens + row % tokens) * tokens..][..tokens];
            for (s, &m) in scores.iter_mut().zip(mask) {
                *s += m;
            }
        }
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
    fn forward(&self, [qkv, bias, _]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        let [_, stride] = dims(&qkv);
        let width = stride / 3;
        let scale = ((width / self.heads) as f32).powf(-0.5);
        let [q, k, v] = [0, 1, 2].map(|i| self.heads_of(&qkv, width, stride, i * width));
        let mut weights = Flex::float_matmul(q, k.transpose(2, 3));
        let bias = self.bias.then(|| slice(&bias));
        simd::on_rows(
            weights.storage_mut(),
            self.tokens,
            #[inline(always)]
            |i, row| {
                let scale = match bias {
                    None => scale,
                    Some(bias) => {
                        self.place(i, row, scale, bias);
                        1.0
                    }
                };
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
        wanted: [bool; 3],
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
        let bias = (self.bias && wanted[1]).then(|| {
            // The scores are those of q kᵀ, which the scale comes after; the bias is added behind it.
            let (d, size) = (slice(&scores), self.heads * tokens * tokens);
            let mut sum = simd::sum_rows(
                self.batch,
                size,
                #[inline(always)]
                |image, sum| {
                    for (s, &d) in sum.iter_mut().zip(&d[image * size..][..size]) {
                        *s += d;
                    }
                },
            );
            sum.iter_mut().for_each(|s| *s /= scale);
            matrix(sum, self.heads * tokens, tokens)
        });
        let dq = Flex::float_matmul(scores.clone(), k);
        let dk = Flex::float_matmul(scores.transpose(2, 3), q);
        [Some(self.merge(&[dq, dk, dv], width)), bias, None]
    }
}
