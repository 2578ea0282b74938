//! A trained network to look through: pictures in, tokens, attention and prototypes out.
//!
//! Pictures are shown without augmentation as squares of [`Encoder::side`] pixels. The side may differ
//! from the one that was trained on; positions are then interpolated.

use anyhow::{Result, ensure};
use burn::tensor::{Device, Tensor};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::data::pixels::{self, Filter};
use crate::data::{Framing, Picture};
use crate::model::kernels::l2_normalise;
use crate::model::{
    Backbone, Head, HostTensors, NORM_EPSILON, Parameters, Patches, Statistics, download, upload,
};
use crate::pretrain::Network;
use crate::pretrain::objective::Centres;
use crate::settings::Settings;

/// Tokens in a batch: enough to keep a device busy, few enough for a small one (a hidden layer of
/// ViT-S is 50 MB).
const TOKENS: usize = 8192;

/// Pictures in a batch.
const PICTURES: usize = 64;

/// Which form of the tokens is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tokens {
    /// After the network's own final norm, as its head sees them.
    Normed,
    /// As the block leaves it.
    Raw,
    /// Each token at mean 0 and variance 1, without the learned gain and bias: for blocks that the
    /// final norm was not made for.
    Plain,
}

/// A projection head with the centres of its teacher.
#[derive(Clone, Debug)]
pub struct Prototypes {
    pub head: Head,
    pub centres: Centres,
}

/// A network with weights on a device.
#[derive(Clone, Debug)]
pub struct Encoder {
    pub backbone: Backbone,
    /// Absent where only a backbone is known.
    pub prototypes: Option<Prototypes>,
    /// Side in pixels at which pictures are shown.
    pub side: usize,
    /// What of them is shown.
    pub framing: Framing,
    /// Block whose tokens the patches are: it says how large they are in a Swin transformer.
    focus: usize,
    /// Of red, green and blue.
    pub mean: [f64; 3],
    pub std: [f64; 3],
    /// A name for people: what the weights are.
    pub name: String,
    weights: Parameters,
    device: Device,
    fingerprint: String,
}

impl Encoder {
    /// Puts weights under their official names to work.
    ///
    /// # Errors
    /// Weights that do not fit the shapes.
    pub fn new(
        backbone: Backbone,
        prototypes: Option<Prototypes>,
        tensors: &HostTensors,
        name: String,
        device: &Device,
    ) -> Result<Self> {
        let mut specs = backbone.specs();
        if let Some(prototypes) = &prototypes {
            specs.extend(prototypes.head.specs());
        }
        let weights = Parameters::load(&specs, tensors, device)?;
        Ok(Encoder {
            side: backbone.image(),
            framing: Framing::Middle,
            focus: backbone.depth() - 1,
            fingerprint: fingerprint(tensors, prototypes.as_ref()),
            backbone,
            prototypes,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
            name,
            weights,
            device: device.clone(),
        })
    }

    /// Shows pictures at `side` pixels.
    ///
    /// # Errors
    /// A side that is not a whole number of patches, or too large to be meant.
    pub fn at(mut self, side: usize) -> Result<Self> {
        // Cells of the last block: every other block's divide them.
        let patch = self.backbone.cell();
        let below = (side / patch * patch).max(patch);
        ensure!(
            side > 0 && side.is_multiple_of(patch) && side <= 4096,
            "{side} pixels cannot be cut into patches of {patch}; the next sizes are {below} and {}",
            below + patch
        );
        self.side = side;
        Ok(self)
    }

    /// Side of a patch in pixels: of what a token of the block in focus stands for.
    pub fn patch(&self) -> usize {
        self.backbone.cell_after(self.focus)
    }

    /// Numbers of a token of the block in focus.
    pub fn dim(&self) -> usize {
        self.backbone.dim_after(self.focus)
    }

