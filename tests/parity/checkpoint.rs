//! PyTorch's files: every tensor and value of the reference's checkpoint, the backbones extracted from it in both
//! formats, and what the networks in them say. (That training goes on from it is tested with `train_steps`.)

use std::path::Path;

use burn::tensor::Device;
use patchlight::model::{Backbone, Head, Parameters, Patches, Spec, Statistics, download};
use patchlight::weights::{self, Found, Weights, torch};

use super::fixture::{Case, Report};

/// Attention heads, which are not in a file.
pub fn heads(case: &Case) -> Option<usize> {
    Some(case.size("net.heads"))
}

/// Runs the case.
pub fn run(root: &Path, device: &Device) {
    for case in Case::all(root, "checkpoint") {
        contents(&case);
        outputs(&case, device);
    }
}

/// Bit for bit.
fn contents(case: &Case) {
    let expected = case.tensors("expected_tensors.safetensors");
    let found = torch::read(&case.folder.join("checkpoint.pth")).expect("a checkpoint");
    for (path, want) in &expected.0 {
        let tensor = found.tensors.get(path);
        let tensor = tensor.unwrap_or_else(|| panic!("no tensor {path}"));
        assert_eq!(tensor, want, "{path}");
    }
    assert_eq!(found.tensors.len(), expected.0.len());
    println!("{}: {} tensors, all the same", case.name, expected.0.len());

    let value = |path: &str| found.values.get(path).map_or("", String::as_str);
    for (name, want) in case.meta["args"].as_object().expect("arguments") {
        let want = match want {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => continue,
            other => other.to_string(),
        };
        let found = value(&format!("args/{name}"));
        assert_eq!(
            numbers(found),
            numbers(&want),
            "{name}: {found} is not {want}"
        );
    }
    assert_eq!(value("epoch"), case.meta["epoch"].to_string());
    for (i, group) in case.meta["optimizer_param_groups"]
        .as_array()
        .expect("groups")
        .iter()
        .enumerate()
    {
        for name in ["lr", "weight_decay", "eps"] {
            let found: f64 = value(&format!("optimizer/param_groups/{i}/{name}"))
                .parse()
                .expect(name);
            let want = group[name].as_f64().expect(name);
            assert!(
                (found - want).abs() <= 1e-15 * want,
                "{name} of group {i}: {found}"
            );
        }
    }

    let read = |name: &str| torch::read(&case.folder.join(name)).expect(name).tensors;
    let (new, legacy) = (
        read("backbone_teacher.pth"),
        read("backbone_teacher_legacy.pth"),
    );
    assert_eq!(new, legacy);
    for (path, tensor) in &new {
        let name = path.trim_start_matches("state_dict/");
        assert_eq!(
            tensor,
            expected.get(&format!("teacher/backbone.{name}")),
            "{name}"
        );
    }
}

/// A value word by word, numbers as numbers.
fn numbers(text: &str) -> Vec<String> {
    let words = text
        .split([' ', ',', '[', ']'])
        .filter(|word| !word.is_empty());
    let plain = |word: &str| match word.parse::<f64>() {
        Ok(number) => number.to_string(),
        Err(_) => word.to_owned(),
    };
    words.map(plain).collect()
}

fn found(case: &Case, name: &str) -> Weights {
    weights::read(&case.folder.join(name), heads(case)).expect(name)
}

/// Tokens and logits of the networks in the files.
fn outputs(case: &Case, device: &Device) {
    let io = case.tensors("io.safetensors");
    let absolute = case.meta["suggested_atol"].as_f64().expect("a tolerance");
    let relative = case.meta["suggested_rtol"].as_f64().expect("a tolerance");
    let mut report = Report::new(&case.name);
    let cut = |name: &str, backbone: &Backbone| {
        let image = io.get(name);
        let shape = [image.shape[0], image.shape[2], image.shape[3]];
        Patches::new(&image.data, shape, backbone.patch(), device)
    };
    let load = |found: &Found, specs: &[Spec]| {
        Parameters::load(specs, &found.tensors, device).expect("weights that fit")
    };
    for (file, which) in [
        ("backbone_teacher.pth", "teacher"),
        ("backbone_teacher_legacy.pth", "teacher"),
        ("backbone_student.pth", "student"),
    ] {
        let Weights::Network { found, place } = found(case, file) else {
            panic!("{file} is one network");
        };
        assert_eq!((place.as_str(), found.head.is_none()), ("state_dict", true));
        let weights = load(&found, &found.backbone.specs());
        for kind in ["", "_local"] {
            let patches = cut(&format!("x{kind}"), &found.backbone);
            let tokens = found.backbone.forward(&weights, &patches, None, None);
            let want = &io.get(&format!("tokens{kind}_{which}")).data;
            let name = format!("{file}: tokens{kind}");
            report.elements(&name, &download(tokens), want, absolute, relative);
        }
    }
    let Weights::Pair { teacher, state, .. } = found(case, "checkpoint.pth") else {
        panic!("checkpoint.pth has student and teacher");
    };
    assert_eq!(state.epoch.map(|e| e as u64), case.meta["epoch"].as_u64());
    let head: Head = teacher.head.clone().expect("a head");
    assert!(head.shared, "the teacher's layers are one");
    let mut specs = teacher.backbone.specs();
    specs.extend(head.specs());
    let weights = load(&teacher, &specs);
    let patches = cut("x", &teacher.backbone);
    let tokens = teacher.backbone.forward(&weights, &patches, None, None);
    let points = head.bottleneck(&weights, tokens, &mut Statistics::Running);
    let logits = Head::logits(points, head.class_prototypes(&weights));
    let (images, width) = (patches.images, logits.dims()[1]);
    let logits = logits.reshape([images, patches.count() + 1, width]);
    let class = logits.clone().slice([0..images, 0..1, 0..width]);
    let patch = logits.slice([0..images, 1..patches.count() + 1, 0..width]);
    for (name, found) in [("teacher_cls", class), ("teacher_patch", patch)] {
        report.elements(
            name,
            &download(found),
            &io.get(name).data,
            absolute,
            relative,
        );
    }
    report.finish();
}
