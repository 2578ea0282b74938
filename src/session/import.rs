//! What a person points at, as weights to look through or to start from: a run, a checkpoint, the reference's
//! checkpoint, a backbone of any origin.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::checkpoint::{self, Checkpoint};
use super::run::Start;
use crate::model::{Backbone, HostTensor, HostTensors};
use crate::pretrain::Network;
use crate::pretrain::optimizer::decays;
use crate::settings::{Arch, Settings};
use crate::weights::{self, Found, State, Weights};

/// Weights, and how much is known of how they came to be.
#[derive(Debug)]
pub enum Imported {
    /// Student and teacher with their settings.
    Checkpoint(Box<Checkpoint>),
    /// One network alone.
    Network(Box<Found>),
}

/// Opens the folder of a run (its newest checkpoint), a checkpoint, a weight file of any origin, or `demo`, the
/// checkpoint that comes with the program, unless a file has that name. `heads` is the number of attention heads
/// of a ViT where a person has said it.
///
/// # Errors
/// Nothing readable there, or weights of a network that is not known.
pub fn open(path: &Path, heads: Option<usize>) -> Result<Imported> {
    if path == Path::new("demo") && !path.exists() {
        return Ok(Imported::Checkpoint(Box::new(Checkpoint::demo()?)));
    }
    if path.is_dir() {
        let (found, warnings) = checkpoint::newest(path);
        let found = found.with_context(|| match warnings.is_empty() {
            true => format!("{} holds no checkpoint", path.display()),
            false => warnings.join("\n"),
        })?;
        return Ok(Imported::Checkpoint(Box::new(found)));
    }
    let name = path.display().to_string();
    Ok(match weights::read(path, heads)? {
        Weights::Ours(tensors, metadata) => {
            let checkpoint = Checkpoint::from_file((tensors, metadata), &name)?;
            Imported::Checkpoint(Box::new(checkpoint))
        }
        Weights::Network { found, .. } => Imported::Network(found),
        Weights::Pair {
            student,
            teacher,
            state,
        } => {
            let checkpoint = of_reference(*student, *teacher, &state)
                .with_context(|| format!("{name} cannot be used"))?;
            Imported::Checkpoint(Box::new(checkpoint))
        }
    })
}

/// The same where student and teacher are needed.
///
/// # Errors
/// Nothing readable there, or one network alone.
pub fn checkpoint(path: &Path) -> Result<Checkpoint> {
    match open(path, None)? {
        Imported::Checkpoint(checkpoint) => Ok(*checkpoint),
        Imported::Network(_) => bail!(
            "{} holds one network, not a student and a teacher with their settings",
            path.display()
        ),
    }
}

/// [`open`] for one network: of a checkpoint the teacher is meant, with `student` the student.
///
/// # Errors
/// Nothing readable there, or a student asked of a file with one network.
pub fn open_one(path: &Path, student: bool, heads: Option<usize>) -> Result<Imported> {
    let imported = open(path, heads)?;
    if student && matches!(imported, Imported::Network(_)) {
        bail!(
            "{} is a weight file of one network: leave out --student",
            path.display()
        );
    }
    Ok(imported)
}

impl Imported {
    /// The student or the teacher of a checkpoint, or the only network.
    pub fn network(&self, student: bool) -> Found {
        match self {
            Imported::Checkpoint(checkpoint) if student => checkpoint.network("student"),
            Imported::Checkpoint(checkpoint) => checkpoint.network("teacher"),
            Imported::Network(found) => Found::clone(found),
        }
    }
}

/// Makes settings describe the network `found`, whatever its name.
pub fn describe(found: &Found, settings: &mut Settings) {
    let model = &mut settings.model;
    match &found.backbone {
        Backbone::Vit(vit) => {
            let named = [Arch::VitTiny, Arch::VitSmall, Arch::VitBase, Arch::VitLarge];
            let sizes = (vit.dim, vit.depth, vit.heads);
            let named = named.into_iter().find(|arch| arch.sizes() == sizes);
            model.arch = named.unwrap_or(Arch::Custom);
            (model.dim, model.depth, model.heads) = match named {
                Some(_) => (0, 0, 0),
                None => sizes,
            };
            model.mlp_ratio = vit.mlp_ratio;
            model.qkv_bias = vit.qkv_bias;
            model.layer_scale = vit.layer_scale.into();
            model.registers = vit.registers;
        }
        Backbone::Swin(swin) => {
            model.arch = Arch::SwinTiny;
            model.dim = swin.dim;
            (model.depths, model.stage_heads) = (swin.depths.clone(), swin.heads.clone());
            model.window = swin.window;
            model.mlp_ratio = swin.mlp_ratio;
        }
    }
    model.patch = found.backbone.patch();
    settings.views.global_size = found.backbone.image();
    if let Some(head) = &found.head {
        let shared = head.shared;
        let own = &mut settings.head;
        (own.hidden, own.bottleneck, own.layers) = (head.hidden, head.bottleneck, head.layers);
        (own.out_dim, own.patch_out_dim) = (head.out, head.patch_out);
        (own.norm, own.norm_last_layer, own.shared) = (head.norm, head.fixed_gain, shared);
    }
}

