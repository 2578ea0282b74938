//! Opens a trained network to look through: a run, a checkpoint, a weight file.

use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;

use super::checkpoint::{self, Checkpoint};
use super::import::{self, Imported};
use crate::explore::{Encoder, Prototypes};
use crate::model::upload;
use crate::pretrain::Network;
use crate::pretrain::networks::zeros;
use crate::pretrain::objective::Centres;
use crate::settings::Settings;
use crate::weights::Found;

/// What is looked through, and the settings it was trained with (the defaults where they are not
/// known).
pub struct Opened {
    pub encoder: Encoder,
    pub settings: Settings,
}

/// Opens the folder of a run (its newest checkpoint), a checkpoint, a weight file of any origin, or `demo`.
/// `student` takes the student instead of the teacher; `heads` is the number of attention heads of a ViT where a
/// person has said it.
///
/// # Errors
/// Nothing readable there, or weights of a network that is not known.
pub fn open(path: &Path, student: bool, heads: Option<usize>, device: &Device) -> Result<Opened> {
    of(
        &import::open_one(path, student, heads)?,
        path,
        student,
        device,
    )
}

/// The same of weights that are open; `path` says where they are from.
///
/// # Errors
/// Weights that do not fit together.
pub fn of(imported: &Imported, path: &Path, student: bool, device: &Device) -> Result<Opened> {
    match imported {
        Imported::Checkpoint(checkpoint) => from_checkpoint(checkpoint, path, student, device),
        Imported::Network(found) => from_network(found, path, device),
    }
}

/// A network that comes without settings.
fn from_network(found: &Found, path: &Path, device: &Device) -> Result<Opened> {
    let name = path.display().to_string();
    let mut settings = Settings::default();
    import::describe(found, &mut settings);
    // Without its centres a head is taken as it is.
    let prototypes = found.head.clone().map(|head| Prototypes {
        centres: Centres {
            class: zeros(head.out, device),
            patch: zeros(head.patch_count(), device),
        },
        head,
    });
    let encoder = Encoder::new(
        found.backbone.clone(),
        prototypes,
        &found.tensors,
        name.clone(),
        device,
    )
    .with_context(|| format!("the weights in {name} do not fit together"))?;
    Ok(Opened { encoder, settings })
}

/// Checkpoints of a run's folder, oldest first, to look through one after the other.
///
/// # Errors
/// No checkpoint there.
pub fn steps(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let found = checkpoint::list(folder);
    if found.is_empty() {
        bail!("{} holds no checkpoint", folder.display());
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// One of the networks of a checkpoint; `path` says where it is from.
///
/// # Errors
/// Weights that do not fit their settings.
pub fn from_checkpoint(
    checkpoint: &Checkpoint,
    path: &Path,
    student: bool,
    device: &Device,
) -> Result<Opened> {
    let settings = checkpoint.settings.clone();
    let (network, part) = match student {
        true => (Network::student(&settings), "student"),
        false => (Network::teacher(&settings), "teacher"),
    };
    let centres = checkpoint.part("centre");
    let centre = |name: &str, width: usize| {
        let found = centres.get(name).filter(|c| c.data.len() == width);
        let found = found
            .with_context(|| format!("{}: no {name} centre of {width} numbers", path.display()))?;
        anyhow::Ok(upload(found.data.clone(), [1, width], device))
    };
    let head = network.head;
    let prototypes = Prototypes {
        centres: Centres {
            class: centre("class", head.out)?,
            patch: centre("patch", head.patch_count())?,
        },
        head,
    };
    let name = format!(
        "{part} of {} after {} steps",
        path.display(),
        checkpoint.step
    );
    let tensors = checkpoint.part(part);
    let mut encoder = Encoder::new(network.backbone, Some(prototypes), &tensors, name, device)
        .with_context(|| format!("the weights in {} do not fit its settings", path.display()))?;
    (encoder.mean, encoder.std) = (settings.views.mean, settings.views.std);
    Ok(Opened { encoder, settings })
}
