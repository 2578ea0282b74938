//! How many pictures a second one core turns into views, and which stage takes the time.
//!
//! One thread, each stage timed by itself over the same random draws that training would make, so
//! that the figures can be set beside `benches/torchvision_views.py`, which times torchvision and
//! Pillow in the same way on pictures of the same sizes.

use std::io::Cursor;
use std::time::{Duration, Instant};

use image::codecs::jpeg::JpegEncoder;

use super::Picture;
use super::decode::decode;
use super::masks::{self, MaskSpec};
use super::pixels::{self, Filter};
use super::views::{self, ColourStep, CropParams, ViewSpec};

/// Different pictures in a round, so that no stage meets one picture in the cache again and again.
const PICTURES: usize = 16;

/// What is loaded and how it is viewed.
#[derive(Clone, Debug)]
pub struct BenchCase {
    /// What the table calls it.
    pub name: String,
    /// Pixels of a picture.
    pub width: usize,
    pub height: usize,
    /// Whether pictures are decoded from JPEG (quality 90) or lie in memory as bytes, as CIFAR's do.
    pub jpeg: bool,
    pub views: ViewSpec,
    pub masks: MaskSpec,
    /// Side of a patch in pixels.
    pub patch: usize,
}

impl BenchCase {
    /// JPEGs of 500×375 with two global crops of 224 pixels and `locals` local ones of 96; and
    /// 32×32 pictures from memory with two crops of 32.
    pub fn standard(locals: usize) -> Vec<BenchCase> {
        let views = ViewSpec::default();
        let jpeg = BenchCase {
            name: format!("JPEG 500x375, 2 of 224, {locals} of 96"),
            width: 500,
            height: 375,
            jpeg: true,
            views: ViewSpec {
                locals,
                ..views.clone()
            },
            masks: MaskSpec::default(),
            patch: 16,
        };
        let mut views = views;
        (views.global1.size, views.global2.size) = (32, 32);
        let small = BenchCase {
            name: "32x32, 2 of 32".into(),
            width: 32,
            height: 32,
            jpeg: false,
            views,
            masks: MaskSpec::default(),
            patch: 4,
        };
        vec![jpeg, small]
    }
}

/// Microseconds of one core for a picture with all its crops, by stage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoaderBench {
    pub name: String,
    /// Pictures that were timed.
    pub pictures: usize,
    pub decode: f64,
    /// Cropping, resampling and mirroring.
    pub crop: f64,
    /// Brightness, contrast, saturation, hue and grey.
    pub jitter: f64,
    pub blur: f64,
    pub solarise: f64,
    pub normalise: f64,
    pub masks: f64,
}

