//! Weight updates: elementwise over many millions of numbers, so on the CPU in place and in one pass.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{is_cpu, simd, slice};

/// Elements a thread updates at a time.
const BLOCK: usize = 1 << 14;

/// The CPU backend's own tensor, uniquely owned if nothing else holds it. `None` off the CPU.
fn take(tensor: &mut Tensor<2>) -> Option<FlexTensor> {
    let device = tensor.device();
    if !is_cpu(&device) {
        return None;
    }
    let owned = std::mem::replace(tensor, Tensor::empty([1, 1], &device));
    let shape = owned.dims();
    match owned.try_into_primitive::<Flex>() {
        Ok(owned) => Some(owned.to_contiguous()),
        // Not reachable: the device was asked. Kept total rather than panicking.
        Err(_) => {
            *tensor = Tensor::zeros(shape, &device);
            None
        }
    }
}

fn put(tensor: &mut Tensor<2>, value: FlexTensor) {
    *tensor = Tensor::from_primitive::<Flex>(value);
}

/// Constants of one AdamW step (Loshchilov & Hutter; PyTorch's order of operations).
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    pub lr: f32,
    pub weight_decay: f32,
    pub beta1: f32,
    pub beta2: f32,
    pub epsilon: f32,
    /// `1 − beta1^t` and `1 − beta2^t`, t counted from 1.
    pub correction1: f32,
    pub correction2: f32,
}

/// One AdamW step: moves `value` and both moments, all of one shape.
pub fn adamw(
    value: &mut Tensor<2>,
    first: &mut Tensor<2>,
    second: &mut Tensor<2>,
    grad: Tensor<2>,
    c: AdamW,
) {
    let (keep, step) = (1.0 - c.lr * c.weight_decay, c.lr / c.correction1);
    let root = 1.0 / c.correction2.sqrt();
    let mut grad = grad;
    if let (Some(mut p), Some(mut m), Some(mut v), Some(g)) =
        (take(value), take(first), take(second), take(&mut grad))
    {
        let blocks = p.storage_mut::<f32>().par_chunks_mut(BLOCK);
        let moments = (m.storage_mut::<f32>().par_chunks_mut(BLOCK))
            .zip(v.storage_mut::<f32>().par_chunks_mut(BLOCK));
        let arch = pulp::Arch::new();
        blocks
            .zip(moments)
            .zip(slice(&g).par_chunks(BLOCK))
            .for_each(|((p, (m, v)), g)| {
                arch.dispatch(
                    #[inline(always)]
                    || {
                        for (((p, m), v), &g) in p.iter_mut().zip(m).zip(v).zip(g) {
                            *m = *m * c.beta1 + g * (1.0 - c.beta1);
                            *v = *v * c.beta2 + g * g * (1.0 - c.beta2);
                            *p = *p * keep - step * *m / (v.sqrt() * root + c.epsilon);
                        }
                    },
                );
            });
        put(value, p);
        put(first, m);
        put(second, v);
        return;
    }
    *first = first.clone() * c.beta1 + grad.clone() * (1.0 - c.beta1);
    *second = second.clone() * c.beta2 + grad.clone() * grad * (1.0 - c.beta2);
    let divisor = second.clone().sqrt() * root + c.epsilon;
    *value = value.clone() * keep - first.clone() / divisor * step;
}

/// `average ← momentum · average + (1 − momentum) · value`.
pub fn moving_average(average: &mut Tensor<2>, value: &mut Tensor<2>, momentum: f32) {
    if let (Some(mut a), Some(v)) = (take(average), take(value)) {
        let arch = pulp::Arch::new();
        let blocks = a.storage_mut::<f32>().par_chunks_mut(BLOCK);
        blocks.zip(slice(&v).par_chunks(BLOCK)).for_each(|(a, v)| {
            arch.dispatch(
                #[inline(always)]
                || {
                    for (a, &v) in a.iter_mut().zip(v) {
                        *a = *a * momentum + v * (1.0 - momentum);
                    }
                },
            );
        });
        put(average, a);
        put(value, v);
        return;
    }
    *average = average.clone() * momentum + value.clone() * (1.0 - momentum);
}

/// Euclidean norm of a tensor as a `[1, 1]` tensor that stays on the device.
pub fn norm(tensor: &mut Tensor<2>) -> Tensor<2> {
    let device = tensor.device();
    if let Some(x) = take(tensor) {
        let arch = pulp::Arch::new();
        let squares: Vec<f32> = (slice(&x).par_chunks(BLOCK))
            .map(|block| {
                arch.dispatch(
                    #[inline(always)]
                    || simd::dot(block, block),
                )
            })
            .collect();
        put(tensor, x);
        let total: f64 = squares.iter().map(|&s| s as f64).sum();
        return Tensor::from_floats([[total.sqrt() as f32]], &device);
    }
    let x = tensor.clone();
    (x.clone() * x).sum().sqrt().reshape([1, 1])
}
