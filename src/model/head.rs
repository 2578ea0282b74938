//! The projection head: tokens → bottleneck → prototypes.
//!
//! An MLP ends in a bottleneck whose vectors are put on the unit sphere; the last layer is a
//! weight-normalised linear map without bias, so logits are cosines times a gain per prototype. The
//! MLP is shared by class and patch tokens always, the last layer when asked for. Bottleneck and
//! last layer are separate calls, because the objective needs prototypes for few tokens only.

use burn::tensor::{Tensor, activation};

use crate::settings::{Activation, HeadNorm};

use super::init::{Init, REFERENCE_STD};
use super::kernels::{gelu, l2_normalise, layer_norm, linear, matmul_transposed};
use super::parameters::{Parameters, Spec};

/// Shape of a projection head.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    pub dim: usize,
    pub hidden: usize,
    pub bottleneck: usize,
    /// Linear layers of the MLP, at least 1.
    pub layers: usize,
    pub norm: HeadNorm,
    pub activation: Activation,
    /// Prototypes of class tokens.
    pub out: usize,
    /// Prototypes of patch tokens; equals `out` when shared.
    pub patch_out: usize,
    /// Class and patch tokens use the same last layer.
    pub shared: bool,
    /// The gains of the last layer stay at 1.
    pub fixed_gain: bool,
    /// Prefix of the parameter names, such as `head.`.
    pub prefix: String,
}

/// PyTorch's batch norm: running statistics move by a tenth towards each batch's.
const BATCH_NORM_MOMENTUM: f32 = 0.1;
const BATCH_NORM_EPSILON: f32 = 1e-5;

/// Where batch norm takes its statistics from in one pass.
#[allow(clippy::large_enum_variant)] // one or two a step; boxing would buy nothing
#[derive(Clone, Debug)]
pub enum Statistics {
    /// The running averages that came with the weights.
    Running,
    /// The batch itself. The running averages as they are after the pass, `[1, hidden]` each, and
    /// the number of updates; `None` before the first.
    Batch(Option<(Tensor<2>, Tensor<2>, usize)>),
}

impl Head {
    /// Names of the hidden layers in the MLP's list: with a norm each takes three places, else two.
    fn layer_name(&self, i: usize) -> String {
        let stride = if self.norm == HeadNorm::None { 2 } else { 3 };
        match self.layers {
            1 => "mlp".into(),
            _ => format!("mlp.{}", i * stride),
        }
    }

    /// All parameters in the reference's order. The one norm that all hidden layers share is listed
    /// once, under the first of its names.
    pub fn specs(&self) -> Vec<Spec> {
        let mut specs = Vec::new();
        let mut add = |name: String, shape: &[usize], init, frozen| {
            specs.push(Spec::new(format!("{}{name}", self.prefix), shape, init).frozen(frozen));
        };
        for i in 0..self.layers {
            let from = if i == 0 { self.dim } else { self.hidden };
            let last = i + 1 == self.layers;
            let to = if last { self.bottleneck } else { self.hidden };
            let name = self.layer_name(i);
            add(
                format!("{name}.weight"),
                &[to, from],
                Init::Normal(REFERENCE_STD),
                false,
            );
            add(format!("{name}.bias"), &[to], Init::Zeros, false);
            if i == 0 && !last && self.norm != HeadNorm::None {
                let width = [self.hidden];
                add("mlp.1.weight".into(), &width, Init::Ones, false);
                add("mlp.1.bias".into(), &width, Init::Zeros, false);
                if self.norm == HeadNorm::Batch {
                    add("mlp.1.running_mean".into(), &width, Init::Zeros, true);
                    add("mlp.1.running_var".into(), &width, Init::Ones, true);
                }
            }
        }
        let bound = 1.0 / (self.bottleneck as f32).sqrt();
        let mut last = |name: &str, out: usize| {
            let frozen = self.fixed_gain;
            add(format!("{name}.weight_g"), &[out, 1], Init::Ones, frozen);
            let shape = [out, self.bottleneck];
            add(
                format!("{name}.weight_v"),
                &shape,
                Init::Uniform(bound),
                false,
            );
        };
        last("last_layer", self.out);
        if !self.shared {
            last("last_layer2", self.patch_out);
        }
        specs
    }

