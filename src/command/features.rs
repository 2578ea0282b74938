//! `patchlight features`: tokens of a source for other programs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::look::{NetworkArgs, SourceArgs, Watch, introduce, warn};
use crate::explore::{Walk, features};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    network: NetworkArgs,
    #[command(flatten)]
    source: SourceArgs,
    /// File to write: NAME.parquet (one table) or NAME.npy (arrays, and a table of names beside them)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write patch tokens too, not only class tokens
    #[arg(long)]
    patches: bool,
}

/// Writes them and says their shapes.
///
/// # Errors
/// A network, source or file that cannot be used.
pub fn run(args: Args) -> Result<ExitCode> {
    let opened = args.network.open()?;
    let encoder = &opened.encoder;
    let source = args.source.open(&opened.settings)?;
    introduce(encoder, &*source);
    Watch::new()?.run(|watch| {
        let mut tell = |progress| watch.tell(progress);
        let mut walk = Walk::new(encoder, &source, &mut tell);
        let written = features::write(&mut walk, &args.out, args.patches)?;
        warn(&walk.failures);
        say!("class tokens [{}, {}]", written.pictures, written.dim);
        if written.patches > 0 {
            say!(
                "patch tokens [{}, {}, {}]",
                written.pictures,
                written.patches,
                written.dim
            );
        }
        for file in written.files {
            say!("{}", file.display());
        }
        Ok(())
    })
}
