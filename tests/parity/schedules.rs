//! Schedules against the reference's tables: every run of `schedules/meta.json`, every step and
//! every epoch, in f64.

use std::path::Path;

use patchlight::pretrain::schedules::{Plan, Schedules};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// Largest relative deviation accepted: both sides are f64, only the cosine's last bits may differ.
const TOLERANCE: f64 = 1e-12;
/// Values below this are zeros (the first learning rate), compared absolutely.
const FLOOR: f64 = 1e-15;

/// Checks the case `<root>/schedules`; prints the deviation of every table.
pub fn run(root: &Path) {
    let folder = root.join("schedules");
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let meta: Value = serde_json::from_slice(&read("meta.json")).expect("schedules/meta.json");
    let runs = meta["runs"].as_object().expect("meta.json: runs");
    assert!(!runs.is_empty(), "meta.json lists no run");
    let files = meta["files"].as_object().expect("meta.json: files");
    let mut seen = 0;
    for (file, tables) in files {
        let bytes = read(file);
        let tensors = SafeTensors::deserialize(&bytes).expect(file);
        for (table, _) in tables.as_object().expect("meta.json: tables of a file") {
            let (run, quantity) = table
                .split_once('/')
                .expect("a table is named run/quantity");
            let args = &runs.get(run).expect("a run of this name")["args"];
            compare(table, quantity, args, &values(&tensors, table));
            seen += 1;
        }
    }
    assert!(seen >= runs.len(), "{seen} tables for {} runs", runs.len());
}

fn compare(table: &str, quantity: &str, args: &Value, expected: &[f64]) {
    let schedules = Schedules::new(plan(args));
    let per_epoch = quantity.starts_with("teacher_temp");
    let points = if per_epoch {
        schedules.plan().epochs
    } else {
        schedules.total_steps()
    };
    assert_eq!(expected.len(), points, "{table}: number of points");
    let mut worst = 0.0f64;
    for (index, &expected) in expected.iter().enumerate() {
        let step = if per_epoch {
            index * schedules.plan().steps_per_epoch
        } else {
            index
        };
        let now = schedules.at(step);
        let got = match quantity {
            "lr" => now.lr,
            "wd" => now.weight_decay,
            "momentum" => now.momentum,
            "teacher_temp" => now.teacher_temp,
            "teacher_temp2" => now.teacher_patch_temp,
            other => panic!("{table}: unknown quantity {other}"),
        };
        let difference = (got - expected).abs();
        assert!(
            difference <= TOLERANCE * expected.abs() + FLOOR,
            "{table}[{index}]: {got:e}, the reference has {expected:e}"
        );
        worst = worst.max(difference / expected.abs().max(FLOOR));
    }
    println!(
        "schedules/{table}: {points} points, largest relative deviation {worst:.1e} (allowed {TOLERANCE:.0e})"
    );
}

/// The reference's arguments as a plan. Its teacher momentum always ends at 1.
fn plan(args: &Value) -> Plan {
    let number = |name: &str| {
        args[name]
            .as_f64()
            .unwrap_or_else(|| panic!("args: {name}"))
    };
    let count = |name: &str| {
        let count = args[name]
            .as_u64()
            .unwrap_or_else(|| panic!("args: {name}"));
        usize::try_from(count).expect("a count")
    };
    Plan {
        epochs: count("epochs"),
        steps_per_epoch: count("niter_per_epoch"),
        peak_lr: number("lr") * (number("batch_size_per_gpu") * number("world_size")) / 256.0,
        min_lr: number("min_lr"),
        warmup_epochs: number("warmup_epochs"),
        weight_decay: number("weight_decay"),
        weight_decay_end: number("weight_decay_end"),
        teacher_momentum: number("momentum_teacher"),
        teacher_momentum_end: 1.0,
        warmup_teacher_temp: number("warmup_teacher_temp"),
        teacher_temp: number("teacher_temp"),
        warmup_teacher_patch_temp: number("warmup_teacher_patch_temp"),
        teacher_patch_temp: number("teacher_patch_temp"),
        warmup_teacher_temp_epochs: count("warmup_teacher_temp_epochs"),
        mask_start_epoch: count("pred_start_epoch"),
    }
}

fn values(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let tensor = tensors.tensor(name).expect(name);
    assert_eq!(tensor.dtype(), Dtype::F64, "{name}");
    tensor
        .data()
        .chunks_exact(8)
        .map(|bytes| f64::from_le_bytes(bytes.try_into().expect("8 bytes")))
        .collect()
}
