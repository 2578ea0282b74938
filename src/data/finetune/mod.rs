//! What the network sees while it is fine-tuned (specification §6.3).
//!
//! The recipe of DeiT and BEiT as timm carries it out: crop, mirror, RandAugment, random erasing,
//! then mixup or CutMix over the batch. timm's jitter of colours (0.4) is off where RandAugment is
//! on. All resampling is bicubic: BEiT trains with `--train_interpolation bicubic`, where timm's
//! own default picks bilinear or bicubic anew for each picture. Everything is drawn under a key,
//! and each kind of draw has a stream of its own, so that changing one setting moves no other draw.

mod affine;
mod distributions;
mod erasing;
mod mixing;
mod rand_augment;
mod tone;

#[cfg(test)]
mod tests;

use rand_chacha::ChaCha8Rng;

use super::Picture;
use super::draws::Draws;
use super::pixels::{self, Filter};
use super::views::{random_region, view_rng, write_normalised};

pub use mixing::{Mix, MixError};
pub use rand_augment::{Operation, RandAugment};

/// Streams under a key. 0 and 1 are pretraining's crops and masks.
const CROP: u64 = 2;
const ALTERATION: u64 = 3;
const ERASING: u64 = 4;
const MIXING: u64 = 5;

/// What a view of a picture is drawn under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewKey {
    pub seed: u64,
    pub epoch: usize,
    /// Number of the picture in its source.
    pub picture: usize,
    /// Number of the view, where a picture is seen several times in an epoch; else 0.
    pub view: usize,
}

impl ViewKey {
    fn stream(self, stream: u64) -> ChaCha8Rng {
        let mut rng = view_rng(self.seed, self.epoch, self.picture, self.view);
        rng.set_stream(stream);
        rng
    }
}

/// What the mixing of a batch is drawn under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchKey {
    pub seed: u64,
    pub epoch: usize,
    /// Number of the batch in the epoch.
    pub step: usize,
}

/// How pictures are altered for fine-tuning.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Side of the views in pixels.
    pub size: usize,
    /// Left out if `None`.
    pub rand_augment: Option<RandAugment>,
    /// Probability of erasing a rectangle.
    pub erasing: f64,
    /// α of mixup; 0 leaves it out.
    pub mixup: f64,
    /// α of CutMix; 0 leaves it out.
    pub cutmix: f64,
    /// Share of each label that is spread over all classes.
    pub smoothing: f64,
    /// Subtracted from red, green and blue (0 to 1) …
    pub mean: [f32; 3],
    /// … which are then divided by this.
    pub std: [f32; 3],
}

impl Recipe {
    /// The reference's values for views of `size` pixels, normalised by `mean` and `std`.
    pub fn new(size: usize, mean: [f32; 3], std: [f32; 3]) -> Self {
        Recipe {
            size,
            rand_augment: Some(RandAugment::default()),
            erasing: 0.25,
            mixup: 0.8,
            cutmix: 1.0,
            smoothing: 0.1,
            mean,
            std,
        }
    }

    /// A view before it becomes numbers: `size`×`size` pixels.
    pub fn picture(&self, picture: &Picture, key: ViewKey) -> Picture {
        let mut view = crop(picture, self.size, Filter::Bicubic, key);
        if let Some(rand_augment) = self.rand_augment {
            let fill = self.mean.map(|mean| (mean * 255.0).round() as u8);
            for operation in rand_augment.draw(&mut key.stream(ALTERATION)) {
                operation.apply(&mut view, fill);
            }
        }
        view
    }

    /// A training view, normalised: `[3, size, size]`.
    pub fn view(&self, picture: &Picture, key: ViewKey) -> Vec<f32> {
        let mut planes = vec![0.0; 3 * self.size * self.size];
        let view = self.picture(picture, key);
        write_normalised(&view, self.mean, self.std, &mut planes);
        let mut draws = key.stream(ERASING);
        if let Some(region) = erasing::draw(self.erasing, self.size, &mut draws) {
            erasing::erase(&mut planes, self.size, region, &mut draws);
        }
        planes
    }

    /// Mixes a batch of views, `[batch, 3, size, size]`, in place and returns its targets
    /// `[batch, classes]`, each row of sum 1. Without mixup and CutMix only labels are smoothed.
    ///
    /// # Errors
    /// If there is not one label below `classes` for each picture; `planes` are then untouched.
    pub fn mix(
        &self,
        planes: &mut [f32],
        labels: &[usize],
        classes: usize,
        key: BatchKey,
    ) -> Result<Vec<f32>, MixError> {
        if planes.len() != labels.len() * 3 * self.size * self.size {
            return Err(MixError::Shape {
                values: planes.len(),
                rows: labels.len(),
                side: self.size,
            });
        }
        let mix = self.draw_mix(key);
        let share = mix.share(self.size);
        let targets = mixing::targets(labels, classes, share, self.smoothing)?;
        mix.apply(planes, self.size);
        Ok(targets)
    }

    /// What [`Recipe::mix`] does under `key`.
    pub fn draw_mix(&self, key: BatchKey) -> Mix {
        let mut draws = view_rng(key.seed, key.epoch, key.step, 0);
        draws.set_stream(MIXING);
        Mix::draw(self.mixup, self.cutmix, self.size, &mut draws)
    }
}

/// torchvision's random resized crop at its defaults, mirrored with probability ½.
fn crop(picture: &Picture, size: usize, filter: Filter, key: ViewKey) -> Picture {
    let shape = [picture.width.max(1), picture.height.max(1)];
    let mut draws = key.stream(CROP);
    let region = random_region([0.08, 1.0], [3.0 / 4.0, 4.0 / 3.0], shape, &mut draws);
    let mut view = pixels::resized_crop(picture, region, size, size, filter);
    if draws.chance(0.5) {
        pixels::flip_horizontal(&mut view);
    }
    view
}
