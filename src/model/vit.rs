//! The vision transformer of the reference (timm's, pre-norm), with a mask token.
//!
//! A `Vit` is only a shape; the weights are passed in, so that student and teacher are the same
//! code on other [`Parameters`]. Tokens travel as one matrix `[images * tokens, dim]`, class token
//! first in each image, patches row-major after it.

use std::ops::Range;

use burn::tensor::{Device, Tensor, activation};
use rayon::prelude::*;

use super::init::{Init, REFERENCE_STD};
use super::kernels::{add_scaled, attention, gelu, layer_norm, linear, matmul_transposed};
use super::parameters::{Parameters, Spec, upload};
use super::resample;

/// Every layer norm of the reference uses this.
pub const NORM_EPSILON: f32 = 1e-6;

/// Shape of a vision transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct Vit {
    /// Nominal image side in pixels: it sets the stored position table.
    pub image: usize,
    /// Patch side in pixels.
    pub patch: usize,
    /// Token width.
    pub dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; divides `dim`.
    pub heads: usize,
    /// Width of the hidden layer of each block's MLP, over `dim`.
    pub mlp_ratio: f64,
    pub qkv_bias: bool,
    /// Initial value of layer scale; 0 = no layer scale.
    pub layer_scale: f32,
    /// True where it has a mask token: the student.
    pub mask_token: bool,
    /// The mean of the patch tokens, normalised by itself, stands in for the class token.
    pub mean_pool: bool,
    /// Prefix of the parameter names, such as `backbone.`.
    pub prefix: String,
}

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

impl Vit {
    /// Side of the stored grid of positions.
    pub fn side(&self) -> usize {
        self.image / self.patch
    }

    fn hidden(&self) -> usize {
        (self.dim as f64 * self.mlp_ratio) as usize
    }

    /// All parameters in the reference's order.
    pub fn specs(&self) -> Vec<Spec> {
        let (d, p) = (self.dim, self.patch);
        let mut specs = Vec::new();
        let mut add = |name: &str, shape: &[usize], init| {
            specs.push(Spec::new(format!("{}{name}", self.prefix), shape, init));
        };
        add("cls_token", &[1, 1, d], Init::Normal(REFERENCE_STD));
        add(
            "pos_embed",
            &[1, self.side() * self.side() + 1, d],
            Init::Normal(REFERENCE_STD),
        );
        if self.mask_token {
            add("masked_embed", &[1, d], Init::Zeros);
        }
        let bound = 1.0 / ((3 * p * p) as f32).sqrt();
        add(
            "patch_embed.proj.weight",
            &[d, 3, p, p],
            Init::Uniform(bound),
        );
        add("patch_embed.proj.bias", &[d], Init::Uniform(bound));
        for i in 0..self.depth {
            let mut add = |name: &str, shape: &[usize], init| {
                add(&format!("blocks.{i}.{name}"), shape, init);
            };
            if self.layer_scale > 0.0 {
                add("gamma_1", &[d], Init::Constant(self.layer_scale));
                add("gamma_2", &[d], Init::Constant(self.layer_scale));
            }
            add("norm1.weight", &[d], Init::Ones);
            add("norm1.bias", &[d], Init::Zeros);
            add("attn.qkv.weight", &[3 * d, d], Init::Normal(REFERENCE_STD));
            if self.qkv_bias {
                add("attn.qkv.bias", &[3 * d], Init::Zeros);
            }
            add("attn.proj.weight", &[d, d], Init::Normal(REFERENCE_STD));
            add("attn.proj.bias", &[d], Init::Zeros);
            add("norm2.weight", &[d], Init::Ones);
            add("norm2.bias", &[d], Init::Zeros);
            add(
                "mlp.fc1.weight",
                &[self.hidden(), d],
                Init::Normal(REFERENCE_STD),
            );
            add("mlp.fc1.bias", &[self.hidden()], Init::Zeros);
            add(
                "mlp.fc2.weight",
                &[d, self.hidden()],
                Init::Normal(REFERENCE_STD),
            );
            add("mlp.fc2.bias", &[d], Init::Zeros);
        }
        let norm = if self.mean_pool { "fc_norm" } else { "norm" };
        add(&format!("{norm}.weight"), &[d], Init::Ones);
        add(&format!("{norm}.bias"), &[d], Init::Zeros);
        specs
    }

