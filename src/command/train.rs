//! `patchlight train`: a new run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::ArgMatches;

use super::terminal;
use crate::session::folder::{RunFile, next_folder};
use crate::session::import;
use crate::session::run::Start;
use crate::session::{Job, pictures};
use crate::settings::{Settings, preset};

#[derive(clap::Args)]
pub struct Args {
    /// Pictures: a folder, a zip or tar, a CIFAR-10 folder, or `parts`, the built-in demo
    source: Option<String>,
    /// A named starting point: demo, cifar10, photos, vits16, vitb16, vitb16-rand, vitl16, swint7, swint14
    /// [default: demo for the built-in pictures, photos for others]
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// A TOML file of settings, over the preset
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, over preset and file; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the run [default: runs/NAME-001, …]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Start from weights instead of from nothing: a checkpoint of a run or of the reference (goes on where it
    /// stopped), a backbone of any origin (gets a fresh head), `demo`. The network's settings are theirs
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// With --init: take the weights alone and begin all schedules anew
    #[arg(long, requires = "init")]
    anew: bool,
    /// Where to compute; short for --run.device
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
}

/// The demo with everything as it is.
pub fn demo() -> Result<ExitCode> {
    let args = Args {
        source: None,
        preset: None,
        config: None,
        set: Vec::new(),
        out: None,
        init: None,
        anew: false,
        device: None,
    };
    run(args, None)
}

/// Starts a run and shows it in the terminal.
pub fn run(args: Args, flags: Option<&ArgMatches>) -> Result<ExitCode> {
    let name = match (&args.preset, args.source.as_deref()) {
        (Some(name), _) => name.as_str(),
        (None, None | Some(pictures::DEMO)) => "demo",
        (None, Some(_)) => "photos",
    };
    let start = preset(name)?;
    let Some(source) = args.source.or(start.source.clone()) else {
        bail!("preset {name} needs pictures: patchlight train SOURCE --preset {name}");
    };
    let mut settings = Settings::joined(Some(name), args.config.as_deref(), &args.set, flags)?;
    if let Some(device) = args.device {
        settings.run.device = device;
    }
    let folder = args
        .out
        .unwrap_or_else(|| next_folder(Path::new("runs"), name));
    let run = RunFile {
        source: pictures::absolute(&source),
        preset: Some(name.to_owned()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let weights = match args.init {
        Some(path) => {
            let heads = (settings.model.heads > 0).then_some(settings.model.heads);
            let imported = import::open(&path, heads)?;
            let base = start.settings()?;
            let (own, start, text) = import::start(imported, settings, &base, args.anew);
            say!("weights     {}: {text}", path.display());
            settings = own;
            start
        }
        None => Start::Fresh,
    };
    settings.check()?;
    terminal::train(Job {
        run,
        settings,
        folder: absolute(&folder),
        start: weights,
    })
}

/// The same path, whatever the current folder becomes; as given where that fails.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
