//! Image operations against Pillow's pictures, and the statistics of random crops: every operation
//! and every set of random parameters of `augment/meta.json`.

use std::path::Path;

use patchlight::data::Picture;
use patchlight::data::decode::decode;
use patchlight::data::pixels::{self, Filter, Rect};
use patchlight::data::views::{self, CropSpec, ViewSpec, view_rng};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Grey levels by which a value may differ (specification §11.1). Measured: 0 everywhere.
const GREY_LEVELS: u8 = 1;
/// Largest deviation of a normalised value. Measured: 0, both sides are f32 in the same order.
const NORMALISED: f32 = 1e-6;
/// Standard errors by which two samples' statistics may differ. Measured: at most 1.9.
const STANDARD_ERRORS: f64 = 5.0;

/// Checks the case `<root>/augment`; prints the deviation of every operation.
pub fn run(root: &Path) {
    let folder = root.join("augment");
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let meta: Value = serde_json::from_slice(&read("meta.json")).expect("augment/meta.json");
    let ops = meta["ops"].as_object().expect("meta.json: ops");
    assert!(!ops.is_empty(), "meta.json lists no operation");
    let files: Vec<Vec<u8>> = meta["files"]
        .as_object()
        .expect("meta.json: files")
        .keys()
        .filter(|file| file.ends_with(".safetensors"))
        .map(|file| read(file))
        .collect();
    let tensors: Vec<SafeTensors> = files
        .iter()
        .map(|bytes| SafeTensors::deserialize(bytes).expect("safetensors"))
        .collect();
    for (name, op) in ops {
        let (image, _) = name
            .split_once('/')
            .expect("an operation is named image/operation");
        let file = meta["images"][image].as_str().expect("meta.json: images");
        let picture = decode(&read(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let expected = tensors
            .iter()
            .find_map(|file| file.tensor(name).ok())
            .unwrap_or_else(|| panic!("no tensor {name}"));
        match expected.dtype() {
            Dtype::U8 => {
                let got = apply(&picture, op);
                let shape = [got.height, got.width, 3];
                assert_eq!(expected.shape(), shape, "{name}: shape");
                let pairs = got.rgb.iter().zip(expected.data());
                let worst = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
                println!("augment/{name}: {worst} grey levels");
                assert!(worst <= GREY_LEVELS, "{name}: {worst} grey levels");
            }
            _ => compare_normalised(name, &picture, op, expected.data()),
        }
    }
    check_random_crops(&meta["random_parameters"]);
    check_ranges(&meta["random_parameters"]);
}

fn number(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("number {key} in {value}"))
}

fn whole(value: &Value, key: &str) -> usize {
    value[key]
        .as_u64()
        .unwrap_or_else(|| panic!("whole number {key} in {value}")) as usize
}

fn array<const N: usize>(value: &Value) -> [f64; N] {
    let numbers = value.as_array().expect("a list of numbers");
    assert_eq!(numbers.len(), N, "{value}");
    std::array::from_fn(|i| numbers[i].as_f64().expect("a number"))
}

/// The filter of an operation; the reference's crops are bicubic where nothing is said.
fn filter(op: &Value) -> Filter {
    match op["interpolation"].as_str() {
        Some("bilinear") => Filter::Bilinear,
        Some("bicubic") | None => Filter::Bicubic,
        Some(other) => panic!("unknown interpolation {other}"),
    }
}

fn apply(picture: &Picture, op: &Value) -> Picture {
    let kind = op["op"].as_str().expect("op");
    match kind {
        "eval" => {
            let resized = pixels::resize_shorter(picture, whole(op, "resize_shorter"), filter(op));
            pixels::centre_crop(&resized, whole(op, "center_crop"))
        }
        "chain" => {
            let steps = op["steps"].as_array().expect("steps");
            let start = picture.clone();
            steps.iter().fold(start, |picture, step| {
                let step = step.as_str().expect("a step's name");
                let factor = op["factors"].get(step).and_then(Value::as_f64);
                apply_step(&picture, step, op, factor)
            })
        }
        step => apply_step(picture, step, op, op["factor"].as_f64()),
    }
}

fn apply_step(picture: &Picture, step: &str, op: &Value, factor: Option<f64>) -> Picture {
    let mut out = picture.clone();
    let factor = || factor.unwrap_or_else(|| panic!("{step} needs a factor: {op}"));
    match step {
        "resized_crop" => {
            let region = Rect {
                left: whole(op, "left"),
                top: whole(op, "top"),
                width: whole(op, "width"),
                height: whole(op, "height"),
            };
            let [height, width] = array(&op["size"]).map(|side| side as usize);
            out = pixels::resized_crop(picture, region, width, height, filter(op));
        }
        "hflip" => pixels::flip_horizontal(&mut out),
        "brightness" => pixels::adjust_brightness(&mut out, factor() as f32),
        "contrast" => pixels::adjust_contrast(&mut out, factor() as f32),
        "saturation" => pixels::adjust_saturation(&mut out, factor() as f32),
        "hue" => pixels::shift_hue(&mut out, factor()),
        "grayscale" => pixels::make_grey(&mut out),
        "gaussian_blur" => pixels::gaussian_blur(&mut out, number(op, "radius") as f32),
        "solarize" => {
            let default = ViewSpec::default().global2.solarise_threshold;
            let threshold = op["threshold"]
                .as_u64()
                .map_or(default, |level| level as u16);
            pixels::solarise(&mut out, threshold);
        }
        other => panic!("unknown operation {other}"),
    }
    out
}

fn compare_normalised(name: &str, picture: &Picture, op: &Value, expected: &[u8]) {
    assert_eq!(
        op["op"], "to_tensor+normalize",
        "{name}: the only operation with f32 results"
    );
    let [mean, std] = ["mean", "std"].map(|key| array::<3>(&op[key]).map(|value| value as f32));
    let mut got = vec![0.0; picture.rgb.len()];
    views::write_normalised(picture, mean, std, &mut got);
    let expected: Vec<f32> = expected
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes")))
        .collect();
    assert_eq!(got.len(), expected.len(), "{name}: size");
    let pairs = got.iter().zip(&expected);
    let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!("augment/{name}: {worst:e}");
    assert!(worst <= NORMALISED, "{name}: {worst:e}");
}

/// Area, shape and place of random crops: means, deviations and percentiles of two samples.
fn check_random_crops(random: &Value) {
    let samples = whole(random, "samples");
    let groups = random.as_object().expect("random_parameters");
    let kinds = groups
        .iter()
        .filter(|(_, value)| value.get("scale").is_some());
    for (kind, (name, stats)) in kinds.enumerate() {
        let [width, height] = array(&stats["image_wh"]).map(|side| side as usize);
        let spec = CropSpec {
            scale: array(&stats["scale"]),
            ..ViewSpec::default().global1
        };
        let seed = whole(random, "seed") as u64;
        let regions: Vec<Rect> = (0..samples)
            .map(|image| {
                let mut draws = view_rng(seed, 0, image, kind);
                views::crop_params(&spec, width, height, &mut draws).region
            })
            .collect();
        let (w, h) = (width as f64, height as f64);
        let check = |key: &str, of: &dyn Fn(&Rect) -> f64| {
            let mut values: Vec<f64> = regions.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            compare_sample(&format!("{name}/{key}"), &values, &stats[key]);
        };
        check("area_fraction", &|r| (r.width * r.height) as f64 / (w * h));
        check("log_aspect_w_over_h", &|r| {
            (r.width as f64 / r.height as f64).ln()
        });
        check("center_y", &|r| (r.top as f64 + r.height as f64 / 2.0) / h);
        check("center_x", &|r| (r.left as f64 + r.width as f64 / 2.0) / w);
    }
}

/// Compares our sorted sample with statistics of another sample of the same size.
fn compare_sample(name: &str, sorted: &[f64], stats: &Value) {
    let count = sorted.len() as f64;
    let (mean, deviation) = (number(stats, "mean"), number(stats, "std"));
    let got = sorted.iter().sum::<f64>() / count;
    let got_deviation = (sorted.iter().map(|v| (v - got).powi(2)).sum::<f64>() / count).sqrt();
    let error = deviation * (2.0 / count).sqrt();
    let mut worst = ((got - mean) / error).abs();
    // A deviation's own standard error is smaller than the mean's for these short-tailed values.
    worst = worst.max(((got_deviation - deviation) / error).abs());
    for (percent, value) in stats["percentiles"].as_object().into_iter().flatten() {
        let share = percent.parse::<f64>().expect("a percentage") / 100.0;
        let value = value.as_f64().expect("a percentile");
        // Values repeat (pixels are whole): the share must lie between "below" and "up to".
        let below = sorted.partition_point(|&v| v < value - 1e-9) as f64 / count;
        let up_to = sorted.partition_point(|&v| v <= value + 1e-9) as f64 / count;
        let error = (2.0 * share * (1.0 - share) / count).sqrt();
        worst = worst.max((below - share).max(share - up_to).max(0.0) / error);
    }
    println!("augment/{name}: {worst:.2} standard errors");
    assert!(
        worst <= STANDARD_ERRORS,
        "{name}: {worst:.2} standard errors"
    );
}

/// The recorded ranges and probabilities are our defaults.
fn check_ranges(random: &Value) {
    let spec = ViewSpec::default();
    let kinds = [&spec.global1, &spec.global2, &spec.local];
    let near = |name: &str, got: f64, expected: f64| {
        assert!(
            (got - expected).abs() < 1e-12,
            "{name}: {got}, reference {expected}"
        );
    };
    let ranges = &random["color_jitter_ranges"];
    let odds = &random["probabilities"];
    for spec in kinds {
        for (name, strength, centre) in [
            ("brightness", spec.brightness, 1.0),
            ("contrast", spec.contrast, 1.0),
            ("saturation", spec.saturation, 1.0),
            ("hue", spec.hue, 0.0),
        ] {
            let [low, high] = array(&ranges[name]);
            near(name, centre - strength, low);
            near(name, centre + strength, high);
        }
        near("hflip", spec.flip, number(odds, "hflip"));
        near("jitter", spec.jitter, number(odds, "jitter"));
        near("grayscale", spec.grayscale, number(odds, "grayscale"));
        let [low, high] = array(&odds["blur_radius"]);
        near("blur radius", spec.blur_sigma[0], low);
        near("blur radius", spec.blur_sigma[1], high);
    }
    for (spec, kind) in kinds
        .into_iter()
        .zip(["global1", "other_globals", "locals"])
    {
        near(kind, spec.blur, number(&odds["blur"], kind));
        near(
            kind,
            spec.solarise,
            odds["solarize"][kind].as_f64().unwrap_or(0.0),
        );
    }
}
