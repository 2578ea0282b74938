//! Names of parameters: prefixes that training programs put before them, and what others call them.
//!
//! Inside this program every parameter has the reference's name with `backbone.` or `head.` before it. Files say
//! `module.backbone.…` (several GPUs), nothing at all (an extracted backbone), or use the names of DINOv2 and
//! timm for a few parameters.

use crate::model::{HostTensor, HostTensors};

/// Wrappers that are stripped wherever a name starts with them.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "encoder."];

/// One network, under the names of this program.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Named {
    /// `backbone.…` and, where there is a projection head, `head.…`.
    pub tensors: HostTensors,
    /// Names in the file that belong to neither, such as a classifier's.
    pub unused: Vec<String>,
}

/// Brings the names of one network of a file to those of this program.
pub fn normalise(tensors: HostTensors) -> Named {
    let stripped: Vec<(String, String, HostTensor)> = tensors
        .into_iter()
        .map(|(name, tensor)| {
            let mut rest = name.as_str();
            while let Some(inner) = WRAPPERS.iter().find_map(|w| rest.strip_prefix(w)) {
                rest = inner;
            }
            (rest.to_owned(), name, tensor)
        })
        .collect();
    let prefixed = stripped
        .iter()
        .any(|(name, ..)| name.starts_with("backbone."));
    let mut named = Named::default();
    for (name, original, tensor) in stripped {
        let backbone = match prefixed {
            true => name.strip_prefix("backbone."),
            false => Some(name.as_str()),
        };
        let is_head = |name: &str| {
            let parts = ["mlp.", "mlp_", "last_layer"];
            let rest = name.strip_prefix("head.");
            rest.is_some_and(|rest| parts.iter().any(|p| rest.starts_with(p)))
        };
        if is_head(&name) {
            named.tensors.insert(head_name(&name), tensor);
        } else if let Some(inner) = backbone.filter(|inner| is_backbone(inner)) {
            let (inner, tensor) = backbone_name(inner, tensor);
            named.tensors.insert(format!("backbone.{inner}"), tensor);
        } else {
            named.unused.push(original);
        }
    }
    shift_merging(&mut named.tensors);
    place_class(&mut named.tensors);
    named
}

/// With register tokens timm's table of positions has no row for the class token, which brings its own: here it
/// gets a row of zeros.
fn place_class(tensors: &mut HostTensors) {
    if !tensors.contains_key("backbone.register_tokens") {
        return;
    }
    if let Some(table) = tensors.get_mut("backbone.pos_embed")
        && let [1, rows, dim] = *table.shape
        && rows.isqrt().pow(2) == rows
        && table.data.len() == rows * dim
    {
        table.data.splice(0..0, std::iter::repeat_n(0.0, dim));
        table.shape = vec![1, rows + 1, dim];
    }
}

/// Whether a name without prefix is that of a parameter of a backbone.
fn is_backbone(name: &str) -> bool {
    const STARTS: [&str; 13] = [
        "cls_token",
        "pos_embed",
        "dist_token",
        "masked_embed",
        "mask_token",
        "reg_token",
        "register_tokens",
        "patch_embed.",
        "blocks.",
        "layers.",
        "norm.",
        "norm_pre.",
        "fc_norm.",
    ];
    // Indices and masks of windows are no parameters; they follow from the shape.
    let buffer = ["relative_position_index", "attn_mask"];
    STARTS.iter().any(|start| name.starts_with(start))
        && !buffer.iter().any(|end| name.ends_with(end))
}

/// The reference's name of a parameter of a backbone, and its shape there.
fn backbone_name(name: &str, mut tensor: HostTensor) -> (String, HostTensor) {
    let name = match name {
        "mask_token" => "masked_embed".to_owned(),
        "reg_token" => "register_tokens".to_owned(),
        name => name
            .replace(".ls1.gamma", ".gamma_1")
            .replace(".ls2.gamma", ".gamma_2"),
    };
    if name == "masked_embed"
        && let [1, 1, dim] = *tensor.shape
    {
        tensor.shape = vec![1, dim];
    }
    (name, tensor)
}

/// The reference's name of a parameter of a head: newer PyTorch splits weight-normalised layers otherwise.
fn head_name(name: &str) -> String {
    name.replace(".parametrizations.weight.original0", ".weight_g")
        .replace(".parametrizations.weight.original1", ".weight_v")
}

/// timm counts patch merging to the stage that follows it; the reference to the one before.
fn shift_merging(tensors: &mut HostTensors) {
    let at = |tensors: &HostTensors, stage: usize| {
        tensors.contains_key(&format!(
            "backbone.layers.{stage}.downsample.reduction.weight"
        ))
    };
    if at(tensors, 0) || !at(tensors, 1) {
        return;
    }
    rename(tensors, |name| {
        let rest = name.strip_prefix("backbone.layers.")?;
        let (stage, rest) = rest.split_once('.')?;
        let before = stage.parse::<usize>().ok()?.checked_sub(1)?;
        rest.starts_with("downsample.")
            .then(|| format!("backbone.layers.{before}.{rest}"))
    });
}

