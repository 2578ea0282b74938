//! One step of iBOT, in the order of the paper:
//! schedules → teacher → student → loss → backward → clip → optimizer → teacher average → centres.

use burn::tensor::{Device, Int, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::networks::{self, Network};
use super::objective::{
    Centres, Loss, LossWeights, MaskedPatches, StudentLogits, TeacherLogits, objective, rows,
};
use super::optimizer::{Grads, Optimizer};
use super::report::{Diagnostics, StepReport};
use super::schedules::Scheduled;
use super::stopwatch::Stopwatch;
use crate::data::Batch;
use crate::model::kernels::is_cpu;
use crate::model::{
    DropPath, Head, HostTensor, HostTensors, Parameter, Parameters, Patches, Statistics,
    WeightError, download, upload,
};
use crate::settings::Settings;

/// Parts into which the largest possible number of masked patches is cut on a GPU: each count is
/// padded to the next, so that kernels are compiled and tuned for at most so many shapes.
const MASK_SHAPES: usize = 8;

/// Everything that training changes, and what it needs to know to do so.
pub struct Trainer {
    pub student: Parameters,
    pub teacher: Parameters,
    pub student_network: Network,
    pub teacher_network: Network,
    pub optimizer: Optimizer,
    pub centres: Centres,
    pub device: Device,
    pub settings: Settings,
    pub stopwatch: Stopwatch,
    /// When `Some`, every step leaves its gradients here, as they were before clipping. Fetching them
    /// waits for the device.
    pub gradients: Option<HostTensors>,
}

impl Trainer {
    /// Fresh networks for `settings` on `device`; the teacher is a copy of the student.
    pub fn new(settings: &Settings, device: &Device) -> Self {
        let student_network = Network::student(settings);
        let student = Parameters::init(&student_network.specs(), settings.run.seed, device);
        Self::with_student(settings, student, device)
    }

    /// The same with given student weights.
    pub fn with_student(settings: &Settings, student: Parameters, device: &Device) -> Self {
        let teacher_network = Network::teacher(settings);
        let patch_width = settings.head.teacher_patches();
        Trainer {
            teacher: networks::teacher_from(&student, &teacher_network, device),
            optimizer: Optimizer::new(&settings.optim, &student),
            student,
            student_network: Network::student(settings),
            teacher_network,
            centres: Centres {
                class: networks::zeros(settings.head.out_dim, device),
                patch: networks::zeros(patch_width, device),
            },
            device: device.clone(),
            settings: settings.clone(),
            stopwatch: Stopwatch::default(),
            gradients: None,
        }
    }

    /// Puts one network into both; a head stays as it is where `network` has none.
    ///
    /// # Errors
    /// A parameter that the network lacks, or of another shape. Only a mask token may lack.
    pub fn start_from(&mut self, network: &HostTensors) -> Result<(), WeightError> {
        let with_head = network.keys().any(|name| name.starts_with("head."));
        for parameters in [&mut self.student, &mut self.teacher] {
            for parameter in parameters.iter_mut() {
                let name = parameter.name.to_string();
                if !with_head && name.starts_with("head.") {
                    continue;
                }
                match network.get(&name) {
                    Some(found) if found.shape == *parameter.shape => {
                        let shape = parameter.value.dims();
                        parameter.value = upload(found.data.clone(), shape, &self.device);
                    }
                    Some(found) => {
                        return Err(WeightError::Shape {
                            name,
                            found: found.shape.clone(),
                            expected: parameter.shape.to_vec(),
                        });
                    }
                    None if name.ends_with("masked_embed") => {}
                    None => return Err(WeightError::Missing(name)),
                }
            }
        }
        Ok(())
    }

    /// Trains on one batch at step `step` (counted over the whole run) of epoch `epoch`.
    ///
    /// The report stays on the device until it is read, so that the device need not be waited for.
    pub fn step(&mut self, batch: &Batch, step: usize, epoch: usize, now: Scheduled) -> StepReport {
        self.stopwatch.start();
        let parts = self.settings.run.accumulate.max(1);
        let frozen = epoch < self.settings.optim.freeze_backbone;
        let tracked = self
            .student
            .tracked(|name| !(frozen && name.starts_with("backbone.")));
        let mut grads: Grads = tracked.iter().map(|_| None).collect();
        let mut means: Option<(Tensor<2>, Tensor<2>)> = None;
        let mut diagnostics: Option<Diagnostics> = None;

        for part in 0..parts {
            let views = self.views(batch, part, parts);
            let (teacher, class_mean, patch_mean) = self.teach(&views);
            self.stopwatch.lap("teacher", &self.device);

            let student = self.study(&tracked, &views, (step, part));
            let sizes = [views.crops, views.pictures, batch.images.len()];
            let weights = self.loss_weights();
            let seen = (student.class.clone().inner(), teacher.clone());
            let loss = objective(
                student,
                teacher,
                &self.centres,
                &views.masked,
                sizes,
                &weights,
                &now,
            );
            self.stopwatch.lap("student", &self.device);

            let mut gradients = loss.total.backward();
            for (sum, parameter) in grads.iter_mut().zip(tracked.iter()) {
                let grad = parameter
                    .trained
                    .then(|| parameter.value.grad_remove(&mut gradients));
                add(sum, grad.flatten());
            }
            drop(gradients);
            self.stopwatch.lap("backward", &self.device);

            let share = views.pictures as f32 / batch.images.len() as f32;
            let (class_mean, patch_mean) = (class_mean * share, patch_mean * share);
            means = Some(match means {
                None => (class_mean, patch_mean),
                Some((class, patch)) => (class + class_mean, patch + patch_mean),
            });
            let part = self.diagnose(&loss, seen, &views, &now);
            diagnostics = Some(match diagnostics {
                None => part,
                Some(sum) => sum.join(part, parts),
            });
            self.stopwatch.lap("diagnostics", &self.device);
        }
        drop(tracked);
        self.keep_gradients(&grads);

        let norms = self.optimizer.clip(&mut grads);
        if epoch < self.settings.optim.freeze_last_layer {
            self.freeze_last_layer(&mut grads);
        }
        self.optimizer
            .step(&mut self.student, grads, now.lr, now.weight_decay);
        self.stopwatch.lap("optimizer", &self.device);

        networks::follow(&mut self.teacher, &mut self.student, now.momentum);
        if let Some((class, patch)) = means {
            self.centres.update(class, patch, &self.loss_weights());
        }
        self.stopwatch.lap("teacher average", &self.device);
        StepReport::new(step, epoch, now, diagnostics, norms)
    }

    /// The teacher's logits, and the means of its class and patch logits over all tokens.
    fn teach(&mut self, views: &Views) -> (TeacherLogits, Tensor<2>, Tensor<2>) {
        let Network { backbone, head, .. } = &self.teacher_network;
        let tokens = backbone.forward(&self.teacher, &views.globals, None, None);
        let images = views.globals.images;
        let per_image = tokens.dims()[0] / images;
        let mut statistics = Statistics::Batch(None);
        let points = head.bottleneck(&self.teacher, tokens, &mut statistics);
        keep_statistics(&mut self.teacher, statistics);

        let width = points.dims()[1];
        let class_points = points
            .clone()
            .select(0, rows(class_rows(images, per_image), &self.device));
        let masked_points = points
            .clone()
            .select(0, rows(views.masked.token_rows(per_image), &self.device));
        let patch_points: Tensor<3> =
            points
                .reshape([images, per_image, width])
                .slice([0..images, 1..per_image, 0..width]);
        let mean_point = patch_points
            .reshape([images * (per_image - 1), width])
            .mean_dim(0);

        let prototypes = head.patch_prototypes(&self.teacher);
        let class = Head::logits(class_points, head.class_prototypes(&self.teacher));
        let class_mean = class.clone().mean_dim(0);
        let logits = TeacherLogits {
            class,
            masked: Head::logits(masked_points, prototypes.clone()),
        };
        (logits, class_mean, Head::logits(mean_point, prototypes))
    }

    /// The student's logits: masked global crops, then whole local ones.
    fn study(&mut self, tracked: &Parameters, views: &Views, key: (usize, usize)) -> StudentLogits {
        let Network { backbone, head, .. } = &self.student_network;
        let mut statistics = Statistics::Batch(None);
        // Batch norm must see every token; otherwise only tokens that the loss needs go on.
        let whole = head.norm == crate::settings::HeadNorm::Batch;
        let mut project = |tokens: Tensor<2>, wanted: Tensor<1, Int>| match whole {
            true => head
                .bottleneck(tracked, tokens, &mut statistics)
                .select(0, wanted),
            false => tokens.select(0, wanted),
        };

        let drop = self.drop_path(key, 0, views.globals.images);
        let mask = self
            .settings
            .loss
            .masked_modeling
            .then(|| views.mask.clone());
        let tokens = backbone.forward(tracked, &views.globals, mask, drop.as_ref());
        let images = views.globals.images;
        let per_image = tokens.dims()[0] / images;
        let wanted = class_rows(images, per_image).chain(views.masked.token_rows(per_image));
        let mut points = vec![project(tokens, rows(wanted, &self.device))];
        let mut local_images = 0;
        if let Some(locals) = &views.locals {
            let drop = self.drop_path(key, 1, locals.images);
            let tokens = backbone.forward(tracked, locals, None, drop.as_ref());
            local_images = locals.images;
            let per_image = tokens.dims()[0] / local_images;
            points.push(project(
                tokens,
                rows(class_rows(local_images, per_image), &self.device),
            ));
        }
        let points = Tensor::cat(points, 0);
        let points = match whole {
            true => points,
            false => head.bottleneck(tracked, points, &mut statistics),
        };
        keep_statistics(&mut self.student, statistics);

        let (total, width) = (points.dims()[0], points.dims()[1]);
        let part = |from: usize, to: usize| points.clone().slice([from..to, 0..width]);
        let masked = part(images, total - local_images);
        let class = match local_images {
            0 => part(0, images),
            _ => Tensor::cat(vec![part(0, images), part(total - local_images, total)], 0),
        };
        StudentLogits {
            class: Head::logits(class, head.class_prototypes(tracked)),
            masked: Head::logits(masked, head.patch_prototypes(tracked)),
        }
    }

    fn loss_weights(&self) -> LossWeights {
        let loss = &self.settings.loss;
        LossWeights {
            lambda_cls: loss.lambda_cls as f32,
            lambda_patch: loss.lambda_patch as f32,
            student_temp: loss.student_temp as f32,
            centre_momentum: loss.centre_momentum as f32,
            patch_centre_momentum: loss.patch_centre_momentum as f32,
        }
    }

    /// Health of this (micro-)batch, computed from what the loss already has.
    fn diagnose(
        &self,
        loss: &Loss,
        (student, teacher): (Tensor<2>, TeacherLogits),
        views: &Views,
        now: &Scheduled,
    ) -> Diagnostics {
        Diagnostics::new(
            loss,
            student,
            teacher,
            &self.centres,
            views.masked.count,
            now,
        )
    }

    /// Copies the gradients to the host where someone asked for them.
    fn keep_gradients(&mut self, grads: &Grads) {
        if let Some(kept) = &mut self.gradients {
            let entry = |(parameter, grad): (&Parameter, &Option<Tensor<2>>)| {
                let data = download(grad.clone()?);
                let shape = parameter.shape.to_vec();
                Some((parameter.name.to_string(), HostTensor { shape, data }))
            };
            *kept = self.student.iter().zip(grads).filter_map(entry).collect();
        }
    }

    /// Drops the gradients of the last layers: the reference's early steadiness.
    fn freeze_last_layer(&self, grads: &mut Grads) {
        for (grad, parameter) in grads.iter_mut().zip(self.student.iter()) {
            if parameter.name.contains("last_layer") {
                *grad = None;
            }
        }
    }

    /// Stochastic depth of one pass over `images` images.
    fn drop_path(
        &self,
        (step, part): (usize, usize),
        pass: u64,
        images: usize,
    ) -> Option<DropPath> {
        let key = [self.settings.run.seed, step as u64, part as u64, pass];
        let depth = self.student_network.backbone.depth();
        drop_path(self.settings.model.drop_path, depth, images, key)
    }

    /// Part `part` of `parts` of a batch, on the device.
    fn views(&self, batch: &Batch, part: usize, parts: usize) -> Views {
        let (spec, patch) = (&self.settings.views, self.settings.model.patch);
        let all = batch.images.len();
        let (from, to) = (all * part / parts, all * (part + 1) / parts);
        let pictures = to - from;
        let cut = |pixels: &[f32], crops: usize, side: usize| {
            let len = 3 * side * side;
            let rows =
                (0..crops).flat_map(|v| &pixels[(v * all + from) * len..(v * all + to) * len]);
            let rows: Vec<f32> = rows.copied().collect();
            Patches::new(&rows, [crops * pictures, side, side], patch, &self.device)
        };
        let crops = spec.global_crops;
        let globals = cut(&batch.globals, crops, spec.global_size);
        let locals =
            (spec.local_crops > 0).then(|| cut(&batch.locals, spec.local_crops, spec.local_size));
        let patches = batch.masks.len() / (crops * all);
        let masks = (0..crops)
            .flat_map(|v| &batch.masks[(v * all + from) * patches..(v * all + to) * patches]);
        let masks: Vec<bool> = masks.copied().collect();
        let steps = if is_cpu(&self.device) { 0 } else { MASK_SHAPES };
        let masked = MaskedPatches::new(
            &masks,
            [crops, pictures, patches],
            all,
            (masks.len(), steps),
        );
        let mask = masks.iter().map(|&m| m as u8 as f32).collect();
        let mask = upload(mask, [masks.len(), 1], &self.device);
        Views {
            globals,
            locals,
            masked,
            mask,
            crops,
            pictures,
        }
    }
}

/// Stochastic depth for `images` images, drawn under `key`: block i of L is dropped with probability r·i/(L−1).
pub fn drop_path(rate: f64, depth: usize, images: usize, key: [u64; 4]) -> Option<DropPath> {
    if rate <= 0.0 {
        return None;
    }
    let mut seed = [0; 32];
    for (bytes, key) in seed.as_chunks_mut::<8>().0.iter_mut().zip(key) {
        *bytes = key.to_le_bytes();
    }
    let mut rng = ChaCha8Rng::from_seed(seed);
    let mut branch = |rate: f64| -> Vec<f32> {
        let keep = 1.0 - rate;
        let factor = |_| match rng.random::<f64>() < keep {
            true => (1.0 / keep) as f32,
            false => 0.0,
        };
        (0..images).map(factor).collect()
    };
    let factors = (0..depth).map(|i| {
        let rate = rate * i as f64 / (depth.max(2) - 1) as f64;
        [branch(rate), branch(rate)]
    });
    Some(DropPath {
        factors: factors.collect(),
    })
}

/// One (micro-)batch on the device.
struct Views {
    globals: Patches,
    locals: Option<Patches>,
    masked: MaskedPatches,
    /// 1 where a patch of a global crop is masked, `[crops * pictures * patches, 1]`.
    mask: Tensor<2>,
    crops: usize,
    pictures: usize,
}

/// Rows of the class tokens in a token matrix.
fn class_rows(images: usize, per_image: usize) -> impl Iterator<Item = usize> {
    (0..images).map(move |i| i * per_image)
}

fn add(sum: &mut Option<Tensor<2>>, grad: Option<Tensor<2>>) {
    *sum = match (sum.take(), grad) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    };
}

/// Moves the running averages of batch norm on, where the head has any.
fn keep_statistics(weights: &mut Parameters, statistics: Statistics) {
    if let Statistics::Batch(Some((mean, variance, _))) = statistics {
        for (name, value) in [("running_mean", mean), ("running_var", variance)] {
            if let Some(p) = weights.find_mut(&format!("head.mlp.1.{name}")) {
                p.value = value;
            }
        }
    }
}
