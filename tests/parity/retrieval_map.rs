//! Average precision with junk lists against the reference's `compute_map`.

use super::knn::{case_folders, read_meta, read_tensors, whole};
use super::linear::doubles;
use patchlight::probe::retrieval::{Truth, score_rankings};
use safetensors::SafeTensors;
use serde_json::Value;
use std::path::Path;

/// Runs every case under `<root>/retrieval_map`.
pub fn run(root: &Path) {
    let folders = case_folders(&root.join("retrieval_map"));
    assert!(
        !folders.is_empty(),
        "no meta.json in {}",
        root.join("retrieval_map").display()
    );
    for folder in folders {
        let meta = read_meta(&folder);
        let bytes = read_tensors(&folder, &meta);
        let tensors = SafeTensors::deserialize(&bytes).expect("fixture tensors");
        let tolerance = meta["suggested_atol"].as_f64().unwrap_or(1e-9);
        match meta["cases"].as_object() {
            Some(cases) => {
                for (name, case) in cases {
                    check(&format!("{name}/"), case, &tensors, tolerance);
                }
            }
            None => check("", &meta, &tensors, tolerance),
        }
    }
}

fn check(prefix: &str, case: &Value, tensors: &SafeTensors, tolerance: f64) {
    let numbers = |value: &Value| -> Vec<u32> {
        let list = value.as_array().expect("a list of numbers").iter();
        list.map(|n| n.as_u64().expect("a number") as u32).collect()
    };
    let gnd = case["gnd"].as_array().expect("gnd");
    let truths: Vec<Truth> = gnd
        .iter()
        .map(|query| Truth {
            positives: numbers(&query["ok"]),
            junk: numbers(&query["junk"]),
        })
        .collect();
    let ks: Vec<usize> = numbers(&case["kappas"])
        .iter()
        .map(|k| *k as usize)
        .collect();
    // Stored with a column for each query.
    let ranks = whole(tensors, &format!("{prefix}ranks"));
    let column = |query| {
        ranks
            .iter()
            .skip(query)
            .step_by(truths.len())
            .copied()
            .collect()
    };
    let rankings: Vec<Vec<u32>> = (0..truths.len()).map(column).collect();
    let found = score_rankings(&rankings, &truths, &ks).expect("scores");

    let stored = |name: &str| doubles(tensors, &format!("{prefix}{name}"));
    let published = case["map"].as_f64().expect("map");
    let mut deviations = vec![(found.map - published).abs()];
    let pairs = found.precision.iter().zip(stored("pr"));
    deviations.extend(pairs.map(|(a, b)| (a - b).abs()));
    let (aps, prs) = (stored("aps"), stored("prs"));
    assert_eq!(
        (found.queries.len(), prs.len()),
        (aps.len(), aps.len() * ks.len())
    );
    for ((query, ap), pr) in found.queries.iter().zip(aps).zip(prs.chunks(ks.len())) {
        let Some(query) = query else {
            assert!(ap.is_nan() && pr.iter().all(|p| p.is_nan()));
            continue;
        };
        deviations.push((query.average_precision - ap).abs());
        deviations.extend(query.precision.iter().zip(pr).map(|(a, b)| (a - b).abs()));
    }
    // `f64::max` would pass over NaN.
    let largest = deviations
        .into_iter()
        .fold(0.0, |a, b| if b <= a { a } else { b });
    println!(
        "retrieval_map {prefix}: mAP {:.9}, {} of {} queries, deviation {largest:.1e} (allowed {tolerance:.0e})",
        found.map,
        found.counted,
        truths.len(),
    );
    assert!(largest <= tolerance, "retrieval_map {prefix}");
}
