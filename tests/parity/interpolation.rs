//! Resampling of small grids against PyTorch's: bicubic by scale and by size, bilinear, nearest.

use std::path::Path;

use patchlight::model::resample::Resample;
use serde_json::Value;

use super::fixture::{Fixture, Place, Stored, Tensors, Tolerance, Verdict, cases, finish};

/// The reference itself, float32 against float64, is 3.5e-6 off where it enlarges; a case that
/// suggests less than this gets this.
const FLOAT32: f64 = 1e-5;

/// Checks every case under `<root>/interpolation`.
pub fn run(root: &Path, place: &Place) {
    let cases = cases(root, "interpolation");
    finish(cases.iter().map(|case| check(case, place)).collect());
}

fn check(fixture: &Fixture, place: &Place) -> Verdict {
    let mut verdict = Verdict::new(fixture, place);
    let own = fixture.tolerance();
    let tolerance = Tolerance {
        absolute: own.absolute.max(FLOAT32),
        ..own
    };
    let mut tensors = Tensors::new();
    for file in fixture.meta["files"].as_object().expect("files").keys() {
        tensors.extend(fixture.tensors(file));
    }
    for (name, case) in fixture.meta["cases"].as_object().expect("cases") {
        let how = match name {
            _ if name.starts_with("bicubic") => Resample::Bicubic,
            _ if name.starts_with("bilinear") => Resample::Bilinear,
            _ if name.starts_with("nearest") => Resample::Nearest,
            _ => {
                verdict.fail(format!("{name}: the engine has no such resampling"));
                continue;
            }
        };
        let input = match case["input"].as_str() {
            Some(input) => &tensors[input],
            None => &tensors[&format!("{name}/in")],
        };
        // One output by one scale or size, or several numbered ones by as many scales.
        let outputs = match case["scale_factors"].as_array() {
            Some(scales) => (scales.iter().enumerate())
                .map(|(i, scale)| (format!("{name}/out{i}"), pair(scale)))
                .collect(),
            None => vec![(format!("{name}/out"), pair(&case["scale_factor"]))],
        };
        for (name, scale) in outputs {
            let expected = &tensors[&name];
            let got = resampled(how, input, expected.dims(), scale);
            verdict.compare("resamplings", &name, &got, &expected.data, tolerance);
        }
    }
    verdict
}

/// The scale of both axes, from one number or two; `None` where only a size is given.
fn pair(scale: &Value) -> Option<(f64, f64)> {
    match scale {
        Value::Null => None,
        Value::Array(both) => both[0].as_f64().zip(both[1].as_f64()),
        one => one.as_f64().map(|scale| (scale, scale)),
    }
}

/// Every map of `input [images, channels, rows, columns]` as one of `height × width`.
fn resampled(
    how: Resample,
    input: &Stored,
    [_, _, height, width]: [usize; 4],
    scale: Option<(f64, f64)>,
) -> Vec<f64> {
    let [_, _, rows, columns] = input.dims();
    let ratio = (height as f64 / rows as f64, width as f64 / columns as f64);
    let scale = scale.unwrap_or(ratio);
    let matrix = how.matrix((rows, columns), (height, width), scale);
    let mut out = Vec::new();
    for map in input.data.chunks_exact(rows * columns) {
        out.extend(matrix.chunks_exact(rows * columns).map(|weights| {
            let terms = weights.iter().zip(map);
            terms.map(|(&w, &x)| w as f64 * x).sum::<f64>()
        }));
    }
    out
}
