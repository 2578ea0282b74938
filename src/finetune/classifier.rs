//! The network that is fine-tuned: a backbone and a linear layer on its class token, or on the first layer of the
//! projection head it was pretrained with.

use burn::tensor::{Device, Tensor};

use crate::model::kernels::{gelu, linear};
use crate::model::{
    Backbone, DropPath, HostTensors, Init, Parameters, Patches, Spec, WeightError, upload,
};

/// Initial weights of the classifier are 0.02 wide, then a thousandth of it.
const CLASSIFIER_STD: f32 = 0.02 * 0.001;

/// Names of the classifier and of the layer of the head before it.
const CLASSIFIER: &str = "classifier";
const HEAD: &str = "head.mlp.0";

/// Shape of a classifier.
#[derive(Clone, Debug, PartialEq)]
pub struct Classifier {
    pub backbone: Backbone,
    /// Width of the projection head's first layer, where fine-tuning begins from there.
    pub head: Option<usize>,
    pub classes: usize,
}

impl Classifier {
    /// All parameters: backbone, layer of the head, classifier.
    pub fn specs(&self) -> Vec<Spec> {
        let mut specs = self.backbone.specs();
        let mut width = self.backbone.dim();
        if let Some(hidden) = self.head {
            let weight = Init::Normal(0.02);
            specs.push(Spec::new(
                format!("{HEAD}.weight"),
                &[hidden, width],
                weight,
            ));
            specs.push(Spec::new(format!("{HEAD}.bias"), &[hidden], Init::Zeros));
            width = hidden;
        }
        let weight = Init::Normal(CLASSIFIER_STD);
        specs.push(Spec::new(
            format!("{CLASSIFIER}.weight"),
            &[self.classes, width],
            weight,
        ));
        specs.push(Spec::new(
            format!("{CLASSIFIER}.bias"),
            &[self.classes],
            Init::Zeros,
        ));
        specs
    }

    /// Weights to begin with: `pretrained` ones, and a fresh classifier.
    ///
    /// # Errors
    /// A parameter that `pretrained` lacks, or of another shape.
    pub fn begin(
        &self,
        pretrained: &HostTensors,
        seed: u64,
        device: &Device,
    ) -> Result<Parameters, WeightError> {
        let mut weights = Parameters::init(&self.specs(), seed, device);
        for parameter in weights.iter_mut() {
            let name = parameter.name.to_string();
            if name.starts_with(CLASSIFIER) {
                continue;
            }
            let found = pretrained.get(&name);
            let found = found.ok_or_else(|| WeightError::Missing(name.clone()))?;
            if found.shape != *parameter.shape {
                return Err(WeightError::Shape {
                    name,
                    found: found.shape.clone(),
                    expected: parameter.shape.to_vec(),
                });
            }
            let shape = parameter.value.dims();
            parameter.value = upload(found.data.clone(), shape, device);
        }
        Ok(weights)
    }

    /// Patches → logits `[images, classes]`.
    pub fn forward(
        &self,
        weights: &Parameters,
        patches: &Patches,
        drop: Option<&DropPath>,
    ) -> Tensor<2> {
        let tokens = self.backbone.forward(weights, patches, None, drop);
        let [rows, dim] = tokens.dims();
        let images = patches.images;
        let class = tokens
            .reshape([images, rows / images, dim])
            .slice([0..images, 0..1, 0..dim])
            .reshape([images, dim]);
        let layer = |x: Tensor<2>, name: &str| {
            let weight = weights.get(&format!("{name}.weight"));
            linear(x, weight, weights.get(&format!("{name}.bias")))
        };
        let x = match self.head {
            Some(_) => gelu(layer(class, HEAD)),
            None => class,
        };
        layer(x, CLASSIFIER)
    }

    /// How many layers lie between a parameter and the end: the classifier has 0, the last block 1, tokens,
    /// positions and patches most.
    pub fn layers_above(&self, name: &str) -> usize {
        let depth = self.backbone.depth();
        let Some(inner) = name.strip_prefix("backbone.") else {
            return 0;
        };
        let number = |text: &str| text.split('.').next()?.parse::<usize>().ok();
        let block = match &self.backbone {
            Backbone::Vit(_) => inner.strip_prefix("blocks.").and_then(number),
            // Merging goes with the last block before it.
            Backbone::Swin(swin) => inner.strip_prefix("layers.").and_then(|rest| {
                let stage = number(rest)?;
                let before: usize = swin.depths[..stage].iter().sum();
                let within = rest
                    .split_once(".blocks.")
                    .and_then(|(_, rest)| number(rest));
                Some(before + within.unwrap_or(swin.depths[stage] - 1))
            }),
        };
        let is_final_norm = inner.starts_with("norm.") || inner.starts_with("fc_norm.");
        match block {
            Some(block) => depth - block,
            None if is_final_norm => 0,
            None => depth + 1,
        }
    }
}

/// Whether weight decay leaves a parameter alone: vectors, tokens, and tables of positions.
pub fn is_spared(name: &str, shape: &[usize]) -> bool {
    let tables = [
        "cls_token",
        "pos_embed",
        "register_tokens",
        "relative_position_bias_table",
    ];
    shape.len() < 2 || name.ends_with(".bias") || tables.iter().any(|table| name.ends_with(table))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Swin, Vit};

    #[test]
    fn layers_are_counted_from_the_end() {
        let vit = Vit {
            image: 32,
            patch: 8,
            dim: 64,
            depth: 3,
            heads: 1,
            ..Vit::default()
        };
        let of = |backbone: Backbone, name: &str| {
            let classifier = Classifier {
                backbone,
                head: None,
                classes: 2,
            };
            classifier.layers_above(name)
        };
        for (name, above) in [
            ("classifier.weight", 0),
            ("backbone.norm.bias", 0),
            ("backbone.blocks.2.mlp.fc1.weight", 1),
            ("backbone.blocks.0.norm1.weight", 3),
            ("backbone.pos_embed", 4),
            ("backbone.patch_embed.proj.weight", 4),
        ] {
            assert_eq!(of(vit.clone().into(), name), above, "{name}");
        }
        let swin = Swin {
            image: 32,
            patch: 2,
            dim: 8,
            depths: vec![1, 2],
            heads: vec![1, 2],
            window: 4,
            ..Swin::default()
        };
        for (name, above) in [
            ("backbone.layers.1.blocks.1.attn.proj.weight", 1),
            ("backbone.layers.0.blocks.0.norm1.bias", 3),
            ("backbone.layers.0.downsample.reduction.weight", 3),
            ("backbone.patch_embed.norm.bias", 4),
        ] {
            assert_eq!(of(swin.clone().into(), name), above, "{name}");
        }
        assert!(is_spared("backbone.pos_embed", &[1, 5, 8]));
        assert!(!is_spared(
            "backbone.patch_embed.proj.weight",
            &[8, 3, 2, 2]
        ));
    }
}
