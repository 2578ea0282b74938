//! The Swin transformer: tokens masked and whole, of crops whose maps are padded, every stage, intermediate
//! layers, attention, gradients.

use std::path::Path;

use burn::tensor::Device;
use patchlight::model::{HostTensor, Parameters, Patches, Swin, download, upload};
use serde_json::Value;

use super::fixture::{Case, Report, Tensors, key_bias};

/// Runs every case, or only those with gradients.
pub fn run(root: &Path, device: &Device, gradients_only: bool) {
    for case in Case::all(root, "swin_forward") {
        if case.flag("grads") || !gradients_only {
            one(&case, device);
        }
    }
}

/// The list of sizes at `path` of a case.
pub fn sizes(case: &Case, path: &str) -> Vec<usize> {
    let list = case.config(path).as_array().expect("a list of sizes");
    list.iter()
        .filter_map(Value::as_u64)
        .map(|x| x as usize)
        .collect()
}

fn one(case: &Case, device: &Device) {
    let swin = Swin {
        image: case.size("img"),
        patch: case.size("patch"),
        dim: case.size("dim"),
        depths: sizes(case, "depths"),
        heads: sizes(case, "heads"),
        window: case.size("window"),
        mlp_ratio: case.number("mlp_ratio"),
        mask_token: true,
        prefix: String::new(),
    };
    let stored = case.tensors("weights.safetensors");
    let weights = Parameters::load(&swin.specs(), &stored.0, device).expect("weights that fit");
    let io = case.tensors("io.safetensors");
    let absolute = case.meta["suggested_atol"].as_f64().unwrap_or(2e-5);
    let relative = case.meta["suggested_rtol"].as_f64().unwrap_or(1e-4);
    let mut report = Report::new(&case.name);
    let mut compare = |name: &str, found: Vec<f32>| {
        if let Some(want) = io.0.get(name) {
            report.elements(name, &found, &want.data, absolute, relative);
        }
    };
    for (kind, stages) in [("global", "stage_"), ("local", "stage_local_")] {
        let patches = cut(io.get(&format!("x_{kind}")), swin.patch, device);
        let tokens = swin.forward(&weights, &patches, None, None);
        let (images, width) = (patches.images, tokens.dims()[1]);
        let class = tokens
            .clone()
            .reshape([images as i32, -1, width as i32])
            .slice([0..images, 0..1, 0..width]);
        compare(&format!("cls_{kind}"), download(class));
        compare(&format!("tokens_{kind}"), download(tokens));
        // The last stage has no merging after it.
        let last = swin.depths.len() - 1;
        let after = swin.tokens_after(&weights, &patches, swin.depth() - 1);
        compare(
            &format!("{stages}{last}"),
            without_class(&download(after), images, width),
        );
    }
    let patches = cut(io.get("x_global"), swin.patch, device);
    for (i, layer) in swin
        .intermediate(&weights, &patches, 4)
        .into_iter()
        .enumerate()
    {
        compare(&format!("intermediate_{i}"), download(layer));
    }
    let mask = io.get("mask_global");
    let mask = upload(mask.data.clone(), [mask.data.len(), 1], device);
    let tokens = swin.forward(&weights, &patches, Some(mask), None);
    compare("tokens_masked", download(tokens));
    // Where the last block sees the whole map at once, a token's share is the mean of a column.
    if let Some(want) = io.0.get("last_attn_global") {
        let [images, heads, each] = [want.shape[0], want.shape[1], want.shape[2]];
        let found = swin.average_attention(&weights, &patches, swin.depth() - 1);
        if found.dims() == [images, heads, each] {
            let maps = want.data.chunks_exact(each * each);
            let columns = maps.flat_map(|map| {
                let mean =
                    move |k: usize| map.iter().skip(k).step_by(each).sum::<f32>() / each as f32;
                (0..each).map(mean)
            });
            let columns: Vec<f32> = columns.collect();
            let name = "mean over queries of last_attn_global";
            report.elements(name, &download(found), &columns, absolute, relative);
        }
    }
    if case.flag("grads") {
        gradients(case, &swin, &weights, &io, &mut report, device);
    }
    report.finish();
}

/// Gradients of Σ probe · tokens of the masked global crop.
fn gradients(
    case: &Case,
    swin: &Swin,
    weights: &Parameters,
    io: &Tensors,
    report: &mut Report,
    device: &Device,
) {
    let tracked = weights.tracked(|_| true);
    let patches = cut(io.get("x_global"), swin.patch, device);
    let mask = io.get("mask_global");
    let mask = upload(mask.data.clone(), [mask.data.len(), 1], device).autodiff();
    let mut patches = patches;
    patches.pixels = patches.pixels.autodiff();
    let tokens = swin.forward(&tracked, &patches, Some(mask), None);
    let probe = upload(io.get("grad_probe").data.clone(), tokens.dims(), device).autodiff();
    let grads = (tokens * probe).sum().backward();
    // 1e-5 of the tensor's largest value: ten times what f32 shows against f64 in the reference.
    let tolerance = (1e-6, 1e-5);
    for (name, want) in case.tensors("grads.safetensors").below("grad/") {
        let parameter = tracked
            .find(&name)
            .unwrap_or_else(|| panic!("no parameter {name}"));
        let found = parameter.value.grad(&grads).map(download);
        let found = found.unwrap_or_else(|| vec![0.0; want.data.len()]);
        let skip = key_bias(&name, want.data.len() / 3);
        report.tensor(&name, &found, &want.data, tolerance, skip);
    }
}

fn cut(image: &HostTensor, patch: usize, device: &Device) -> Patches {
    let shape = [image.shape[0], image.shape[2], image.shape[3]];
    Patches::new(&image.data, shape, patch, device)
}

fn without_class(tokens: &[f32], images: usize, width: usize) -> Vec<f32> {
    let each = tokens.len() / images;
    let images = tokens.chunks_exact(each);
    images.flat_map(|image| image[width..].to_vec()).collect()
}
