//! Masks against the reference: every recorded trace of draws rebuilds its mask cell by cell, and
//! our own draws give the recorded statistics, for every generator of `masks/meta.json`.

use std::path::Path;

use patchlight::data::draws::Draws;
use patchlight::data::masks::{Mask, MaskSpec, max_masked, sample};
use patchlight::data::views::view_rng;
use patchlight::settings::MaskShape;
use safetensors::SafeTensors;
use serde_json::Value;

/// Largest deviation of a recorded range's ends. Measured: 0.
const RANGE: f64 = 1e-12;
/// Standard errors by which two samples' statistics may differ. Measured: at most 1.3.
const STANDARD_ERRORS: f64 = 5.0;

/// Checks the case `<root>/masks`; prints what was compared.
pub fn run(root: &Path) {
    let folder = root.join("masks");
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let meta: Value = serde_json::from_slice(&read("meta.json")).expect("masks/meta.json");
    let traces: Value = serde_json::from_slice(&read("traces.json")).expect("masks/traces.json");
    let bytes = read("masks.safetensors");
    let tensors = SafeTensors::deserialize(&bytes).expect("masks.safetensors");
    let generators = meta["generators"]
        .as_object()
        .expect("meta.json: generators");
    assert!(!generators.is_empty(), "meta.json lists no generator");
    let mut replayed = 0;
    for (name, generator) in generators {
        let (spec, grid) = spec(&generator["config"]);
        let stored = tensors.tensor(&format!("{name}/samples")).expect(name);
        let bound = max_masked(&spec, grid);
        let cells = grid.0 * grid.1;
        for mask in stored.data().chunks_exact(cells) {
            let count = mask.iter().filter(|&&cell| cell != 0).count();
            assert!(count <= bound, "{name}: {count} masked, bound {bound}");
        }
        let recorded = traces["traces"][name].as_array();
        for (index, trace) in recorded.into_iter().flatten().enumerate() {
            let expected = &stored.data()[index * cells..][..cells];
            replay(&format!("{name} {index}"), &spec, grid, trace, expected);
            replayed += 1;
        }
        let count = stored.data().len() / cells;
        check_statistics(name, &spec, grid, generator, count);
    }
    assert!(replayed > 0, "traces.json holds no trace");
    println!("masks: {replayed} traces rebuilt cell by cell");
    let early = meta.as_object().expect("meta.json").iter();
    for (key, epochs) in early.filter(|(key, _)| key.starts_with("pred_start_epoch_")) {
        let start_epoch = key["pred_start_epoch_".len()..].parse().expect("an epoch");
        check_start(start_epoch, epochs.as_array().expect("epochs"));
    }
}

/// A setting that is a number or a list of numbers.
fn numbers(value: &Value) -> Vec<f64> {
    let number = |value: &Value| value.as_f64().expect("a number");
    match value.as_array() {
        Some(list) => list.iter().map(number).collect(),
        None => vec![number(value)],
    }
}

fn spec(config: &Value) -> (MaskSpec, (usize, usize)) {
    let grid: Vec<usize> = numbers(&config["grid"])
        .iter()
        .map(|&side| side as usize)
        .collect();
    let aspect = numbers(&config["pred_aspect_ratio"]);
    let spec = MaskSpec {
        shape: match config["pred_shape"].as_str() {
            Some("block") => MaskShape::Block,
            Some("rand") => MaskShape::Rand,
            other => panic!("unknown mask shape {other:?}"),
        },
        ratio: numbers(&config["pred_ratio"]),
        variance: numbers(&config["pred_ratio_var"]),
        start_epoch: 0,
        aspect: [aspect[0], aspect[1]],
    };
    (spec, (grid[0], grid[1]))
}

/// Answers with the recorded draws, and insists that the questions are the recorded ones.
struct Replay<'a> {
    name: &'a str,
    draws: std::slice::Iter<'a, Value>,
}

impl Replay<'_> {
    fn next(&mut self, kinds: &[&str], low: f64, high: f64) -> f64 {
        let name = self.name;
        let (kind, recorded) = loop {
            let draw = self
                .draws
                .next()
                .unwrap_or_else(|| panic!("{name}: the trace is over"));
            let kind = draw[0].as_str().expect("a kind");
            let recorded: [f64; 3] = [1, 2, 3].map(|i| draw[i].as_f64().expect("a number"));
            // A choice among one is recorded by the reference, but is no draw.
            if kind != "choice" || recorded[0] != recorded[1] {
                break (kind, recorded);
            }
        };
        assert!(
            kinds.contains(&kind),
            "{name}: asked for {kinds:?}, recorded {kind}"
        );
        for (asked, recorded) in [low, high].into_iter().zip(recorded) {
            assert!(
                (asked - recorded).abs() <= RANGE,
                "{name}: {asked}, recorded {recorded}"
            );
        }
        recorded[2]
    }
}