    fn weight(&self, weights: &Parameters, name: &str) -> Tensor<2> {
        weights.get(&format!("{}{name}", self.prefix))
    }

    /// Tokens `[rows, dim]` → points on the unit sphere, `[rows, bottleneck]`.
    pub fn bottleneck(
        &self,
        weights: &Parameters,
        tokens: Tensor<2>,
        statistics: &mut Statistics,
    ) -> Tensor<2> {
        let mut x = tokens;
        for i in 0..self.layers {
            let name = self.layer_name(i);
            let weight = self.weight(weights, &format!("{name}.weight"));
            x = linear(x, weight, self.weight(weights, &format!("{name}.bias")));
            if i + 1 < self.layers {
                x = self.normalise(weights, x, statistics);
                x = match self.activation {
                    Activation::Gelu => gelu(x),
                    Activation::Relu => activation::relu(x),
                };
            }
        }
        l2_normalise(x, 1e-12)
    }

    fn normalise(&self, weights: &Parameters, x: Tensor<2>, from: &mut Statistics) -> Tensor<2> {
        if self.norm == HeadNorm::None {
            return x;
        }
        let gain = self.weight(weights, "mlp.1.weight");
        let bias = self.weight(weights, "mlp.1.bias");
        if self.norm == HeadNorm::Layer {
            return layer_norm(x, gain, bias, 1e-5);
        }
        let stored = || {
            let mean = self.weight(weights, "mlp.1.running_mean").inner();
            (mean, self.weight(weights, "mlp.1.running_var").inner(), 0)
        };
        let (mean, variance) = match from {
            Statistics::Running => {
                let (mean, variance, _) = stored();
                (mean, variance)
            }
            Statistics::Batch(running) => {
                let rows = x.dims()[0] as f32;
                let mean = x.clone().mean_dim(0);
                let centred = x.clone() - mean.clone();
                let variance = (centred.clone() * centred).mean_dim(0);
                let (old_mean, old_variance, updates) = running.take().unwrap_or_else(stored);
                let m = BATCH_NORM_MOMENTUM;
                let unbiased = variance.clone().inner() * (rows / (rows - 1.0).max(1.0));
                *running = Some((
                    old_mean * (1.0 - m) + mean.clone().inner() * m,
                    old_variance * (1.0 - m) + unbiased * m,
                    updates + 1,
                ));
                (mean, variance)
            }
        };
        (x - mean) / (variance + BATCH_NORM_EPSILON).sqrt() * gain + bias
    }

    /// Number of prototypes for patch tokens.
    pub fn patch_count(&self) -> usize {
        match self.shared {
            true => self.out,
            false => self.patch_out,
        }
    }

    /// The weight-normalised last layer of class tokens, `[out, bottleneck]`: row k is
    /// g_k · v_k / ‖v_k‖.
    pub fn class_prototypes(&self, weights: &Parameters) -> Tensor<2> {
        self.prototypes(weights, "last_layer")
    }

    /// The same for patch tokens, `[patch_out, bottleneck]`.
    pub fn patch_prototypes(&self, weights: &Parameters) -> Tensor<2> {
        let name = if self.shared {
            "last_layer"
        } else {
            "last_layer2"
        };
        self.prototypes(weights, name)
    }

    fn prototypes(&self, weights: &Parameters, name: &str) -> Tensor<2> {
        let direction = self.weight(weights, &format!("{name}.weight_v"));
        let gain = self.weight(weights, &format!("{name}.weight_g"));
        l2_normalise(direction, f32::MIN_POSITIVE) * gain
    }

    /// Logits `[rows, K]` of points `[rows, bottleneck]` under prototypes `[K, bottleneck]`.
    pub fn logits(points: Tensor<2>, prototypes: Tensor<2>) -> Tensor<2> {
        matmul_transposed(points, prototypes)
    }
}
