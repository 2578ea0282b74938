//! Views: what is cut from a picture and how it is altered (specification §2.2).
//!
//! Drawing is apart from doing: [`crop_params`] draws a [`CropParams`], a plain value that can be
//! printed, stored and drawn over the picture, and [`render`] carries it out without any
//! randomness. Each crop draws from its own generator, keyed by (seed, epoch, image, view), so a
//! crop can be made again alone, in any order and on any thread.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::settings::ViewsSettings;

use super::Picture;
use super::draws::Draws;
use super::pixels::{
    self, Filter, Rect, adjust_brightness, adjust_contrast, adjust_saturation, flip_horizontal,
    gaussian_blur, make_grey, shift_hue, solarise,
};

pub use super::pixels::write_normalised;

/// How one kind of crop is drawn. Probabilities are 0 to 1, sizes in pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CropSpec {
    /// Side of the finished crop.
    pub size: usize,
    /// Share of the picture's area, drawn evenly between the two.
    pub scale: [f64; 2],
    /// Width over height of the region, drawn log-evenly between the two.
    pub aspect: [f64; 2],
    /// Probability of mirroring left to right.
    pub flip: f64,
    /// Probability of the colour jitter as a whole.
    pub jitter: f64,
    /// Brightness, contrast and saturation are multiplied by 1 ± this; 0 leaves the step out.
    pub brightness: f64,
    pub contrast: f64,
    pub saturation: f64,
    /// Hue is turned by up to ± this many turns of the colour circle; 0 leaves the step out.
    pub hue: f64,
    /// Probability of losing all colour.
    pub grayscale: f64,
    /// Probability of a Gaussian blur.
    pub blur: f64,
    /// Its standard deviation in pixels, drawn evenly between the two.
    pub blur_sigma: [f64; 2],
    /// Probability of inverting the bright values.
    pub solarise: f64,
    /// Values from here up are inverted.
    pub solarise_threshold: u16,
}

/// All crops of a picture. The default is the settings' default: the reference's values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewSpec {
    /// Global crops of every picture: the first as `global1`, any further one as `global2`.
    pub globals: usize,
    /// Local crops of every picture.
    pub locals: usize,
    pub global1: CropSpec,
    pub global2: CropSpec,
    pub local: CropSpec,
    /// Subtracted from red, green and blue (0 to 1) …
    pub mean: [f32; 3],
    /// … which are then divided by this.
    pub std: [f32; 3],
}

impl Default for ViewSpec {
    fn default() -> Self {
        (&ViewsSettings::default()).into()
    }
}

impl From<&ViewsSettings> for ViewSpec {
    fn from(views: &ViewsSettings) -> Self {
        let local = CropSpec {
            size: views.local_size,
            scale: views.local_scale,
            aspect: views.aspect,
            flip: views.flip,
            jitter: views.jitter,
            brightness: views.brightness,
            contrast: views.contrast,
            saturation: views.saturation,
            hue: views.hue,
            grayscale: views.grayscale,
            blur: views.blur_local,
            blur_sigma: views.blur_sigma,
            solarise: 0.0,
            solarise_threshold: views.solarize_threshold.min(256) as u16,
        };
        let global1 = CropSpec {
            size: views.global_size,
            scale: views.global_scale,
            blur: views.blur_global1,
            ..local.clone()
        };
        let global2 = CropSpec {
            blur: views.blur_global2,
            solarise: views.solarize,
            ..global1.clone()
        };
        ViewSpec {
            globals: views.global_crops,
            locals: views.local_crops,
            global1,
            global2,
            local,
            mean: views.mean.map(|value| value as f32),
            std: views.std.map(|value| value as f32),
        }
    }
}

impl ViewSpec {
    /// How view `view` is drawn: views are numbered globals first, then locals.
    pub fn crop(&self, view: usize) -> &CropSpec {
        match view {
            0 => &self.global1,
            view if view < self.globals => &self.global2,
            _ => &self.local,
        }
    }

    /// Number of views of a picture.
    pub fn views(&self) -> usize {
        self.globals + self.locals
    }
}

/// One step of the colour jitter, with the factor that was drawn (f32, as Pillow blends; it also
/// survives JSON exactly).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColourStep {
    Brightness(f32),
    Contrast(f32),
    Saturation(f32),
    /// In turns of the colour circle.
    Hue(f32),
}

/// Everything that was drawn for one crop; the fields in the order in which they are carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CropParams {
    /// The region of the picture.
    pub region: Rect,
    /// Side of the crop in pixels.
    pub size: usize,
    pub flip: bool,
    /// Steps of the colour jitter in the order drawn; empty without jitter.
    pub colour: Vec<ColourStep>,
    pub grayscale: bool,
    /// Standard deviation of the blur in pixels.
    pub blur: Option<f32>,
    /// Threshold of the solarisation.
    pub solarise: Option<u16>,
}