    /// Patches along a side.
    pub fn grid(&self) -> usize {
        self.side / self.patch()
    }

    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        self.grid() * self.grid()
    }

    /// Pictures of a batch.
    pub fn batch(&self) -> usize {
        (TOKENS / (self.patches() + 1)).clamp(1, PICTURES)
    }

    /// The last block.
    pub fn last_block(&self) -> usize {
        self.backbone.depth() - 1
    }

    /// The block whose tokens the patches are; at first the last one.
    pub fn focus(&self) -> usize {
        self.focus
    }

    /// The same network seen from block `block`, counted from 0, or from the end if it is negative. In a Swin
    /// transformer earlier blocks have smaller patches.
    ///
    /// # Errors
    /// A network without that block.
    pub fn focused(&self, block: isize) -> Result<Self> {
        let depth = self.backbone.depth() as isize;
        let index = if block < 0 { depth + block } else { block };
        ensure!(
            (0..depth).contains(&index),
            "there is no block {block}: this network has blocks 0 to {} (or -1 to -{depth})",
            depth - 1
        );
        Ok(Encoder {
            focus: index as usize,
            ..self.clone()
        })
    }

    /// Names the weights, whatever file they came from.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// A picture as the network sees it.
    pub fn view(&self, picture: &Picture) -> Picture {
        self.framing.square(picture, self.side, Filter::Bicubic)
    }

    /// Tokens after block `block`, `[pictures, 1 + patches, dim]`, class token first. Pictures are
    /// views of this encoder.
    pub fn tokens(&self, pictures: &[Picture], block: usize, tokens: Tokens) -> Tensor<3> {
        let patches = self.upload(pictures);
        let x = self.backbone.tokens_after(&self.weights, &patches, block);
        let x = match tokens {
            Tokens::Normed => self.backbone.finish(&self.weights, x, pictures.len()),
            Tokens::Raw => x,
            Tokens::Plain => standardise(x),
        };
        let [rows, dim] = x.dims();
        x.reshape([pictures.len(), rows / pictures.len(), dim])
    }

    /// Tokens after each of the last `count` blocks, oldest first, through the network's norm where it suits them:
    /// `[pictures, 1 + patches, dim]` each.
    pub fn last_blocks(&self, pictures: &[Picture], count: usize) -> Vec<Tensor<3>> {
        let patches = self.upload(pictures);
        let layers = self.backbone.intermediate(&self.weights, &patches, count);
        let shaped = |x: Tensor<2>| {
            let [rows, dim] = x.dims();
            x.reshape([pictures.len(), rows / pictures.len(), dim])
        };
        layers.into_iter().map(shaped).collect()
    }

    /// A network of the same shape as `settings` would begin to train it, or with the reference's initial weights
    /// where it is not theirs.
    ///
    /// # Errors
    /// None where this encoder could be made.
    pub fn untrained(&self, settings: &Settings, seed: u64, device: &Device) -> Result<Self> {
        let described = Network::teacher(settings);
        let specs = match described.backbone == self.backbone {
            true => described.specs(),
            false => self.backbone.specs(),
        };
        let tensors = Parameters::init(&specs, seed, device).to_host();
        let name = "untrained network".to_owned();
        let mut fresh = Encoder::new(self.backbone.clone(), None, &tensors, name, device)?;
        (fresh.mean, fresh.std) = (self.mean, self.std);
        fresh.framing = self.framing;
        fresh.at(self.side)
    }

    /// Whether tokens grow from stage to stage, as in a Swin transformer.
    pub fn has_stages(&self) -> bool {
        matches!(self.backbone, Backbone::Swin(_))
    }

    /// The patch tokens alone, `[pictures * patches, dim]`: normed after the last block, plain after
    /// earlier ones, which the final norm was not made for.
    pub fn patch_tokens(&self, pictures: &[Picture], block: usize) -> Tensor<2> {
        let tokens = match block == self.last_block() {
            true => Tokens::Normed,
            false => Tokens::Plain,
        };
        let all = self.tokens(pictures, block, tokens);
        let [images, count, dim] = all.dims();
        let patches = all.slice([0..images, 1..count, 0..dim]);
        patches.reshape([images * (count - 1), dim])
    }

    /// The same at length 1.
    pub fn directions(&self, pictures: &[Picture], block: usize) -> Tensor<2> {
        l2_normalise(self.patch_tokens(pictures, block), 1e-12)
    }

    /// Attention of the class token to the patches in block `block`: for each picture and head of that block,
    /// one weight a patch, `[pictures, heads, patches]`. What it gives to itself is left out, so they sum to
    /// less than 1. Where the block has larger or smaller patches than the one in focus, each takes the weight
    /// of its middle.
    pub fn attention(&self, pictures: &[Picture], block: usize) -> Vec<f32> {
        let patches = self.upload(pictures);
        let map = self
            .backbone
            .class_attention(&self.weights, &patches, block);
        self.on_grid(download(map), self.backbone.cell_after(block))
    }

    /// Maps of cells of `cell` pixels as maps of patches.
    fn on_grid<T: Copy>(&self, maps: Vec<T>, cell: usize) -> Vec<T> {
        let (grid, patch, cells) = (self.grid(), self.patch(), self.side / cell);
        if cell == patch {
            return maps;
        }
        let place = |i: usize| (i * patch + patch / 2) / cell;
        let of = |map: &[T]| -> Vec<T> {
            let cell = |i: usize| map[place(i / grid) * cells + place(i % grid)];
            (0..grid * grid).map(cell).collect()
        };
        maps.chunks_exact(cells * cells).flat_map(of).collect()
    }

    /// The prototype of every patch, or of every picture, and the cosine between the two.
    ///
    /// The prototype is the most likely one of the teacher's target, that is after centring:
    /// without it the few prototypes that every token is a little nearer to would hide the rest.
    /// Empty where the network has no head.
    pub fn assign(&self, pictures: &[Picture], of: Of) -> Assigned {
        let tokens = self.tokens(pictures, self.last_block(), Tokens::Normed);
        let (ids, cosines) = self.assign_tokens(tokens, of);
        match of {
            Of::Pictures => (ids, cosines),
            Of::Patches => {
                let cell = self.backbone.cell();
                (self.on_grid(ids, cell), self.on_grid(cosines, cell))
            }
        }
    }

    /// The plain patch tokens of the last block, `[pictures, patches, dim]`, and the prototype of every patch, by
    /// one way through the network.
    pub fn tokens_and_prototypes(&self, pictures: &[Picture]) -> (Tensor<3>, Assigned) {
        let patches = self.upload(pictures);
        let x = self
            .backbone
            .tokens_after(&self.weights, &patches, self.last_block());
        let [rows, dim] = x.dims();
        let shape = [pictures.len(), rows / pictures.len(), dim];
        let normed = self
            .backbone
            .finish(&self.weights, x.clone(), pictures.len());
        let assigned = self.assign_tokens(normed.reshape(shape), Of::Patches);
        let [images, count, dim] = shape;
        let plain = standardise(x).reshape(shape);
        (plain.slice([0..images, 1..count, 0..dim]), assigned)
    }

    /// Prototypes of normed tokens, `[pictures, 1 + patches, dim]`.
    fn assign_tokens(&self, tokens: Tensor<3>, of: Of) -> Assigned {
        let Some(Prototypes { head, centres }) = &self.prototypes else {
            return (Vec::new(), Vec::new());
        };
        let [images, count, dim] = tokens.dims();
        let (rows, from) = match of {
            Of::Patches => (1..count, &centres.patch),
            Of::Pictures => (0..1, &centres.class),
        };
        let chosen = rows.len();
        let tokens = tokens.slice([0..images, rows, 0..dim]);
        let tokens = tokens.reshape([images * chosen, dim]);
        let points = head.bottleneck(&self.weights, tokens, &mut Statistics::Running);
        let prototypes = match of {
            Of::Patches => head.patch_prototypes(&self.weights),
            Of::Pictures => head.class_prototypes(&self.weights),
        };
        let logits = Head::logits(points, l2_normalise(prototypes, 1e-12));
        let index = (logits.clone() - from.clone()).argmax(1);
        let cosines = download(logits.gather(1, index.clone()));
        let index = index.into_data().convert::<u32>();
        (index.try_into_vec().unwrap_or_default(), cosines)
    }

    /// Rows on this encoder's device.
    pub(super) fn matrix(&self, data: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
        upload(data, shape, &self.device)
    }

    /// The class token of one picture of any shape, normalised planes `[3, height, width]`.
    pub(super) fn class_token(&self, planes: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
        let shape = [1, height, width];
        let patches = Patches::new(planes, shape, self.backbone.patch(), &self.device);
        let tokens = self.backbone.forward(&self.weights, &patches, None, None);
        download(tokens.slice([0..1, 0..self.backbone.dim()]))
    }

    fn upload(&self, pictures: &[Picture]) -> Patches {
        let side = self.side;
        let mut planes = vec![0.0; pictures.len() * 3 * side * side];
        let f32s = |v: [f64; 3]| v.map(|x| x as f32);
        let (mean, std) = (f32s(self.mean), f32s(self.std));
        planes
            .par_chunks_exact_mut(3 * side * side)
            .zip(pictures)
            .for_each(|(out, picture)| pixels::write_normalised(picture, mean, std, out));
        let shape = [pictures.len(), side, side];
        Patches::new(&planes, shape, self.backbone.patch(), &self.device)
    }
}

