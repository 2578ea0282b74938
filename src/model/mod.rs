//! The networks: vision transformer, projection head, and their weights.
//!
//! A network is a plain description of its shape; its weights are a list of named matrices that is
//! passed to it. The same description therefore serves student, teacher, probes and viewers.

mod backbone;
mod head;
mod init;
pub mod kernels;
mod layers;
mod parameters;
pub mod resample;
mod swin;
mod vit;
pub mod windows;

pub use backbone::Backbone;
pub use head::{Head, Statistics};
pub use init::Init;
pub use layers::{DropPath, NORM_EPSILON, Patches};
pub use parameters::{
    HostTensor, HostTensors, Parameter, Parameters, Spec, WeightError, download, matrix_shape,
    part, upload,
};
pub use swin::Swin;
pub use vit::Vit;
