//! patchlight pretrains vision transformers with iBOT and shows what every image patch learns.
//!
//! The rooms, in the order in which they may use each other:
//!
//! - [`settings`]: one table of settings; files, flags and lists are made from it.
//! - [`device`]: which GPU or CPU computes, and why.
//! - [`data`]: where pictures come from and what the network sees of them; no tensors.
//! - [`model`]: vision transformer, projection head, weights.
//! - [`weights`]: weight files of any origin: reading, recognising, naming, writing.
//! - [`pretrain`]: schedules, objective, optimizer, and the step that joins them.
//! - [`probe`]: how good the features are.
//! - [`finetune`]: a backbone and a classifier, trained together on labels.
//! - [`explore`]: what was learned, made visible.
//! - [`session`]: a run as its front ends see it: events out, a folder left behind.
//! - [`command`]: the command line.
//! - [`app`]: the window.

pub mod app;
pub mod command;
pub mod data;
pub mod device;
pub mod explore;
pub mod finetune;
pub mod model;
pub mod pretrain;
pub mod probe;
pub mod session;
pub mod settings;
pub mod weights;
