//! Weights of one grid for a network of another: tables of positions and of relative positions.

use crate::model::resample::{self, Resample};
use crate::model::{Backbone, HostTensor, HostTensors, Swin, Vit};

/// Resamples the tables in `tensors`, which belong to a network like `from`, for `to`; everything else stays.
/// What does not fit even so is left for the loader to tell.
///
/// The table of a ViT is resampled as its forward pass would do for pictures of that size, so that it says the
/// same as before; tables of relative positions bicubically to the new window.
pub fn resize(tensors: &mut HostTensors, from: &Backbone, to: &Backbone) {
    match (from, to) {
        (Backbone::Vit(from), Backbone::Vit(to)) if from.side() != to.side() => {
            positions(tensors, from, to);
        }
        (Backbone::Swin(from), Backbone::Swin(to)) => relative_positions(tensors, from, to),
        _ => {}
    }
}

fn positions(tensors: &mut HostTensors, from: &Vit, to: &Vit) {
    let Some(table) = tensors.get_mut("backbone.pos_embed") else {
        return;
    };
    let (before, after) = (from.side(), to.side());
    let matrix = resample::positions(before, after, after);
    let (class, cells) = table.data.split_at(from.dim);
    let mut data = class.to_vec();
    data.extend(product(&matrix, cells, before * before));
    *table = HostTensor {
        shape: vec![1, after * after + 1, from.dim],
        data,
    };
}

fn relative_positions(tensors: &mut HostTensors, from: &Swin, to: &Swin) {
    for stage in 0..from.depths.len().min(to.depths.len()) {
        let (before, after) = (from.windowing(stage).0, to.windowing(stage).0);
        if before == after {
            continue;
        }
        let (before, after) = (2 * before - 1, 2 * after - 1);
        let scale = after as f64 / before as f64;
        let matrix = Resample::Bicubic.matrix((before, before), (after, after), (scale, scale));
        for block in 0..from.depths[stage] {
            let name =
                format!("backbone.layers.{stage}.blocks.{block}.attn.relative_position_bias_table");
            if let Some(table) = tensors.get_mut(&name) {
                *table = HostTensor {
                    shape: vec![after * after, from.heads[stage]],
                    data: product(&matrix, &table.data, before * before),
                };
            }
        }
    }
}

/// `matrix [out, rows]` times `data [rows, width]`.
fn product(matrix: &[f32], data: &[f32], rows: usize) -> Vec<f32> {
    let width = data.len() / rows.max(1);
    let mut out = Vec::with_capacity(matrix.len() / rows.max(1) * width);
    for weights in matrix.chunks_exact(rows) {
        let mut sum = vec![0.0; width];
        for (&w, row) in weights.iter().zip(data.chunks_exact(width.max(1))) {
            sum.iter_mut().zip(row).for_each(|(s, x)| *s += w * x);
        }
        out.extend(sum);
    }
    out
}
