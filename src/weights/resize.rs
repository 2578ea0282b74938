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
    let matrix = resample::positions(before, after, after, from.registers > 0);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device;
    use crate::model::{Parameters, Patches, download};

    fn vit(image: usize) -> Vit {
        Vit {
            image,
            patch: 8,
            dim: 64,
            depth: 2,
            heads: 2,
            ..Vit::default()
        }
    }

    #[test]
    fn a_resized_vit_says_what_it_said_of_pictures_of_that_size() {
        let device = device::choose("cpu").unwrap().device;
        let (from, to) = (vit(32), vit(48));
        let mut tensors = Parameters::init(&from.specs(), 3, &device).to_host();
        let pixels: Vec<f32> = (0..3 * 48 * 48).map(|i| (i as f32 * 0.01).sin()).collect();
        let patches = Patches::new(&pixels, [1, 48, 48], 8, &device);
        let tokens = |vit: &Vit, tensors: &HostTensors| {
            let weights = Parameters::load(&vit.specs(), tensors, &device).unwrap();
            download(vit.forward(&weights, &patches, None, None))
        };
        let before = tokens(&from, &tensors);
        resize(&mut tensors, &from.into(), &to.clone().into());
        assert_eq!(tensors["backbone.pos_embed"].shape, [1, 37, 64]);
        let after = tokens(&to, &tensors);
        let most = before.iter().zip(&after).map(|(a, b)| (a - b).abs());
        assert!(most.fold(0.0, f32::max) < 1e-5);
    }

    #[test]
    fn biases_of_windows_keep_their_shape() {
        let swin = |window| Swin {
            image: 64,
            dim: 8,
            depths: vec![1, 1],
            heads: vec![1, 2],
            window,
            ..Swin::default()
        };
        let device = device::choose("cpu").unwrap().device;
        let (from, to) = (swin(4), swin(8));
        let mut tensors = Parameters::init(&from.specs(), 3, &device).to_host();
        // A slope over the rows of the table: 0 in the middle, where a token looks at itself.
        let name = "backbone.layers.0.blocks.0.attn.relative_position_bias_table";
        tensors.get_mut(name).unwrap().data = (0..49).map(|i| (i / 7) as f32 - 3.0).collect();
        resize(&mut tensors, &from.into(), &to.clone().into());
        assert!(Parameters::load(&to.specs(), &tensors, &device).is_ok());
        let data = &tensors[name].data;
        assert_eq!(data.len(), 225);
        assert!(data[112].abs() < 1e-5, "the middle stays the middle");
        assert!(data.chunks(15).is_sorted_by(|a, b| a[7] < b[7] + 1e-5));
    }
}
