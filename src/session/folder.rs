//! The folder of a run: settings, metrics, log, checkpoints, report.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::weights::file::write_atomically;

/// What a run must know besides its settings to be started again: `run.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// The pictures, absolute where it is a path.
    pub source: String,
    pub preset: Option<String>,
    /// Version of the program that started the run.
    pub version: String,
}

/// An open run folder. Metrics and log are appended line by line, each line in one write.
#[derive(Debug)]
pub struct RunFolder {
    pub path: PathBuf,
    metrics: File,
    log: File,
}

impl RunFolder {
    /// Makes the folder of a new run with its settings.
    ///
    /// # Errors
    /// A folder that already holds a run, or cannot be made.
    pub fn create(path: &Path, run: &RunFile, settings: &Settings) -> Result<Self> {
        if path.join("run.json").exists() {
            bail!(
                "{0} already holds a run; continue it with `patchlight resume {0}` or name another \
                 folder with --out",
                path.display()
            );
        }
        let make = || -> Result<()> {
            fs::create_dir_all(path.join("checkpoints"))?;
            write_atomically(&path.join("settings.toml"), settings.to_toml().as_bytes())?;
            let text = serde_json::to_vec_pretty(run)?;
            Ok(write_atomically(&path.join("run.json"), &text)?)
        };
        make().with_context(|| format!("cannot make the run's folder {}", path.display()))?;
        Self::open(path)
    }

    /// Opens the folder of a run that was started before.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn open(path: &Path) -> Result<Self> {
        let append = |name: &str| {
            let file = path.join(name);
            let open = OpenOptions::new().create(true).append(true).open(&file);
            open.with_context(|| format!("cannot write to {}", file.display()))
        };
        Ok(RunFolder {
            metrics: append("metrics.jsonl")?,
            log: append("log.txt")?,
            path: path.to_owned(),
        })
    }

    /// Keeps settings that were changed while the run was going on: a resumed run goes on with them.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn keep_settings(&self, settings: &Settings) -> Result<()> {
        let path = self.path.join("settings.toml");
        write_atomically(&path, settings.to_toml().as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads what the run was started with.
    ///
    /// # Errors
    /// A folder that holds no run, or whose files are damaged.
    pub fn read(path: &Path) -> Result<(RunFile, Settings)> {
        let run = path.join("run.json");
        if !run.exists() {
            bail!(
                "{} is not the folder of a run: it has no run.json",
                path.display()
            );
        }
        let text = fs::read_to_string(&run)?;
        let run =
            serde_json::from_str(&text).with_context(|| format!("{} is damaged", run.display()))?;
        let file = path.join("settings.toml");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok((
            run,
            Settings::from_toml(&text, &file.display().to_string())?,
        ))
    }

    /// Appends one line to the metrics: `kind` and the fields of `value`.
    ///
    /// # Errors
    /// A full disk.
    pub fn metric(&mut self, kind: &str, value: &impl Serialize) -> Result<()> {
        let mut object = serde_json::to_value(value)?;
        if let Some(fields) = object.as_object_mut() {
            fields.insert("kind".into(), kind.into());
        }
        let line = format!("{object}\n");
        self.metrics
            .write_all(line.as_bytes())
            .context("cannot write the metrics")
    }

    /// Appends one line to the log.
    ///
    /// # Errors
    /// A full disk.
    pub fn log(&mut self, line: &str) -> Result<()> {
        self.log
            .write_all(format!("{line}\n").as_bytes())
            .context("cannot write the log")
    }

    /// Drops metrics of step `step` and later (they will be made again) and a torn last line.
    ///
    /// # Errors
    /// A folder that cannot be written to.
    pub fn rewind(&mut self, step: usize) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        let text = fs::read(&path).unwrap_or_default();
        let keep = |line: &&str| {
            let value = serde_json::from_str::<serde_json::Value>(line).ok();
            let at = value.as_ref().and_then(|v| v.get("step")?.as_u64());
            // An evaluation after the last step kept carries that number of steps.
            let limit = match value.as_ref().and_then(|v| v.get("kind")?.as_str()) {
                Some("eval") => step as u64 + 1,
                _ => step as u64,
            };
            value.is_some() && at.is_none_or(|at| at < limit)
        };
        let text = String::from_utf8_lossy(&text);
        let kept: String = text
            .lines()
            .filter(keep)
            .map(|line| format!("{line}\n"))
            .collect();
        write_atomically(&path, kept.as_bytes())?;
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

/// The first free folder `NAME-001`, `NAME-002`, … in `parent`.
pub fn next_folder(parent: &Path, name: &str) -> PathBuf {
    let path = |n: usize| parent.join(format!("{name}-{n:03}"));
    (1..)
        .map(path)
        .find(|path| !path.exists())
        .unwrap_or_else(|| path(1))
}