/// The generator of one view. Every combination of the four numbers has a stream of its own: they
/// are the cipher's key.
pub fn view_rng(seed: u64, epoch: usize, image: usize, view: usize) -> ChaCha8Rng {
    let mut key = [0; 32];
    let parts = [seed, epoch as u64, image as u64, view as u64];
    for (bytes, part) in key.as_chunks_mut::<8>().0.iter_mut().zip(parts) {
        *bytes = part.to_le_bytes();
    }
    ChaCha8Rng::from_seed(key)
}

/// The generator of the mask of one view: another stream under the view's key, so that masks can
/// change their settings without moving a crop.
pub fn mask_rng(seed: u64, epoch: usize, image: usize, view: usize) -> ChaCha8Rng {
    let mut rng = view_rng(seed, epoch, image, view);
    rng.set_stream(1);
    rng
}

/// Draws one crop of a picture of `width`×`height` pixels, none of them 0.
pub fn crop_params(
    spec: &CropSpec,
    width: usize,
    height: usize,
    draws: &mut impl Draws,
) -> CropParams {
    let region = random_region(spec.scale, spec.aspect, [width, height], draws);
    let flip = draws.chance(spec.flip);
    let colour = if draws.chance(spec.jitter) {
        jitter(spec, draws)
    } else {
        Vec::new()
    };
    let grayscale = draws.chance(spec.grayscale);
    let blur = draws
        .chance(spec.blur)
        .then(|| draws.uniform(spec.blur_sigma[0], spec.blur_sigma[1]) as f32);
    let solarise = draws
        .chance(spec.solarise)
        .then_some(spec.solarise_threshold);
    CropParams {
        region,
        size: spec.size,
        flip,
        colour,
        grayscale,
        blur,
        solarise,
    }
}

/// torchvision's `RandomResizedCrop`: ten tries at an area and a shape that fit, else the largest
/// centred region whose shape is allowed.
pub(super) fn random_region(
    scale: [f64; 2],
    [narrow, wide]: [f64; 2],
    [width, height]: [usize; 2],
    draws: &mut impl Draws,
) -> Rect {
    let area = (width * height) as f64;
    for _ in 0..10 {
        let target = area * draws.uniform(scale[0], scale[1]);
        let aspect = draws.uniform(narrow.ln(), wide.ln()).exp();
        let w = (target * aspect).sqrt().round_ties_even() as usize;
        let h = (target / aspect).sqrt().round_ties_even() as usize;
        if (1..=width).contains(&w) && (1..=height).contains(&h) {
            let top = draws.below(height - h + 1);
            let left = draws.below(width - w + 1);
            return Rect {
                left,
                top,
                width: w,
                height: h,
            };
        }
    }
    let shape = width as f64 / height as f64;
    let (w, h) = if shape < narrow {
        (width, (width as f64 / narrow).round_ties_even() as usize)
    } else if shape > wide {
        ((height as f64 * wide).round_ties_even() as usize, height)
    } else {
        (width, height)
    };
    let (w, h) = (w.clamp(1, width.max(1)), h.clamp(1, height.max(1)));
    Rect {
        left: (width - w) / 2,
        top: (height - h) / 2,
        width: w,
        height: h,
    }
}

/// torchvision's `ColorJitter`: a factor each, in an order drawn anew. A strength of 0 leaves its
/// step out (a hue shift of 0 would still cost precision).
fn jitter(spec: &CropSpec, draws: &mut impl Draws) -> Vec<ColourStep> {
    let mut factor = |strength: f64, kind: fn(f32) -> ColourStep| {
        (strength > 0.0)
            .then(|| kind(draws.uniform((1.0 - strength).max(0.0), 1.0 + strength) as f32))
    };
    let brightness = factor(spec.brightness, ColourStep::Brightness);
    let contrast = factor(spec.contrast, ColourStep::Contrast);
    let saturation = factor(spec.saturation, ColourStep::Saturation);
    let hue = (spec.hue > 0.0).then(|| ColourStep::Hue(draws.uniform(-spec.hue, spec.hue) as f32));
    let mut steps: Vec<ColourStep> = [brightness, contrast, saturation, hue]
        .into_iter()
        .flatten()
        .collect();
    draws.shuffle(&mut steps);
    steps
}

/// Carries out what was drawn: the crop, `size`×`size` pixels.
pub fn render(picture: &Picture, params: &CropParams) -> Picture {
    let size = params.size;
    let crop = pixels::resized_crop(picture, params.region, size, size, Filter::Bicubic);
    alter(crop, params)
}

