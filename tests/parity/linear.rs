//! The linear probe against the reference: features, every step's loss, rates, final weights, accuracy.
//!
//! Everything about a case comes from its meta.json and its tensors. Every case is also trained
//! between two other rates, where it must learn the same.

use super::knn::{case_folders, read_meta, read_tensors, whole};
use patchlight::probe::labelled::Labelled;
use patchlight::probe::linear::{
    Head, LinearOptions, LinearResult, Rate, Rule, train_linear, train_together,
};
use patchlight::probe::nearest::Features;
use patchlight::probe::pooled::{BlockTokens, Pooling, probe_features};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::path::Path;

/// Runs every case under `<root>/linear`.
pub fn run(root: &Path) {
    let folders = case_folders(&root.join("linear"));
    assert!(
        !folders.is_empty(),
        "no meta.json in {}",
        root.join("linear").display()
    );
    for folder in folders {
        let meta = read_meta(&folder);
        let bytes = read_tensors(&folder, &meta);
        let tensors = SafeTensors::deserialize(&bytes).expect("fixture tensors");
        let allowed = Allowed {
            absolute: meta["suggested_atol"].as_f64().unwrap_or(2e-5),
            relative: meta["suggested_rtol"].as_f64().unwrap_or(1e-4),
        };
        match meta["cases"].as_object() {
            Some(cases) => {
                for (name, case) in cases {
                    check(&format!("{name}/"), case, &tensors, allowed);
                }
            }
            None => check("", &meta, &tensors, allowed),
        }
    }
}

#[derive(Clone, Copy)]
struct Allowed {
    absolute: f64,
    relative: f64,
}

impl Allowed {
    /// The largest deviation, after a check that none is larger than allowed.
    fn deviation(self, what: &str, found: &[f64], expected: &[f64]) -> f64 {
        assert_eq!(found.len(), expected.len(), "{what}: number of values");
        let mut largest = 0f64;
        for (f, e) in found.iter().zip(expected) {
            let deviation = (f - e).abs();
            let within = deviation <= self.absolute + self.relative * e.abs(); // false for NaN
            assert!(within, "{what}: {f} instead of {e}");
            largest = largest.max(deviation);
        }
        largest
    }
}

fn check(prefix: &str, case: &Value, tensors: &SafeTensors, allowed: Allowed) {
    let config = &case["config"];
    let number = |name: &str| config[name].as_f64().unwrap_or_else(|| panic!("{name}"));
    let name = |name: &str| format!("{prefix}{name}");
    let features = |part: &str| {
        let layers = layers(tensors, &name(&format!("{part}_tokens")));
        let pooling = match number("avgpool_patchtokens") as usize {
            0 => Pooling::Class,
            1 => Pooling::PatchMean,
            _ => Pooling::ClassAndPatchMean,
        };
        probe_features(&layers, number("n_last_blocks") as usize, pooling).expect("features")
    };
    let (train, test) = (features("train"), features("val"));
    let labels = |part: &str| whole(tensors, &name(&format!("{part}_labels")));
    let (train_labels, test_labels) = (labels("train"), labels("val"));
    let options = LinearOptions {
        epochs: number("epochs") as usize,
        batch: number("batch") as usize,
        momentum: number("momentum") as f32,
        shuffle: false,
        start: Some(Head {
            weight: floats(tensors, &name("init_weight")),
            bias: floats(tensors, &name("init_bias")),
        }),
        ..LinearOptions::new(number("num_labels") as usize)
    };
    let labelled = |features, labels| Labelled { features, labels };
    let (train, test_rows) = (
        labelled(&train, &train_labels),
        labelled(&test, &test_labels),
    );
    let rate = |lr| Rate {
        lr,
        weight_decay: 0.0,
        rule: Rule::Sgd,
    };
    let own = rate(number("lr"));
    let found = train_linear(train, test_rows, own, &options).expect("training");
    compare(prefix, &found, &test, case, tensors, allowed);

    let three = [rate(0.01), own, rate(7.0 * own.lr)];
    let together = train_together(train, test_rows, &three, &options).expect("training");
    let beside = allowed.deviation(
        "beside other rates",
        &wide(&together[1].last_head.weight),
        &wide(&found.last_head.weight),
    );
    println!("linear {prefix}: beside other rates, weights {beside:.1e}");
}

