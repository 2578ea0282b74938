//! What every command that looks at a trained network has in common: its arguments, its progress
//! bar, and how it ends.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{DeviceArg, INTERRUPTED};
use crate::data::{LoadError, Source};
use crate::device;
use crate::explore::{Cache, Encoder, Progress, Stopped};
use crate::session::encoder::{self, Opened};
use crate::session::import::{self, Imported};
use crate::session::pictures::{Subset, open_whole};

/// The network, and how it sees.
#[derive(clap::Args, Clone, Debug)]
pub struct NetworkArgs {
    /// A run's folder (its newest checkpoint), a checkpoint, a weight file, or `demo`
    pub checkpoint: PathBuf,
    /// Use the student instead of the teacher
    #[arg(long)]
    pub student: bool,
    /// Attention heads of a ViT whose file does not say: needed where its width is no multiple of 64
    #[arg(long, value_name = "N")]
    pub heads: Option<usize>,
    /// Show pictures at this many pixels a side [default: as trained]
    #[arg(long, value_name = "PIXELS")]
    pub size: Option<usize>,
    #[command(flatten)]
    pub device: DeviceArg,
}

/// The pictures.
#[derive(clap::Args, Clone, Debug)]
pub struct SourceArgs {
    /// Pictures: a folder, a zip or tar, a file, CIFAR-10, or `parts`, the built-in ones
    pub source: String,
    /// At most this many pictures, spread over the source; 0 = all
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub max: usize,
    /// Neither use nor keep results of earlier looks
    #[arg(long)]
    pub no_cache: bool,
}

impl NetworkArgs {
    /// Opens the network on its device.
    ///
    /// # Errors
    /// A device or file that cannot be used, or a size that the network's patches do not divide.
    pub fn open(&self) -> Result<Opened> {
        self.open_file(&self.checkpoint)
    }

    /// The same for another file.
    pub fn open_file(&self, path: &Path) -> Result<Opened> {
        self.look_through(&self.import(path)?, path)
    }

    /// The weights in `path`.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn import(&self, path: &Path) -> Result<Imported> {
        import::open_one(path, self.student, self.heads)
    }

    /// Puts weights that are open to work on the device.
    ///
    /// # Errors
    /// A device that cannot be used, or a size that the network's patches do not divide.
    pub fn look_through(&self, imported: &Imported, path: &Path) -> Result<Opened> {
        let chosen = device::choose(&self.device.device)?;
        let mut opened = encoder::of(imported, path, self.student, &chosen.device)?;
        if let Some(size) = self.size {
            opened.encoder = opened.encoder.at(size).context("--size")?;
        }
        Ok(opened)
    }
}

impl SourceArgs {
    /// Opens the pictures for a network that was trained with `settings`, and says on standard error what
    /// could not be used.
    ///
    /// # Errors
    /// A path that is missing or holds no picture.
    pub fn open(&self, settings: &crate::settings::Settings) -> Result<Arc<dyn Source>> {
        let mut settings = settings.clone();
        if self.max > 0 {
            settings.data.knn_test = self.max;
        }
        let (source, warnings) = open_whole(&self.source, &settings)?;
        warn(&warnings);
        Ok(match self.max {
            0 => source,
            max => Subset::spread(&source, max),
        })
    }

    /// Where results are kept.
    pub fn cache(&self) -> Cache {
        match self.no_cache {
            true => Cache::none(),
            false => Cache::of_user(),
        }
    }
}

/// Makes the folder that pictures are written to.
///
/// # Errors
/// A place that cannot be written to.
pub fn make_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// One line, on what is looked at and through what.
pub fn introduce(encoder: &Encoder, source: &dyn Source) {
    say!(
        "{}, {} pictures of {} px ({} x {} patches)",
        encoder.name,
        source.len(),
        encoder.side,
        encoder.grid(),
        encoder.grid()
    );
}

/// Names pictures that were passed over, on standard error: the first ten of them.
pub fn warn(failures: &[LoadError]) {
    for failure in failures.iter().take(10) {
        eprintln!("warning: {failure}");
    }
    if failures.len() > 10 {
        eprintln!("warning: and {} more", failures.len() - 10);
    }
}

/// At most `count` numbers below `total`, evenly spread.
pub fn spread(total: usize, count: usize) -> Vec<usize> {
    let count = count.min(total);
    (0..count).map(|i| i * total / count).collect()
}

/// A file name for what is drawn of picture `index`, called `name` in its source.
pub fn file_name(index: usize, name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = base.rsplit_once('.').map_or(base, |(stem, _)| stem);
    let safe = stem.chars().map(|c| {
        if c.is_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '-'
        }
    });
    format!("{index:05}-{}.png", safe.take(60).collect::<String>())
}

/// A progress bar that Ctrl-C ends.
pub struct Watch {
    bar: ProgressBar,
    asked: Arc<AtomicBool>,
}

impl Watch {
    /// Listens for Ctrl-C.
    ///
    /// # Errors
    /// A system that does not let it.
    pub fn new() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        let flag = asked.clone();
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
            .context("cannot listen for Ctrl-C")?;
        let target = match std::io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{msg:>20} {bar:24} {pos}/{len}  ETA {eta}")
        {
            bar.set_style(style);
        }
        Ok(Watch { bar, asked })
    }

    /// Shows progress; `Break` after Ctrl-C.
    pub fn tell(&mut self, progress: Progress) -> ControlFlow<()> {
        self.bar.set_message(progress.what);
        self.bar.set_length(progress.total as u64);
        self.bar.set_position(progress.done as u64);
        match self.asked.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Runs `work`. Work that Ctrl-C ended is no error, but says so by the exit code.
    ///
    /// # Errors
    /// Whatever `work` says.
    pub fn run(mut self, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<ExitCode> {
        let result = work(&mut self);
        self.bar.finish_and_clear();
        match result {
            Ok(()) => Ok(ExitCode::SUCCESS),
            Err(error) if error.is::<Stopped>() => {
                eprintln!("stopped; nothing half-done was kept");
                Ok(ExitCode::from(INTERRUPTED))
            }
            Err(error) => Err(error),
        }
    }
}
