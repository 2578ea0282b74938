//! Two small networks and weights for them.

use crate::model::{HostTensor, HostTensors, Swin, Vit};

/// A network of 3 × 3 positions, with everything that is optional.
pub fn tiny_vit() -> Vit {
    Vit {
        image: 12,
        patch: 4,
        dim: 6,
        depth: 2,
        heads: 2,
        mlp_ratio: 2.0,
        layer_scale: 1.0,
        registers: 2,
        ..Vit::default()
    }
}

/// Windows of 4 in a first stage of 8 × 8 tokens, and a second stage that is one window.
pub fn tiny_swin() -> Swin {
    Swin {
        image: 16,
        patch: 2,
        dim: 4,
        depths: vec![2, 1],
        heads: vec![2, 4],
        window: 4,
        mlp_ratio: 2.0,
        prefix: String::new(),
        ..Swin::default()
    }
}

/// Tensors of these shapes; element `i` of each is `i`.
fn counting(prefix: &str, shapes: &[(&str, &[usize])]) -> HostTensors {
    let tensor = |&(name, shape): &(&str, &[usize])| {
        let count: usize = shape.iter().product();
        let data = (0..count).map(|i| i as f32).collect();
        let shape = shape.to_vec();
        (format!("{prefix}{name}"), HostTensor { shape, data })
    };
    shapes.iter().map(tensor).collect()
}

/// The weights of one block, `[out, in]` for linear layers; the MLP is twice as wide.
fn block(prefix: &str, d: usize) -> HostTensors {
    let shapes: [(&str, &[usize]); 14] = [
        ("norm1.weight", &[d]),
        ("norm1.bias", &[d]),
        ("attn.qkv.weight", &[3 * d, d]),
        ("attn.qkv.bias", &[3 * d]),
        ("attn.proj.weight", &[d, d]),
        ("attn.proj.bias", &[d]),
        ("norm2.weight", &[d]),
        ("norm2.bias", &[d]),
        ("mlp.fc1.weight", &[2 * d, d]),
        ("mlp.fc1.bias", &[2 * d]),
        ("mlp.fc2.weight", &[d, 2 * d]),
        ("mlp.fc2.bias", &[d]),
        ("gamma_1", &[d]),
        ("gamma_2", &[d]),
    ];
    counting(prefix, &shapes)
}

/// Weights for [`tiny_vit`], those of every variant of it included.
pub fn vit_weights() -> HostTensors {
    let mut weights = counting(
        "backbone.",
        &[
            ("cls_token", &[1, 1, 6]),
            ("pos_embed", &[1, 10, 6]),
            ("register_tokens", &[1, 2, 6]),
            ("patch_embed.proj.weight", &[6, 3, 4, 4]),
            ("patch_embed.proj.bias", &[6]),
            ("norm.weight", &[6]),
            ("norm.bias", &[6]),
            ("fc_norm.weight", &[6]),
            ("fc_norm.bias", &[6]),
        ],
    );
    for i in 0..2 {
        weights.extend(block(&format!("backbone.blocks.{i}."), 6));
    }
    weights
}

/// Weights for [`tiny_swin`].
pub fn swin_weights() -> HostTensors {
    let mut weights = counting(
        "",
        &[
            ("patch_embed.proj.weight", &[4, 3, 2, 2]),
            ("patch_embed.proj.bias", &[4]),
            ("patch_embed.norm.weight", &[4]),
            ("patch_embed.norm.bias", &[4]),
            ("layers.0.downsample.reduction.weight", &[8, 16]),
            ("layers.0.downsample.norm.weight", &[16]),
            ("layers.0.downsample.norm.bias", &[16]),
            ("norm.weight", &[8]),
            ("norm.bias", &[8]),
        ],
    );
    let table = "attn.relative_position_bias_table";
    for (stage, i, d, heads) in [(0, 0, 4, 2), (0, 1, 4, 2), (1, 0, 8, 4)] {
        let prefix = format!("layers.{stage}.blocks.{i}.");
        weights.extend(block(&prefix, d));
        weights.extend(counting(&prefix, &[(table, &[49, heads])]));
    }
    weights
}