    fn weight(&self, weights: &Parameters, name: &str) -> Tensor<2> {
        weights.get(&format!("{}{name}", self.prefix))
    }

    fn norm(&self, weights: &Parameters, name: &str, x: Tensor<2>) -> Tensor<2> {
        let gain = self.weight(weights, &format!("{name}.weight"));
        let bias = self.weight(weights, &format!("{name}.bias"));
        layer_norm(x, gain, bias, NORM_EPSILON)
    }

    fn linear(&self, weights: &Parameters, name: &str, x: Tensor<2>) -> Tensor<2> {
        let weight = self.weight(weights, &format!("{name}.weight"));
        linear(x, weight, self.weight(weights, &format!("{name}.bias")))
    }

    /// Positions for the grid of `patches`: `[1 + rows * columns, dim]`, the class token's first.
    pub fn positions(&self, weights: &Parameters, patches: &Patches) -> Tensor<2> {
        let (rows, columns) = (patches.rows, patches.columns);
        let table = self.weight(weights, "pos_embed");
        let stored = self.side() * self.side();
        match patches.square && patches.count() == stored {
            true => table,
            false => {
                let matrix = resample::positions(self.side(), rows, columns);
                let device = table.device().inner();
                let matrix = upload(matrix, [rows * columns, stored], &device);
                let class = table.clone().slice([0..1, 0..self.dim]);
                let patches = table.slice([1..stored + 1, 0..self.dim]);
                let matrix = if patches.is_autodiff() {
                    matrix.autodiff()
                } else {
                    matrix
                };
                Tensor::cat(vec![class, matrix.matmul(patches)], 0)
            }
        }
    }

    /// Patches → tokens before the first block, `[images * tokens, dim]`.
    ///
    /// `mask [images * patches, 1]` holds 1 where a patch is replaced by the mask token; it is
    /// replaced before positions are added, so a masked token still says where it is.
    pub fn prepare(
        &self,
        weights: &Parameters,
        patches: &Patches,
        mask: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let mut x = self.linear(weights, "patch_embed.proj", patches.pixels.clone());
        if let Some(mask) = mask {
            let token = self.weight(weights, "masked_embed");
            let keep = mask.clone().neg() + 1.0;
            x = x * keep + mask.matmul(token);
        }
        let (images, n, d) = (patches.images, patches.count(), self.dim);
        let class = self.weight(weights, "cls_token").reshape([1, 1, d]);
        let class = class.expand([images, 1, d]);
        let x: Tensor<3> = Tensor::cat(vec![class, x.reshape([images, n, d])], 1);
        let positions = self.positions(weights, patches);
        (x + positions.reshape([1, n + 1, d])).reshape([images * (n + 1), d])
    }

    /// Queries, keys and values of block `i`.
    fn qkv(&self, weights: &Parameters, i: usize, x: Tensor<2>) -> Tensor<2> {
        let x = self.norm(weights, &format!("blocks.{i}.norm1"), x);
        let name = format!("blocks.{i}.attn.qkv");
        if self.qkv_bias {
            self.linear(weights, &name, x)
        } else {
            matmul_transposed(x, self.weight(weights, &format!("{name}.weight")))
        }
    }

