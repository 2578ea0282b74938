//! Checkpoints: everything that a run needs to go on as if it had never stopped.
//!
//! One safetensors file holds student, teacher, optimizer and centres under their official names
//! with a prefix, and in its metadata the step and the settings. All randomness of a run is keyed by
//! seed and step, so the step is also the position of the data and of the random numbers. Files are
//! written to a temporary name, synced and renamed: a killed run leaves whole checkpoints only.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::model::{HostTensor, HostTensors, Parameters, part};
use crate::pretrain::{Network, Trainer};
use crate::settings::Settings;
use crate::weights::file::{self, Precision};
use crate::weights::{Found, resize};

/// Version of the layout; a reader refuses what it does not know.
const FORMAT: &str = "patchlight-1";

/// The checkpoint that comes with the program: the preset `demo`, trained on (benches/RESULTS.md).
const DEMO: &[u8] = include_bytes!("../../assets/demo.safetensors");

type WeightFile = (HostTensors, HashMap<String, String>);

/// A checkpoint in memory.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Steps done: the next step to run.
    pub step: usize,
    /// Epochs done, where it comes from the reference, which counts no steps.
    pub epoch: Option<usize>,
    pub settings: Settings,
    /// Best k-NN accuracy so far.
    pub best_knn: Option<f64>,
    tensors: HostTensors,
}

impl Checkpoint {
    /// Takes everything out of a trainer after `step` steps.
    pub fn of(trainer: &Trainer, step: usize, best_knn: Option<f64>) -> Self {
        let mut checkpoint = Self::networks_of(trainer, step);
        let optimizer = trainer.optimizer.to_host(&trainer.student);
        checkpoint.put("optimizer", optimizer);
        checkpoint.best_knn = best_knn;
        checkpoint
    }

    /// Takes the networks and centres alone: enough to look at.
    pub fn networks_of(trainer: &Trainer, step: usize) -> Self {
        let mut checkpoint = Checkpoint {
            step,
            epoch: None,
            settings: trainer.settings.clone(),
            best_knn: None,
            tensors: HostTensors::new(),
        };
        checkpoint.put("student", trainer.student.to_host());
        checkpoint.put("teacher", trainer.teacher.to_host());
        let centres = [
            ("class", &trainer.centres.class),
            ("patch", &trainer.centres.patch),
        ];
        let centres = centres.map(|(name, centre)| {
            let data = crate::model::download(centre.clone());
            let shape = vec![1, data.len()];
            (name.to_owned(), HostTensor { shape, data })
        });
        checkpoint.put("centre", centres.into());
        checkpoint
    }

    fn put(&mut self, prefix: &str, tensors: HostTensors) {
        let named = |(name, tensor)| (format!("{prefix}.{name}"), tensor);
        self.tensors.extend(tensors.into_iter().map(named));
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// A folder that cannot be written to, or a full disk.
    pub fn write(&self, path: &Path, precision: Precision) -> Result<()> {
        let mut metadata = HashMap::from([
            ("format".to_owned(), FORMAT.to_owned()),
            ("step".to_owned(), self.step.to_string()),
            ("settings".to_owned(), self.settings.to_toml()),
        ]);
        if let Some(best) = self.best_knn {
            metadata.insert("best_knn".into(), best.to_string());
        }
        file::write(path, &self.tensors, metadata, precision)
    }

    /// Reads a checkpoint.
    ///
    /// # Errors
    /// A file that is missing, damaged, or not one of ours; the message names it.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_file(file::read(path)?, &path.display().to_string())
    }

    /// The checkpoint that comes with the program.
    ///
    /// # Errors
    /// None in a program that was built whole.
    pub fn demo() -> Result<Self> {
        Self::from_file(file::parse(DEMO)?, "the built-in checkpoint")
    }

    /// A checkpoint out of its parts, each tensor under its name with `student.`, `teacher.`, `optimizer.` or
    /// `centre.` before it.
    pub fn of_parts(settings: Settings, tensors: HostTensors, epoch: Option<usize>) -> Self {
        Checkpoint {
            step: 0,
            epoch,
            settings,
            best_knn: None,
            tensors,
        }
    }

    /// Whether a run can go on from it as if it had never stopped.
    pub fn is_whole(&self) -> bool {
        let has = |part: &str| self.tensors.keys().any(|name| name.starts_with(part));
        has("optimizer.") && (self.step > 0 || self.epoch.is_some())
    }