/// The steps after resampling. Apart so that the benchmark can time it.
pub(super) fn alter(mut crop: Picture, params: &CropParams) -> Picture {
    if params.flip {
        flip_horizontal(&mut crop);
    }
    for step in &params.colour {
        match *step {
            ColourStep::Brightness(factor) => adjust_brightness(&mut crop, factor),
            ColourStep::Contrast(factor) => adjust_contrast(&mut crop, factor),
            ColourStep::Saturation(factor) => adjust_saturation(&mut crop, factor),
            ColourStep::Hue(turns) => shift_hue(&mut crop, turns.into()),
        }
    }
    if params.grayscale {
        make_grey(&mut crop);
    }
    if let Some(sigma) = params.blur {
        gaussian_blur(&mut crop, sigma);
    }
    if let Some(threshold) = params.solarise {
        solarise(&mut crop, threshold);
    }
    crop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_reference() {
        let spec = ViewSpec::default();
        assert_eq!((spec.globals, spec.locals), (2, 0));
        let kinds = [&spec.global1, &spec.global2, &spec.local];
        assert_eq!(kinds.map(|kind| kind.size), [224, 224, 96]);
        assert_eq!(kinds.map(|kind| kind.blur), [1.0, 0.1, 0.5]);
        assert_eq!(kinds.map(|kind| kind.solarise), [0.0, 0.2, 0.0]);
        assert_eq!(spec.crop(1), &spec.global2);
        assert_eq!(spec.crop(2), &spec.local);
    }

    #[test]
    fn draws_depend_on_every_key_and_can_be_replayed() {
        let spec = ViewSpec::default();
        let draw = |seed, epoch, image, view| {
            crop_params(
                &spec.global2,
                500,
                375,
                &mut view_rng(seed, epoch, image, view),
            )
        };
        let first = draw(1, 2, 3, 4);
        assert_eq!(first, draw(1, 2, 3, 4));
        for other in [
            draw(0, 2, 3, 4),
            draw(1, 0, 3, 4),
            draw(1, 2, 0, 4),
            draw(1, 2, 3, 0),
        ] {
            assert_ne!(first, other);
        }
        let text = serde_json::to_string(&first).expect("plain data");
        let again: CropParams = serde_json::from_str(&text).expect("plain data");
        assert_eq!(again, first);
    }

    #[test]
    fn regions_stay_inside_even_where_no_try_fits() {
        let spec = ViewSpec::default();
        for (width, height) in [(1, 1), (1, 400), (400, 1), (3, 90), (90, 3), (20, 20)] {
            for image in 0..200 {
                let mut draws = view_rng(0, 0, image, 0);
                let region = crop_params(&spec.global1, width, height, &mut draws).region;
                assert_eq!(region, region.within(width, height));
                assert!(region.width > 0 && region.height > 0);
            }
        }
        // 400×1 is too flat for any try: the centred fallback is as wide as 4/3 allows.
        let region = crop_params(&spec.global1, 400, 1, &mut view_rng(0, 0, 0, 0)).region;
        assert_eq!((region.left, region.width, region.height), (199, 1, 1));
    }

    #[test]
    fn probabilities_and_permutations_are_the_reference() {
        let spec = ViewSpec::default();
        let total = 20_000;
        let mut counts = [0; 5];
        let mut first = [0; 4];
        for image in 0..total {
            let params = crop_params(&spec.global2, 64, 64, &mut view_rng(9, 0, image, 1));
            let seen = [
                params.flip,
                !params.colour.is_empty(),
                params.grayscale,
                params.blur.is_some(),
                params.solarise.is_some(),
            ];
            for (count, seen) in counts.iter_mut().zip(seen) {
                *count += usize::from(seen);
            }
            match params.colour.first() {
                Some(ColourStep::Brightness(f)) => {
                    assert!((0.6..=1.4).contains(f));
                    first[0] += 1;
                }
                Some(ColourStep::Contrast(_)) => first[1] += 1,
                Some(ColourStep::Saturation(_)) => first[2] += 1,
                Some(ColourStep::Hue(_)) => first[3] += 1,
                None => {}
            }
        }
        // Five standard errors of a share of 20,000 are at most 0.018.
        for (count, expected) in counts.into_iter().zip([0.5, 0.8, 0.2, 0.1, 0.2]) {
            assert!((count as f64 / total as f64 - expected).abs() < 0.018);
        }
        for count in first {
            assert!((count as f64 / total as f64 - 0.2).abs() < 0.018);
        }
    }
}
