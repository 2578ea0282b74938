//! The Swin transformer of the reference, with a mask token and the average of the last tokens as class token.
//!
//! Like [`Vit`](super::Vit) only a shape. Tokens travel as one matrix `[images * rows * columns, dim]`
//! through stages, between which the map is halved and the width doubled. Everything is as in the
//! reference: windows and shifts are fixed by the nominal image side and kept for smaller crops; masks lie on
//! the grid of the last stage.

use burn::tensor::{Int, Tensor, TensorData};

use super::init::{Init, REFERENCE_STD};
use super::kernels::{matmul_transposed, rearrange, window_attention, window_weights};
use super::layers::{Declare, DropPath, Named, Patches, residual};
use super::parameters::{Parameters, Spec};
use super::windows::{Windows, merging, relative_positions};

/// Shape of a Swin transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct Swin {
    /// Nominal image side in pixels: it sets windows and shifts.
    pub image: usize,
    /// Patch side in pixels.
    pub patch: usize,
    /// Token width of the first stage; it doubles from stage to stage.
    pub dim: usize,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Attention heads of each stage.
    pub heads: Vec<usize>,
    /// Side of a window in tokens.
    pub window: usize,
    /// Width of the hidden layer of each block's MLP, over the stage's width.
    pub mlp_ratio: f64,
    /// True where it has a mask token: the student.
    pub mask_token: bool,
    /// Prefix of the parameter names, such as `backbone.`.
    pub prefix: String,
}

impl Default for Swin {
    /// Swin-T with windows of 7 at 224 px.
    fn default() -> Self {
        Swin {
            image: 224,
            patch: 4,
            dim: 96,
            depths: vec![2, 2, 6, 2],
            heads: vec![3, 6, 12, 24],
            window: 7,
            mlp_ratio: 4.0,
            mask_token: false,
            prefix: "backbone.".into(),
        }
    }
}

/// Tokens on their way: `x [images * rows * columns, width]`.
struct Map {
    x: Tensor<2>,
    images: usize,
    rows: usize,
    columns: usize,
}

impl Swin {
    /// Token width of stage `stage`.
    pub fn width(&self, stage: usize) -> usize {
        self.dim << stage
    }

    /// Blocks of all stages.
    pub fn depth(&self) -> usize {
        self.depths.iter().sum()
    }

    /// Side in pixels of what a token of stage `stage` stands for.
    pub fn cell(&self, stage: usize) -> usize {
        self.patch << stage
    }

    /// Stage and place in it of block `block`, counted over all stages.
    pub fn place(&self, block: usize) -> (usize, usize) {
        let mut rest = block;
        for (stage, &depth) in self.depths.iter().enumerate() {
            if rest < depth {
                return (stage, rest);
            }
            rest -= depth;
        }
        let last = self.depths.len() - 1;
        (last, self.depths[last] - 1)
    }

    /// Side of a window in stage `stage`, and the shift of its odd blocks: a stage whose nominal map is not
    /// larger than a window is one window and not shifted.
    pub fn windowing(&self, stage: usize) -> (usize, usize) {
        let side = (self.image / self.patch) >> stage;
        match side <= self.window {
            true => (side.max(1), 0),
            false => (self.window, self.window / 2),
        }
    }

    /// All parameters in the reference's order.
    pub fn specs(&self) -> Vec<Spec> {
        let mut declare = Declare::new(&self.prefix);
        if self.mask_token {
            declare.add("masked_embed", &[1, self.dim], Init::Zeros);
        }
        declare.patch_embed(self.dim, self.patch);
        declare.norm("patch_embed.norm", self.dim);
        let last = self.depths.len() - 1;
        for (stage, &depth) in self.depths.iter().enumerate() {
            let d = self.width(stage);
            let (side, _) = self.windowing(stage);
            let hidden = (d as f64 * self.mlp_ratio) as usize;
            for i in 0..depth {
                let name = |part: &str| format!("layers.{stage}.blocks.{i}.{part}");
                declare.norm(&name("norm1"), d);
                let table = [(2 * side - 1).pow(2), self.heads[stage]];
                let init = Init::Normal(REFERENCE_STD);
                declare.add(&name("attn.relative_position_bias_table"), &table, init);
                declare.linear(&name("attn.qkv"), d, 3 * d, true);
                declare.linear(&name("attn.proj"), d, d, true);
                declare.norm(&name("norm2"), d);
                declare.linear(&name("mlp.fc1"), d, hidden, true);
                declare.linear(&name("mlp.fc2"), hidden, d, true);
            }
            if stage < last {
                let name = format!("layers.{stage}.downsample");
                declare.linear(&format!("{name}.reduction"), 4 * d, 2 * d, false);
                declare.norm(&format!("{name}.norm"), 4 * d);
            }
        }
        declare.norm("norm", self.width(last));
        declare.specs
    }