impl LoaderBench {
    /// Every stage and its microseconds, in the order of the work.
    pub fn stages(&self) -> [(&'static str, f64); 7] {
        [
            ("decode", self.decode),
            ("crop + resize", self.crop),
            ("colour jitter", self.jitter),
            ("blur", self.blur),
            ("solarise", self.solarise),
            ("normalise", self.normalise),
            ("masks", self.masks),
        ]
    }

    /// Pictures a second on one core.
    pub fn images_per_second(&self) -> f64 {
        let total: f64 = self.stages().iter().map(|(_, time)| time).sum();
        1e6 / total.max(1e-9)
    }
}

/// Times `case` on this thread for about `limit`, after one round that warms caches up.
///
/// # Errors
/// In words, where the JPEGs made for the purpose cannot be written or read.
pub fn bench_loader(case: &BenchCase, limit: Duration) -> Result<LoaderBench, String> {
    let pictures: Vec<Vec<u8>> = (0..PICTURES)
        .map(|number| encode(synthetic(case.width, case.height, number), case.jpeg))
        .collect::<Result<_, _>>()?;
    let mut out = Vec::new();
    let mut bench = LoaderBench::default();
    for (index, bytes) in pictures.iter().enumerate() {
        one(case, bytes, index, &mut out, &mut bench)?;
    }
    bench = LoaderBench {
        name: case.name.clone(),
        ..LoaderBench::default()
    };
    let began = Instant::now();
    for (index, bytes) in pictures.iter().cycle().enumerate() {
        one(case, bytes, index, &mut out, &mut bench)?;
        bench.pictures += 1;
        if began.elapsed() >= limit && bench.pictures >= PICTURES {
            break;
        }
    }
    let each = 1e6 / bench.pictures as f64;
    for stage in [
        &mut bench.decode,
        &mut bench.crop,
        &mut bench.jitter,
        &mut bench.blur,
        &mut bench.solarise,
        &mut bench.normalise,
        &mut bench.masks,
    ] {
        *stage *= each;
    }
    Ok(bench)
}

/// Seconds since `since`, which becomes now.
fn lap(since: &mut Instant) -> f64 {
    let now = Instant::now();
    let seconds = (now - *since).as_secs_f64();
    *since = now;
    seconds
}

/// One picture through all stages; seconds are added to `bench`.
fn one(
    case: &BenchCase,
    bytes: &[u8],
    index: usize,
    out: &mut Vec<f32>,
    bench: &mut LoaderBench,
) -> Result<(), String> {
    let mut clock = Instant::now();
    let picture = if case.jpeg {
        decode(bytes)?
    } else {
        Picture {
            width: case.width,
            height: case.height,
            rgb: bytes.to_vec(),
        }
    };
    bench.decode += lap(&mut clock);
    for view in 0..case.views.views() {
        let spec = case.views.crop(view);
        let mut draws = views::view_rng(0, 0, index, view);
        let params = views::crop_params(spec, picture.width, picture.height, &mut draws);
        let size = params.size;
        out.resize(3 * size * size, 0.0);
        let mut crop = pixels::resized_crop(&picture, params.region, size, size, Filter::Bicubic);
        let rest = CropParams {
            colour: Vec::new(),
            grayscale: false,
            blur: None,
            solarise: None,
            ..params.clone()
        };
        crop = views::alter(crop, &rest);
        bench.crop += lap(&mut clock);
        crop = stage(crop, &params.colour, params.grayscale, None, None);
        bench.jitter += lap(&mut clock);
        crop = stage(crop, &[], false, params.blur, None);
        bench.blur += lap(&mut clock);
        crop = stage(crop, &[], false, None, params.solarise);
        bench.solarise += lap(&mut clock);
        views::write_normalised(&crop, case.views.mean, case.views.std, out);
        bench.normalise += lap(&mut clock);
    }
    for view in 0..case.views.globals {
        let side = case.views.global1.size / case.patch.max(1);
        let mut draws = views::mask_rng(0, 0, index, view);
        let mask = masks::sample(&case.masks, (side, side), 0, &mut draws);
        std::hint::black_box(mask);
    }
    bench.masks += lap(&mut clock);
    std::hint::black_box(&out);
    Ok(())
}

/// Some of the steps that follow resampling.
fn stage(
    crop: Picture,
    colour: &[ColourStep],
    grayscale: bool,
    blur: Option<f32>,
    solarise: Option<u16>,
) -> Picture {
    let params = CropParams {
        region: pixels::Rect::whole(&crop),
        size: crop.width,
        flip: false,
        colour: colour.to_vec(),
        grayscale,
        blur,
        solarise,
    };
    views::alter(crop, &params)
}

/// A picture with smooth shading, edges and some noise, so that a JPEG of it is of a photo's size.
fn synthetic(width: usize, height: usize, number: usize) -> Picture {
    let mut state = number as u32 + 1;
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 27) as f32;
            let edge = if (x / 40 + y / 30 + number).is_multiple_of(3) {
                60.0
            } else {
                0.0
            };
            let (u, v) = (x as f32 * 0.02, y as f32 * 0.03 + number as f32);
            for channel in 0..3 {
                let wave = (u + channel as f32).sin() * (v - channel as f32).cos();
                rgb.push((90.0 + 60.0 * wave + edge + noise) as u8);
            }
        }
    }
    Picture { width, height, rgb }
}

/// The picture's bytes, as JPEG or as they are.
fn encode(picture: Picture, jpeg: bool) -> Result<Vec<u8>, String> {
    if !jpeg {
        return Ok(picture.rgb);
    }
    let (width, height) = (picture.width as u32, picture.height as u32);
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, 90)
        .encode(&picture.rgb, width, height, image::ExtendedColorType::Rgb8)
        .map_err(|error| format!("a JPEG of {width}x{height} cannot be written: {error}"))?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_timed() {
        for mut case in BenchCase::standard(1) {
            case.views.global1.solarise = 1.0;
            let bench = bench_loader(&case, Duration::ZERO).expect("a benchmark");
            assert_eq!(bench.pictures, PICTURES);
            assert!(
                bench.stages().iter().all(|(_, time)| *time > 0.0),
                "{bench:?}"
            );
            assert!(bench.images_per_second() > 1.0);
        }
    }
}