    /// Makes a checkpoint of a file's content; `name` is the file's.
    ///
    /// # Errors
    /// Another layout, or metadata that are damaged.
    pub fn from_file((tensors, metadata): WeightFile, name: &str) -> Result<Self> {
        match metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => {
                bail!("{name} has the layout {other:?}; this version reads {FORMAT:?} only")
            }
            None => bail!("{name} holds weights but is not a checkpoint of a run"),
        }
        let field = |key: &str| {
            metadata
                .get(key)
                .with_context(|| format!("{name} does not say its {key}"))
        };
        let step = field("step")?
            .parse()
            .with_context(|| format!("step of {name}"))?;
        let settings = Settings::from_toml(field("settings")?, name)?;
        let best_knn = metadata.get("best_knn").and_then(|best| best.parse().ok());
        Ok(Checkpoint {
            step,
            epoch: None,
            settings,
            best_knn,
            tensors,
        })
    }

    /// The tensors whose names start with `prefix.`, without it.
    pub fn part(&self, prefix: &str) -> HostTensors {
        part(&self.tensors, prefix)
    }

    /// The student or the teacher, by itself.
    pub fn network(&self, part: &str) -> Found {
        let network = match part {
            "student" => Network::student(&self.settings),
            _ => Network::teacher(&self.settings),
        };
        Found {
            backbone: network.backbone,
            head: Some(network.head),
            tensors: self.part(part),
            unused: Vec::new(),
        }
    }

    /// The networks and centres alone, without the optimizer's memory: a third of the size, enough
    /// to look at or to start from.
    pub fn without_optimizer(mut self) -> Self {
        self.tensors
            .retain(|name, _| !name.starts_with("optimizer."));
        self
    }

    /// Puts everything into a trainer made for the same settings.
    ///
    /// # Errors
    /// Weights that do not fit the trainer's networks.
    pub fn restore(&self, trainer: &mut Trainer) -> Result<()> {
        let device = trainer.device.clone();
        let load = |own: Network, network: &Network, part: &str| {
            let mut tensors = self.part(part);
            resize(&mut tensors, &own.backbone, &network.backbone);
            Parameters::load(&network.specs(), &tensors, &device)
        };
        let own = &self.settings;
        trainer.student = load(Network::student(own), &trainer.student_network, "student")?;
        trainer.teacher = load(Network::teacher(own), &trainer.teacher_network, "teacher")?;
        trainer
            .optimizer
            .restore(&trainer.student, &self.part("optimizer"), &device);
        let centres = self.part("centre");
        for (name, centre) in [
            ("class", &mut trainer.centres.class),
            ("patch", &mut trainer.centres.patch),
        ] {
            let found = centres
                .get(name)
                .with_context(|| format!("no {name} centre"))?;
            if found.data.len() != centre.dims()[1] {
                bail!(
                    "the {name} centre has {} numbers, not {}",
                    found.data.len(),
                    centre.dims()[1]
                );
            }
            *centre = crate::model::upload(found.data.clone(), centre.dims(), &device);
        }
        Ok(())
    }
}

/// The file of a checkpoint after `step` steps in a run's folder.
pub fn path_for(folder: &Path, step: usize) -> PathBuf {
    folder
        .join("checkpoints")
        .join(format!("step-{step:09}.safetensors"))
}

/// The checkpoint with the best k-NN accuracy.
pub fn best_path(folder: &Path) -> PathBuf {
    folder.join("checkpoints").join("best.safetensors")
}

/// Numbered checkpoints in a run's folder, oldest first.
pub fn list(folder: &Path) -> Vec<(usize, PathBuf)> {
    let entries = std::fs::read_dir(folder.join("checkpoints"))
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<(usize, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
            Some((step.parse().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found
}

/// Deletes all but the newest `keep` numbered checkpoints.
///
/// # Errors
/// A file that cannot be deleted.
pub fn prune(folder: &Path, keep: usize) -> std::io::Result<()> {
    let all = list(folder);
    let old = all.len().saturating_sub(keep);
    all[..old]
        .iter()
        .try_for_each(|(_, path)| std::fs::remove_file(path))
}

/// The newest readable checkpoint of a run's folder, and a warning for each newer unreadable one.
pub fn newest(folder: &Path) -> (Option<Checkpoint>, Vec<String>) {
    let mut warnings = Vec::new();
    for (_, path) in list(folder).into_iter().rev() {
        match Checkpoint::read(&path) {
            Ok(checkpoint) => return (Some(checkpoint), warnings),
            Err(error) => warnings.push(format!("skipping a damaged checkpoint: {error:#}")),
        }
    }
    (None, warnings)
}
