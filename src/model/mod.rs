//! The networks: vision transformer, projection head, and their weights.
//!
//! A network is a plain description of its shape; its weights are a list of named matrices that is
//! passed to it. The same description therefore serves student, teacher, probes and viewers.

mod head;
mod init;
pub mod kernels;
mod parameters;
mod recognise;
pub mod resample;
mod vit;
pub mod weight_file;

pub use head::{Head, Statistics};
pub use init::Init;
pub use parameters::{
    HostTensor, HostTensors, Parameter, Parameters, Spec, WeightError, download, matrix_shape,
    upload,
};
pub use recognise::{UnknownNetwork, with_reference_names};
pub use vit::{DropPath, NORM_EPSILON, Patches, Vit};