    /// Adds a residual branch, scaled by layer scale and stochastic depth where there are any.
    fn residual(
        &self,
        weights: &Parameters,
        x: Tensor<2>,
        branch: Tensor<2>,
        (block, which): (usize, usize),
        drop: Option<&DropPath>,
    ) -> Tensor<2> {
        let mut branch = branch;
        if self.layer_scale > 0.0 {
            let gamma = format!("blocks.{block}.gamma_{}", which + 1);
            branch = branch * self.weight(weights, &gamma);
        }
        match drop.map(|drop| &drop.factors[block][which]) {
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

    fn block(
        &self,
        weights: &Parameters,
        i: usize,
        x: Tensor<2>,
        images: usize,
        drop: Option<&DropPath>,
    ) -> Tensor<2> {
        let tokens = x.dims()[0] / images;
        let qkv = self.qkv(weights, i, x.clone());
        let branch = attention(qkv, images, tokens, self.heads);
        let branch = self.linear(weights, &format!("blocks.{i}.attn.proj"), branch);
        let x = self.residual(weights, x, branch, (i, 0), drop);
        let branch = self.norm(weights, &format!("blocks.{i}.norm2"), x.clone());
        let branch = gelu(self.linear(weights, &format!("blocks.{i}.mlp.fc1"), branch));
        let branch = self.linear(weights, &format!("blocks.{i}.mlp.fc2"), branch);
        self.residual(weights, x, branch, (i, 1), drop)
    }

    /// The final norm; with mean pooling, the normalised mean of the patches as class token instead.
    pub fn finish(&self, weights: &Parameters, x: Tensor<2>, images: usize) -> Tensor<2> {
        if !self.mean_pool {
            return self.norm(weights, "norm", x);
        }
        let (tokens, d) = (x.dims()[0] / images, self.dim);
        let patches = x
            .reshape([images, tokens, d])
            .slice([0..images, 1..tokens, 0..d]);
        let mean = patches.clone().mean_dim(1).reshape([images, d]);
        let mean = self.norm(weights, "fc_norm", mean).reshape([images, 1, d]);
        Tensor::cat(vec![mean, patches], 1).reshape([images * tokens, d])
    }

    /// Patches → tokens after the final norm, `[images * tokens, dim]`.
    pub fn forward(
        &self,
        weights: &Parameters,
        patches: &Patches,
        mask: Option<Tensor<2>>,
        drop: Option<&DropPath>,
    ) -> Tensor<2> {
        let mut x = self.prepare(weights, patches, mask);
        for i in 0..self.depth {
            x = self.block(weights, i, x, patches.images, drop);
        }
        self.finish(weights, x, patches.images)
    }

    /// Tokens after block `block`, before any norm, `[images * tokens, dim]`.
    pub fn tokens_after(&self, weights: &Parameters, patches: &Patches, block: usize) -> Tensor<2> {
        let x = self.prepare(weights, patches, None);
        (0..=block).fold(x, |x, i| self.block(weights, i, x, patches.images, None))
    }

    /// Tokens after each of the last `n` blocks, each through the final norm, oldest first.
    pub fn intermediate(
        &self,
        weights: &Parameters,
        patches: &Patches,
        n: usize,
    ) -> Vec<Tensor<2>> {
        let mut x = self.prepare(weights, patches, None);
        let mut layers = Vec::new();
        for i in 0..self.depth {
            x = self.block(weights, i, x, patches.images, None);
            if i + n >= self.depth {
                // With mean pooling the reference's norm is the identity here.
                layers.push(match self.mean_pool {
                    true => x.clone(),
                    false => self.norm(weights, "norm", x.clone()),
                });
            }
        }
        layers
    }

    /// Attention weights of block `block`, `[images, heads, tokens, tokens]`: row = query, column =
    /// key, every row summing to one.
    pub fn attention_map(
        &self,
        weights: &Parameters,
        patches: &Patches,
        block: usize,
    ) -> Tensor<4> {
        let tokens = patches.count() + 1;
        self.attention_rows(weights, patches, block, 0..tokens)
    }

    /// The class token's row of it alone, `[images, heads, tokens]`: for large pictures the whole would
    /// not fit.
    pub fn class_attention(
        &self,
        weights: &Parameters,
        patches: &Patches,
        block: usize,
    ) -> Tensor<3> {
        let tokens = patches.count() + 1;
        self.attention_rows(weights, patches, block, 0..1).reshape([
            patches.images,
            self.heads,
            tokens,
        ])
    }

    fn attention_rows(
        &self,
        weights: &Parameters,
        patches: &Patches,
        block: usize,
        queries: Range<usize>,
    ) -> Tensor<4> {
        let images = patches.images;
        let x = match block.checked_sub(1) {
            Some(before) => self.tokens_after(weights, patches, before),
            None => self.prepare(weights, patches, None),
        };
        let (tokens, head) = (x.dims()[0] / images, self.dim / self.heads);
        let qkv = self.qkv(weights, block, x);
        let part = |i: usize| -> Tensor<4> {
            qkv.clone()
                .slice([0..images * tokens, i * self.dim..(i + 1) * self.dim])
                .reshape([images, tokens, self.heads, head])
                .swap_dims(1, 2)
        };
        let asking = part(0).slice([0..images, 0..self.heads, queries, 0..head]);
        let scores = asking.matmul(part(1).transpose()) * (head as f32).powf(-0.5);
        activation::softmax(scores, 3)
    }
}