/// Prototypes, and the cosines to them.
pub type Assigned = (Vec<u32>, Vec<f32>);

/// What has a prototype.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// Every patch, by the prototypes for patches.
    Patches,
    /// Every picture, by its class token and the prototypes for class tokens.
    Pictures,
}

/// Every row at mean 0 and variance 1.
fn standardise(x: Tensor<2>) -> Tensor<2> {
    let x = x.clone() - x.mean_dim(1);
    let variance = (x.clone() * x.clone()).mean_dim(1);
    x / (variance + NORM_EPSILON).sqrt()
}

/// SHA-256 of names, shapes, numbers and centres, in hexadecimal.
fn fingerprint(tensors: &HostTensors, prototypes: Option<&Prototypes>) -> String {
    let mut names: Vec<&String> = tensors.keys().collect();
    names.sort();
    let mut hash = Sha256::new();
    for name in names {
        let tensor = &tensors[name];
        hash.update(name);
        hash.update(format!("{:?}", tensor.shape));
        hash.update(bytemuck::cast_slice(&tensor.data));
    }
    if let Some(Prototypes { centres, .. }) = prototypes {
        for centre in [&centres.class, &centres.patch] {
            hash.update(bytemuck::cast_slice(&download(centre.clone())));
        }
    }
    format!("{:x}", hash.finalize())
}
