//! Parity with the reference implementation, number by number.
//!
//! The cases are the folders of `tests/fixtures/ibot`, or of the folder that `PATCHLIGHT_FIXTURES`
//! names; sizes, settings and tolerances come from their meta.json. Each kind of case is one test,
//! on the CPU; three also run on Vulkan. Run with `-- --nocapture` to see how near each case is.

#![allow(
    clippy::print_stdout,
    reason = "shown with --nocapture: what was measured or skipped"
)]

use std::path::Path;

#[path = "parity/augment.rs"]
mod augment;
#[path = "parity/checkpoint.rs"]
mod checkpoint;
#[path = "parity/cluster_metrics.rs"]
mod cluster_metrics;
#[path = "parity/fixture.rs"]
mod fixture;
#[path = "parity/head_forward.rs"]
mod head_forward;
#[path = "parity/interpolation.rs"]
mod interpolation;
#[path = "parity/knn.rs"]
mod knn;
#[path = "parity/linear.rs"]
mod linear;
#[path = "parity/loss.rs"]
mod loss;
#[path = "parity/masks.rs"]
mod masks;
#[path = "parity/retrieval_map.rs"]
mod retrieval_map;
#[path = "parity/schedules.rs"]
mod schedules;
#[path = "parity/swin_forward.rs"]
mod swin_forward;
#[path = "parity/topk_cluster.rs"]
mod topk_cluster;
#[path = "parity/train_steps.rs"]
mod train_steps;
#[path = "parity/vit_forward.rs"]
mod vit_forward;

/// Every kind of case that a test here reads.
const TESTED: [&str; 15] = [
    "augment",
    "checkpoint",
    "cluster_metrics",
    "head_forward",
    "interpolation",
    "knn",
    "linear",
    "loss",
    "masks",
    "retrieval_map",
    "schedules",
    "swin_forward",
    "topk_cluster",
    "train_steps",
    "vit_forward",
];

fn cpu() -> burn::tensor::Device {
    patchlight::device::choose("cpu").expect("the CPU").device
}

/// Runs a kind of case; a folder of other cases need not hold all kinds.
fn on(kind: &str, run: impl Fn(&Path)) {
    let root = fixture::root();
    let others = std::env::var_os("PATCHLIGHT_FIXTURES").is_some();
    if others && root.is_dir() && !root.join(kind).is_dir() {
        println!("{kind}: SKIPPED, {} holds no such case", root.display());
        return;
    }
    run(&root);
}

#[test]
fn every_folder_is_known() {
    let root = fixture::root();
    let inside = std::fs::read_dir(&root).unwrap_or_else(|e| panic!("{}: {e}", root.display()));
    let mut tested = 0;
    for entry in inside.flatten().filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        match TESTED.contains(&name.as_str()) {
            true => tested += 1,
            false => println!("{name}: SKIPPED, a kind of case that these tests do not know"),
        }
    }
    assert!(tested > 0, "{} holds no case", root.display());
}

#[test]
fn vit_forward() {
    on("vit_forward", |root| vit_forward::run(root, &cpu(), None));
}

#[test]
fn checkpoint() {
    on("checkpoint", |root| checkpoint::run(root, &cpu()));
}

#[test]
fn a_checkpoint_goes_on() {
    on("checkpoint", |root| train_steps::resumed(root, &cpu()));
}

#[test]
fn swin_forward() {
    on("swin_forward", |root| {
        swin_forward::run(root, &cpu(), false)
    });
}

#[test]
fn head_forward() {
    on("head_forward", |root| head_forward::run(root, &cpu()));
}

#[test]
fn loss() {
    on("loss", |root| loss::run(root, &cpu(), 1.0));
}

#[test]
fn interpolation() {
    on("interpolation", interpolation::run);
}

#[test]
fn train_steps() {
    on("train_steps", |root| train_steps::run(root, &cpu(), false));
}

#[test]
fn augment() {
    on("augment", augment::run);
}

#[test]
fn masks() {
    on("masks", masks::run);
}

#[test]
fn schedules() {
    on("schedules", schedules::run);
}

#[test]
fn knn() {
    on("knn", knn::run);
}

#[test]
fn linear() {
    on("linear", linear::run);
}

#[test]
fn retrieval_map() {
    on("retrieval_map", retrieval_map::run);
}

#[test]
fn cluster_metrics() {
    on("cluster_metrics", cluster_metrics::run);
}

#[test]
fn topk_cluster() {
    on("topk_cluster", topk_cluster::run);
}

/// On a software Vulkan, which stands for every GPU. Exponentials and divisions are the driver's
/// there, good to a few units in the last place, so the objective may deviate ten times more.
#[test]
fn lavapipe() {
    if let Some(device) = fixture::software_vulkan("lavapipe") {
        on("vit_forward", |root| {
            vit_forward::run(root, &device, Some(1))
        });
        on("swin_forward", |root| {
            swin_forward::run(root, &device, true)
        });
        on("loss", |root| loss::run(root, &device, 10.0));
        on("train_steps", |root| train_steps::run(root, &device, true));
    }
}
