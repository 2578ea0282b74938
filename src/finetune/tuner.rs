//! One step of fine-tuning: forward, soft cross-entropy, backward, AdamW layer by layer.

use burn::tensor::Device;

use super::classifier::is_spared;
use super::{Classifier, Recipe};
use crate::model::kernels::cross_entropy;
use crate::model::{HostTensors, Parameters, Patches, WeightError, download, part, upload};
use crate::pretrain::drop_path;
use crate::pretrain::optimizer::{Grads, Optimizer};
use crate::settings::OptimSettings;

/// Everything that fine-tuning changes.
pub struct Tuner {
    pub classifier: Classifier,
    pub weights: Parameters,
    pub recipe: Recipe,
    optimizer: Optimizer,
    device: Device,
}

impl Tuner {
    pub fn new(
        classifier: Classifier,
        weights: Parameters,
        recipe: Recipe,
        device: &Device,
    ) -> Self {
        let optim = OptimSettings {
            clip: 0.0,
            ..OptimSettings::default()
        };
        Tuner {
            optimizer: Optimizer::new(&optim, &weights),
            classifier,
            weights,
            recipe,
            device: device.clone(),
        }
    }

    /// Trains on a batch of views `[rows, 3, side, side]` with targets `[rows, classes]` at learning rate `lr`; gives
    /// the loss.
    pub fn step(
        &mut self,
        planes: &[f32],
        targets: Vec<f32>,
        side: usize,
        step: usize,
        lr: f64,
    ) -> f32 {
        let rows = targets.len() / self.classifier.classes;
        let patch = self.classifier.backbone.patch();
        let patches = Patches::new(planes, [rows, side, side], patch, &self.device);
        let depth = self.classifier.backbone.depth();
        let key = [self.recipe.seed, step as u64, 0, 0];
        let skipped = drop_path(self.recipe.drop_path, depth, rows, key);
        let tracked = self.weights.tracked(|_| true);
        let logits = self
            .classifier
            .forward(&tracked, &patches, skipped.as_ref());
        let targets = upload(targets, logits.dims(), &self.device);
        let loss = cross_entropy(logits, targets, 1.0).mean();
        let mut gradients = loss.backward();
        let grads: Grads = tracked
            .iter()
            .map(|parameter| parameter.value.grad_remove(&mut gradients))
            .collect();
        // Freed first, so that weights can be moved in place.
        drop(tracked);
        let (classifier, recipe) = (&self.classifier, &self.recipe);
        self.optimizer
            .step_each(&mut self.weights, grads, |parameter| {
                let above = classifier.layers_above(&parameter.name);
                let slower = recipe.layer_decay.powi(above as i32);
                let decay = match is_spared(&parameter.name, &parameter.shape) {
                    true => 0.0,
                    false => recipe.weight_decay,
                };
                (lr * slower, decay)
            });
        download(loss.inner()).first().copied().unwrap_or(f32::NAN)
    }

    /// Logits `[rows, classes]` of views `[rows, 3, side, side]`.
    pub fn logits(&self, planes: &[f32], side: usize) -> Vec<f32> {
        let rows = planes.len() / (3 * side * side);
        let patch = self.classifier.backbone.patch();
        let patches = Patches::new(planes, [rows, side, side], patch, &self.device);
        download(self.classifier.forward(&self.weights, &patches, None))
    }

    /// Weights (`weights.`) and the optimizer's memory (`optimizer.`).
    pub fn to_host(&self) -> HostTensors {
        let named = |prefix: &'static str, tensors: HostTensors| {
            tensors
                .into_iter()
                .map(move |(name, tensor)| (format!("{prefix}.{name}"), tensor))
        };
        let mut all: HostTensors = named("weights", self.weights.to_host()).collect();
        all.extend(named("optimizer", self.optimizer.to_host(&self.weights)));
        all
    }

    /// Takes up what [`Tuner::to_host`] gave.
    ///
    /// # Errors
    /// Weights of another classifier.
    pub fn restore(&mut self, from: &HostTensors) -> Result<(), WeightError> {
        let specs = self.classifier.specs();
        self.weights = Parameters::load(&specs, &part(from, "weights"), &self.device)?;
        self.optimizer
            .restore(&self.weights, &part(from, "optimizer"), &self.device);
        Ok(())
    }
}
