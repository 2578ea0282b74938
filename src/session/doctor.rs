//! Does a device train correctly? A few steps of a small model on it and on the CPU, compared.
//!
//! GPU compilers that fuse and tune kernels have computed wrong numbers without a word, so trust is
//! measured: both devices start from the same weights and see the same crops, and then losses, every
//! gradient, the student, the teacher and the centres must agree. The steps are the trainer's own,
//! with all that a run uses: masks, local crops, stochastic depth, clipping, a frozen last layer,
//! weight decay, schedules. A deviation is the largest difference of a tensor, divided by the largest
//! value that the CPU has in it.

mod subject;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use burn::tensor::{Device, Tensor};
use serde::Serialize;

use crate::data::Batch;
use crate::device::Chosen;
use crate::model::{HostTensors, download};
use crate::pretrain::Trainer;
use crate::pretrain::schedules::{Plan, Schedules};
use crate::settings::Settings;

/// What to check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoctorOptions {
    /// Steps of training; four reach past the frozen last layer.
    pub steps: usize,
    /// Shapes like a real run's, for which a GPU takes other kernels than for tiny ones.
    pub wide: bool,
}

impl Default for DoctorOptions {
    fn default() -> Self {
        DoctorOptions {
            steps: 4,
            wide: false,
        }
    }
}

/// What a tensor that was compared is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantity {
    /// A term of the loss, or the teacher's entropy, over all steps.
    Loss,
    /// The gradient of a parameter, before clipping; the worst of all steps.
    Gradient,
    /// A parameter of the student after the last step.
    Student,
    /// A parameter of the teacher after the last step.
    Teacher,
    /// A centre after the last step.
    Centre,
}

