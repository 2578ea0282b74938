//! Where pictures come from, and what the network sees of them.
//!
//! source → decode → views + masks → batch: everything here runs on worker threads and on plain
//! bytes. No tensor and no device is known in this room; the training thread turns a [`Batch`]
//! into tensors. All randomness is drawn from a generator keyed by (seed, epoch, image, view), so
//! the number of threads never changes a run.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

pub mod archive;
mod archive_scan;
pub mod attacks;
pub mod bench;
mod catalogue;
pub mod cifar;
pub mod decode;
pub mod draws;
pub mod finetune;
pub mod folder;
mod framing;
mod listed;
pub mod loader;
pub mod masks;
pub mod open;
pub mod parts;
pub mod pixels;
mod shared_file;
pub mod views;

pub use framing::Framing;

/// One decoded picture: 8-bit RGB, rows top to bottom, `rgb.len() == width * height * 3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub rgb: Vec<u8>,
}

/// Which part of an object each pixel belongs to (0 = none), as an index into [`Source::part_names`].
/// `ids.len() == width * height`, rows top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartMap {
    pub width: usize,
    pub height: usize,
    pub ids: Vec<u8>,
}

impl PartMap {
    /// The map of the same picture at `side` x `side` pixels, each from the nearest.
    pub fn scaled(self, side: usize) -> Self {
        if self.width == side && self.height == side {
            return self;
        }
        let ids = (0..side * side).map(|i| {
            let (x, y) = (i % side * self.width / side, i / side * self.height / side);
            self.ids[y * self.width + x]
        });
        PartMap {
            width: side,
            height: side,
            ids: ids.collect(),
        }
    }
}

/// A set of pictures with stable numbers `0..len()`; any thread may load any of them.
pub trait Source: Send + Sync {
    /// Number of pictures. An endless generator says how many it makes an epoch.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a person would call picture `index`: a path, or a place in an archive.
    fn name(&self, index: usize) -> String;

    /// Class of picture `index`, an index into [`Source::classes`]; `None` where nothing is known.
    fn label(&self, index: usize) -> Option<usize>;

    /// Class names, sorted; empty where the source has no labels.
    fn classes(&self) -> &[String];

    /// Decodes picture `index`.
    fn load(&self, index: usize) -> Result<Picture, LoadError>;

    /// Changes when the content of picture `index` may have changed under the same name; 0 where
    /// that cannot happen.
    fn stamp(&self, _index: usize) -> u64 {
        0
    }

    /// Part names, `part_names()[0]` being "none"; empty where parts are not known.
    fn part_names(&self) -> &[&'static str] {
        &[]
    }

    /// Picture `index` and its part map; `None` where parts are not known.
    fn load_with_parts(&self, _index: usize) -> Option<(Picture, PartMap)> {
        None
    }
}

/// The stamp of a file: of where it is, its length and when it was last written.
fn file_stamp(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    if let Ok(about) = std::fs::metadata(path) {
        about.len().hash(&mut hasher);
        about.modified().ok().hash(&mut hasher);
    }
    hasher.finish()
}

/// Why one picture could not be used. It never ends a run: it is counted, listed and skipped.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct LoadError {
    /// Path of the file, or its place in the archive.
    pub name: String,
    /// What is wrong with it, in words.
    pub reason: String,
}

/// One step's food. Crops are crop-major, as in the reference: rows `[v*B, (v+1)*B)` belong to crop `v`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Epoch and step in the epoch, both from 0.
    pub epoch: usize,
    pub step: usize,
    /// Source index of each of the B pictures.
    pub images: Vec<usize>,
    /// Normalised global crops, `[G*B, 3, S, S]`.
    pub globals: Vec<f32>,
    /// Normalised local crops, `[L*B, 3, s, s]`; empty without local crops.
    pub locals: Vec<f32>,
    /// Masks of the global crops, `[G*B, (S/p)*(S/p)]`, true = masked.
    pub masks: Vec<bool>,
    /// Pictures that failed while this batch was made (each was replaced by another picture).
    pub failures: Vec<LoadError>,
}