    fn named<'a>(&'a self, weights: &'a Parameters) -> Named<'a> {
        let prefix = &self.prefix;
        Named { weights, prefix }
    }

    /// Patches → tokens before the first block. `mask [images * cells, 1]` lies on a coarser grid, each of whose
    /// cells covers a square of patches.
    fn prepare(&self, weights: &Parameters, patches: &Patches, mask: Option<Tensor<2>>) -> Map {
        let mask = mask.map(|mask| {
            let cells = mask.dims()[0] / patches.images;
            let times = (patches.count() / cells).isqrt();
            let (rows, columns) = (patches.rows, patches.columns);
            let index: Vec<i32> = (0..patches.images * patches.count())
                .map(|i| {
                    let (image, place) = (i / patches.count(), i % patches.count());
                    let (y, x) = (place / columns / times, place % columns / times);
                    (image * cells + y * (columns / times) + x) as i32
                })
                .collect();
            debug_assert_eq!(cells * times * times, rows * columns);
            let device = mask.device().inner();
            let index: Tensor<1, Int> =
                Tensor::from_data(TensorData::from(index.as_slice()), &device);
            mask.select(0, index)
        });
        Map {
            x: self
                .named(weights)
                .embed(patches, Some("patch_embed.norm"), mask),
            images: patches.images,
            rows: patches.rows,
            columns: patches.columns,
        }
    }

    /// The learned bias of every head, query and key of a window, `[heads * side², side²]`.
    fn position_bias(&self, weights: &Parameters, block: &str, side: usize) -> Tensor<2> {
        let name = format!("{block}.attn.relative_position_bias_table");
        let table = self.named(weights).get(&name);
        let (heads, each) = (table.dims()[1], side * side);
        let index = relative_positions(side);
        let device = table.device().inner();
        let index: Tensor<1, Int> = Tensor::from_data(TensorData::from(index.as_slice()), &device);
        table
            .select(0, index)
            .transpose()
            .reshape([heads * each, each])
    }

    /// Queries, keys and values of a block, window by window, and how the windows lie.
    fn windows(
        &self,
        weights: &Parameters,
        (stage, i): (usize, usize),
        map: &Map,
    ) -> (Tensor<2>, std::sync::Arc<Windows>, usize) {
        let named = self.named(weights);
        let name = format!("layers.{stage}.blocks.{i}");
        let (side, shift) = self.windowing(stage);
        let shift = if i % 2 == 1 { shift } else { 0 };
        let windows = Windows::of(map.rows, map.columns, side, shift);
        let x = named.norm(&format!("{name}.norm1"), map.x.clone());
        let x = rearrange(x, &windows.split);
        (named.linear(&format!("{name}.attn.qkv"), x), windows, side)
    }

    fn block(
        &self,
        weights: &Parameters,
        at: (usize, usize),
        map: Map,
        drop: [Option<&[f32]>; 2],
    ) -> Map {
        let named = self.named(weights);
        let (stage, i) = at;
        let name = format!("layers.{stage}.blocks.{i}");
        let (qkv, windows, side) = self.windows(weights, at, &map);
        let bias = self.position_bias(weights, &name, side);
        let shape = [map.images * windows.count, side * side, self.heads[stage]];
        let branch = window_attention(qkv, bias, windows.mask.as_ref(), shape);
        let branch = rearrange(branch, &windows.join);
        let branch = named.linear(&format!("{name}.attn.proj"), branch);
        let x = residual(map.x, branch, drop[0]);
        let branch = named.mlp(&name, x.clone());
        Map {
            x: residual(x, branch, drop[1]),
            ..map
        }
    }

    /// Patch merging after stage `stage`: half the side, twice the width.
    fn merge(&self, weights: &Parameters, stage: usize, map: Map) -> Map {
        let named = self.named(weights);
        let name = format!("layers.{stage}.downsample");
        let (rows, columns) = (map.rows.div_ceil(2), map.columns.div_ceil(2));
        let x = rearrange(map.x, &merging(map.rows, map.columns));
        let x = x.reshape([map.images * rows * columns, 4 * self.width(stage)]);
        let x = named.norm(&format!("{name}.norm"), x);
        Map {
            x: matmul_transposed(x, named.get(&format!("{name}.reduction.weight"))),
            images: map.images,
            rows,
            columns,
        }
    }

