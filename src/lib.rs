//! patchlight pretrains vision transformers with iBOT and shows what every image patch learns.
pub mod data;
pub mod model;
pub mod pretrain;
pub mod settings;
