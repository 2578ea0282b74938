//! `patchlight pack`: a checkpoint small enough to pass on.

use std::path::PathBuf;

use anyhow::Result;

use crate::session::import;
use crate::weights::file::Precision;

#[derive(clap::Args)]
pub struct Args {
    /// A checkpoint, the folder of a run (its newest checkpoint), or `demo`
    checkpoint: PathBuf,
    /// File to write
    out: PathBuf,
}

/// Writes the networks and centres of a checkpoint in half precision, without the optimizer's memory.
pub fn run(args: Args) -> Result<()> {
    let checkpoint = import::checkpoint(&args.checkpoint)?;
    checkpoint
        .without_optimizer()
        .write(&args.out, Precision::Half)?;
    let bytes = std::fs::metadata(&args.out)?.len();
    say!(
        "{}: {:.2} MiB",
        args.out.display(),
        bytes as f64 / f64::from(1 << 20)
    );
    Ok(())
}
