//! The shape of a network, read from its weights.

use std::collections::HashSet;

use crate::model::{Backbone, Head, HostTensors, Spec, Swin, Vit};
use crate::settings::{Activation, HeadNorm};

/// Width of an attention head in every published vision transformer.
const HEAD: usize = 64;

/// Blocks of a stage, at most: beyond it a file is not looked through.
const DEPTHS: usize = 256;

/// Why weights are not those of a network that this program knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownNetwork {
    #[error("there is no tensor {0:?}, which every network of this kind has")]
    Missing(String),
    #[error("{name:?} has the shape {found:?}, where {expected} is expected")]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: String,
    },
    #[error("{0}")]
    Other(String),
}

/// Looks at shapes by name.
struct Shapes<'a>(&'a HostTensors);

impl Shapes<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The shape of `name`, which must fit `pattern`: a number, or 0 for any but 0.
    fn of<const N: usize>(
        &self,
        name: &str,
        pattern: [usize; N],
        expected: &str,
    ) -> Result<[usize; N], UnknownNetwork> {
        let found = self.0.get(name).map(|tensor| &tensor.shape);
        let found = found.ok_or_else(|| UnknownNetwork::Missing(name.to_owned()))?;
        let fits = |found: &[usize; N]| {
            let fits = |(&have, &want): (&usize, &usize)| have > 0 && (want == 0 || have == want);
            found.iter().zip(&pattern).all(fits)
        };
        <[usize; N]>::try_from(found.as_slice())
            .ok()
            .filter(fits)
            .ok_or_else(|| UnknownNetwork::Shape {
                name: name.to_owned(),
                found: found.clone(),
                expected: expected.to_owned(),
            })
    }
}

/// The backbone that `tensors` are the weights of, under the names of this program. `heads` is the number of
/// attention heads of a ViT where it is known; it is not in the weights, and otherwise is one for every 64 of
/// the width, as in all published ones.
///
/// # Errors
/// A name that is missing, a shape that does not fit the others, a tensor that such a network does not have.
pub fn backbone(tensors: &HostTensors, heads: Option<usize>) -> Result<Backbone, UnknownNetwork> {
    let shapes = Shapes(tensors);
    let found: Backbone = match shapes.has("backbone.layers.0.blocks.0.norm1.weight") {
        true => swin(&shapes)?.into(),
        false => vit(&shapes, heads)?.into(),
    };
    // What would be left out silently would make every number wrong.
    let known: HashSet<String> = found.specs().into_iter().map(|spec| spec.name).collect();
    let strange = tensors
        .keys()
        .find(|name| {
            let optional = name.as_str() == "backbone.masked_embed";
            name.starts_with("backbone.") && !optional && !known.contains(*name)
        })
        .map(|name| {
            UnknownNetwork::Other(format!(
                "it has a tensor {name:?}, which this kind of network does not have; such networks are not \
                 read"
            ))
        });
    if let Some(strange) = strange {
        return Err(strange);
    }
    check(&found.specs(), tensors)?;
    Ok(found)
}

