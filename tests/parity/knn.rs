//! Weighted k-NN against the reference: neighbours, similarities, votes, predictions, accuracy.
//!
//! Everything about a case comes from its meta.json. Raw and normalised features are both run, since
//! the function promises the same answer for either.

use patchlight::probe::knn::{Features, knn, nearest, votes};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Runs every case under `<root>/knn`.
pub fn run(root: &Path) {
    let folders = case_folders(&root.join("knn"));
    assert!(
        !folders.is_empty(),
        "no meta.json in {}",
        root.join("knn").display()
    );
    for folder in folders {
        let meta = read_meta(&folder);
        let tolerance = meta["suggested_atol"].as_f64().unwrap_or(1e-5);
        let relative = meta["suggested_rtol"].as_f64().unwrap_or(1e-5);
        let bytes = read_tensors(&folder, &meta);
        let tensors = SafeTensors::deserialize(&bytes).expect("fixture tensors");
        match meta["cases"].as_object() {
            Some(cases) => {
                for (name, case) in cases {
                    check(&format!("{name}/"), case, &tensors, tolerance, relative);
                }
            }
            None => check("", &meta, &tensors, tolerance, relative),
        }
    }
}

fn check(prefix: &str, case: &Value, tensors: &SafeTensors, tolerance: f64, relative: f64) {
    let config = &case["config"];
    let temperature = config["temperature"].as_f64().expect("temperature") as f32;
    let classes = config["classes"].as_u64().expect("classes") as usize;
    let labels = |name: &str| whole(tensors, &format!("{prefix}{name}"));
    let (train_labels, test_labels) = (labels("train_labels"), labels("test_labels"));
    let ks: Vec<usize> = config["k"]
        .as_array()
        .expect("k")
        .iter()
        .map(|k| k.as_u64().expect("k") as usize)
        .collect();
    for kind in ["raw", "features"] {
        let features = |part: &str| {
            let (shape, data) = floats(tensors, &format!("{prefix}{part}_{kind}"));
            Features::new(shape[1], data).expect("feature rows")
        };
        let (train, test) = (features("train"), features("test"));
        let results = knn(
            &train,
            &train_labels,
            &test,
            Some(&test_labels),
            &ks,
            temperature,
        )
        .expect("k-NN");
        for (k, result) in ks.iter().zip(&results) {
            let at = |name: &str| format!("{prefix}k{k}/{name}");
            let title = format!("knn {prefix}{kind} k {k}");
            let neighbours = nearest(&train, &test, *k).expect("neighbours");
            let (shape, similarities) = floats(tensors, &at("similarities"));
            let indices = whole(tensors, &at("neighbors"));
            let (_, expected_votes) = floats(tensors, &at("votes"));
            assert!(
                shape[1] <= *k,
                "{title}: more neighbours stored than asked for"
            );
            let (mut similarity, mut vote, mut moved) = (0f64, 0f64, 0);
            let mut right = Bounds::default();
            for row in 0..test.rows() {
                let expected = row * shape[1]..(row + 1) * shape[1];
                for (i, (index, found)) in expected.zip(neighbours.row(row)) {
                    let deviation = f64::from((found - similarities[i]).abs());
                    similarity = similarity.max(deviation);
                    // Neighbours that are equally near in float32 may stand in either order.
                    moved += usize::from(indices[i] != index && deviation > 1e-6);
                }
                let found = votes(neighbours.row(row), &train_labels, classes, temperature);
                for (found, expected) in found.iter().zip(&expected_votes[row * classes..]) {
                    let expected = f64::from(*expected);
                    vote = vote.max((found - expected).abs() / expected.abs().max(1.0));
                }
                right.add(&found, test_labels[row]);
            }
            // A vote is exp(similarity / T): an error of the similarity grows by 1 / T in it.
            let vote_tolerance = relative + tolerance / f64::from(temperature);
            let predictions = whole(tensors, &at("predictions"));
            assert_eq!(predictions.len(), result.predictions.len(), "{title}");
            let pairs = result.predictions.iter().zip(&predictions);
            let changed = pairs.filter(|(a, b)| a != b).count();
            let published = &case["results"][k.to_string()];
            let number = |name: &str| published[name].as_f64().unwrap_or_else(|| panic!("{name}"));
            let percent = |x: Option<f64>| x.expect("an accuracy") * 100.0;
            let (top1, top5) = (percent(result.top1), percent(result.top5));
            let (low, high) = right.percent(test.rows());
            println!(
                "{title}: similarity {similarity:.1e} (allowed {tolerance:.0e}), votes {vote:.1e} \
                 (allowed {vote_tolerance:.0e}), neighbours moved {moved}, predictions changed \
                 {changed}, top-1 {top1:.2} ({:.2}), top-5 {top5:.2} ({:.2}, ties {low:.2} to {high:.2})",
                number("top1"),
                number("top5"),
            );
            assert!(similarity <= tolerance, "{title}: similarities");
            assert!(vote <= vote_tolerance, "{title}: votes");
            assert_eq!(moved, 0, "{title}: neighbours");
            // Where float64 changes a prediction of the reference, float32 decides it by rounding.
            let free = published["f64_prediction_changes"].as_u64().unwrap_or(0) as usize;
            assert!(changed <= free, "{title}: predictions");
            let slack = 100.0 * changed as f64 / test.rows() as f64 + 1e-3;
            assert!((top1 - number("top1")).abs() <= slack, "{title}: top-1");
            let within = low - slack..=high + slack;
            assert!(
                within.contains(&top5) && within.contains(&number("top5")),
                "{title}: top-5"
            );
            if classes <= STABLE_SORT {
                assert!((top5 - number("top5")).abs() <= slack, "{title}: top-5");
            }
        }
    }
}

