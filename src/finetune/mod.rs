//! Fine-tuning: a pretrained backbone and a linear classifier, trained together on labels.
//!
//! The recipe is BEiT's, as the reference follows it: AdamW with a learning rate that shrinks from the last
//! block to the first, stochastic depth, mixed pictures and soft targets, a warm-up and a cosine. Like in
//! `pretrain`, nothing here knows a file path: [`Tuner`] holds all that changes.

mod classifier;
mod tuner;

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

pub use classifier::Classifier;
pub use tuner::Tuner;

/// How to fine-tune. The defaults are those of the reference for ViT-S, but for epochs and batch, which hang on the
/// data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    pub epochs: usize,
    /// Pictures a step.
    pub batch: usize,
    /// Highest learning rate of the classifier; it is not scaled with the batch.
    pub lr: f64,
    pub min_lr: f64,
    /// Epochs over which the learning rate rises from `min_lr`.
    pub warmup: f64,
    pub weight_decay: f64,
    /// Each block learns this much slower than the one after it.
    pub layer_decay: f64,
    /// How often the last block is skipped for a picture.
    pub drop_path: f64,
    /// RandAugment, random erasing, mixup and CutMix; 0 or false leaves one out.
    pub rand_augment: bool,
    pub erasing: f64,
    pub mixup: f64,
    pub cutmix: f64,
    /// Share of a label that is spread over all classes.
    pub smoothing: f64,
    pub seed: u64,
}

impl Default for Recipe {
    fn default() -> Self {
        Recipe {
            epochs: 200,
            batch: 128,
            lr: 1e-3,
            min_lr: 1e-6,
            warmup: 20.0,
            weight_decay: 0.05,
            layer_decay: 0.75,
            drop_path: 0.1,
            rand_augment: true,
            erasing: 0.25,
            mixup: 0.8,
            cutmix: 1.0,
            smoothing: 0.1,
            seed: 0,
        }
    }
}

impl Recipe {
    /// Learning rate at step `step` of `total`, of which `per_epoch` make an epoch: a line from `min_lr` up, then a
    /// cosine back to it.
    pub fn lr_at(&self, step: usize, per_epoch: usize, total: usize) -> f64 {
        let warmup = (self.warmup * per_epoch as f64).min(total as f64);
        let at = step as f64;
        if at < warmup {
            return self.min_lr + (self.lr - self.min_lr) * at / warmup;
        }
        let share = (at - warmup) / (total as f64 - warmup).max(1.0);
        self.min_lr + 0.5 * (self.lr - self.min_lr) * (1.0 + (PI * share).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let recipe = Recipe {
            lr: 1.0,
            min_lr: 0.0,
            warmup: 2.0,
            ..Recipe::default()
        };
        let at = |step| recipe.lr_at(step, 10, 100);
        assert_eq!((at(0), at(10), at(20), at(60)), (0.0, 0.5, 1.0, 0.5));
        assert!(at(99) < 0.001 && at(99) > 0.0);
        let short = Recipe {
            warmup: 20.0,
            ..recipe
        };
        assert_eq!(
            short.lr_at(50, 10, 100),
            0.5,
            "a warm-up is no longer than the run"
        );
    }
}
