//! The vision transformer of the reference (timm's, pre-norm), with a mask token.
//!
//! A `Vit` is only a shape; the weights are passed in, so that student and teacher are the same
//! code on other [`Parameters`]. Tokens travel as one matrix `[images * tokens, dim]`, class token
//! first in each image, patches row-major after it.

use std::ops::Range;

use burn::tensor::{Tensor, activation};

use super::init::{Init, REFERENCE_STD};
use super::kernels::{attention, matmul_transposed};
use super::layers::{Declare, DropPath, Named, Patches, residual};
use super::parameters::{Parameters, Spec, upload};
use super::resample;

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
    /// Register tokens between class token and patches (DINOv2's): they take part in attention only.
    pub registers: usize,
    /// True where it has a mask token: the student.
    pub mask_token: bool,
    /// The mean of the patch tokens, normalised by itself, stands in for the class token.
    pub mean_pool: bool,
    /// Prefix of the parameter names, such as `backbone.`.
    pub prefix: String,
}

impl Default for Vit {
    /// ViT-S/16 at 224 px.
    fn default() -> Self {
        Vit {
            image: 224,
            patch: 16,
            dim: 384,
            depth: 12,
            heads: 6,
            mlp_ratio: 4.0,
            qkv_bias: true,
            layer_scale: 0.0,
            registers: 0,
            mask_token: false,
            mean_pool: false,
            prefix: "backbone.".into(),
        }
    }
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
        let d = self.dim;
        let mut declare = Declare::new(&self.prefix);
        let token = Init::Normal(REFERENCE_STD);
        declare.add("cls_token", &[1, 1, d], token);
        declare.add("pos_embed", &[1, self.side() * self.side() + 1, d], token);
        if self.registers > 0 {
            declare.add("register_tokens", &[1, self.registers, d], token);
        }
        if self.mask_token {
            declare.add("masked_embed", &[1, d], Init::Zeros);
        }
        declare.patch_embed(d, self.patch);
        for i in 0..self.depth {
            let name = |part: &str| format!("blocks.{i}.{part}");
            if self.layer_scale > 0.0 {
                let scale = Init::Constant(self.layer_scale);
                declare.add(&name("gamma_1"), &[d], scale);
                declare.add(&name("gamma_2"), &[d], scale);
            }
            declare.norm(&name("norm1"), d);
            declare.linear(&name("attn.qkv"), d, 3 * d, self.qkv_bias);
            declare.linear(&name("attn.proj"), d, d, true);
            declare.norm(&name("norm2"), d);
            declare.linear(&name("mlp.fc1"), d, self.hidden(), true);
            declare.linear(&name("mlp.fc2"), self.hidden(), d, true);
        }
        declare.norm(if self.mean_pool { "fc_norm" } else { "norm" }, d);
        declare.specs
    }

    fn named<'a>(&'a self, weights: &'a Parameters) -> Named<'a> {
        let prefix = &self.prefix;
        Named { weights, prefix }
    }

    /// Positions for the grid of `patches`: `[1 + rows * columns, dim]`, the class token's first.
    pub fn positions(&self, weights: &Parameters, patches: &Patches) -> Tensor<2> {
        let (rows, columns) = (patches.rows, patches.columns);
        let table = self.named(weights).get("pos_embed");
        let stored = self.side() * self.side();
        match patches.square && patches.count() == stored {
            true => table,
            false => {
                let matrix = resample::positions(self.side(), rows, columns, self.registers > 0);
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

    /// Patches → tokens before the first block, `[images * (1 + registers + patches), dim]`.
    ///
    /// `mask [images * patches, 1]` holds 1 where a patch is replaced by the mask token; it is
    /// replaced before positions are added, so a masked token still says where it is.
    pub fn prepare(
        &self,
        weights: &Parameters,
        patches: &Patches,
        mask: Option<Tensor<2>>,
    ) -> Tensor<2> {
        let named = self.named(weights);
        let x = named.embed(patches, None, mask);
        let (images, n, d) = (patches.images, patches.count(), self.dim);
        let class = named.get("cls_token").reshape([1, 1, d]);
        let class = class.expand([images, 1, d]);
        let x: Tensor<3> = Tensor::cat(vec![class, x.reshape([images, n, d])], 1);
        let positions = self.positions(weights, patches);
        let x = x + positions.reshape([1, n + 1, d]);
        if self.registers == 0 {
            return x.reshape([images * (n + 1), d]);
        }
        let registers = named.get("register_tokens");
        let registers =
            registers
                .reshape([1, self.registers, d])
                .expand([images, self.registers, d]);
        let class = x.clone().slice([0..images, 0..1, 0..d]);
        let x = x.slice([0..images, 1..n + 1, 0..d]);
        let tokens = n + 1 + self.registers;
        Tensor::cat(vec![class, registers, x], 1).reshape([images * tokens, d])
    }

    /// Leaves register tokens out, which no one reads: `[images * (1 + patches), dim]`.
    fn without_registers(&self, x: Tensor<2>, images: usize) -> Tensor<2> {
        if self.registers == 0 {
            return x;
        }
        let (tokens, d) = (x.dims()[0] / images, self.dim);
        let x: Tensor<3> = x.reshape([images, tokens, d]);
        let class = x.clone().slice([0..images, 0..1, 0..d]);
        let x = x.slice([0..images, 1 + self.registers..tokens, 0..d]);
        Tensor::cat(vec![class, x], 1).reshape([images * (tokens - self.registers), d])
    }

    /// Queries, keys and values of block `i`.
    fn qkv(&self, weights: &Parameters, i: usize, x: Tensor<2>) -> Tensor<2> {
        let named = self.named(weights);
        let x = named.norm(&format!("blocks.{i}.norm1"), x);
        let name = format!("blocks.{i}.attn.qkv");
        match self.qkv_bias {
            true => named.linear(&name, x),
            false => matmul_transposed(x, named.get(&format!("{name}.weight"))),
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
        let named = self.named(weights);
        let scaled = |branch: Tensor<2>, gamma: &str| match self.layer_scale > 0.0 {
            true => branch * named.get(&format!("blocks.{i}.{gamma}")),
            false => branch,
        };
        let tokens = x.dims()[0] / images;
        let qkv = self.qkv(weights, i, x.clone());
        let branch = attention(qkv, images, tokens, self.heads);
        let branch = named.linear(&format!("blocks.{i}.attn.proj"), branch);
        let x = residual(x, scaled(branch, "gamma_1"), DropPath::of(drop, i, 0));
        let branch = named.mlp(&format!("blocks.{i}"), x.clone());
        residual(x, scaled(branch, "gamma_2"), DropPath::of(drop, i, 1))
    }

    /// The final norm; with mean pooling, the normalised mean of the patches as class token instead.
    pub fn finish(&self, weights: &Parameters, x: Tensor<2>, images: usize) -> Tensor<2> {
        if !self.mean_pool {
            return self.named(weights).norm("norm", x);
        }
        let (tokens, d) = (x.dims()[0] / images, self.dim);
        let patches = x
            .reshape([images, tokens, d])
            .slice([0..images, 1..tokens, 0..d]);
        let mean = patches.clone().mean_dim(1).reshape([images, d]);
        let mean = self
            .named(weights)
            .norm("fc_norm", mean)
            .reshape([images, 1, d]);
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
        let x = self.without_registers(x, patches.images);
        self.finish(weights, x, patches.images)
    }

    /// Tokens after block `block`, before any norm, `[images * tokens, dim]`.
    pub fn tokens_after(&self, weights: &Parameters, patches: &Patches, block: usize) -> Tensor<2> {
        let images = patches.images;
        self.without_registers(self.raw_after(weights, patches, block), images)
    }

    /// The same with register tokens.
    fn raw_after(&self, weights: &Parameters, patches: &Patches, block: usize) -> Tensor<2> {
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
                let x = self.without_registers(x.clone(), patches.images);
                layers.push(match self.mean_pool {
                    true => x,
                    false => self.named(weights).norm("norm", x),
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
        let tokens = patches.count() + 1 + self.registers;
        self.attention_rows(weights, patches, block, 0..tokens)
    }

    /// The class token's attention to the patches alone, `[images, heads, patches]`: for large pictures the
    /// whole would not fit.
    pub fn class_attention(
        &self,
        weights: &Parameters,
        patches: &Patches,
        block: usize,
    ) -> Tensor<3> {
        let (images, heads) = (patches.images, self.heads);
        let before = 1 + self.registers;
        let tokens = before + patches.count();
        self.attention_rows(weights, patches, block, 0..1)
            .slice([0..images, 0..heads, 0..1, before..tokens])
            .reshape([images, heads, patches.count()])
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
            Some(before) => self.raw_after(weights, patches, before),
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
