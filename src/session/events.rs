//! What a run tells its front ends, and what they may ask of it: plain data only.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::history::Change;
use crate::pretrain::StepNumbers;

/// Something that happened in a run. Front ends show it; none of it needs an answer.
#[derive(Clone, Debug)]
pub enum Event {
    /// What the run will do, before its first step.
    Plan(Box<Plan>),
    /// The run enters a phase, in words: "warming up: compiling kernels".
    Phase(String),
    /// A step is done.
    Step(Box<StepMetrics>),
    /// The network was measured.
    Eval(Box<EvalMetrics>),
    /// A setting has another value from this step on.
    Changed(Change),
    /// A checkpoint is safe on disk.
    Checkpoint { step: usize, path: PathBuf },
    /// Something went wrong that does not end the run.
    Warning(String),
}

/// What a run is going to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    pub source: String,
    /// Pictures to train on and to test k-NN with.
    pub train_pictures: usize,
    pub test_pictures: usize,
    pub classes: usize,
    pub device: String,
    pub device_reason: String,
    /// Parameters of the student, and of its backbone alone.
    pub parameters: usize,
    pub backbone_parameters: usize,
    /// Estimate of the memory that training needs, in bytes.
    pub memory: u64,
    pub steps_per_epoch: usize,
    pub epochs: usize,
    pub total_steps: usize,
    /// Where a resumed run goes on; 0 for a new one.
    pub first_step: usize,
    pub folder: PathBuf,
}

/// One line of `metrics.jsonl` about a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    pub step: usize,
    pub epoch: usize,
    pub loss: f32,
    /// The four terms of the paper's figure: teacher view 1 → student view 2, 2 → 1, and the masked
    /// patches of both views. Local crops are in `cls_local`.
    pub cls_12: f32,
    pub cls_21: f32,
    pub cls_local: f32,
    pub patch_1: f32,
    pub patch_2: f32,
    pub lr: f64,
    pub weight_decay: f64,
    pub momentum: f64,
    pub teacher_temp: f64,
    pub teacher_patch_temp: f64,
    /// Norm of the whole gradient, before clipping.
    pub grad_norm: f32,
    /// Mean entropy of the teacher's distributions, nats.
    pub entropy_cls: f32,
    pub entropy_patch: f32,
    /// Prototypes that won at least one token of the batch.
    pub prototypes_used: usize,
    pub prototypes_used_patch: usize,
    /// Share of pictures on which teacher and student choose the same prototype.
    pub agreement: f32,
    pub seconds: f64,
    pub images_per_second: f64,
}

/// One line of `metrics.jsonl` about an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EvalMetrics {
    pub step: usize,
    /// Share of test pictures whose class the nearest training pictures name, for the best k.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knn: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub knn_k: Option<usize>,
    /// Agreement of the teacher's class prototypes with the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nmi: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ari: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fmi: Option<f64>,
    /// Prototypes in use over the pictures that were looked at: by class tokens and by patches.
    pub prototypes_used: usize,
    pub prototypes_used_patch: usize,
    pub seconds: f64,
    /// How well single prototypes find parts, where part maps are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartMetrics>,
}

/// How well the teacher's prototypes find one part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartMetrics {
    pub part: String,
    /// Patches that show it.
    pub patches: usize,
    /// The best single prototype: share of its patches that show the part, and share of the part's
    /// patches that it takes.
    pub prototype: u32,
    pub precision: f64,
    pub recall: f64,
    /// The same for the best union of up to four prototypes.
    pub union_precision: f64,
    pub union_recall: f64,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps are done.
    Finished,
    /// `run.max_steps` or `run.max_minutes` was reached.
    Limit,
    /// A front end asked for it.
    Stopped,
}

/// What is left when a run has ended.
#[derive(Clone, Debug)]
pub struct Summary {
    pub ending: Ending,
    pub steps: usize,
    pub checkpoint: PathBuf,
    pub report: PathBuf,
    pub best_knn: Option<f64>,
    /// Pictures that could not be used, with the reason.
    pub broken: Vec<String>,
}

impl StepMetrics {
    /// The numbers of a step that took `seconds` for `images` pictures.
    pub fn new(numbers: &StepNumbers, seconds: f64, images: usize) -> Self {
        let at = |terms: &[f32], i: usize| terms.get(i).copied().unwrap_or_default();
        let crops = numbers.patch.len();
        let distinct = |values: &[u32]| values.iter().collect::<BTreeSet<_>>().len();
        Self {
            step: numbers.step,
            epoch: numbers.epoch,
            loss: numbers.loss,
            // The row of student view 2 is matched with the teacher's view 1, and the other way round.
            cls_12: at(&numbers.class, 1),
            cls_21: at(&numbers.class, 0),
            cls_local: numbers.class.iter().skip(crops).sum(),
            patch_1: at(&numbers.patch, 0),
            patch_2: at(&numbers.patch, 1),
            lr: numbers.scheduled.lr,
            weight_decay: numbers.scheduled.weight_decay,
            momentum: numbers.scheduled.momentum,
            teacher_temp: numbers.scheduled.teacher_temp,
            teacher_patch_temp: numbers.scheduled.teacher_patch_temp,
            grad_norm: numbers.grad_norm(),
            entropy_cls: numbers.entropy_class,
            entropy_patch: numbers.entropy_patch,
            prototypes_used: distinct(&numbers.class_prototypes),
            prototypes_used_patch: distinct(&numbers.patch_prototypes),
            agreement: numbers.agreement,
            seconds,
            images_per_second: images as f64 / seconds,
        }
    }
}
