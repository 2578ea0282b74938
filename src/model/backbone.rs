//! A backbone: a vision transformer of either kind, seen from outside.
//!
//! Both take patches and give a class token and patch tokens. In a ViT all blocks have the same grid of
//! patches and the same width; in a Swin transformer both change from stage to stage, and the class token is
//! the average of the others.

use burn::tensor::Tensor;

use super::layers::{DropPath, Patches};
use super::parameters::{Parameters, Spec};
use super::{Swin, Vit};

/// Shape of a backbone.
#[derive(Clone, Debug, PartialEq)]
pub enum Backbone {
    Vit(Vit),
    Swin(Swin),
}

impl From<Vit> for Backbone {
    fn from(vit: Vit) -> Self {
        Backbone::Vit(vit)
    }
}

impl From<Swin> for Backbone {
    fn from(swin: Swin) -> Self {
        Backbone::Swin(swin)
    }
}

impl Backbone {
    /// All parameters in the reference's order.
    pub fn specs(&self) -> Vec<Spec> {
        match self {
            Backbone::Vit(vit) => vit.specs(),
            Backbone::Swin(swin) => swin.specs(),
        }
    }

    /// Nominal image side in pixels.
    pub fn image(&self) -> usize {
        match self {
            Backbone::Vit(vit) => vit.image,
            Backbone::Swin(swin) => swin.image,
        }
    }

    /// Side in pixels of the patches that go in.
    pub fn patch(&self) -> usize {
        match self {
            Backbone::Vit(vit) => vit.patch,
            Backbone::Swin(swin) => swin.patch,
        }
    }

    /// Number of blocks.
    pub fn depth(&self) -> usize {
        match self {
            Backbone::Vit(vit) => vit.depth,
            Backbone::Swin(swin) => swin.depth(),
        }
    }

    /// Token width after the last block.
    pub fn dim(&self) -> usize {
        self.dim_after(self.depth() - 1)
    }

    /// Token width after block `block`.
    pub fn dim_after(&self, block: usize) -> usize {
        match self {
            Backbone::Vit(vit) => vit.dim,
            Backbone::Swin(swin) => swin.width(swin.place(block).0),
        }
    }

    /// Side in pixels of what a token stands for after block `block`.
    pub fn cell_after(&self, block: usize) -> usize {
        match self {
            Backbone::Vit(vit) => vit.patch,
            Backbone::Swin(swin) => swin.cell(swin.place(block).0),
        }
    }

    /// The same after the last block: the side of a cell of a mask.
    pub fn cell(&self) -> usize {
        self.cell_after(self.depth() - 1)
    }

    /// Attention heads of block `block`.
    pub fn heads(&self, block: usize) -> usize {
        match self {
            Backbone::Vit(vit) => vit.heads,
            Backbone::Swin(swin) => swin.heads[swin.place(block).0],
        }
    }

    /// Whether the final norm suits the tokens after block `block`: in a Swin transformer those of the last stage.
    pub fn is_last_stage(&self, block: usize) -> bool {
        match self {
            Backbone::Vit(_) => true,
            Backbone::Swin(swin) => swin.place(block).0 + 1 == swin.depths.len(),
        }
    }

    /// Patches → class token and patch tokens after the final norm, `[images * (1 + cells), dim]`.
    ///
    /// `mask [images * cells, 1]` holds 1 where the student must guess.
    pub fn forward(
        &self,
        weights: &Parameters,
        patches: &Patches,
        mask: Option<Tensor<2>>,
        drop: Option<&DropPath>,
    ) -> Tensor<2> {
        match self {
            Backbone::Vit(vit) => vit.forward(weights, patches, mask, drop),
            Backbone::Swin(swin) => swin.forward(weights, patches, mask, drop),
        }
    }

    /// Tokens after block `block`, before any norm, `[images * (1 + cells), dim]`.
    pub fn tokens_after(&self, weights: &Parameters, patches: &Patches, block: usize) -> Tensor<2> {
        match self {
            Backbone::Vit(vit) => vit.tokens_after(weights, patches, block),
            Backbone::Swin(swin) => swin.tokens_after(weights, patches, block),
        }
    }

    /// The final norm on tokens of the last stage.
    pub fn finish(&self, weights: &Parameters, x: Tensor<2>, images: usize) -> Tensor<2> {
        match self {
            Backbone::Vit(vit) => vit.finish(weights, x, images),
            Backbone::Swin(swin) => swin.finish(weights, x, images),
        }
    }

    /// Tokens after each of the last `n` blocks, oldest first, through the final norm where it suits them.
    pub fn intermediate(
        &self,
        weights: &Parameters,
        patches: &Patches,
        n: usize,
    ) -> Vec<Tensor<2>> {
        match self {
            Backbone::Vit(vit) => vit.intermediate(weights, patches, n),
            Backbone::Swin(swin) => swin.intermediate(weights, patches, n),
        }
    }

    /// Attention of the class token to every cell in block `block`, `[images, heads, cells]`. Without a class
    /// token: of all tokens of the cell's window.
    pub fn class_attention(
        &self,
        weights: &Parameters,
        patches: &Patches,
        block: usize,
    ) -> Tensor<3> {
        match self {
            Backbone::Vit(vit) => vit.class_attention(weights, patches, block),
            Backbone::Swin(swin) => swin.average_attention(weights, patches, block),
        }
    }
}