fn compare(
    prefix: &str,
    found: &LinearResult,
    test: &Features,
    case: &Value,
    tensors: &SafeTensors,
    allowed: Allowed,
) {
    let against = |what: &str, found: &[f32]| {
        let expected = wide(&floats(tensors, &format!("{prefix}{what}")));
        allowed.deviation(&format!("{prefix}{what}"), &wide(found), &expected)
    };
    let features = against("val_features", &test.data);
    let weight = against("final_weight", &found.last_head.weight);
    let bias = against("final_bias", &found.last_head.bias);
    let logits = found.last_head.logits(test).expect("logits");
    let logits = against("val_logits", &logits);
    let expected = |what: &str| doubles(tensors, &format!("{prefix}{what}"));
    let losses = allowed.deviation("losses", &found.step_losses, &expected("losses"));
    let rates: Vec<f64> = found.epochs.iter().map(|epoch| epoch.lr).collect();
    let rates = allowed.deviation("rates", &rates, &expected("lr_per_epoch"));

    let published = case["val_per_epoch"].as_array().expect("val_per_epoch");
    let of = |name: &str| -> Vec<f64> {
        let values = published.iter().filter_map(|epoch| epoch[name].as_f64());
        values.collect()
    };
    let scores = || found.epochs.iter().map(|epoch| epoch.test);
    let loss: Vec<f64> = scores().map(|score| score.loss).collect();
    let top1: Vec<f64> = scores().map(|score| 100.0 * score.top1).collect();
    let top5: Vec<f64> = scores().filter_map(|s| Some(100.0 * s.top5?)).collect();
    let loss = allowed.deviation("validation loss", &loss, &of("loss"));
    let top1 = allowed.deviation("top-1", &top1, &of("acc1"));
    let top5 = allowed.deviation("top-5", &top5, &of("acc5"));
    println!(
        "linear {prefix}: features {features:.1e}, weight {weight:.1e}, bias {bias:.1e}, logits {logits:.1e}, \
         losses {losses:.1e}, rates {rates:.1e}, validation loss {loss:.1e}, top-1 {top1:.1e}, top-5 \
         {top5:.1e} (allowed {:.0e} + {:.0e} relative)",
        allowed.absolute, allowed.relative,
    );
}

/// `[pictures, layers, tokens, dim]`, a layer at a time.
fn layers(tensors: &SafeTensors, name: &str) -> Vec<BlockTokens> {
    let shape = tensors.tensor(name).expect("tokens").shape().to_vec();
    let data = floats(tensors, name);
    let [_, layers, tokens, dim] = shape[..] else {
        panic!("{name}: shape {shape:?}");
    };
    let layer = |layer| {
        let own = data.chunks(tokens * dim).skip(layer).step_by(layers);
        BlockTokens {
            tokens,
            dim,
            data: own.flatten().copied().collect(),
        }
    };
    (0..layers).map(layer).collect()
}

fn floats(tensors: &SafeTensors, name: &str) -> Vec<f32> {
    values(tensors, name, Dtype::F32, f32::from_le_bytes)
}

/// A float64 tensor.
pub fn doubles(tensors: &SafeTensors, name: &str) -> Vec<f64> {
    values(tensors, name, Dtype::F64, f64::from_le_bytes)
}

fn values<const N: usize, T>(
    tensors: &SafeTensors,
    name: &str,
    dtype: Dtype,
    read: fn([u8; N]) -> T,
) -> Vec<T> {
    let tensor = tensors
        .tensor(name)
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(tensor.dtype(), dtype, "{name}");
    tensor
        .data()
        .as_chunks::<N>()
        .0
        .iter()
        .map(|b| read(*b))
        .collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}
