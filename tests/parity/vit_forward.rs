//! The vision transformer: tokens masked and whole at several sizes, positions, attention,
//! intermediate layers, gradients.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use patchlight::model::{HostTensor, Parameters, Patches, Vit, download, upload};

use super::fixture::{Case, Report, Tensors, key_bias};

/// Runs every case, or only the first `limit`.
pub fn run(root: &Path, device: &Device, limit: Option<usize>) {
    for case in Case::all(root, "vit_forward")
        .iter()
        .take(limit.unwrap_or(usize::MAX))
    {
        one(case, device);
    }
}

fn one(case: &Case, device: &Device) {
    let mut vit = Vit {
        image: case.size("img"),
        patch: case.size("patch"),
        dim: case.size("dim"),
        depth: case.size("depth"),
        heads: case.size("heads"),
        mlp_ratio: case.number("mlp_ratio"),
        qkv_bias: case.flag("qkv_bias"),
        layer_scale: case.number("init_values") as f32,
        mean_pool: case.flag("mean_pool"),
        prefix: String::new(),
        ..Vit::default()
    };
    let stored = case.tensors("weights.safetensors");
    vit.mask_token = stored.0.contains_key("masked_embed");
    let weights = Parameters::load(&vit.specs(), &stored.0, device).expect("weights that fit");
    let io = case.tensors("io.safetensors");
    let absolute = case.meta["suggested_atol"].as_f64().unwrap_or(2e-5);
    let relative = case.meta["suggested_rtol"].as_f64().unwrap_or(1e-4);
    let mut report = Report::new(&case.name);
    let mut compare = |name: &str, found: Vec<f32>| {
        if let Some(want) = io.0.get(name) {
            report.elements(name, &found, &want.data, absolute, relative);
        }
    };

    for (name, image) in &io.0 {
        let Some(kind) = name.strip_prefix("x_") else {
            continue;
        };
        let patches = cut(image, vit.patch, device);
        let tokens = vit.forward(&weights, &patches, None, None);
        let class = tokens
            .clone()
            .reshape([patches.images, patches.count() + 1, vit.dim]);
        let class = class.slice([0..patches.images, 0..1, 0..vit.dim]);
        compare(&format!("cls_{kind}"), download(class));
        compare(&format!("tokens_{kind}"), download(tokens));
        compare(
            &format!("pos_{kind}"),
            download(vit.positions(&weights, &patches)),
        );
        compare(
            &format!("prepared_{kind}"),
            download(vit.prepare(&weights, &patches, None)),
        );
        if io.0.contains_key(&format!("last_attn_{kind}")) {
            let map = vit.attention_map(&weights, &patches, vit.depth - 1);
            compare(&format!("last_attn_{kind}"), download(map));
        }
        // `intermediate_0` belongs to the global crop, `intermediate_local_0` to the local one.
        let stem = match kind {
            "global" => "intermediate_".to_owned(),
            kind => format!("intermediate_{kind}_"),
        };
        let count = (0..)
            .take_while(|i| io.0.contains_key(&format!("{stem}{i}")))
            .count();
        for (i, layer) in vit
            .intermediate(&weights, &patches, count)
            .into_iter()
            .enumerate()
        {
            compare(&format!("{stem}{i}"), download(layer));
        }
        if let Some(mask) = io.0.get(&format!("mask_{kind}")) {
            let mask = upload(mask.data.clone(), [mask.data.len(), 1], device);
            // The global crop's results are called `masked`, another's carry its name.
            let suffix = if kind == "global" {
                String::new()
            } else {
                format!("_{kind}")
            };
            let prepared = vit.prepare(&weights, &patches, Some(mask.clone()));
            compare(&format!("prepared_masked{suffix}"), download(prepared));
            let tokens = vit.forward(&weights, &patches, Some(mask), None);
            compare(&format!("tokens_masked{suffix}"), download(tokens));
        }
    }
    if case.folder.join("grads.safetensors").exists() {
        gradients(case, &vit, &weights, &io, &mut report, device);
    }
    report.finish();
}

/// Gradients of Σ probe · tokens of the masked global crop.
fn gradients(
    case: &Case,
    vit: &Vit,
    weights: &Parameters,
    io: &Tensors,
    report: &mut Report,
    device: &Device,
) {
    let tracked = weights.tracked(|_| true);
    let image = io.get("x_global");
    let mut patches = cut(image, vit.patch, device);
    patches.pixels = Tensor::from_inner(patches.pixels).require_grad();
    let mask = io.get("mask_global");
    let mask = upload(mask.data.clone(), [mask.data.len(), 1], device).autodiff();
    let tokens = vit.forward(&tracked, &patches, Some(mask), None);
    let probe = upload(io.get("grad_probe").data.clone(), tokens.dims(), device).autodiff();
    let loss = (tokens * probe).sum();
    let grads = loss.backward();
    // One number out of many products of both signs: its rounding follows their number.
    let scale = (io.get("grad_probe").data.len() as f64).sqrt() * 1e-6;
    report.elements(
        "probe_loss",
        &download(loss.inner()),
        &io.get("probe_loss").data,
        scale,
        1e-5,
    );

    // 1e-5 of the tensor's largest value: ten times what f32 shows against f64 in the reference.
    let tolerance = (1e-6, 1e-5);
    let pixels = patches
        .pixels
        .grad(&grads)
        .expect("a gradient of the image");
    let found = uncut(&download(pixels), image, vit.patch);
    report.tensor("grad_x", &found, &io.get("grad_x").data, tolerance, 0..0);
    for (name, want) in case.tensors("grads.safetensors").below("grad/") {
        let parameter = tracked
            .find(&name)
            .unwrap_or_else(|| panic!("no parameter {name}"));
        let found = parameter.value.grad(&grads).map(download);
        let found = found.unwrap_or_else(|| vec![0.0; want.data.len()]);
        report.tensor(
            &name,
            &found,
            &want.data,
            tolerance,
            key_bias(&name, vit.dim),
        );
    }
}

fn cut(image: &HostTensor, patch: usize, device: &Device) -> Patches {
    let shape = [image.shape[0], image.shape[2], image.shape[3]];
    Patches::new(&image.data, shape, patch, device)
}

/// Patches back into planar images of the shape of `like`.
fn uncut(rows: &[f32], like: &HostTensor, patch: usize) -> Vec<f32> {
    let (height, width) = (like.shape[2], like.shape[3]);
    let (down, across) = (height / patch, width / patch);
    let mut out = vec![0.0; like.data.len()];
    for (i, &value) in rows.iter().enumerate() {
        let (cell, inside) = (i / (3 * patch * patch), i % (3 * patch * patch));
        let (image, place) = (cell / (down * across), cell % (down * across));
        let (channel, y, x) = (
            inside / (patch * patch),
            inside / patch % patch,
            inside % patch,
        );
        let (y, x) = (place / across * patch + y, place % across * patch + x);
        out[((image * 3 + channel) * height + y) * width + x] = value;
    }
    out
}