/// How a run begins with `imported`, with what settings, and a line on it for people. `settings` are a person's,
/// `base` the preset's under them: what the person has not set is taken from the weights. A whole checkpoint
/// goes on where it stopped, unless it is done or `anew` is asked for; a backbone gets a fresh head.
pub fn start(
    imported: Imported,
    settings: Settings,
    base: &Settings,
    anew: bool,
) -> (Settings, Start, String) {
    match imported {
        Imported::Checkpoint(checkpoint) if checkpoint.is_whole() && !anew => {
            let mut own = settings.clone().with_recipe_of(&checkpoint.settings, base);
            let epochs = own.run.epochs;
            match checkpoint.epoch {
                Some(epoch) if epoch >= epochs => {
                    let text = format!(
                        "it was trained to its end, {epoch} of {epochs} epochs: new schedules from its networks and \
                         centres"
                    );
                    own = settings.with_network_of(&checkpoint.settings, base);
                    let networks = Box::new(checkpoint.without_optimizer());
                    (own, Start::From(networks), text)
                }
                Some(epoch) => {
                    let text = format!(
                        "goes on after epoch {epoch} of {epochs}, with optimizer, centres and recipe"
                    );
                    (own, Start::Continue(checkpoint), text)
                }
                None => {
                    let text = format!(
                        "goes on after step {}, with optimizer, centres and recipe",
                        checkpoint.step
                    );
                    (own, Start::Continue(checkpoint), text)
                }
            }
        }
        Imported::Checkpoint(checkpoint) => {
            let own = settings.with_network_of(&checkpoint.settings, base);
            let text = "new schedules from its networks and centres".to_owned();
            (
                own,
                Start::From(Box::new(checkpoint.without_optimizer())),
                text,
            )
        }
        Imported::Network(found) => {
            let mut network = Settings::default();
            describe(&found, &mut network);
            // Pictures keep the size that was asked for; positions are resampled.
            network.views.global_size = settings.views.global_size;
            let mut own = settings.with_network_of(&network, base);
            let fit = |side: usize, cell: usize| (side + cell / 2).max(cell) / cell * cell;
            let (cell, patch) = (own.model.cell(), own.model.patch);
            if own.views.global_size == base.views.global_size {
                own.views.global_size = fit(own.views.global_size, cell);
            }
            if own.views.local_size == base.views.local_size {
                own.views.local_size = fit(own.views.local_size, patch);
            }
            let text = match found.head {
                Some(_) => "new schedules from its backbone and head".to_owned(),
                None => {
                    if own.optim.freeze_backbone == base.optim.freeze_backbone {
                        own.optim.freeze_backbone = 1;
                    }
                    format!(
                        "its backbone with a fresh head; the backbone stays as it is for {} epochs",
                        own.optim.freeze_backbone
                    )
                }
            };
            (own, Start::Weights(found), text)
        }
    }
}

/// The reference's checkpoint as one of this program.
///
/// # Errors
/// Networks that do not fit each other.
fn of_reference(student: Found, teacher: Found, state: &State) -> Result<Checkpoint> {
    let mut settings = Settings::default();
    describe(&student, &mut settings);
    let image = settings.views.global_size;
    let _ = state.put_recipe(&mut settings);
    // The reference crops to 224 and 96 pixels whatever its arguments say.
    let (patch, local) = (settings.model.patch, 96 * image / 224);
    settings.views.local_size = (local / patch * patch).max(patch);
    settings.loss.masked_modeling = student.tensors.contains_key("backbone.masked_embed");
    let shared_teacher = teacher.head.as_ref().is_none_or(|head| head.shared);
    settings.head.shared_teacher = shared_teacher;
    let networks = [
        ("student", Network::student(&settings), &student.tensors),
        ("teacher", Network::teacher(&settings), &teacher.tensors),
    ];
    let mut tensors = HostTensors::new();
    for (part, network, from) in &networks {
        for spec in network.specs() {
            let tensor = from.get(&spec.name);
            let tensor = tensor.with_context(|| format!("its {part} lacks {:?}", spec.name))?;
            tensors.insert(format!("{part}.{}", spec.name), tensor.clone());
        }
    }
    let widths = [settings.head.out_dim, settings.head.teacher_patches()];
    for (i, name) in ["class", "patch"].into_iter().enumerate() {
        let data = match &state.centres {
            Some(centres) => centres[i].clone(),
            None => vec![0.0; widths[i]],
        };
        let shape = vec![1, data.len()];
        tensors.insert(format!("centre.{name}"), HostTensor { shape, data });
    }
    // Trained parameters are counted in the order of the network, decayed ones first.
    let (decayed, others): (Vec<_>, Vec<_>) = networks[0]
        .1
        .specs()
        .into_iter()
        .filter(|spec| spec.trained)
        .partition(|spec| decays(&spec.name, &spec.shape));
    for (i, spec) in decayed.into_iter().chain(others).enumerate() {
        let Some(moments) = state.optimizer.get(&i) else {
            continue;
        };
        let mut put = |part: &str, tensor: &HostTensor| {
            tensors.insert(format!("optimizer.{part}.{}", spec.name), tensor.clone());
        };
        if moments.first.shape != spec.shape {
            bail!(
                "the optimizer's memory number {i} has shape {:?}, but {:?}, which should be there, has {:?}",
                moments.first.shape,
                spec.name,
                spec.shape
            );
        }
        let steps = HostTensor {
            shape: vec![1],
            data: vec![moments.steps as f32],
        };
        put("steps", &steps);
        put("first", &moments.first);
        if let Some(second) = &moments.second {
            put("second", second);
        }
    }
    Ok(Checkpoint::of_parts(settings, tensors, state.epoch))
}
