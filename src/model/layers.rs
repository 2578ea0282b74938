//! What the blocks of every transformer are made of: layers by name, the MLP, the residual branch.

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use super::init::{Init, REFERENCE_STD};
use super::kernels::{add_scaled, gelu, layer_norm, linear};
use super::parameters::{Parameters, Spec, upload};

/// Every layer norm of the reference uses this.
pub const NORM_EPSILON: f32 = 1e-6;

/// Images cut into patches on the device.
#[derive(Clone, Debug)]
pub struct Patches {
    /// `[images * rows * columns, 3 * patch * patch]`, channels first in a row as in a convolution's
    /// kernel.
    pub pixels: Tensor<2>,
    pub images: usize,
    /// Grid of patches.
    pub rows: usize,
    pub columns: usize,
    /// Whether the images were square: only then is the stored position table used as it is.
    pub square: bool,
}

impl Patches {
    /// Cuts planar images `[images, 3, height, width]` into patches and uploads them. Pixels beyond
    /// the last whole patch are left out, as a convolution with this stride does.
    pub fn new(
        pixels: &[f32],
        [images, height, width]: [usize; 3],
        patch: usize,
        device: &Device,
    ) -> Self {
        let (rows, columns) = (height / patch, width / patch);
        let row_len = 3 * patch * patch;
        let mut out = vec![0.0; images * rows * columns * row_len];
        out.par_chunks_mut(row_len)
            .enumerate()
            .for_each(|(cell, out)| {
                let (image, place) = (cell / (rows * columns), cell % (rows * columns));
                let (top, left) = (place / columns * patch, place % columns * patch);
                for (line, out) in out.chunks_exact_mut(patch).enumerate() {
                    let (channel, y) = (line / patch, line % patch);
                    let from = ((image * 3 + channel) * height + top + y) * width + left;
                    out.copy_from_slice(&pixels[from..from + patch]);
                }
            });
        let pixels = upload(out, [images * rows * columns, row_len], device);
        Patches {
            pixels,
            images,
            rows,
            columns,
            square: height == width,
        }
    }

    /// Patches of one image.
    pub fn count(&self) -> usize {
        self.rows * self.columns
    }
}

/// Stochastic depth for one forward pass: for every block and branch, a factor per image, 0 for a
/// dropped branch and 1/keep otherwise.
#[derive(Clone, Debug)]
pub struct DropPath {
    /// `factors[block][branch][image]`.
    pub factors: Vec<[Vec<f32>; 2]>,
}

impl DropPath {
    /// The factors of a block's branch.
    pub fn of(drop: Option<&Self>, block: usize, branch: usize) -> Option<&[f32]> {
        Some(&drop?.factors[block][branch])
    }
}

/// Weights whose names share a prefix.
#[derive(Clone, Copy)]
pub struct Named<'a> {
    pub weights: &'a Parameters,
    pub prefix: &'a str,
}

impl Named<'_> {
    pub fn get(&self, name: &str) -> Tensor<2> {
        self.weights.get(&format!("{}{name}", self.prefix))
    }

    /// Layer norm of every row.
    pub fn norm(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let gain = self.get(&format!("{name}.weight"));
        let bias = self.get(&format!("{name}.bias"));
        layer_norm(x, gain, bias, NORM_EPSILON)
    }

    /// A linear layer with bias.
    pub fn linear(&self, name: &str, x: Tensor<2>) -> Tensor<2> {
        let weight = self.get(&format!("{name}.weight"));
        linear(x, weight, self.get(&format!("{name}.bias")))
    }

    /// The second branch of a block: norm, linear layer, GELU, linear layer.
    pub fn mlp(&self, block: &str, x: Tensor<2>) -> Tensor<2> {
        let x = self.norm(&format!("{block}.norm2"), x);
        let x = gelu(self.linear(&format!("{block}.mlp.fc1"), x));
        self.linear(&format!("{block}.mlp.fc2"), x)
    }

    /// Patches → tokens, `[images * patches, dim]`; `mask [images * patches, 1]` holds 1 where a token is
    /// replaced by the mask token. `norm` names a norm that comes before the mask.
    pub fn embed(
        &self,
        patches: &Patches,
        norm: Option<&str>,
        mask: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let mut x = self.linear("patch_embed.proj", patches.pixels.clone());
        if let Some(norm) = norm {
            x = self.norm(norm, x);
        }
        match mask {
            None => x,
            Some(mask) => {
                let keep = mask.clone().neg() + 1.0;
                x * keep + mask.matmul(self.get("masked_embed"))
            }
        }
    }
}

/// Adds a residual branch, with a factor for every image where stochastic depth gives any.
pub fn residual(x: Tensor<2>, branch: Tensor<2>, factors: Option<&[f32]>) -> Tensor<2> {
    match factors {
        Some(factors) if factors.iter().any(|&f| f != 1.0) => {
            let tokens = x.dims()[0] / factors.len();
            let rows = factors.iter().flat_map(|&f| std::iter::repeat_n(f, tokens));
            let device = x.device().inner();
            let scale = upload(rows.collect(), [x.dims()[0], 1], &device);
            add_scaled(x, branch, scale)
        }
        _ => x + branch,
    }
}

/// Declares parameters under a prefix.
pub struct Declare {
    prefix: String,
    pub specs: Vec<Spec>,
}

impl Declare {
    pub fn new(prefix: &str) -> Self {
        Declare {
            prefix: prefix.to_owned(),
            specs: Vec::new(),
        }
    }

    pub fn add(&mut self, name: &str, shape: &[usize], init: Init) {
        let name = format!("{}{name}", self.prefix);
        self.specs.push(Spec::new(name, shape, init));
    }

    /// A linear layer from `from` to `to` numbers.
    pub fn linear(&mut self, name: &str, from: usize, to: usize, bias: bool) {
        let weight = Init::Normal(REFERENCE_STD);
        self.add(&format!("{name}.weight"), &[to, from], weight);
        if bias {
            self.add(&format!("{name}.bias"), &[to], Init::Zeros);
        }
    }

    pub fn norm(&mut self, name: &str, dim: usize) {
        self.add(&format!("{name}.weight"), &[dim], Init::Ones);
        self.add(&format!("{name}.bias"), &[dim], Init::Zeros);
    }

    /// The convolution that makes a token of a patch.
    pub fn patch_embed(&mut self, dim: usize, patch: usize) {
        let bound = 1.0 / ((3 * patch * patch) as f32).sqrt();
        let shape = [dim, 3, patch, patch];
        self.add("patch_embed.proj.weight", &shape, Init::Uniform(bound));
        self.add("patch_embed.proj.bias", &[dim], Init::Uniform(bound));
    }
}
