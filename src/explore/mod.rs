//! What was learned, made visible: patterns, attention, colours, similarity, correspondence.
//!
//! An [`Encoder`] is a trained network to look through; a [`Walk`] leads it over a source, a batch at
//! a time, with progress and a way to stop; a [`Cache`] keeps what a walk has found. Every view stands on
//! these three, works in bounded memory however many pictures there are, and gives plain data: pictures
//! and numbers, never a tensor.

mod cache;
pub mod draw;
mod encoder;
mod walk;

pub use cache::{Cache, Entry, Key};
pub use encoder::{Encoder, Of, Prototypes, Tokens};
pub use walk::{Look, Progress, Stopped, Tell, Walk};
