//! `patchlight` and `patchlight open`: the window, or the demo in the terminal where there is no screen.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::train;
use crate::app::{Opening, window};

#[derive(clap::Args, Default)]
pub struct Args {
    /// A run's folder, a weight file, or pictures
    path: Option<PathBuf>,
    /// Without a window: train the built-in demo in the terminal
    #[arg(long)]
    headless: bool,
}

/// Opens the window and stays until it is closed.
pub fn run(args: Args) -> Result<ExitCode> {
    if args.headless {
        return train::demo();
    }
    let opening = Opening {
        path: args.path.clone(),
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