/// Classes without a vote are equal, so with fewer than five voted classes the reference's top-5
/// hangs on how PyTorch's sort orders equal values. Up to 16 classes that is by class number and the
/// top-5 is exact; with 25 the stored votes give neither order's number (75 and 76 % against 77 %
/// published, k = 5), so there it must lie between the worst and the best order.
const STABLE_SORT: usize = 16;

/// Test rows whose class is among the best five under the worst and the best order of equal votes.
#[derive(Default)]
struct Bounds {
    worst: usize,
    best: usize,
}

impl Bounds {
    fn add(&mut self, votes: &[f64], label: u32) {
        let own = votes[label as usize];
        let above = votes.iter().filter(|v| **v > own).count();
        let equal = votes.iter().filter(|v| **v == own).count();
        self.worst += usize::from(above + equal <= 5);
        self.best += usize::from(above < 5);
    }

    fn percent(&self, rows: usize) -> (f64, f64) {
        let of = |n: usize| 100.0 * n as f64 / rows as f64;
        (of(self.worst), of(self.best))
    }
}

/// `folder` itself where it holds a meta.json, and every folder in it that does.
pub fn case_folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path());
    let mut found: Vec<PathBuf> = entries
        .chain([folder.to_path_buf()])
        .filter(|p| p.join("meta.json").is_file())
        .collect();
    found.sort();
    found
}

/// The case's meta.json.
pub fn read_meta(folder: &Path) -> Value {
    let path = folder.join("meta.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Bytes of the one tensor file that meta.json names.
pub fn read_tensors(folder: &Path, meta: &Value) -> Vec<u8> {
    let names = meta["files"].as_object().expect("files of the case");
    let name = names
        .keys()
        .find(|n| n.ends_with(".safetensors"))
        .expect("a tensor file");
    let path = folder.join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// An int64 tensor of numbers that are not negative.
pub fn whole(tensors: &SafeTensors, name: &str) -> Vec<u32> {
    let tensor = tensors
        .tensor(name)
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(tensor.dtype(), safetensors::Dtype::I64, "{name}");
    let values = tensor
        .data()
        .as_chunks::<8>()
        .0
        .iter()
        .map(|b| i64::from_le_bytes(*b));
    values
        .map(|v| u32::try_from(v).unwrap_or_else(|_| panic!("{name}: {v}")))
        .collect()
}

fn floats(tensors: &SafeTensors, name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensor = tensors
        .tensor(name)
        .unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(tensor.dtype(), safetensors::Dtype::F32, "{name}");
    let values = tensor
        .data()
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b));
    (tensor.shape().to_vec(), values.collect())
}
