//! `patchlight bench`: speed and memory of a step, and of the loader.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;

use super::DeviceArg;
use crate::data::bench::{BenchCase, bench_loader};
use crate::device;
use crate::session::bench::{StepBench, bench_step, sizes};

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Seconds of a training step by phase, and peak memory
    Step {
        /// Size: a (ViT-Tiny, 32 px) or b (ViT-S/16, 224 px)
        #[arg(default_value = "a")]
        size: String,
        /// Steps that count
        #[arg(long, default_value_t = 7)]
        steps: usize,
        /// Steps before them
        #[arg(long, default_value_t = 2)]
        warm_up: usize,
        /// Write the numbers as JSON
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        #[command(flatten)]
        device: DeviceArg,
    },
    /// Views per second and core by stage, for photographs and for CIFAR-10's size
    Loader {
        /// Local crops of a photograph
        #[arg(long, default_value_t = 10)]
        locals: usize,
        /// Seconds for each kind
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
}

/// Measures and prints.
pub fn run(args: Args) -> Result<()> {
    match args.what {
        What::Step {
            size,
            steps,
            warm_up,
            json,
            device,
        } => {
            let all = sizes();
            let Some(size) = all.iter().find(|s| s.name == size) else {
                let names: Vec<&str> = all.iter().map(|s| s.name).collect();
                bail!(
                    "there is no size {size:?}; choose one of {}",
                    names.join(", ")
                );
            };
            let chosen = device::choose(&device.device)?;
            say!("({}) {}\non {}", size.name, size.about, chosen.name);
            let bench = bench_step(size, &chosen, warm_up, steps.max(1))?;
            print_step(&bench);
            if let Some(file) = json {
                std::fs::write(&file, serde_json::to_vec_pretty(&bench)?)
                    .with_context(|| format!("cannot write {}", file.display()))?;
            }
            Ok(())
        }
        What::Loader { locals, seconds } => {
            for case in BenchCase::standard(locals) {
                let limit = Duration::from_secs_f64(seconds.clamp(0.1, 600.0));
                let bench = bench_loader(&case, limit).map_err(anyhow::Error::msg)?;
                say!(
                    "{}: {:.0} images/s on one core",
                    case.name,
                    bench.images_per_second()
                );
                for (stage, microseconds) in bench.stages() {
                    say!("  {stage:16} {microseconds:8.1} µs a picture");
                }
            }
            Ok(())
        }
    }
}

fn print_step(bench: &StepBench) {
    let fold = |f: fn(f64, f64) -> f64, start| bench.seconds.iter().copied().fold(start, f);
    say!(
        "step        {:.3} s median ({:.3} .. {:.3}), {:.2} images/s",
        bench.median(),
        fold(f64::min, f64::INFINITY),
        fold(f64::max, 0.0),
        bench.images_per_second
    );
    for (phase, seconds) in &bench.phases {
        say!("  {phase:16} {seconds:.3} s");
    }
    if let Some(bytes) = bench.peak_memory {
        say!("peak memory {:.2} GiB", bytes as f64 / (1u64 << 30) as f64);
    }
}
