//! Backbones as ONNX files, for programs in other languages.
//!
//! A file holds the whole network from normalised pixels to the tokens after the final norm. Its
//! constants carry the weights' own names without prefix; those of linear layers are stored
//! transposed, `[in, out]`. The bytes are written here, without the help of Python.

mod graph;
mod layers;
mod messages;
mod positions;
mod protobuf;
mod swin;
#[cfg(test)]
mod tests;
mod vit;
mod windowing;

pub use swin::swin;
pub use vit::vit;

/// What a file says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// Name of the network.
    pub name: String,
    /// Mean of each channel of the training pictures, of pixels from 0 to 1: to be subtracted.
    pub mean: [f64; 3],
    /// Standard deviation of each channel: to be divided by.
    pub std: [f64; 3],
}

impl About {
    /// The entries of a file's metadata; `more` are those of one kind of network.
    fn notes<'a>(&self, kind: &str, more: &[(&'a str, String)]) -> Vec<(&'a str, String)> {
        let mut notes = vec![
            ("name", self.name.clone()),
            ("kind", kind.to_owned()),
            ("channels", "RGB".to_owned()),
            ("mean", format!("{:?}", self.mean)),
            ("std", format!("{:?}", self.std)),
        ];
        notes.extend_from_slice(more);
        notes
    }
}

/// Why a network cannot be written.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum OnnxError {
    #[error("the weights lack {0:?}, which this network needs: are they another network's?")]
    Missing(String),
    #[error(
        "{name:?} has shape {found:?} in the weights but {expected:?} in this network: \
         are they another network's?"
    )]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
    #[error("{name:?} has {found} numbers, but its shape {shape:?} asks for {expected}")]
    Count {
        name: String,
        shape: Vec<usize>,
        found: usize,
        expected: usize,
    },
    #[error("the network's description contradicts itself: {0}")]
    Description(String),
    #[error(
        "pictures of {height} x {width} pixels cannot be cut into patches of {patch} x {patch}: \
         choose multiples of {patch}"
    )]
    Size {
        height: usize,
        width: usize,
        patch: usize,
    },
    #[error(
        "the ONNX file would have {bytes} bytes, but the format ends at 2 GB: \
         export a smaller network"
    )]
    TooLarge { bytes: u64 },
}
