//! What teacher and student say of a hidden patch: the objective of one picture, patch by patch.
//!
//! The teacher sees the picture whole, the student with patches hidden. For every hidden patch both
//! give a distribution over the prototypes, and the loss is the cross-entropy between the two, as in a step of
//! training, but with one picture and no augmentation.

use anyhow::Result;
use burn::tensor::{Device, Tensor};

use crate::data::pixels::{self, Filter};
use crate::data::{Framing, Picture};
use crate::model::{Head, HostTensors, Parameters, Patches, Statistics, download, upload};
use crate::pretrain::Network;
use crate::settings::Settings;

/// Both networks of a run, to be asked.
pub struct Pair {
    networks: [Network; 2],
    weights: [Parameters; 2],
    /// The teacher's centre for patches, one number a prototype.
    centre: Vec<f32>,
    settings: Settings,
    device: Device,
}

/// What both say of one hidden patch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guess {
    /// Row-major.
    pub patch: usize,
    /// The likeliest prototypes and their probabilities, likeliest first.
    pub teacher: Vec<(u32, f32)>,
    pub student: Vec<(u32, f32)>,
    /// Cross-entropy of the student under the teacher, nats.
    pub loss: f32,
    /// Entropy of the teacher, nats: the loss cannot be lower.
    pub entropy: f32,
}

/// Prototypes that are named of each distribution.
const NAMED: usize = 5;

impl Pair {
    /// Puts the networks of a checkpoint to work: `student` and `teacher` under their official names, the
    /// teacher's patch centre.
    ///
    /// # Errors
    /// Weights that do not fit the settings.
    pub fn new(
        settings: &Settings,
        student: &HostTensors,
        teacher: &HostTensors,
        centre: Vec<f32>,
        device: &Device,
    ) -> Result<Self> {
        let networks = [Network::student(settings), Network::teacher(settings)];
        let load = |network: &Network, tensors| Parameters::load(&network.specs(), tensors, device);
        let weights = [load(&networks[0], student)?, load(&networks[1], teacher)?];
        Ok(Pair {
            networks,
            weights,
            centre,
            settings: settings.clone(),
            device: device.clone(),
        })
    }

    /// What both say of the patches that `mask` hides (true = hidden, row-major), with the teacher at
    /// temperature `temperature`. A mask of another size than the picture's grid hides nothing.
    pub fn ask(&self, picture: &Picture, mask: &[bool], temperature: f64) -> Vec<Guess> {
        let side = self.settings.views.global_size;
        let view = Framing::Middle.square(picture, side, Filter::Bicubic);
        let mut planes = vec![0.0; 3 * side * side];
        let f32s = |v: [f64; 3]| v.map(|x| x as f32);
        let views = &self.settings.views;
        pixels::write_normalised(&view, f32s(views.mean), f32s(views.std), &mut planes);
        let patch = self.settings.model.patch;
        let patches = Patches::new(&planes, [1, side, side], patch, &self.device);
        let hidden: Vec<usize> = (0..mask.len()).filter(|&i| mask[i]).collect();
        let cells = side / self.settings.model.cell();
        if mask.len() != cells * cells || hidden.is_empty() {
            return Vec::new();
        }
        let flags = mask.iter().map(|&m| f32::from(u8::from(m))).collect();
        let flags = upload(flags, [mask.len(), 1], &self.device);
        let masked = self.settings.loss.masked_modeling.then_some(flags);
        let student = self.logits(0, &patches, masked, &hidden);
        let teacher = self.logits(1, &patches, None, &hidden);
        let width = self.centre.len();
        let centre = upload(self.centre.clone(), [1, width], &self.device);
        let teacher = (teacher - centre) / temperature as f32;
        let student = student / self.settings.loss.student_temp as f32;
        let rows = download(teacher);
        let guesses = download(student);
        let pairs = rows.chunks_exact(width).zip(guesses.chunks_exact(width));
        let of = |(&patch, (teacher, student)): (&usize, (&[f32], &[f32]))| {
            let (teacher, student) = (log_softmax(teacher), log_softmax(student));
            let cross = |with: &[f32]| -> f32 {
                let terms = teacher.iter().zip(with);
                -terms.map(|(t, s)| t.exp() * s).sum::<f32>()
            };
            Guess {
                patch,
                loss: cross(&student),
                entropy: cross(&teacher),
                teacher: likeliest(&teacher),
                student: likeliest(&student),
            }
        };
        hidden.iter().zip(pairs).map(of).collect()
    }