/// Every parameter is there and has its shape.
fn check(specs: &[Spec], tensors: &HostTensors) -> Result<(), UnknownNetwork> {
    for Spec { name, shape, .. } in specs {
        let name = name.clone();
        match tensors.get(&name) {
            None => return Err(UnknownNetwork::Missing(name)),
            Some(tensor) if tensor.shape != *shape => {
                return Err(UnknownNetwork::Shape {
                    name,
                    found: tensor.shape.clone(),
                    expected: format!("{shape:?}"),
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn vit(shapes: &Shapes, heads: Option<usize>) -> Result<Vit, UnknownNetwork> {
    let kernel = "backbone.patch_embed.proj.weight";
    let [dim, _, patch, across] = shapes.of(kernel, [0, 3, 0, 0], "[width, 3, patch, patch]")?;
    if patch != across {
        return Err(UnknownNetwork::Other(format!(
            "its patches are {patch} by {across} pixels; they must be square"
        )));
    }
    let table = "backbone.pos_embed";
    let [_, rows, _] = shapes.of(table, [1, 0, dim], "[1, 1 + patches, width]")?;
    let side = (rows - 1).isqrt();
    if side * side + 1 != rows || side == 0 {
        return Err(UnknownNetwork::Other(format!(
            "its {rows} positions are not one class token and a square of patches"
        )));
    }
    let registers = match shapes.has("backbone.register_tokens") {
        true => shapes.of(
            "backbone.register_tokens",
            [1, 0, dim],
            "[1, registers, width]",
        )?[1],
        false => 0,
    };
    let fc1 = "backbone.blocks.0.mlp.fc1.weight";
    let [hidden, _] = shapes.of(fc1, [0, dim], "[hidden, width]")?;
    let heads = match heads {
        Some(heads) if heads > 0 && dim.is_multiple_of(heads) => heads,
        Some(heads) => {
            return Err(UnknownNetwork::Other(format!(
                "its width {dim} is not divisible by {heads} attention heads"
            )));
        }
        None if dim.is_multiple_of(HEAD) => dim / HEAD,
        None => {
            return Err(UnknownNetwork::Other(format!(
                "its width {dim} is no multiple of {HEAD}, so its number of attention heads is unknown; say \
                 it with --heads (in a run: model.heads)"
            )));
        }
    };
    let depth = (0..DEPTHS)
        .take_while(|i| shapes.has(&format!("backbone.blocks.{i}.norm1.weight")))
        .count();
    Ok(Vit {
        image: side * patch,
        patch,
        dim,
        depth,
        heads,
        mlp_ratio: hidden as f64 / dim as f64,
        qkv_bias: shapes.has("backbone.blocks.0.attn.qkv.bias"),
        layer_scale: match shapes.has("backbone.blocks.0.gamma_1") {
            true => 1.0,
            false => 0.0,
        },
        registers,
        mean_pool: shapes.has("backbone.fc_norm.weight"),
        ..Vit::default()
    })
}

/// Windows and heads are in the tables of relative positions. The nominal image side is not in the weights: the
/// last map is taken to be one window, as in all published networks.
fn swin(shapes: &Shapes) -> Result<Swin, UnknownNetwork> {
    let kernel = "backbone.patch_embed.proj.weight";
    let [dim, _, patch, _] = shapes.of(kernel, [0, 3, 0, 0], "[width, 3, patch, patch]")?;
    let (mut depths, mut heads, mut window, mut last) = (Vec::new(), Vec::new(), 0, 0);
    for stage in 0..6 {
        let block = |i: usize| format!("backbone.layers.{stage}.blocks.{i}");
        let depth = (0..DEPTHS)
            .take_while(|&i| shapes.has(&format!("{}.norm1.weight", block(i))))
            .count();
        if depth == 0 {
            break;
        }
        let table = format!("{}.attn.relative_position_bias_table", block(0));
        let [rows, of] = shapes.of(&table, [0, 0], "[(2 window - 1)^2, heads]")?;
        let side = rows.isqrt().div_ceil(2);
        if (2 * side - 1).pow(2) != rows {
            return Err(UnknownNetwork::Shape {
                name: table,
                found: vec![rows, of],
                expected: "[(2 window - 1)^2, heads]".into(),
            });
        }
        depths.push(depth);
        heads.push(of);
        (window, last) = (window.max(side), side);
    }
    let fc1 = "backbone.layers.0.blocks.0.mlp.fc1.weight";
    let [hidden, _] = shapes.of(fc1, [0, dim], "[hidden, width]")?;
    let halvings = depths.len().saturating_sub(1);
    Ok(Swin {
        image: (last * patch) << halvings,
        patch,
        dim,
        depths,
        heads,
        window,
        mlp_ratio: hidden as f64 / dim as f64,
        ..Swin::default()
    })
}

/// The projection head in `tensors`; `None` where there is none. Whether class and patch tokens share their
/// prototypes is read from the numbers: files list shared ones under both names.
///
/// # Errors
/// A head whose tensors do not fit each other.
pub fn head(tensors: &HostTensors) -> Result<Option<Head>, UnknownNetwork> {
    let shapes = Shapes(tensors);
    if !tensors.keys().any(|name| name.starts_with("head.")) {
        return Ok(None);
    }
    let (gain, direction) = ("head.last_layer.weight_g", "head.last_layer.weight_v");
    let [out, bottleneck] = shapes.of(direction, [0, 0], "[prototypes, bottleneck]")?;
    shapes.of(gain, [out, 1], "[prototypes, 1]")?;
    let norm = match (
        shapes.has("head.mlp.1.weight"),
        shapes.has("head.mlp.1.running_mean"),
    ) {
        (false, _) => HeadNorm::None,
        (true, false) => HeadNorm::Layer,
        (true, true) => HeadNorm::Batch,
    };
    let stride = if norm == HeadNorm::None { 2 } else { 3 };
    let single = shapes.has("head.mlp.weight");
    let layers = match single {
        true => 1,
        false => (0..16)
            .take_while(|i| shapes.has(&format!("head.mlp.{}.weight", i * stride)))
            .count(),
    };
    let first = if single {
        "head.mlp.weight"
    } else {
        "head.mlp.0.weight"
    };
    let [hidden, dim] = shapes.of(first, [0, 0], "[hidden, width]")?;
    let second = "head.last_layer2.weight_v";
    let same = |part: &str| {
        let get = |layer: &str| tensors.get(&format!("head.{layer}.{part}"));
        get("last_layer") == get("last_layer2")
    };
    let shared = !shapes.has(second) || (same("weight_v") && same("weight_g"));
    let patch_out = match shared {
        true => out,
        false => shapes.of(second, [0, bottleneck], "[prototypes, bottleneck]")?[0],
    };
    let ones = tensors
        .get(gain)
        .is_some_and(|g| g.data.iter().all(|&g| g == 1.0));
    let head = Head {
        dim,
        hidden,
        bottleneck,
        layers,
        norm,
        activation: Activation::Gelu,
        out,
        patch_out,
        shared,
        fixed_gain: ones,
        prefix: "head.".into(),
    };
    check(&head.specs(), tensors)?;
    Ok(Some(head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostTensor;

    fn weights(specs: Vec<Spec>) -> HostTensors {
        let tensor = |spec: &Spec| HostTensor {
            shape: spec.shape.clone(),
            data: vec![0.0; spec.shape.iter().product()],
        };
        let named = |spec: &Spec| (spec.name.clone(), tensor(spec));
        specs.iter().map(named).collect()
    }

    fn tiny() -> Vit {
        Vit {
            image: 56,
            patch: 14,
            dim: 128,
            depth: 3,
            heads: 2,
            mlp_ratio: 3.0,
            ..Vit::default()
        }
    }

    #[test]
    fn the_shape_of_a_vit_is_read_back_from_its_weights() {
        for (registers, layer_scale, qkv_bias) in [(0, 0.0, true), (4, 1.0, false)] {
            let vit = Vit {
                registers,
                layer_scale,
                qkv_bias,
                ..tiny()
            };
            let whole = weights(vit.specs());
            assert_eq!(backbone(&whole, None), Ok(vit.clone().into()));
            for name in ["patch_embed.proj.weight", "blocks.1.mlp.fc2.bias"] {
                let name = format!("backbone.{name}");
                let mut lacking = whole.clone();
                lacking.remove(&name);
                assert_eq!(backbone(&lacking, None), Err(UnknownNetwork::Missing(name)));
            }
        }
        let mut foreign = weights(tiny().specs());
        let extra = foreign["backbone.cls_token"].clone();
        foreign.insert("backbone.blocks.0.attn.rope".into(), extra);
        let error = backbone(&foreign, None).unwrap_err().to_string();
        assert!(error.contains("attn.rope"), "{error}");
    }

    #[test]
    fn a_wrong_shape_is_told_with_the_right_one() {
        let mut wrong = weights(tiny().specs());
        let name = "backbone.blocks.2.attn.qkv.weight";
        wrong.get_mut(name).unwrap().shape = vec![128, 384];
        let error = backbone(&wrong, None).unwrap_err().to_string();
        for part in [name, "[128, 384]", "[384, 128]"] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn unusual_widths_need_the_number_of_heads() {
        let vit = Vit {
            dim: 96,
            heads: 3,
            ..tiny()
        };
        let weights = weights(vit.specs());
        assert!(
            backbone(&weights, None)
                .unwrap_err()
                .to_string()
                .contains("--heads")
        );
        assert!(backbone(&weights, Some(5)).is_err());
        assert_eq!(backbone(&weights, Some(3)), Ok(vit.into()));
    }

    #[test]
    fn the_windows_of_a_swin_are_read_from_its_tables() {
        for (image, window) in [(224, 7), (224, 14)] {
            let swin = Swin {
                image,
                dim: 24,
                depths: vec![2, 2, 3, 1],
                heads: vec![1, 2, 4, 8],
                window,
                ..Swin::default()
            };
            assert_eq!(backbone(&weights(swin.specs()), None), Ok(swin.into()));
        }
    }

    #[test]
    fn a_head_is_shared_where_both_layers_are_the_same() {
        let mut settings = Head {
            dim: 128,
            hidden: 24,
            bottleneck: 8,
            layers: 3,
            norm: HeadNorm::None,
            activation: Activation::Gelu,
            out: 20,
            patch_out: 20,
            shared: true,
            fixed_gain: false,
            prefix: "head.".into(),
        };
        let mut tensors = weights(settings.specs());
        assert_eq!(head(&tensors), Ok(Some(settings.clone())));
        for part in ["weight_g", "weight_v"] {
            let first = tensors[&format!("head.last_layer.{part}")].clone();
            tensors.insert(format!("head.last_layer2.{part}"), first);
        }
        assert_eq!(head(&tensors), Ok(Some(settings.clone())));
        tensors.get_mut("head.last_layer2.weight_v").unwrap().data[3] = 1.0;
        settings.shared = false;
        assert_eq!(head(&tensors), Ok(Some(settings)));
        assert_eq!(head(&HostTensors::new()), Ok(None));
    }
}
