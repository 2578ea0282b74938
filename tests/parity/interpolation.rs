//! Resampling of small grids against PyTorch's: bicubic by scale and by size, bilinear, nearest.

use std::path::Path;

use patchlight::model::HostTensor;
use patchlight::model::resample::Resample;
use serde_json::Value;

use super::fixture::{Case, Report, Tensors};

/// The reference itself, float32 against float64, is 3.5e-6 off where it enlarges.
const FLOAT32: f64 = 1e-5;

pub fn run(root: &Path) {
    for case in Case::all(root, "interpolation") {
        one(&case);
    }
}

fn one(case: &Case) {
    let suggested = |key: &str| case.meta[key].as_f64().unwrap_or(0.0);
    let absolute = suggested("suggested_atol").max(FLOAT32);
    let relative = suggested("suggested_rtol");
    let mut tensors = Tensors(Default::default());
    for file in case.meta["files"].as_object().expect("files").keys() {
        tensors.0.extend(case.tensors(file).0);
    }
    let mut report = Report::new(&case.name);
    for (name, how_made) in case.meta["cases"].as_object().expect("cases") {
        let how = match name {
            _ if name.starts_with("bicubic") => Resample::Bicubic,
            _ if name.starts_with("bilinear") => Resample::Bilinear,
            _ if name.starts_with("nearest") => Resample::Nearest,
            _ => panic!("{name}: the engine has no such resampling"),
        };
        let own = format!("{name}/in");
        let input = tensors.get(how_made["input"].as_str().unwrap_or(&own));
        // One output by one scale or size, or several numbered ones by as many scales.
        let outputs = match how_made["scale_factors"].as_array() {
            Some(scales) => (scales.iter().enumerate())
                .map(|(i, scale)| (format!("{name}/out{i}"), pair(scale)))
                .collect(),
            None => vec![(format!("{name}/out"), pair(&how_made["scale_factor"]))],
        };
        for (name, scale) in outputs {
            let want = tensors.get(&name);
            let found = resampled(how, input, &want.shape, scale);
            report.elements(&name, &found, &want.data, absolute, relative);
        }
    }
    report.finish();
}

/// The scale of both axes, from one number or two; `None` where only a size is given.
fn pair(scale: &Value) -> Option<(f64, f64)> {
    match scale {
        Value::Null => None,
        Value::Array(both) => both[0].as_f64().zip(both[1].as_f64()),
        one => one.as_f64().map(|scale| (scale, scale)),
    }
}

/// Every map of `input [images, channels, rows, columns]` as one of the last two sizes of `shape`.
fn resampled(
    how: Resample,
    input: &HostTensor,
    shape: &[usize],
    scale: Option<(f64, f64)>,
) -> Vec<f32> {
    let (rows, columns) = (input.shape[2], input.shape[3]);
    let (height, width) = (shape[2], shape[3]);
    let ratio = (height as f64 / rows as f64, width as f64 / columns as f64);
    let matrix = how.matrix((rows, columns), (height, width), scale.unwrap_or(ratio));
    let mut out = Vec::new();
    for map in input.data.chunks_exact(rows * columns) {
        out.extend(matrix.chunks_exact(rows * columns).map(|weights| {
            let terms = weights.iter().zip(map);
            terms
                .map(|(&w, &x)| f64::from(w) * f64::from(x))
                .sum::<f64>() as f32
        }));
    }
    out
}
