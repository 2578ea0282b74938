//! What a network says about whole pictures: features and prototypes, a batch at a time.
//!
//! Pictures are shown without augmentation: the largest square in the middle, resized to the network's nominal
//! size (bicubic).

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::data::pixels::{self, Filter};
use crate::data::{Framing, LoadError, PartMap, Picture, Source};
use crate::model::{Head, Parameters, Patches, Statistics, download};
use crate::pretrain::Network;
use crate::pretrain::objective::Centres;
use crate::settings::ViewsSettings;

/// Pictures a network sees at once: enough to keep a device busy, few enough for a small one.
const BATCH: usize = 64;

/// Pictures made ready for a network.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// Square pictures of one size.
    pub pictures: Vec<Picture>,
    /// Class of each, where it is known.
    pub labels: Vec<Option<u32>>,
    /// Part map of each at the same size, where parts are known.
    pub parts: Vec<Option<PartMap>>,
    /// Pictures that could not be read.
    pub failures: Vec<LoadError>,
}

impl Prepared {
    /// Loads pictures `from..to` of `source` at `side` pixels, on all cores.
    pub fn load(source: &Arc<dyn Source>, from: usize, to: usize, side: usize) -> Self {
        let view = |picture: &Picture| Framing::Middle.square(picture, side, Filter::Bicubic);
        let load = |index: usize| match source.load_with_parts(index) {
            Some((picture, parts)) => Ok((index, view(&picture), Some(parts.scaled(side)))),
            None => source
                .load(index)
                .map(|picture| (index, view(&picture), None)),
        };
        let loaded: Vec<_> = (from..to.min(source.len()))
            .into_par_iter()
            .map(load)
            .collect();
        let mut prepared = Prepared::default();
        for result in loaded {
            match result {
                Ok((index, picture, parts)) => {
                    prepared.pictures.push(picture);
                    prepared
                        .labels
                        .push(source.label(index).map(|label| label as u32));
                    prepared.parts.push(parts);
                }
                Err(error) => prepared.failures.push(error),
            }
        }
        prepared
    }
}

/// What a network says about some pictures.
#[derive(Clone, Debug, Default)]
pub struct Embedded {
    /// Class token after the final norm, `dim` numbers a picture.
    pub class: Vec<f32>,
    /// Most likely prototype of each class token; empty unless asked for.
    pub class_prototypes: Vec<u32>,
    /// Most likely prototype of each patch, row-major, pictures one behind the other.
    pub patch_prototypes: Vec<u32>,
}

/// Runs `network` with `weights` over `pictures`. With `centres` it also says the prototypes: the most
/// likely ones of the teacher's targets, that is after centring. Without it the few prototypes that
/// every token is a little nearer to would hide the rest.
pub fn embed(
    network: &Network,
    weights: &Parameters,
    pictures: &[Picture],
    views: &ViewsSettings,
    centres: Option<&Centres>,
    device: &Device,
) -> Embedded {
    let mut embedded = Embedded::default();
    for batch in pictures.chunks(BATCH) {
        let side = batch[0].width;
        let mut planes = vec![0.0; batch.len() * 3 * side * side];
        planes
            .par_chunks_exact_mut(3 * side * side)
            .zip(batch)
            .for_each(|(out, picture)| {
                let f32s = |v: [f64; 3]| v.map(|x| x as f32);
                pixels::write_normalised(picture, f32s(views.mean), f32s(views.std), out);
            });
        let shape = [batch.len(), side, side];
        let patches = Patches::new(&planes, shape, network.backbone.patch(), device);
        let tokens = network.backbone.forward(weights, &patches, None, None);
        let (images, per_image) = (batch.len(), tokens.dims()[0] / batch.len());
        embedded
            .class
            .extend(download(class_tokens(tokens.clone(), images, per_image)));
        if let Some(centres) = centres {
            let head = &network.head;
            let points = head.bottleneck(weights, tokens, &mut Statistics::Running);
            let class = class_tokens(points.clone(), images, per_image);
            let class = Head::logits(class, head.class_prototypes(weights));
            let class = (class - centres.class.clone()).argmax(1);
            let width = points.dims()[1];
            let patches: Tensor<3> = points.reshape([images, per_image, width]);
            let patches = patches
                .slice([0..images, 1..per_image, 0..width])
                .reshape([images * (per_image - 1), width]);
            let patches = Head::logits(patches, head.patch_prototypes(weights));
            let patches = (patches - centres.patch.clone()).argmax(1);
            let read = |t: Tensor<2, burn::tensor::Int>| -> Vec<u32> {
                t.into_data()
                    .convert::<u32>()
                    .try_into_vec()
                    .unwrap_or_default()
            };
            embedded.class_prototypes.extend(read(class));
            embedded.patch_prototypes.extend(read(patches));
        }
    }
    embedded
}

/// The first token of every image.
fn class_tokens(tokens: Tensor<2>, images: usize, per_image: usize) -> Tensor<2> {
    let width = tokens.dims()[1];
    tokens
        .reshape([images, per_image, width])
        .slice([0..images, 0..1, 0..width])
        .reshape([images, width])
}
