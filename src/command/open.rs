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
    #[command(flatten)]
    flags: Flags,
}

/// How the window is opened; also without the word `open`.
#[derive(clap::Args)]
pub struct Flags {
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

impl From<Flags> for Args {
    fn from(flags: Flags) -> Self {
        Args { path: None, flags }
    }
}

/// Opens the window and stays until it is closed.
pub fn run(Args { path, flags }: Args) -> Result<ExitCode> {
    if flags.headless {
        return train::demo();
    }
    let chosen = device::choose(&flags.device)?;
    let banner = (chosen.is_cpu && flags.device == "auto").then(|| {
        format!(
            "Training runs on the CPU ({}), which is enough for small networks.",
            chosen.reason
        )
    });
    let opening = Opening {
        path: path.clone(),
        device: flags.device,
        graphics: chosen.graphics.filter(|_| !flags.separate_device),
        banner,
        ..Opening::default()
    };
    match window::run(opening) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if path.is_none() => {
            log::debug!("{error:#}");
            eprintln!("no window: {error}\ntraining the demo in the terminal instead");
            train::demo()
        }
        Err(error) => Err(error),
    }
}
