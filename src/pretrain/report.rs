//! What a step says about itself, as numbers that stay on the device until someone reads them.

use burn::tensor::{Int, Tensor};

use super::objective::{Centres, Loss, TeacherLogits};
use super::schedules::Scheduled;
use crate::model::download;
use crate::model::kernels::cross_entropy;

/// Health of one (micro-)batch, on the device.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    /// Class term of each student view, then patch term of each global crop, then the mean entropy
    /// of the teacher's class and patch distributions. `[views + crops + 2, 1]`.
    numbers: Tensor<2>,
    views: usize,
    crops: usize,
    /// Most likely prototype of each class token: the teacher's, the student's on global crops.
    teacher_class: Vec<Tensor<2, Int>>,
    student_class: Vec<Tensor<2, Int>>,
    /// The teacher's most likely prototype of each masked patch, without padding.
    teacher_patch: Vec<Tensor<2, Int>>,
}

impl Diagnostics {
    /// `masked` is the number of masked patches without padding.
    pub(super) fn new(
        loss: &Loss,
        student: Tensor<2>,
        teacher: TeacherLogits,
        centres: &Centres,
        masked: usize,
        now: &Scheduled,
    ) -> Self {
        let crops = loss.patch.dims()[0];
        let entropy = |logits: &Tensor<2>, centre: &Tensor<2>, targets: &Tensor<2>, temp: f64| {
            // A distribution's cross-entropy with itself is its entropy.
            let centred = logits.clone() - centre.clone();
            cross_entropy(centred, targets.clone(), temp as f32)
        };
        let (class_targets, patch_targets) = &loss.targets;
        let class = entropy(
            &teacher.class,
            &centres.class,
            class_targets,
            now.teacher_temp,
        );
        let patch = entropy(
            &teacher.masked,
            &centres.patch,
            patch_targets,
            now.teacher_patch_temp,
        );
        let real = masked.max(1);
        let patch = patch.slice([0..real, 0..1]);
        let class_rows = class_targets.dims()[0];
        let student_rows = student.slice([0..class_rows, 0..class_targets.dims()[1]]);
        let masked_logits = (masked > 0).then(|| {
            let width = teacher.masked.dims()[1];
            teacher.masked.slice([0..masked, 0..width]).argmax(1)
        });
        Diagnostics {
            views: loss.class.dims()[0],
            crops,
            numbers: Tensor::cat(
                vec![
                    loss.class.clone().inner(),
                    loss.patch.clone().inner(),
                    class.mean_dim(0),
                    patch.mean_dim(0),
                ],
                0,
            ),
            teacher_class: vec![teacher.class.argmax(1)],
            student_class: vec![student_rows.argmax(1)],
            teacher_patch: masked_logits.into_iter().collect(),
        }
    }

    /// Adds the part `next` of `parts` micro-batches: losses are already shares of the whole,
    /// entropies are averaged.
    pub(super) fn join(mut self, next: Self, parts: usize) -> Self {
        let losses = self.views + self.crops;
        let cut = |t: &Tensor<2>, from: usize, to: usize| t.clone().slice([from..to, 0..1]);
        let old = if self.teacher_class.len() == 1 {
            1.0 / parts as f32
        } else {
            1.0
        };
        let entropies = cut(&self.numbers, losses, losses + 2) * old
            + cut(&next.numbers, losses, losses + 2) / parts as f32;
        let sums = cut(&self.numbers, 0, losses) + cut(&next.numbers, 0, losses);
        self.numbers = Tensor::cat(vec![sums, entropies], 0);
        self.teacher_class.extend(next.teacher_class);
        self.student_class.extend(next.student_class);
        self.teacher_patch.extend(next.teacher_patch);
        self
    }
}

/// The report of one step, still on the device.
pub struct StepReport {
    step: usize,
    epoch: usize,
    scheduled: Scheduled,
    diagnostics: Option<Diagnostics>,
    norms: Vec<Tensor<2>>,
}

