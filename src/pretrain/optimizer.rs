//! Optimizers of the reference, over named parameters.
//!
//! Two rules of the reference live here. Weight decay applies to every parameter of two or more
//! dimensions that is not a bias, which includes tokens, positions and prototypes. Gradients are
//! clipped for each tensor by itself, not over all of them. A parameter without a gradient (a
//! frozen last layer) is left alone entirely: no decay, no moment, no count.

use burn::tensor::{Device, Tensor};

use crate::model::kernels::{AdamW, adamw, norm};
use crate::model::{HostTensor, HostTensors, Parameter, Parameters, matrix_shape, upload};
use crate::settings::{OptimSettings, Optimizer as Kind};

/// Gradients of a network's parameters, in their order; `None` where there is none.
pub type Grads = Vec<Option<Tensor<2>>>;

/// Memory of the optimizer about one parameter.
#[derive(Clone, Debug)]
struct State {
    /// Updates so far.
    steps: usize,
    /// Momentum, and AdamW's mean square.
    first: Tensor<2>,
    second: Option<Tensor<2>>,
}

/// An optimizer and its memory.
#[derive(Clone, Debug)]
pub struct Optimizer {
    settings: OptimSettings,
    states: Vec<Option<State>>,
}

/// True where the reference decays a parameter.
pub fn is_decayed(parameter: &Parameter) -> bool {
    decays(&parameter.name, &parameter.shape)
}

/// The same before the parameter exists.
pub fn decays(name: &str, shape: &[usize]) -> bool {
    shape.len() >= 2 && !name.ends_with(".bias")
}

impl Optimizer {
    pub fn new(settings: &OptimSettings, parameters: &Parameters) -> Self {
        let states = parameters.iter().map(|_| None).collect();
        Optimizer {
            settings: settings.clone(),
            states,
        }
    }

    /// Scales every gradient to a norm of at most `settings.clip` and returns the norms before,
    /// `[1, 1]` each, on the device.
    pub fn clip(&self, grads: &mut Grads) -> Vec<Tensor<2>> {
        let limit = self.settings.clip as f32;
        let mut norms = Vec::new();
        for grad in grads.iter_mut().flatten() {
            let length = norm(grad);
            if limit > 0.0 {
                let factor = (length.clone() + 1e-6).recip() * limit;
                *grad = grad.clone() * factor.clamp_max(1.0);
            }
            norms.push(length);
        }
        norms
    }

    /// Moves every parameter that has a gradient.
    pub fn step(&mut self, parameters: &mut Parameters, grads: Grads, lr: f64, weight_decay: f64) {
        self.step_each(parameters, grads, |parameter| match is_decayed(parameter) {
            true => (lr, weight_decay),
            false => (lr, 0.0),
        });
    }

    /// The same with a learning rate and weight decay for each parameter.
    pub fn step_each(
        &mut self,
        parameters: &mut Parameters,
        grads: Grads,
        rate: impl Fn(&Parameter) -> (f64, f64),
    ) {
        for ((parameter, state), grad) in parameters.iter_mut().zip(&mut self.states).zip(grads) {
            let Some(grad) = grad else { continue };
            let (lr, decay) = rate(parameter);
            let zeros = || Tensor::zeros(grad.dims(), &grad.device());
            let is_adamw = self.settings.kind == Kind::AdamW;
            let state = state.get_or_insert_with(|| State {
                steps: 0,
                first: zeros(),
                second: is_adamw.then(zeros),
            });
            state.steps += 1;
            self.settings.update(parameter, state, grad, lr, decay);
        }
    }

    /// The memory under names like `adamw.first.backbone.cls_token`, for a checkpoint.
    pub fn to_host(&self, parameters: &Parameters) -> HostTensors {
        let mut tensors = HostTensors::new();
        for (parameter, state) in parameters.iter().zip(&self.states) {
            let Some(state) = state else { continue };
            let name = &parameter.name;
            let mut put = |part: &str, data: Vec<f32>, shape: &[usize]| {
                let tensor = HostTensor {
                    shape: shape.to_vec(),
                    data,
                };
                tensors.insert(format!("{part}.{name}"), tensor);
            };
            let host = |t: &Tensor<2>| crate::model::download(t.clone());
            put("steps", vec![state.steps as f32], &[1]);
            put("first", host(&state.first), &parameter.shape);
            if let Some(second) = &state.second {
                put("second", host(second), &parameter.shape);
            }
        }
        tensors
    }

    /// Restores what [`Optimizer::to_host`] gave. Parameters that are not listed start anew.
    pub fn restore(&mut self, parameters: &Parameters, from: &HostTensors, device: &Device) {
        for (parameter, state) in parameters.iter().zip(&mut self.states) {
            let get = |part: &str| from.get(&format!("{part}.{}", parameter.name));
            let matrix = |t: &HostTensor| upload(t.data.clone(), matrix_shape(&t.shape), device);
            let steps = get("steps").and_then(|t| t.data.first());
            *state = steps.zip(get("first")).map(|(&steps, first)| State {
                steps: steps as usize,
                first: matrix(first),
                second: get("second").map(matrix),
            });
        }
    }
}

impl OptimSettings {
    fn update(&self, p: &mut Parameter, state: &mut State, grad: Tensor<2>, lr: f64, decay: f64) {
        let momentum = self.sgd_momentum as f32;
        match (self.kind, &mut state.second) {
            (Kind::AdamW, Some(second)) => {
                let steps = state.steps as i32;
                let constants = AdamW {
                    lr: lr as f32,
                    weight_decay: decay as f32,
                    beta1: self.beta1 as f32,
                    beta2: self.beta2 as f32,
                    epsilon: self.eps as f32,
                    correction1: (1.0 - self.beta1.powi(steps)) as f32,
                    correction2: (1.0 - self.beta2.powi(steps)) as f32,
                };
                adamw(&mut p.value, &mut state.first, second, grad, constants);
            }
            (Kind::Lars, _) => {
                let mut direction = grad;
                if p.shape.len() != 1 {
                    direction = direction + p.value.clone() * decay as f32;
                    direction = direction.clone() * trust(p, direction, self.lars_trust as f32);
                }
                state.first = state.first.clone() * momentum + direction;
                p.value = p.value.clone() - state.first.clone() * lr as f32;
            }
            _ => {
                let direction = grad + p.value.clone() * decay as f32;
                state.first = state.first.clone() * momentum + direction;
                p.value = p.value.clone() - state.first.clone() * lr as f32;
            }
        }
    }
}

/// LARS: trust · ‖p‖ / ‖direction‖, or 1 where one of them is zero. `[1, 1]`.
fn trust(p: &mut Parameter, mut direction: Tensor<2>, trust: f32) -> Tensor<2> {
    let (weight, update) = (norm(&mut p.value), norm(&mut direction));
    let zero = weight
        .clone()
        .equal_elem(0.0)
        .bool_or(update.clone().equal_elem(0.0));
    (weight / update.clamp_min(f32::MIN_POSITIVE) * trust).mask_fill(zero, 1.0)
}
