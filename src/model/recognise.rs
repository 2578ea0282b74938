//! The shape of a vision transformer, read from its weights.

use std::collections::HashSet;

use super::{HostTensors, Vit};

/// Width of an attention head in every published vision transformer.
const HEAD: usize = 64;

/// Why weights are not those of a vision transformer that this program knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownNetwork {
    #[error("there is no tensor {0:?}, which every vision transformer of this naming has")]
    Missing(String),
    #[error("{name:?} has the shape {found:?}, where {expected} is expected")]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: &'static str,
    },
    #[error("{0}")]
    Other(String),
}

impl Vit {
    /// The transformer that `tensors` are the weights of, under the reference's names, with or without
    /// the prefix `backbone.`. The number of heads is not in the weights: it is one for every 64 of
    /// the width, as in all published ones.
    ///
    /// # Errors
    /// A name that is missing, or a shape that does not fit the others.
    pub fn recognise(tensors: &HostTensors) -> Result<Self, UnknownNetwork> {
        let prefix = ["backbone.", ""]
            .into_iter()
            .find(|prefix| tensors.contains_key(&format!("{prefix}pos_embed")))
            .unwrap_or_default();
        let shape = |name: &str, expected: &'static str, fits: fn(&[usize]) -> bool| {
            let name = format!("{prefix}{name}");
            match tensors.get(&name) {
                None => Err(UnknownNetwork::Missing(name)),
                Some(found) if fits(&found.shape) => Ok(found.shape.clone()),
                Some(found) => Err(UnknownNetwork::Shape {
                    name,
                    found: found.shape.clone(),
                    expected,
                }),
            }
        };
        let kernel = shape(
            "patch_embed.proj.weight",
            "[width, 3, patch, patch]",
            |s| matches!(*s, [dim, 3, a, b] if a == b && a > 0 && dim > 0),
        )?;
        let table = shape(
            "pos_embed",
            "[1, 1 + patches, width]",
            |s| matches!(*s, [1, tokens, _] if tokens > 1),
        )?;
        let hidden = shape("blocks.0.mlp.fc1.weight", "[hidden, width]", |s| {
            s.len() == 2
        })?;
        let (dim, patch, positions) = (kernel[0], kernel[2], table[1] - 1);
        let side = positions.isqrt();
        if side * side != positions {
            return Err(UnknownNetwork::Other(format!(
                "its {positions} positions are not a square of patches; \
                 networks with register tokens are not read yet"
            )));
        }
        if !dim.is_multiple_of(HEAD) {
            return Err(UnknownNetwork::Other(format!(
                "its width {dim} is no multiple of {HEAD}, so the number of heads is unknown"
            )));
        }
        let has = |name: String| tensors.contains_key(&format!("{prefix}{name}"));
        let mut depth = 0;
        while has(format!("blocks.{depth}.norm1.weight")) {
            depth += 1;
        }
        let vit = Vit {
            image: side * patch,
            patch,
            dim,
            depth,
            heads: dim / HEAD,
            mlp_ratio: hidden[0] as f64 / dim as f64,
            qkv_bias: has("blocks.0.attn.qkv.bias".into()),
            layer_scale: match has("blocks.0.gamma_1".into()) {
                true => 1.0,
                false => 0.0,
            },
            registers: 0,
            mask_token: false,
            mean_pool: has("fc_norm.weight".into()),
            prefix: prefix.into(),
        };
        // What would be left out silently would make every number wrong.
        let known: HashSet<String> = vit.specs().into_iter().map(|spec| spec.name).collect();
        let used = |name: &str| {
            let name = name.strip_prefix(prefix)?;
            (name.starts_with("blocks.") || name.starts_with("register")).then_some(())
        };
        let mut strange: Vec<&String> = tensors
            .keys()
            .filter(|name| used(name).is_some() && !known.contains(*name))
            .collect();
        strange.sort();
        match strange.first() {
            Some(name) => Err(UnknownNetwork::Other(format!(
                "it has a tensor {name:?}, which this kind of vision transformer does not have; \
                 such networks are not read yet"
            ))),
            None => Ok(vit),
        }
    }
}

/// Gives layer scale in DINOv2's naming the reference's names; all else stays.
pub fn with_reference_names(tensors: HostTensors) -> HostTensors {
    let rename = |name: String| {
        name.replace(".ls1.gamma", ".gamma_1")
            .replace(".ls2.gamma", ".gamma_2")
    };
    tensors
        .into_iter()
        .map(|(name, t)| (rename(name), t))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostTensor;

    fn tiny() -> Vit {
        Vit {
            image: 56,
            patch: 14,
            dim: 128,
            depth: 3,
            heads: 2,
            mlp_ratio: 3.0,
            qkv_bias: true,
            layer_scale: 0.0,
            registers: 0,
            mask_token: false,
            mean_pool: false,
            prefix: String::new(),
        }
    }

    fn weights(vit: &Vit) -> HostTensors {
        let tensor = |shape: &[usize]| HostTensor {
            shape: shape.to_vec(),
            data: vec![0.0; shape.iter().product()],
        };
        let specs = vit.specs();
        specs
            .iter()
            .map(|spec| (spec.name.clone(), tensor(&spec.shape)))
            .collect()
    }

    #[test]
    fn the_shape_is_read_back_from_the_weights() {
        for (prefix, layer_scale, qkv_bias) in [("", 0.0, true), ("backbone.", 1.0, false)] {
            let vit = Vit {
                qkv_bias,
                layer_scale,
                prefix: prefix.into(),
                ..tiny()
            };
            assert_eq!(Vit::recognise(&weights(&vit)), Ok(vit.clone()));

            let mut lacking = weights(&vit);
            lacking.remove(&format!("{prefix}patch_embed.proj.weight"));
            let error = Vit::recognise(&lacking).unwrap_err().to_string();
            assert!(error.contains("patch_embed.proj.weight"), "{error}");
        }
        let mut vit = Vit::recognise(&weights(&tiny())).unwrap();
        vit.layer_scale = 1.0;
        let foreign = weights(&vit).into_iter().map(|(name, tensor)| {
            let name = name.replace("gamma_", "ls");
            (
                name.replace("ls1", "ls1.gamma").replace("ls2", "ls2.gamma"),
                tensor,
            )
        });
        let foreign: HostTensors = foreign.collect();
        let error = Vit::recognise(&foreign).unwrap_err().to_string();
        assert!(error.contains("ls1.gamma"), "{error}");
        assert_eq!(Vit::recognise(&with_reference_names(foreign)), Ok(vit));
        let error = Vit::recognise(&HostTensors::new()).unwrap_err();
        assert!(matches!(error, UnknownNetwork::Missing(_)), "{error}");
    }
}
