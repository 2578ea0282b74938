//! `patchlight` and `patchlight open`: the window, or the demo in the terminal where there is no screen.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::train;
use crate::app::{Opening, window};
use crate::device;

#[derive(clap::Args)]
pub struct Args {
    /// A run's folder, a weight file, or pictures
    path: Option<PathBuf>,
    /// Where runs compute: auto, cpu, gpu, or a name that `patchlight devices` lists
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: String,
    /// Draw with a graphics device of the window's own, not with the one that trains
    #[arg(long)]
    separate_device: bool,
    /// Without a window: train the built-in demo in the terminal
    #[arg(long)]
    headless: bool,
}

impl Default for Args {
    fn default() -> Self {
        Args {
            path: None,
            device: "auto".into(),
            separate_device: false,
            headless: false,
        }
    }
}

/// Opens the window and stays until it is closed.
pub fn run(args: Args) -> Result<ExitCode> {
    if args.headless {
        return train::demo();
    }
    let chosen = device::choose(&args.device)?;
    let banner = (chosen.is_cpu && args.device == "auto").then(|| {
        format!(
            "Training runs on the CPU ({}), which is enough for small networks.",
            chosen.reason
        )
    });
    let opening = Opening {
        path: args.path.clone(),
        device: args.device,
        graphics: chosen.graphics.filter(|_| !args.separate_device),
        banner,
        ..Opening::default()
    };
    match window::run(opening) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if args.path.is_none() => {
            eprintln!("no window: {error:#}\ntraining the demo in the terminal instead");
            train::demo()
        }
        Err(error) => Err(error),
    }
}