impl Quantity {
    /// Largest deviation that is rounding: ten times and more of what lavapipe shows against the CPU
    /// (the worst tensor of each kind, tiny and wide: loss 1.3e-6, gradient 1.4e-5, student 1.4e-4,
    /// teacher 2.0e-4, centre 5e-7). A derivative of GELU that was off by 8e-4 showed as 4e-3 in the
    /// teacher, where steps add it up.
    pub fn tolerance(self) -> f64 {
        match self {
            Quantity::Loss | Quantity::Centre => 2e-5,
            Quantity::Gradient => 1e-4,
            Quantity::Student | Quantity::Teacher => 2e-3,
        }
    }
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Check {
    pub quantity: Quantity,
    pub name: String,
    /// Largest difference over largest value; not finite (`null` in JSON) where the device has NaN.
    pub deviation: f64,
    pub tolerance: f64,
    pub passed: bool,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DoctorReport {
    pub device: String,
    pub version: &'static str,
    pub passed: bool,
    pub steps: usize,
    pub wide: bool,
    /// Why the device did not finish, if it did not.
    pub failure: Option<String>,
    pub checks: Vec<Check>,
    /// Seconds of the first step, in which kernels are compiled, and of one later step.
    pub device_first_step: f64,
    pub device_step: f64,
    pub cpu_step: f64,
}

impl DoctorReport {
    /// The worst check of `quantity`.
    pub fn worst(&self, quantity: Quantity) -> Option<&Check> {
        let checks = self
            .checks
            .iter()
            .filter(|check| check.quantity == quantity);
        checks.max_by(|a, b| badness(a.deviation).total_cmp(&badness(b.deviation)))
    }
}

/// Trains on `chosen` and on the CPU, and compares.
pub fn doctor(chosen: &Chosen, options: DoctorOptions) -> DoctorReport {
    let settings = subject::settings(options.wide);
    let batch = subject::batch(&settings);
    let expected = train(&settings, &batch, options.steps, &Device::flex());
    // Burn reports a lost device or a kernel that does not compile by a panic.
    let found = catch_unwind(AssertUnwindSafe(|| {
        train(&settings, &batch, options.steps, &chosen.device)
    }));
    let mut report = DoctorReport {
        device: chosen.name.clone(),
        version: env!("CARGO_PKG_VERSION"),
        passed: false,
        steps: options.steps,
        wide: options.wide,
        failure: None,
        checks: Vec::new(),
        device_first_step: 0.0,
        device_step: 0.0,
        cpu_step: later(&expected.seconds),
    };
    match found {
        Err(_) => report.failure = Some("the device failed while it trained".into()),
        Ok(found) => {
            report.device_first_step = found.seconds.first().copied().unwrap_or(0.0);
            report.device_step = later(&found.seconds);
            report.checks = compare(&found, &expected);
            report.passed = report.checks.iter().all(|check| check.passed);
        }
    }
    report
}

/// Mean of all but the first.
fn later(seconds: &[f64]) -> f64 {
    let later = seconds.get(1..).unwrap_or_default();
    later.iter().sum::<f64>() / later.len().max(1) as f64
}

/// Everything a training left behind, on the host.
struct Outcome {
    /// By name: one value a step.
    losses: Vec<(String, Vec<f32>)>,
    /// Of each step.
    gradients: Vec<HostTensors>,
    student: HostTensors,
    teacher: HostTensors,
    centres: [Vec<f32>; 2],
    /// Of each step.
    seconds: Vec<f64>,
}

fn train(settings: &Settings, batch: &Batch, steps: usize, device: &Device) -> Outcome {
    let mut trainer = Trainer::new(settings, device);
    trainer.gradients = Some(HostTensors::new());
    // Two steps an epoch: the first two with a frozen last layer, the next without.
    let schedules = Schedules::new(Plan::new(settings, 2));
    let mut losses: Vec<(String, Vec<f32>)> = Vec::new();
    let (mut gradients, mut seconds) = (Vec::new(), Vec::new());
    for step in 0..steps {
        let start = Instant::now();
        let report = trainer.step(batch, step, schedules.epoch(step), schedules.at(step));
        let numbers = report.read();
        seconds.push(start.elapsed().as_secs_f64());
        gradients.extend(trainer.gradients.clone());
        let class = numbers
            .class
            .iter()
            .enumerate()
            .map(|(i, &v)| (format!("class, view {}", i + 1), v));
        let patch = numbers
            .patch
            .iter()
            .enumerate()
            .map(|(i, &v)| (format!("patch, view {}", i + 1), v));
        let others = [
            ("total".to_string(), numbers.loss),
            ("class entropy".to_string(), numbers.entropy_class),
            ("patch entropy".to_string(), numbers.entropy_patch),
        ];
        for (name, value) in others.into_iter().chain(class).chain(patch) {
            match losses.iter_mut().find(|(known, _)| *known == name) {
                Some((_, values)) => values.push(value),
                None => losses.push((name, vec![value])),
            }
        }
    }
    let host = |centre: &Tensor<2>| download(centre.clone());
    Outcome {
        losses,
        gradients,
        student: trainer.student.to_host(),
        teacher: trainer.teacher.to_host(),
        centres: [host(&trainer.centres.class), host(&trainer.centres.patch)],
        seconds,
    }
}

fn compare(found: &Outcome, expected: &Outcome) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut add = |quantity: Quantity, name: &str, deviation: f64| {
        let tolerance = quantity.tolerance();
        let passed = deviation <= tolerance;
        checks.push(Check {
            quantity,
            name: name.to_string(),
            deviation,
            tolerance,
            passed,
        });
    };
    for (name, values) in &expected.losses {
        let other = found.losses.iter().find(|(known, _)| known == name);
        add(
            Quantity::Loss,
            name,
            deviation(other.map_or(&[], |(_, v)| v), values),
        );
    }
    for name in expected.student.keys() {
        let of_step = |(found, expected): (&HostTensors, &HostTensors)| -> Option<f64> {
            Some(tensor_deviation(
                name,
                found,
                expected.contains_key(name).then_some(expected)?,
            ))
        };
        let steps = found
            .gradients
            .iter()
            .zip(&expected.gradients)
            .filter_map(of_step);
        if let Some(worst) = steps.max_by(|a, b| badness(*a).total_cmp(&badness(*b))) {
            add(Quantity::Gradient, name, worst);
        }
    }
    for name in expected.student.keys() {
        add(
            Quantity::Student,
            name,
            tensor_deviation(name, &found.student, &expected.student),
        );
    }
    for name in expected.teacher.keys() {
        add(
            Quantity::Teacher,
            name,
            tensor_deviation(name, &found.teacher, &expected.teacher),
        );
    }
    let centres = found.centres.iter().zip(&expected.centres);
    for (name, (found, expected)) in ["class", "patch"].into_iter().zip(centres) {
        add(Quantity::Centre, name, deviation(found, expected));
    }
    checks
}

fn tensor_deviation(name: &str, found: &HostTensors, expected: &HostTensors) -> f64 {
    let data = |tensors: &HostTensors| {
        tensors
            .get(name)
            .map_or(Vec::new(), |t| relevant(name, &t.data))
    };
    deviation(&data(found), &data(expected))
}

/// A tensor without the bias of keys. That bias adds the same to all scores of a query, which softmax
/// takes away again: its gradient is zero, what a device has there is rounding, and AdamW, which
/// looks at direction only, follows it.
fn relevant(name: &str, data: &[f32]) -> Vec<f32> {
    if !name.ends_with("attn.qkv.bias") {
        return data.to_vec();
    }
    let third = data.len() / 3;
    let (queries, values) = (data.get(..third), data.get(2 * third..));
    [queries, values]
        .into_iter()
        .flatten()
        .flatten()
        .copied()
        .collect()
}

/// Largest difference over the largest expected value. NaN, or another length, is infinitely far.
fn deviation(found: &[f32], expected: &[f32]) -> f64 {
    if found.len() != expected.len() || found.iter().any(|value| !value.is_finite()) {
        return f64::INFINITY;
    }
    let scale = expected
        .iter()
        .fold(0.0, |top: f64, &value| top.max((value as f64).abs()));
    let pairs = found.iter().zip(expected);
    let worst = pairs.fold(0.0, |top: f64, (&a, &b)| {
        top.max((a as f64 - b as f64).abs())
    });
    if worst == 0.0 { 0.0 } else { worst / scale }
}

/// For sorting: NaN is worst.
fn badness(deviation: f64) -> f64 {
    if deviation.is_nan() {
        f64::INFINITY
    } else {
        deviation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_agrees_with_itself_to_the_last_bit() {
        let chosen = crate::device::choose("cpu").expect("the CPU is always there");
        let report = doctor(&chosen, DoctorOptions::default());
        assert!(report.passed, "{report:?}");
        let named = |quantity: Quantity| {
            report
                .checks
                .iter()
                .filter(|c| c.quantity == quantity)
                .count()
        };
        assert_eq!(named(Quantity::Gradient), named(Quantity::Student));
        assert!(
            report.checks.iter().all(|check| check.deviation == 0.0),
            "{report:?}"
        );
    }

    #[test]
    fn a_difference_is_found_and_measured() {
        assert_eq!(deviation(&[1.0, -4.0], &[1.0, -4.0]), 0.0);
        assert_eq!(deviation(&[1.5, -4.0], &[1.0, -4.0]), 0.125);
        assert_eq!(deviation(&[0.0], &[0.0]), 0.0);
        for broken in [&[1.0_f32][..], &[1.0, f32::NAN], &[1.0, f32::INFINITY]] {
            assert!(deviation(broken, &[1.0, -4.0]) > Quantity::Gradient.tolerance());
        }
        assert!(deviation(&[1e-9], &[0.0]).is_infinite());
        // The middle third of this bias belongs to the keys.
        assert_eq!(
            relevant("blocks.0.attn.qkv.bias", &[1., 2., 9., 9., 3., 4.]),
            [1., 2., 3., 4.]
        );
    }
}