impl Draws for Replay<'_> {
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        self.next(&["uniform"], low, high)
    }

    fn below(&mut self, count: usize) -> usize {
        self.next(&["randint", "choice"], 0.0, count as f64 - 1.0) as usize
    }
}

fn replay(name: &str, spec: &MaskSpec, grid: (usize, usize), trace: &Value, expected: &[u8]) {
    let draws = trace["draws"].as_array().expect("draws");
    let mut replay = Replay {
        name,
        draws: draws.iter(),
    };
    let mask = sample(spec, grid, 0, &mut replay);
    assert_eq!(replay.draws.len(), 0, "{name}: draws left over");
    let got: Vec<u8> = mask.cells.iter().map(|&cell| u8::from(cell)).collect();
    assert_eq!(got, expected, "{name}: cells");
    assert_eq!(
        Some(mask.count() as u64),
        trace["count"].as_u64(),
        "{name}: count"
    );
}

/// Neighbouring cells of which one is masked.
fn inner_perimeter(mask: &Mask) -> usize {
    let at = |y: usize, x: usize| mask.cells[y * mask.width + x];
    let places = (0..mask.height).flat_map(|y| (0..mask.width).map(move |x| (y, x)));
    places
        .map(|(y, x)| {
            let right = x + 1 < mask.width && at(y, x) != at(y, x + 1);
            let below = y + 1 < mask.height && at(y, x) != at(y + 1, x);
            usize::from(right) + usize::from(below)
        })
        .sum()
}

/// Mean and deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt())
}

/// Count, empty masks and perimeter of our own masks against those of the reference.
fn check_statistics(
    name: &str,
    spec: &MaskSpec,
    grid: (usize, usize),
    generator: &Value,
    stored: usize,
) {
    let stats = &generator["stats"];
    let samples = stats["samples"].as_u64().expect("samples") as usize;
    assert!(samples > 0 && stored > 0, "{name}: nothing to compare with");
    let seed = generator["seed"].as_u64().expect("seed");
    let masks: Vec<Mask> = (0..samples)
        .map(|image| sample(spec, grid, 0, &mut view_rng(seed, 0, image, 0)))
        .collect();
    let counts: Vec<f64> = masks.iter().map(|mask| mask.count() as f64).collect();
    let perimeters: Vec<f64> = masks
        .iter()
        .map(|mask| inner_perimeter(mask) as f64)
        .collect();
    let empty: Vec<f64> = counts
        .iter()
        .map(|&c| f64::from(u8::from(c == 0.0)))
        .collect();
    let mut worst = 0.0f64;
    let mut compare = |what: &str, values: &[f64], mean: f64, std: Option<f64>| {
        let (got, deviation) = moments(values);
        let error = std.unwrap_or(deviation).max(deviation) * (2.0 / samples as f64).sqrt();
        let mut off = (got - mean).abs();
        if let Some(std) = std {
            off = off.max((deviation - std).abs());
        }
        let errors = if off < 1e-9 { 0.0 } else { off / error };
        assert!(
            errors <= STANDARD_ERRORS,
            "{name}: {what} {got}, reference {mean}"
        );
        worst = worst.max(errors);
    };
    let number = |path: &str| stats.pointer(path).and_then(Value::as_f64).expect(path);
    compare(
        "count",
        &counts,
        number("/count/mean"),
        Some(number("/count/std")),
    );
    compare("empty", &empty, number("/fraction_zero_mask"), None);
    let perimeter = number("/perimeter_inner/mean");
    compare(
        "perimeter",
        &perimeters,
        perimeter,
        Some(number("/perimeter_inner/std")),
    );
    println!("masks/{name}: statistics within {worst:.2} standard errors");
}

fn check_start(start_epoch: usize, epochs: &[Value]) {
    let spec = MaskSpec {
        start_epoch,
        ..MaskSpec::default()
    };
    for recorded in epochs {
        let epoch = recorded["epoch"].as_u64().expect("epoch") as usize;
        let any = (0..50).any(|image| {
            sample(&spec, (14, 14), epoch, &mut view_rng(1, epoch, image, 0)).count() > 0
        });
        assert_eq!(
            Some(any),
            recorded["any_masked_in_50"].as_bool(),
            "epoch {epoch}"
        );
    }
}