fn rename(tensors: &mut HostTensors, new_name: impl Fn(&str) -> Option<String>) {
    let old = std::mem::take(tensors);
    tensors.extend(old.into_iter().map(|(name, tensor)| {
        let name = new_name(&name).unwrap_or(name);
        (name, tensor)
    }));
}

/// A backbone under timm's names, without mask token: what `timm.create_model(...).load_state_dict` takes. With
/// register tokens timm's table of positions has no row for the class token, which takes its position with it.
pub fn to_timm(backbone: &HostTensors) -> HostTensors {
    let mut tensors: HostTensors = backbone
        .iter()
        .filter_map(|(name, tensor)| {
            let name = name.strip_prefix("backbone.")?;
            (name != "masked_embed").then(|| {
                let name = name
                    .replace(".gamma_1", ".ls1.gamma")
                    .replace(".gamma_2", ".ls2.gamma");
                (name, tensor.clone())
            })
        })
        .collect();
    if let Some(registers) = tensors.remove("register_tokens") {
        tensors.insert("reg_token".into(), registers);
        let table = tensors.remove("pos_embed");
        let class = tensors.get_mut("cls_token");
        if let (Some(mut table), Some(class)) = (table, class) {
            let dim = class.data.len();
            let rest = table.data.split_off(dim.min(table.data.len()));
            class
                .data
                .iter_mut()
                .zip(&table.data)
                .for_each(|(c, p)| *c += p);
            table.shape = vec![1, rest.len() / dim.max(1), dim];
            table.data = rest;
            tensors.insert("pos_embed".into(), table);
        }
    }
    rename(&mut tensors, |name| {
        let rest = name.strip_prefix("layers.")?;
        let (stage, rest) = rest.split_once('.')?;
        let after = stage.parse::<usize>().ok()? + 1;
        rest.starts_with("downsample.")
            .then(|| format!("layers.{after}.{rest}"))
    });
    tensors
}

/// A backbone as the reference extracts it: its names without prefix.
pub fn to_reference(backbone: &HostTensors) -> HostTensors {
    let bare = |(name, tensor): (&String, &HostTensor)| {
        let name = name.strip_prefix("backbone.")?;
        Some((name.to_owned(), tensor.clone()))
    };
    backbone.iter().filter_map(bare).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors(names: &[&str]) -> HostTensors {
        let one = HostTensor {
            shape: vec![1, 1, 2],
            data: vec![1.0, 2.0],
        };
        names
            .iter()
            .map(|name| ((*name).to_owned(), one.clone()))
            .collect()
    }

    fn names(named: &Named) -> Vec<&str> {
        named.tensors.keys().map(String::as_str).collect()
    }

    #[test]
    fn prefixes_are_stripped_and_the_rest_is_named() {
        let named = normalise(tensors(&[
            "module.backbone.cls_token",
            "module.backbone.blocks.0.ls1.gamma",
            "module.backbone.head.weight",
            "module.head.mlp.0.weight",
            "module.head.last_layer.parametrizations.weight.original1",
        ]));
        assert_eq!(
            names(&named),
            [
                "backbone.blocks.0.gamma_1",
                "backbone.cls_token",
                "head.last_layer.weight_v",
                "head.mlp.0.weight"
            ]
        );
        assert_eq!(named.unused, ["module.backbone.head.weight"]);
    }

    #[test]
    fn a_bare_backbone_keeps_its_classifier_out() {
        let named = normalise(tensors(&[
            "cls_token",
            "head.weight",
            "mask_token",
            "linear.bias",
        ]));
        assert_eq!(
            names(&named),
            ["backbone.cls_token", "backbone.masked_embed"]
        );
        assert_eq!(named.tensors["backbone.masked_embed"].shape, [1, 2]);
        assert_eq!(named.unused, ["head.weight", "linear.bias"]);
    }

    #[test]
    fn patch_merging_goes_to_timm_and_back() {
        let ours = [
            "layers.0.blocks.0.norm1.bias",
            "layers.0.downsample.reduction.weight",
            "layers.1.downsample.reduction.weight",
        ];
        let timm = to_timm(&normalise(tensors(&ours)).tensors);
        let listed: Vec<&str> = timm.keys().map(String::as_str).collect();
        assert_eq!(
            listed,
            [
                "layers.0.blocks.0.norm1.bias",
                "layers.1.downsample.reduction.weight",
                "layers.2.downsample.reduction.weight"
            ]
        );
        let back = normalise(timm);
        assert_eq!(to_reference(&back.tensors), tensors(&ours));
    }
}