    /// Logits of the patches `rows` over the prototypes for patches, `[rows, prototypes]`.
    fn logits(
        &self,
        which: usize,
        patches: &Patches,
        mask: Option<Tensor<2>>,
        rows: &[usize],
    ) -> Tensor<2> {
        let (Network { backbone, head, .. }, weights) =
            (&self.networks[which], &self.weights[which]);
        let tokens = backbone.forward(weights, patches, mask, None);
        let rows = rows.iter().map(|row| row + 1); // after the class token
        let rows = crate::pretrain::objective::rows(rows, &self.device);
        let points = head.bottleneck(weights, tokens.select(0, rows), &mut Statistics::Running);
        Head::logits(points, head.patch_prototypes(weights))
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|x| (x - most).exp()).sum();
    logits.iter().map(|x| x - most - sum.ln()).collect()
}

fn likeliest(log: &[f32]) -> Vec<(u32, f32)> {
    let mut order: Vec<u32> = (0..log.len() as u32).collect();
    order.sort_by(|&a, &b| log[b as usize].total_cmp(&log[a as usize]).then(a.cmp(&b)));
    order.truncate(NAMED);
    order
        .into_iter()
        .map(|i| (i, log[i as usize].exp()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::parts::Parts;
    use crate::data::{Batch, Source};
    use crate::pretrain::Trainer;
    use crate::pretrain::schedules::{Plan, Schedules};

    #[test]
    fn the_loss_of_a_patch_is_the_objectives() {
        let mut settings = Settings::default();
        settings.set("model.arch", "custom", "").unwrap();
        for (key, value) in [
            ("model.dim", "24"),
            ("model.depth", "2"),
            ("model.heads", "3"),
            ("model.patch", "8"),
            ("model.drop_path", "0"),
            ("model.init_std", "0.3"),
            ("views.global_size", "32"),
            ("head.out_dim", "40"),
            ("head.patch_out_dim", "40"),
            ("head.hidden", "16"),
            ("head.bottleneck", "8"),
            ("run.batch", "1"),
        ] {
            settings.set(key, value, "").unwrap();
        }
        let device = crate::device::choose("cpu").unwrap().device;
        let picture = Parts::new(1, 32, 3).load(0).unwrap();
        let mut planes = vec![0.0; 3 * 32 * 32];
        let f32s = |v: [f64; 3]| v.map(|x| x as f32);
        let views = &settings.views;
        pixels::write_normalised(&picture, f32s(views.mean), f32s(views.std), &mut planes);
        let masks: Vec<bool> = (0..32).map(|i| [1, 2, 6, 20, 31].contains(&i)).collect();
        let batch = Batch {
            epoch: 0,
            step: 0,
            images: vec![0],
            globals: [planes.clone(), planes].concat(),
            locals: Vec::new(),
            masks: masks.clone(),
            failures: Vec::new(),
        };
        let mut trainer = Trainer::new(&settings, &device);
        let (student, teacher) = (trainer.student.to_host(), trainer.teacher.to_host());
        let pair = Pair::new(&settings, &student, &teacher, vec![0.0; 40], &device).unwrap();
        let now = Schedules::new(Plan::new(&settings, 10)).at(0);
        let temperature = now.teacher_patch_temp;
        let numbers = trainer.step(&batch, 0, 0, now).read();
        for (crop, mask) in masks.chunks(16).enumerate() {
            let guesses = pair.ask(&picture, mask, temperature);
            let mean = guesses.iter().map(|g| g.loss).sum::<f32>() / guesses.len() as f32;
            // The step reports the mean over crops, each with its share.
            let there = numbers.patch[crop] * 2.0;
            assert!((mean - there).abs() < 1e-3 * there.abs(), "{mean} {there}");
            for guess in &guesses {
                assert!(mask[guess.patch] && guess.loss >= guess.entropy - 1e-4);
                assert!(guess.teacher.windows(2).all(|w| w[0].1 >= w[1].1));
            }
        }
        assert!(pair.ask(&picture, &[true; 9], temperature).is_empty());
        assert!(pair.ask(&picture, &[false; 16], temperature).is_empty());
    }
}
