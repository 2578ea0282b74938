//! Student and teacher: two networks of one design.
//!
//! The student has a mask token and stochastic depth and learns by gradient; the teacher has
//! neither and is the student's moving average. They may also differ in how class and patch tokens
//! share their prototypes.

use burn::tensor::{Device, Tensor};

use crate::model::{Backbone, Head, Init, Parameters, Spec, Swin, Vit, kernels};
use crate::settings::Settings;

/// A backbone and its head.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    pub backbone: Backbone,
    pub head: Head,
    /// Standard deviation of the initial weights of linear layers and tokens; `None`: 1/√inputs.
    pub init_std: Option<f32>,
}

impl Network {
    /// All parameters in the reference's order: backbone, then head.
    pub fn specs(&self) -> Vec<Spec> {
        let mut specs = self.backbone.specs();
        specs.extend(self.head.specs());
        for spec in &mut specs {
            // Biases of relative positions are no weights: nothing is summed with them.
            if let Init::Normal(std) = &mut spec.init
                && !spec.name.ends_with("relative_position_bias_table")
            {
                let inputs = spec.shape.last().copied().unwrap_or(1);
                *std = self.init_std.unwrap_or((inputs as f32).powf(-0.5));
            }
        }
        specs
    }

    /// The student that `settings` describe.
    pub fn student(settings: &Settings) -> Self {
        Self::new(
            settings,
            settings.head.shared,
            settings.loss.masked_modeling,
        )
    }

    /// The teacher that `settings` describe.
    pub fn teacher(settings: &Settings) -> Self {
        Self::new(settings, settings.head.shared_teacher, false)
    }

    fn new(settings: &Settings, shared: bool, mask_token: bool) -> Self {
        let (model, head) = (&settings.model, &settings.head);
        let (image, prefix) = (settings.views.global_size, "backbone.".to_owned());
        let backbone: Backbone = match model.swin() {
            Some((dim, depths, heads)) => Swin {
                image,
                patch: model.patch,
                dim,
                depths,
                heads,
                window: model.window,
                mlp_ratio: model.mlp_ratio,
                mask_token,
                prefix,
            }
            .into(),
            None => {
                let (dim, depth, heads) = model.resolved();
                Vit {
                    image,
                    patch: model.patch,
                    dim,
                    depth,
                    heads,
                    mlp_ratio: model.mlp_ratio,
                    qkv_bias: model.qkv_bias,
                    layer_scale: model.layer_scale as f32,
                    registers: model.registers,
                    mask_token,
                    mean_pool: false,
                    prefix,
                }
                .into()
            }
        };
        Network {
            init_std: (model.init_std > 0.0).then_some(model.init_std as f32),
            head: Head {
                dim: backbone.dim(),
                hidden: head.hidden,
                bottleneck: head.bottleneck,
                layers: head.layers,
                norm: head.norm,
                activation: head.act,
                out: head.out_dim,
                patch_out: head.patch_out_dim,
                shared,
                fixed_gain: head.norm_last_layer,
                prefix: "head.".into(),
            },
            backbone,
        }
    }
}

/// The teacher at the start: a copy of the student. A head that the teacher shares and the student
/// does not gets the student's patch prototypes, because the reference's loader meets them last.
pub fn teacher_from(student: &Parameters, teacher: &Network, device: &Device) -> Parameters {
    let mut copy = Parameters::init(&teacher.specs(), 0, device);
    for parameter in copy.iter_mut() {
        let name = parameter.name.to_string();
        let patch_twin = name.replace("last_layer.", "last_layer2.");
        let source = match teacher.head.shared {
            true => student.find(&patch_twin).or(student.find(&name)),
            false => student
                .find(&name)
                .or(student.find(&name.replace("last_layer2", "last_layer"))),
        };
        if let Some(source) = source {
            parameter.value = source.value.clone();
        }
    }
    copy
}

/// `θ' ← m·θ' + (1 − m)·θ` for every parameter that both networks have by the same name. Batch-norm
/// statistics stay the teacher's own.
pub fn follow(teacher: &mut Parameters, student: &mut Parameters, momentum: f64) {
    for average in teacher.iter_mut().filter(|p| !p.name.contains("running_")) {
        if let Some(parameter) = student.find_mut(&average.name) {
            kernels::moving_average(&mut average.value, &mut parameter.value, momentum as f32);
        }
    }
}

/// `[1, width]` zeros: where centres start.
pub fn zeros(width: usize, device: &Device) -> Tensor<2> {
    Tensor::zeros([1, width], device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::preset;

    #[test]
    fn published_networks_have_their_published_sizes() {
        // Parameters of the student's backbone at 224 pixels, its mask token among them.
        for (changes, count) in [
            ("vits16 model.arch=vit_tiny", 5_524_416 + 192),
            ("vits16 ", 21_665_664 + 384),
            ("vitb16 ", 85_798_656 + 768),
            ("vitl16 ", 303_301_632 + 1024),
            ("swint7 ", 27_519_450),
            ("swint14 ", 27_569_850),
            ("swint7 model.arch=swin_small", 48_837_354),
            ("swint14 model.arch=swin_base", 86_918_072),
            ("swint7 model.arch=swin_large", 194_995_668),
        ] {
            let (name, change) = changes.split_once(' ').expect("a preset");
            let mut settings = preset(name).and_then(|p| p.settings()).expect(name);
            if let Some((key, value)) = change.split_once('=') {
                settings.set(key, value, "test").expect(changes);
            }
            assert_eq!(settings.check(), Ok(()), "{changes}");
            let specs = Network::student(&settings).backbone.specs();
            let found: usize = specs
                .iter()
                .map(|spec| spec.shape.iter().product::<usize>())
                .sum();
            assert_eq!(found, count, "{changes}");
        }
    }
}
