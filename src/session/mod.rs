//! A run as its front ends see it: a job goes in, events come out, and a folder is left behind.
//!
//! The terminal and the window are two readers of the same [`Event`]s. Nothing here prints.

pub mod asks;
pub mod bench;
pub mod checkpoint;
pub mod control;
pub mod doctor;
pub mod encoder;
pub mod estimate;
pub mod evaluate;
pub mod events;
mod facts;
pub mod folder;
pub mod gallery;
pub mod health;
pub mod history;
pub mod import;
pub mod live;
pub mod loading;
pub mod looker;
pub mod pictures;
pub mod plots;
pub mod probes;
pub mod reference;
pub mod report;
pub mod run;
pub mod showing;
pub mod snapshots;
pub mod survey;
pub mod tuning;
pub mod tunings;
pub mod views_preview;

pub use control::Control;
pub use events::{Ending, Event};
pub use run::{Job, resume, train};
