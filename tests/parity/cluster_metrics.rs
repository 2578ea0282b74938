//! NMI, ARI, Fowlkes–Mallows and matched accuracy against scikit-learn and the reference.

use super::knn::{case_folders, read_meta, read_tensors, whole};
use patchlight::probe::clusters::compare;
use safetensors::SafeTensors;
use std::path::Path;

/// Runs every case under `<root>/cluster_metrics`; each result in meta.json is one pair of groupings.
pub fn run(root: &Path) {
    let folders = case_folders(&root.join("cluster_metrics"));
    assert!(
        !folders.is_empty(),
        "no meta.json in {}",
        root.join("cluster_metrics").display()
    );
    for folder in folders {
        let meta = read_meta(&folder);
        let tolerance = meta["suggested_atol"].as_f64().unwrap_or(1e-9);
        let bytes = read_tensors(&folder, &meta);
        let tensors = SafeTensors::deserialize(&bytes).expect("fixture tensors");
        for (name, expected) in meta["results"].as_object().expect("results") {
            let numbers = |kind: &str| whole(&tensors, &format!("{name}/{kind}"));
            let scores = compare(&numbers("labels"), &numbers("predictions")).expect("scores");
            for (key, found) in [
                ("nmi", scores.nmi),
                ("ari", scores.ari),
                ("fscore", scores.fmi),
                ("acc", scores.accuracy),
            ] {
                let expected = expected[key].as_f64().expect("a score");
                let deviation = (found - expected).abs();
                println!(
                    "cluster_metrics {name} {key}: {found:.9}, deviation {deviation:.1e} (allowed {tolerance:.0e})"
                );
                assert!(deviation <= tolerance, "{name} {key}: {found} {expected}");
            }
        }
    }
}
