//! `patchlight export`: a backbone for other programs.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::model::Backbone;
use crate::session::import::{self, Imported};
use crate::settings::ViewsSettings;
use crate::weights::file::{self, Precision, write_atomically};
use crate::weights::onnx::{self, About};
use crate::weights::{Found, naming};

#[derive(clap::Args)]
pub struct Args {
    /// A weight file of any origin, a run's folder, or `demo`
    checkpoint: PathBuf,
    /// File to write: NAME.safetensors (weights) or NAME.onnx (a network that takes normalised pictures and gives
    /// tokens)
    out: PathBuf,
    /// Whose names the weights get in a .safetensors
    #[arg(long, value_enum, default_value = "reference")]
    names: Names,
    /// The student instead of the teacher
    #[arg(long)]
    student: bool,
    /// Side in pixels of the pictures that a Swin transformer takes as .onnx [default: as trained]; a ViT takes any
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
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
    let imported = import::open_one(&args.checkpoint, args.student, args.heads)?;
    let found = imported.network(args.student);
    let views = match imported {
        Imported::Checkpoint(checkpoint) => checkpoint.settings.views,
        Imported::Network(_) => ViewsSettings::default(),
    };
    let tensors = match args.out.extension().and_then(|end| end.to_str()) {
        Some("safetensors") => match args.names {
            Names::Reference => naming::to_reference(&found.tensors),
            Names::Timm => naming::to_timm(&found.tensors),
        },
        Some("onnx") => return graph(&args, &found, &views),
        _ => bail!(
            "{}: the file must end in .safetensors or .onnx",
            args.out.display()
        ),
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

/// The backbone as a network of its own.
fn graph(args: &Args, found: &Found, views: &ViewsSettings) -> Result<()> {
    let name = args.checkpoint.file_stem().unwrap_or_default();
    let about = About {
        name: name.to_string_lossy().into_owned(),
        mean: views.mean,
        std: views.std,
    };
    let (bytes, takes) = match &found.backbone {
        Backbone::Vit(vit) => {
            let takes = format!("any size of at least {} px", vit.patch);
            (onnx::vit(vit, &found.tensors, &about)?, takes)
        }
        Backbone::Swin(swin) => {
            let side = args.size.unwrap_or(swin.image);
            let bytes = onnx::swin(swin, &found.tensors, [side, side], &about)?;
            (bytes, format!("{side} x {side} px"))
        }
    };
    write_atomically(&args.out, &bytes)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    say!(
        "{}: {:.1} MiB; image [batch, 3, height, width] of {takes}, tokens [batch, 1 + patches, {}]",
        args.out.display(),
        bytes.len() as f64 / f64::from(1 << 20),
        found.backbone.dim()
    );
    Ok(())
}
