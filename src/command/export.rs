//! `patchlight export`: a backbone for other programs.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::session::import::{self, Imported};
use crate::weights::file::{self, Precision};
use crate::weights::naming;

#[derive(clap::Args)]
pub struct Args {
    /// A weight file of any origin, a run's folder, or `demo`
    checkpoint: PathBuf,
    /// File to write: NAME.safetensors
    out: PathBuf,
    /// Whose names the weights get
    #[arg(long, value_enum, default_value = "reference")]
    names: Names,
    /// The student instead of the teacher
    #[arg(long)]
    student: bool,
    /// Attention heads of a ViT whose file does not say: needed where its width is no multiple of 64
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Names {
    /// Those of iBOT, DINO and DeiT
    Reference,
    /// Those of timm's VisionTransformer and SwinTransformer
    Timm,
}

/// Writes the backbone and says what is in the file.
///
/// # Errors
/// Weights that cannot be used, another ending, a file that cannot be written.
pub fn run(args: Args) -> Result<()> {
    let found = match import::open(&args.checkpoint, args.heads)? {
        Imported::Checkpoint(checkpoint) => match args.student {
            true => checkpoint.network("student"),
            false => checkpoint.network("teacher"),
        },
        Imported::Network(_) if args.student => bail!(
            "{} is a weight file of one network: leave out --student",
            args.checkpoint.display()
        ),
        Imported::Network(found) => *found,
    };
    let tensors = match args.out.extension().and_then(|end| end.to_str()) {
        Some("safetensors") => match args.names {
            Names::Reference => naming::to_reference(&found.tensors),
            Names::Timm => naming::to_timm(&found.tensors),
        },
        _ => bail!("{}: the file must end in .safetensors", args.out.display()),
    };
    let count: usize = tensors.values().map(|tensor| tensor.data.len()).sum();
    file::write(&args.out, &tensors, HashMap::new(), Precision::Full)?;
    say!(
        "{}: {} tensors, {:.2} M parameters",
        args.out.display(),
        tensors.len(),
        count as f64 / 1e6
    );
    Ok(())
}
