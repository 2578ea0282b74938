//! The objective of iBOT (paper §3.2; the reference's loss class).
//!
//! The teacher's logits are centred and sharpened into targets. Class tokens are matched across
//! views, every teacher's global view with every *other* view of the student; patches are matched
//! within a view, at masked places only. Both terms are sums of row-wise cross-entropies with
//! constant weights, and a cross-entropy is linear in its target, so the class term needs one row
//! per student view whose target is the sum of the teacher's other views.
//!
//! Two savings are exact: prototypes are computed for masked patches only, and the patch centre is
//! the last layer applied to the mean bottleneck vector, the last layer being linear.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::model::kernels::{centred_softmax, cross_entropy};
use crate::model::upload;
use crate::pretrain::schedules::Scheduled;

/// Running means of the teacher's logits; subtracting them keeps one prototype from taking all.
#[derive(Clone, Debug)]
pub struct Centres {
    /// Of class tokens, `[1, K]`.
    pub class: Tensor<2>,
    /// Of all patch tokens, masked or not, `[1, K_patch]`.
    pub patch: Tensor<2>,
}

impl Centres {
    /// `c ← m·c + (1 − m)·mean`, with the means over the whole batch.
    pub fn update(&mut self, class_mean: Tensor<2>, patch_mean: Tensor<2>, weights: &LossWeights) {
        let blend =
            |centre: &Tensor<2>, mean: Tensor<2>, m: f32| centre.clone() * m + mean * (1.0 - m);
        self.class = blend(&self.class, class_mean, weights.centre_momentum);
        self.patch = blend(&self.patch, patch_mean, weights.patch_centre_momentum);
    }
}

/// Constants of the objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossWeights {
    pub lambda_cls: f32,
    pub lambda_patch: f32,
    pub student_temp: f32,
    pub centre_momentum: f32,
    pub patch_centre_momentum: f32,
}

/// Where the masked patches of a batch are, and what each counts.
#[derive(Clone, Debug)]
pub struct MaskedPatches {
    /// Index of each masked patch among all `crops * patches`, in rising order, then padding.
    pub cells: Vec<usize>,
    /// Row g: what each masked patch adds to the patch loss of global crop g,
    /// `1 / (pictures · masked patches of its picture)`; zero for padding. `[crops, cells]`.
    pub weights: Vec<f32>,
    /// Masked patches, without padding.
    pub count: usize,
}

impl MaskedPatches {
    /// Lists the cells of `masks [crops * pictures, patches]` (crop-major), padded to the next of
    /// `steps` equal parts of `bound`, so that a device meets few different shapes; with `steps`
    /// 0 nothing is padded. `batch` is the number of pictures that the mean is over.
    pub fn new(
        masks: &[bool],
        [crops, pictures, patches]: [usize; 3],
        batch: usize,
        (bound, steps): (usize, usize),
    ) -> Self {
        let mut cells: Vec<usize> = (0..masks.len()).filter(|&i| masks[i]).collect();
        let count = cells.len();
        let padded = match (bound.max(1)).checked_div(steps) {
            Some(part) => count.max(1).next_multiple_of(part.max(1)),
            None => count.max(1),
        };
        cells.resize(padded, 0);
        let mut weights = vec![0.0; crops * padded];
        let mut start = 0;
        for row in 0..crops * pictures {
            let masked = masks[row * patches..][..patches]
                .iter()
                .filter(|&&m| m)
                .count();
            let crop = row / pictures;
            weights[crop * padded + start..][..masked].fill(1.0 / (batch * masked.max(1)) as f32);
            start += masked;
        }
        MaskedPatches {
            cells,
            weights,
            count,
        }
    }

    /// Rows of the masked patches in a token matrix with `tokens` tokens an image.
    pub fn token_rows(&self, tokens: usize) -> impl Iterator<Item = usize> {
        let patches = tokens - 1;
        self.cells
            .iter()
            .map(move |&cell| cell / patches * tokens + 1 + cell % patches)
    }
}

