//! Weight files of any origin: reading, recognising, naming, writing.
//!
//! Files of this program, full checkpoints and extracted backbones of the reference, ViTs and Swin transformers
//! under the names of DINO, DeiT, DINOv2 and timm; as safetensors or as PyTorch writes them. What a file is, is
//! read from its content.

pub mod file;
pub mod naming;
pub mod onnx;
pub mod recognise;
mod reference;
mod resize;
pub mod torch;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use crate::model::{Backbone, Head, HostTensors};
use naming::Named;
pub use recognise::UnknownNetwork;
pub use reference::{Moments, State};
pub use resize::resize;

/// A file as it is: tensors and other values by their paths, such as `student/module.backbone.cls_token` and
/// `args/out_dim`.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    pub tensors: HostTensors,
    pub values: BTreeMap<String, String>,
}

/// One network of a file, under the names of this program.
#[derive(Clone, Debug)]
pub struct Found {
    pub backbone: Backbone,
    pub head: Option<Head>,
    pub tensors: HostTensors,
    /// Names in the file that belong to neither.
    pub unused: Vec<String>,
}

/// What a weight file holds.
#[derive(Debug)]
pub enum Weights {
    /// A checkpoint of this program: tensors and metadata as they stand in the file.
    Ours(HostTensors, HashMap<String, String>),
    /// One network; where in the file it stood is empty or such as `state_dict`.
    Network { found: Box<Found>, place: String },
    /// Student and teacher of the reference, and what else its checkpoint keeps.
    Pair {
        student: Box<Found>,
        teacher: Box<Found>,
        state: Box<State>,
    },
}

/// Reads a weight file. `heads` is the number of attention heads of a ViT where a person has said it.
///
/// # Errors
/// A file that cannot be read, or weights of a network that is not known; the message names the file and what is
/// wrong in it.
pub fn read(path: &Path, heads: Option<usize>) -> Result<Weights> {
    let name = path.display();
    let contents = match torch::is_torch(path).with_context(|| format!("cannot read {name}"))? {
        true => torch::read(path).with_context(|| format!("{name} cannot be read"))?,
        false => {
            let (tensors, metadata) = file::read(path)?;
            if metadata.contains_key("format") {
                return Ok(Weights::Ours(tensors, metadata));
            }
            let values = BTreeMap::new();
            Contents { tensors, values }
        }
    };
    interpret(contents, heads)
        .with_context(|| format!("{name} holds no network that patchlight knows"))
}

/// Where the tensor that every network has is found, by what comes before its name.
const MARK: &str = "patch_embed.proj.weight";

/// Finds the networks in the contents of a file.
///
/// # Errors
/// Weights of a network that is not known.
pub fn interpret(mut contents: Contents, heads: Option<usize>) -> Result<Weights> {
    let place = |path: &str| {
        path.rsplit_once('/')
            .map_or("", |(place, _)| place)
            .to_owned()
    };
    let marked = contents.tensors.keys().filter(|path| path.ends_with(MARK));
    let places: Vec<String> = marked.map(|path| place(path)).collect();
    let mut take = |wanted: &str| -> Result<Box<Found>> {
        let all = std::mem::take(&mut contents.tensors);
        let (mine, rest): (HostTensors, HostTensors) =
            all.into_iter().partition(|(path, _)| place(path) == wanted);
        contents.tensors = rest;
        let bare = mine.into_iter().map(|(path, tensor)| {
            let name = path
                .rsplit_once('/')
                .map_or(path.as_str(), |(_, name)| name);
            (name.to_owned(), tensor)
        });
        found(naming::normalise(bare.collect()), heads).map(Box::new)
    };
    let has = |wanted: &str| places.iter().any(|place| place == wanted);
    if has("student") && has("teacher") {
        let student = take("student").context("the student")?;
        let teacher = take("teacher").context("the teacher")?;
        let state = Box::new(State::of(&contents));
        return Ok(Weights::Pair {
            student,
            teacher,
            state,
        });
    }
    // The teacher is the better network where a file holds several.
    let preferred = ["teacher", "state_dict", "model", "model_ema", ""];
    let first = preferred.into_iter().find(|place| has(place));
    let place = match (first, places.first()) {
        (Some(place), _) => place.to_owned(),
        (None, Some(place)) => place.clone(),
        (None, None) => {
            let some: Vec<&str> = contents
                .tensors
                .keys()
                .take(3)
                .map(String::as_str)
                .collect();
            return Err(match some.is_empty() {
                true => anyhow!("there is no tensor in it"),
                false => anyhow!(
                    "none of its {} tensors is called …{MARK}, as in every vision transformer; the first are {}",
                    contents.tensors.len(),
                    some.join(", ")
                ),
            });
        }
    };
    let found = take(&place)?;
    Ok(Weights::Network { found, place })
}

fn found(named: Named, heads: Option<usize>) -> Result<Found> {
    let Named { tensors, unused } = named;
    let backbone = recognise::backbone(&tensors, heads)?;
    let head = recognise::head(&tensors).context("its projection head")?;
    Ok(Found {
        backbone,
        head,
        tensors,
        unused,
    })
}
