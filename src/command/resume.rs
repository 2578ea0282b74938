//! `patchlight resume`: go on with a run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::terminal;
use crate::session;

#[derive(clap::Args)]
pub struct Args {
    /// Folder of the run
    folder: PathBuf,
    /// Stop after this many steps of the whole run; 0 = to its end
    #[arg(long, value_name = "STEPS")]
    max_steps: Option<usize>,
    /// Stop after this many minutes; 0 = no limit
    #[arg(long, value_name = "MINUTES")]
    max_minutes: Option<f64>,
    /// Another device than before
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
}

/// Continues the run and shows it in the terminal.
pub fn run(args: Args) -> Result<ExitCode> {
    let mut job = session::resume(&args.folder)?;
    let run = &mut job.settings.run;
    if let Some(steps) = args.max_steps {
        run.max_steps = steps;
    }
    if let Some(minutes) = args.max_minutes {
        run.max_minutes = minutes;
    }
    if let Some(device) = args.device {
        run.device = device;
    }
    terminal::train(job)
}