/// Integer tensor of row numbers.
pub fn rows(indices: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i32> = indices.map(|i| i as i32).collect();
    let count = indices.len();
    Tensor::from_data(TensorData::new(indices, [count]), device)
}

/// The teacher's logits for one (micro-)batch, without gradient.
#[derive(Clone, Debug)]
pub struct TeacherLogits {
    /// Class tokens of the global crops, crop-major, `[crops * pictures, K]`.
    pub class: Tensor<2>,
    /// Masked patches, `[cells, K_patch]`.
    pub masked: Tensor<2>,
}

/// The student's logits for the same.
#[derive(Clone, Debug)]
pub struct StudentLogits {
    /// Class tokens of global, then local crops, crop-major, `[views * pictures, K]`.
    pub class: Tensor<2>,
    /// Masked patches, `[cells, K_patch]`.
    pub masked: Tensor<2>,
}

/// What the objective says about one (micro-)batch.
#[derive(Clone, Debug)]
pub struct Loss {
    /// `[1, 1]`, to be differentiated.
    pub total: Tensor<2>,
    /// Class term of each student view, `[views, 1]`; they sum to the class loss.
    pub class: Tensor<2>,
    /// Patch term of each global crop, `[crops, 1]`; they sum to the patch loss.
    pub patch: Tensor<2>,
    /// The teacher's targets: class tokens `[crops * pictures, K]` and masked patches.
    pub targets: (Tensor<2>, Tensor<2>),
}

/// The loss of one (micro-)batch of `pictures` out of `batch`, seen in `crops` global crops.
pub fn objective(
    student: StudentLogits,
    teacher: TeacherLogits,
    centres: &Centres,
    masked: &MaskedPatches,
    [crops, pictures, batch]: [usize; 3],
    weights: &LossWeights,
    scheduled: &Scheduled,
) -> Loss {
    let device = teacher.class.device();
    let views = student.class.dims()[0] / pictures;

    let class_targets = centred_softmax(
        teacher.class,
        centres.class.clone(),
        scheduled.teacher_temp as f32,
    );
    let targets = other_views(&class_targets, crops, views, pictures);
    let class = cross_entropy(student.class, targets, weights.student_temp);
    let pairs = (crops * (views - 1)).max(1) * batch;
    let class = class.reshape([views, pictures]).sum_dim(1) * (weights.lambda_cls / pairs as f32);

    let temperature = scheduled.teacher_patch_temp as f32;
    let patch_targets = centred_softmax(teacher.masked, centres.patch.clone(), temperature);
    let patch = cross_entropy(student.masked, patch_targets.clone(), weights.student_temp);
    let cells = masked.cells.len();
    let per_crop = upload(masked.weights.clone(), [crops, cells], &device);
    let per_crop = per_crop * (weights.lambda_patch / crops as f32);
    let per_crop = if patch.is_autodiff() {
        per_crop.autodiff()
    } else {
        per_crop
    };
    let patch = per_crop.matmul(patch);

    let total = class.clone().sum_dim(0) + patch.clone().sum_dim(0);
    Loss {
        total,
        class,
        patch,
        targets: (class_targets, patch_targets),
    }
}

/// For each student view the sum of the teacher's distributions of all *other* global views:
/// `[crops * pictures, K]` → `[views * pictures, K]`.
fn other_views(targets: &Tensor<2>, crops: usize, views: usize, pictures: usize) -> Tensor<2> {
    let width = targets.dims()[1];
    let of = |q: usize| {
        targets
            .clone()
            .slice([q * pictures..(q + 1) * pictures, 0..width])
    };
    let sum_without = |v: usize| {
        let others = (0..crops).filter(|&q| q != v).map(of);
        let none = || Tensor::zeros([pictures, width], &targets.device());
        others.reduce(|a, b| a + b).unwrap_or_else(none)
    };
    Tensor::cat((0..views).map(sum_without).collect(), 0)
}