/// The report of one step, as plain numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct StepNumbers {
    /// Counted over the whole run, from 0.
    pub step: usize,
    pub epoch: usize,
    pub scheduled: Scheduled,
    pub loss: f32,
    /// Class term of every student view: with two global crops the first is teacher view 2 →
    /// student view 1, the second teacher 1 → student 2, then local crops.
    pub class: Vec<f32>,
    /// Patch term of every global crop.
    pub patch: Vec<f32>,
    /// Mean entropy of the teacher's distributions in nats; at most ln K.
    pub entropy_class: f32,
    pub entropy_patch: f32,
    /// The teacher's most likely prototype of each class token of the global crops, crop-major
    /// within each part of the batch, and of each masked patch.
    pub class_prototypes: Vec<u32>,
    pub patch_prototypes: Vec<u32>,
    /// Share of pictures for which teacher (view 1) and student (view 2) choose one prototype.
    pub agreement: f32,
    /// Norm of the gradient of each tensor that has one, before clipping.
    pub grad_norms: Vec<f32>,
}

impl StepNumbers {
    /// Norm of the whole gradient.
    pub fn grad_norm(&self) -> f32 {
        self.grad_norms
            .iter()
            .map(|&n| n as f64 * n as f64)
            .sum::<f64>()
            .sqrt() as f32
    }
}

impl StepReport {
    pub(super) fn new(
        step: usize,
        epoch: usize,
        scheduled: Scheduled,
        diagnostics: Option<Diagnostics>,
        norms: Vec<Tensor<2>>,
    ) -> Self {
        StepReport {
            step,
            epoch,
            scheduled,
            diagnostics,
            norms,
        }
    }

    /// Reads the numbers; waits until the device has computed them.
    pub fn read(self) -> StepNumbers {
        let grad_norms = match self.norms.is_empty() {
            true => Vec::new(),
            false => download(Tensor::cat(self.norms, 0)),
        };
        let mut numbers = StepNumbers {
            step: self.step,
            epoch: self.epoch,
            scheduled: self.scheduled,
            loss: f32::NAN,
            class: Vec::new(),
            patch: Vec::new(),
            entropy_class: f32::NAN,
            entropy_patch: f32::NAN,
            class_prototypes: Vec::new(),
            patch_prototypes: Vec::new(),
            agreement: f32::NAN,
            grad_norms,
        };
        let Some(diagnostics) = self.diagnostics else {
            return numbers;
        };
        let (views, crops) = (diagnostics.views, diagnostics.crops);
        let all = download(diagnostics.numbers);
        let (losses, entropies) = all.split_at((views + crops).min(all.len()));
        numbers.loss = losses.iter().sum();
        numbers.class = losses.iter().take(views).copied().collect();
        numbers.patch = losses.iter().skip(views).copied().collect();
        if let &[class, patch] = entropies {
            (numbers.entropy_class, numbers.entropy_patch) = (class, patch);
        }
        let mut agreeing = 0;
        let mut pictures = 0;
        for (teacher, student) in diagnostics
            .teacher_class
            .iter()
            .zip(&diagnostics.student_class)
        {
            let (teacher, student) = (indices(teacher), indices(student));
            let per_view = teacher.len() / crops.max(1);
            let second = if crops > 1 { per_view } else { 0 };
            let pairs = teacher
                .iter()
                .take(per_view)
                .zip(student.iter().skip(second));
            agreeing += pairs.filter(|(a, b)| a == b).count();
            pictures += per_view;
            numbers.class_prototypes.extend(teacher);
        }
        numbers.agreement = agreeing as f32 / pictures.max(1) as f32;
        numbers.patch_prototypes = diagnostics.teacher_patch.iter().flat_map(indices).collect();
        numbers
    }
}

/// Row maxima's columns as plain numbers.
fn indices(tensor: &Tensor<2, Int>) -> Vec<u32> {
    tensor
        .clone()
        .into_data()
        .convert::<u32>()
        .try_into_vec()
        .unwrap_or_default()
}