    /// Calls `see` with the map after each block, counted over all stages, until `last`.
    fn walk(
        &self,
        weights: &Parameters,
        map: Map,
        drop: Option<&DropPath>,
        last: usize,
        mut see: impl FnMut(usize, &Map),
    ) -> Map {
        let mut map = map;
        for block in 0..=last {
            let (stage, i) = self.place(block);
            if i == 0 && stage > 0 {
                map = self.merge(weights, stage - 1, map);
            }
            let drop = [0, 1].map(|branch| DropPath::of(drop, block, branch));
            map = self.block(weights, (stage, i), map, drop);
            see(block, &map);
        }
        map
    }

    /// Puts the average of the tokens of each image before them, `[images * (1 + tokens), width]`.
    fn with_average(map: &Map) -> Tensor<2> {
        let (images, count, width) = (map.images, map.rows * map.columns, map.x.dims()[1]);
        let x: Tensor<3> = map.x.clone().reshape([images, count, width]);
        let average = x.clone().mean_dim(1);
        Tensor::cat(vec![average, x], 1).reshape([images * (count + 1), width])
    }

    /// Patches → tokens after the final norm, their average first, `[images * (1 + tokens), width]`.
    pub fn forward(
        &self,
        weights: &Parameters,
        patches: &Patches,
        mask: Option<Tensor<2>>,
        drop: Option<&DropPath>,
    ) -> Tensor<2> {
        let map = self.prepare(weights, patches, mask);
        let map = self.walk(weights, map, drop, self.depth() - 1, |_, _| {});
        let x = self.named(weights).norm("norm", map.x);
        Self::with_average(&Map { x, ..map })
    }

    /// Tokens after block `block`, before any norm, their average first.
    pub fn tokens_after(&self, weights: &Parameters, patches: &Patches, block: usize) -> Tensor<2> {
        let map = self.prepare(weights, patches, None);
        Self::with_average(&self.walk(weights, map, None, block, |_, _| {}))
    }

    /// The final norm on tokens of the last stage, `[images * (1 + tokens), width]` with their average first.
    pub fn finish(&self, weights: &Parameters, x: Tensor<2>, images: usize) -> Tensor<2> {
        let (count, width) = (x.dims()[0] / images, x.dims()[1]);
        let x: Tensor<3> = x.reshape([images, count, width]);
        let x = x.slice([0..images, 1..count, 0..width]);
        let x = x.reshape([images * (count - 1), width]);
        Self::with_average(&Map {
            x: self.named(weights).norm("norm", x),
            images,
            rows: count - 1,
            columns: 1,
        })
    }

    /// Tokens after each of the last `n` blocks, oldest first, their average before them: those of the last
    /// stage through the final norm, earlier ones as they are.
    pub fn intermediate(
        &self,
        weights: &Parameters,
        patches: &Patches,
        n: usize,
    ) -> Vec<Tensor<2>> {
        let (depth, last) = (self.depth(), self.depths.len() - 1);
        let mut layers = Vec::new();
        let map = self.prepare(weights, patches, None);
        self.walk(weights, map, None, depth - 1, |block, map| {
            if block + n < depth {
                return;
            }
            let x = match self.place(block).0 == last {
                true => self.named(weights).norm("norm", map.x.clone()),
                false => map.x.clone(),
            };
            layers.push(Self::with_average(&Map { x, ..*map }));
        });
        layers
    }

    /// How much the tokens of its window look at each token in block `block`, `[images, heads, tokens]`:
    /// at most 1 over an image, since padding is looked at too. The counterpart of a class token's attention where the class token is an
    /// average.
    pub fn average_attention(
        &self,
        weights: &Parameters,
        patches: &Patches,
        block: usize,
    ) -> Tensor<3> {
        let (stage, i) = self.place(block);
        let map = self.prepare(weights, patches, None);
        let mut map = match block.checked_sub(1) {
            Some(before) => self.walk(weights, map, None, before, |_, _| {}),
            None => map,
        };
        if i == 0 && stage > 0 {
            map = self.merge(weights, stage - 1, map);
        }
        let (qkv, windows, side) = self.windows(weights, (stage, i), &map);
        let bias = self.position_bias(weights, &format!("layers.{stage}.blocks.{i}"), side);
        let (heads, each, images) = (self.heads[stage], side * side, map.images);
        let shape = [images * windows.count, each, heads];
        let looks = window_weights(qkv, bias, windows.mask.as_ref(), shape).mean_dim(2);
        let looks = looks
            .reshape([images * windows.count, heads, each])
            .swap_dims(1, 2)
            .reshape([images * windows.count * each, heads]);
        let count = map.rows * map.columns;
        rearrange(looks / windows.count as f32, &windows.join)
            .reshape([images, count, heads])
            .swap_dims(1, 2)
    }
}
