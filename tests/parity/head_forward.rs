//! The projection head in all its variants: logits, gradients, batch-norm buffers.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use patchlight::model::{Head, HostTensors, Parameters, Statistics, download, upload};
use patchlight::settings::{Activation, HeadNorm};

use super::fixture::{Case, Report};

pub fn run(root: &Path, device: &Device) {
    for case in Case::all(root, "head_forward") {
        one(&case, device);
    }
}

fn one(case: &Case, device: &Device) {
    let norm = match case.config("norm").as_str() {
        None => HeadNorm::None,
        Some("ln") => HeadNorm::Layer,
        Some("bn") => HeadNorm::Batch,
        Some(other) => return println!("SKIPPED {}: norm {other} is for many GPUs", case.name),
    };
    let head = Head {
        dim: case.size("in_dim"),
        hidden: case.size("hidden"),
        bottleneck: case.size("bottleneck"),
        layers: case.size("nlayers"),
        norm,
        activation: match case.config("act").as_str() {
            Some("relu") => Activation::Relu,
            _ => Activation::Gelu,
        },
        out: case.size("out_dim"),
        patch_out: case.size("patch_out_dim"),
        shared: case.flag("shared_head"),
        fixed_gain: case.flag("norm_last_layer"),
        prefix: String::new(),
    };
    let stored: HostTensors = case.tensors("weights.safetensors").0;
    let weights = Parameters::load(&head.specs(), &stored, device).expect("weights that fit");
    let io = case.tensors("io.safetensors");
    let absolute = case.meta["suggested_atol"].as_f64().unwrap_or(1e-5);
    let relative = case.meta["suggested_rtol"].as_f64().unwrap_or(1e-4);
    let mut report = Report::new(&case.name);

    let x = io.get("x");
    let (images, tokens) = (x.shape[0], x.shape[1]);
    let input = upload(x.data.clone(), [images * tokens, head.dim], device);
    let logits = |weights: &Parameters, points: Tensor<2>| {
        let width = points.dims()[1];
        let points: Tensor<3> = points.reshape([images, tokens, width]);
        let class = points
            .clone()
            .slice([0..images, 0..1, 0..width])
            .reshape([images, width]);
        let patches = points.slice([0..images, 1..tokens, 0..width]);
        let patches = patches.reshape([images * (tokens - 1), width]);
        (
            Head::logits(class, head.class_prototypes(weights)),
            Head::logits(patches, head.patch_prototypes(weights)),
        )
    };

    let tracked = weights.tracked(|_| true);
    let leaf = Tensor::from_inner(input.clone()).require_grad();
    let points = head.bottleneck(&tracked, leaf.clone(), &mut Statistics::Running);
    let (class, patch) = logits(&tracked, points);
    let mut compare = |name: &str, found: Vec<f32>| {
        report.elements(name, &found, &io.get(name).data, absolute, relative);
    };
    compare("out_cls", download(class.clone().inner()));
    compare("out_patch", download(patch.clone().inner()));
    let flat = io.get("x2d");
    let flat = upload(flat.data.clone(), [flat.shape[0], head.dim], device);
    let points = head.bottleneck(&weights, flat, &mut Statistics::Running);
    compare(
        "out_2d",
        download(Head::logits(points, head.class_prototypes(&weights))),
    );

    let probe = |name: &str, like: &Tensor<2>| {
        upload(io.get(name).data.clone(), like.dims(), device).autodiff()
    };
    let loss = (class.clone() * probe("R_cls", &class)).sum()
        + (patch.clone() * probe("R_patch", &patch)).sum();
    let grads = loss.backward();
    compare("probe_loss", download(loss.inner()));
    compare(
        "grad_x",
        download(leaf.grad(&grads).expect("a gradient of the input")),
    );
    for (name, want) in io.below("grad/") {
        let parameter = tracked
            .find(&name)
            .unwrap_or_else(|| panic!("no parameter {name}"));
        let found = parameter.value.grad(&grads).map(download);
        let found = found.unwrap_or_else(|| vec![0.0; want.data.len()]);
        report.tensor(&name, &found, &want.data, (absolute, relative), 0..0);
    }

    if io.0.contains_key("train_out_cls") {
        let mut statistics = Statistics::Batch(None);
        let points = head.bottleneck(&weights, input, &mut statistics);
        let (class, patch) = logits(&weights, points);
        let mut compare = |name: &str, found: Vec<f32>| {
            report.elements(name, &found, &io.get(name).data, absolute, relative);
        };
        compare("train_out_cls", download(class));
        compare("train_out_patch", download(patch));
        let Statistics::Batch(Some((mean, variance, updates))) = statistics else {
            panic!("{}: a training pass must move the statistics", case.name);
        };
        let (mean, variance) = (download(mean), download(variance));
        for (name, want) in io.below("after_train/") {
            let before = stored.get(&name).map_or(0.0, |t| t.data[0]);
            let found = match name.rsplit('.').next() {
                Some("running_mean") => mean.clone(),
                Some("running_var") => variance.clone(),
                _ => vec![before + updates as f32],
            };
            report.elements(&name, &found, &want.data, absolute, relative);
        }
    }
    report.finish();
}
