//! Rows in another order: windows cut out of a map, put back, or four neighbours side by side.

use std::sync::Arc;

use burn::backend::flex::FlexTensor;
use burn::tensor::{Int, Tensor, TensorData};
use rayon::prelude::*;

use super::{Kernel, dims, is_cpu, matrix, run, slice};
use crate::model::upload;

/// Where no row comes from, or goes to.
const NOWHERE: u32 = u32::MAX;

/// Which row of an image stands where. No row is used twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rearrangement {
    /// For every row of the result the row it was, or `NOWHERE` for zeros.
    from: Vec<u32>,
    /// For every row before the row it becomes, or `NOWHERE` where it is left out.
    to: Vec<u32>,
}

impl Rearrangement {
    /// `from` names for every row of the result one of `rows` rows, or none for zeros.
    pub fn new(from: &[Option<usize>], rows: usize) -> Self {
        let mut to = vec![NOWHERE; rows];
        for (after, before) in from.iter().enumerate() {
            if let Some(before) = *before {
                to[before] = after as u32;
            }
        }
        let from = from.iter().map(|row| row.map_or(NOWHERE, |row| row as u32));
        Rearrangement {
            from: from.collect(),
            to,
        }
    }

    /// The way back: padding is left out, what was left out becomes zeros.
    pub fn reversed(&self) -> Self {
        Rearrangement {
            from: self.to.clone(),
            to: self.from.clone(),
        }
    }

    /// Rows of an image after it.
    pub fn rows(&self) -> usize {
        self.from.len()
    }
}

/// Rearranges the rows of every image of `x [images * rows, width]`.
pub fn rearrange(x: Tensor<2>, plan: &Arc<Rearrangement>) -> Tensor<2> {
    if is_cpu(&x.device()) {
        let unused = x.clone().inner();
        return run(Rearrange(plan.clone()), x, unused.clone(), unused);
    }
    let [all, width] = x.dims();
    let (device, before) = (x.device().inner(), plan.to.len());
    let rows: Vec<i32> = (0..all / before)
        .flat_map(|image| {
            let row = move |&row: &u32| match row {
                NOWHERE => all as i32,
                row => (image * before) as i32 + row as i32,
            };
            plan.from.iter().map(row)
        })
        .collect();
    let padded = plan.from.contains(&NOWHERE);
    let index: Tensor<1, Int> = Tensor::from_data(TensorData::from(rows.as_slice()), &device);
    let x = match padded {
        false => x,
        true => {
            let zeros = upload(vec![0.0; width], [1, width], &device);
            let zeros = match x.is_autodiff() {
                true => zeros.autodiff(),
                false => zeros,
            };
            Tensor::cat(vec![x, zeros], 0)
        }
    };
    x.select(0, index)
}

#[derive(Debug)]
struct Rearrange(Arc<Rearrangement>);

impl Kernel for Rearrange {
    fn forward(&self, [x, ..]: [FlexTensor; 3]) -> (FlexTensor, Vec<FlexTensor>) {
        (gather(&x, &self.0.from, self.0.to.len()), Vec::new())
    }

    fn backward(
        &self,
        _saved: Vec<FlexTensor>,
        grad: FlexTensor,
        _wanted: [bool; 3],
    ) -> [Option<FlexTensor>; 3] {
        let grad = gather(&grad, &self.0.to, self.0.from.len());
        [Some(grad), None, None]
    }
}

/// Rows `from` of every image, which has `rows` rows.
fn gather(x: &FlexTensor, from: &[u32], rows: usize) -> FlexTensor {
    let [all, width] = dims(x);
    let (x, after) = (slice(x), from.len());
    let total = all / rows * after;
    let mut out = vec![0.0; total * width];
    out.par_chunks_mut(width.max(1))
        .with_min_len(64)
        .enumerate()
        .for_each(|(i, out)| {
            let (image, row) = (i / after, from[i % after]);
            if row != NOWHERE {
                out.copy_from_slice(&x[(image * rows + row as usize) * width..][..width]);
            }
        });
    matrix(out, total, width)
}
