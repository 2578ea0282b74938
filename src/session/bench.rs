//! How fast a training step is, and where its time goes.

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use super::loading::loader_plan;
use crate::data::Batch;
use crate::data::loader::Loader;
use crate::data::parts::Parts;
use crate::device::Chosen;
use crate::pretrain::schedules::{Plan, Schedules};
use crate::pretrain::{Stopwatch, Trainer};
use crate::settings::{Arch, Settings};
use std::sync::Arc;

/// A named size of a step.
#[derive(Clone, Debug)]
pub struct Size {
    pub name: &'static str,
    pub about: &'static str,
    pub settings: Settings,
}

/// The sizes that `patchlight bench step` knows.
pub fn sizes() -> Vec<Size> {
    let mut tiny = Settings::default();
    tiny.model.arch = Arch::VitTiny;
    tiny.model.patch = 4;
    tiny.views.global_size = 32;
    tiny.run.batch = 32;
    tiny.head.shared = true;
    tiny.head.norm_last_layer = false;
    tiny.mask.ratio = vec![0.0, 0.3];
    tiny.mask.variance = vec![0.0, 0.2];
    tiny.optim.freeze_last_layer = 0;
    let mut small = tiny.clone();
    small.model.arch = Arch::VitSmall;
    small.model.patch = 16;
    small.views.global_size = 224;
    small.views.local_size = 96;
    small.views.local_crops = 2;
    small.run.batch = 4;
    vec![
        Size {
            name: "a",
            about: "ViT-Tiny, 32 px, patch 4, batch 32, 2 global views, 8192 prototypes",
            settings: tiny,
        },
        Size {
            name: "b",
            about: "ViT-S/16, 224 px, batch 4, 2 global and 2 local views of 96 px, 8192 prototypes",
            settings: small,
        },
    ]
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StepBench {
    pub name: String,
    pub device: String,
    /// Seconds of every counted step, without views.
    pub seconds: Vec<f64>,
    pub images_per_second: f64,
    /// Mean seconds of each phase; `views` is the time that a loader's threads need for a batch.
    pub phases: Vec<(String, f64)>,
    /// Peak resident memory of this process in bytes, where the system tells.
    pub peak_memory: Option<u64>,
}

impl StepBench {
    /// Median of the steps.
    pub fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// Times `steps` steps after `warm_up` others, on real views of the built-in pictures.
///
/// # Errors
/// Settings that no loader can serve.
pub fn bench_step(size: &Size, chosen: &Chosen, warm_up: usize, steps: usize) -> Result<StepBench> {
    // Where a run trains, too.
    rayon::scope(|_| bench_step_here(size, chosen, warm_up, steps))
}

fn bench_step_here(
    size: &Size,
    chosen: &Chosen,
    warm_up: usize,
    steps: usize,
) -> Result<StepBench> {
    let settings = &size.settings;
    let side = settings.views.global_size.min(128);
    let source = Arc::new(Parts::new(4 * settings.run.batch, side, 0));
    let started = Instant::now();
    let mut loader = Loader::new(source, loader_plan(settings), (0, 0))?;
    let mut batches: Vec<Batch> = Vec::new();
    for _ in 0..4 {
        batches.push(loader.next_batch()?);
    }
    drop(loader);
    let views = started.elapsed().as_secs_f64() / 4.0;

    let mut trainer = Trainer::new(settings, &chosen.device);
    let schedules = Schedules::new(Plan::new(settings, 100));
    let mut seconds = Vec::new();
    for step in 0..warm_up + steps {
        if step == warm_up {
            trainer.stopwatch = Stopwatch::running();
        }
        let begun = Instant::now();
        let batch = &batches[step % batches.len()];
        trainer
            .step(batch, step, 0, schedules.at(1000 + step))
            .read();
        if step >= warm_up {
            seconds.push(begun.elapsed().as_secs_f64());
        }
    }
    let mut phases = vec![("views".to_owned(), views)];
    let laps = trainer.stopwatch.laps().iter();
    phases.extend(laps.map(|&(name, total)| (name.to_owned(), total / steps.max(1) as f64)));
    let bench = StepBench {
        name: size.name.to_owned(),
        device: chosen.name.clone(),
        images_per_second: 0.0,
        seconds,
        phases,
        peak_memory: peak_memory(),
    };
    let images_per_second = settings.run.batch as f64 / bench.median();
    Ok(StepBench {
        images_per_second,
        ..bench
    })
}

/// Floating point operations a second that training makes on `chosen`, from a few small steps: what an
/// estimate of a run's time needs.
///
/// # Errors
/// None with these settings; those of [`bench_step`] in name.
pub fn measure_speed(chosen: &Chosen) -> Result<f64> {
    let all = sizes();
    let Some(size) = all.first() else {
        return Ok(0.0);
    };
    let mut size = size.clone();
    size.settings.run.batch = 8;
    (size.settings.head.out_dim, size.settings.head.patch_out_dim) = (1024, 1024);
    let bench = bench_step(&size, chosen, 1, 3)?;
    Ok(super::estimate::step_flops(&size.settings) / bench.median())
}

/// Peak resident memory of this process, from Linux's `/proc`.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}
