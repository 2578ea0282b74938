//! What was learned, made visible: patterns, attention, colours, similarity, correspondence.
//!
//! An [`Encoder`] is a trained network to look through; a [`Walk`] leads it over a source, a batch at
//! a time, with progress and a way to stop; a [`Cache`] keeps what a walk has found. Every view stands on
//! these three, works in bounded memory however many pictures there are, and gives plain data: pictures
//! and numbers, never a tensor.

pub mod animation;
pub mod attention;
pub mod bank;
mod cache;
pub mod cluster_map;
pub mod clusters;
pub mod colours;
pub mod correspondence;
pub mod damage;
mod descriptor;
pub mod draw;
mod encoder;
pub mod features;
pub mod guess;
pub mod identity;
mod kmeans;
pub mod page;
pub mod parts;
pub mod patterns;
pub mod robustness;
pub mod sheet;
pub mod similarity;
pub mod text;
mod walk;

pub use cache::{Cache, Entry, Key};
pub use encoder::{Encoder, Of, Prototypes, Tokens};
pub use walk::{Look, Progress, Stopped, Tell, Walk};

#[cfg(test)]
mod tests {
    use super::Encoder;
    use crate::model::{Parameters, Vit};

    /// An untrained network: 32 px, patches of 8, width 64, two blocks.
    pub fn tiny_encoder() -> Encoder {
        let vit = Vit {
            image: 32,
            patch: 8,
            dim: 64,
            depth: 2,
            heads: 2,
            mlp_ratio: 2.0,
            prefix: String::new(),
            ..Vit::default()
        };
        let device = burn::tensor::Device::flex();
        let weights = Parameters::init(&vit.specs(), 3, &device).to_host();
        Encoder::new(vit.into(), None, &weights, "tiny".into(), &device).unwrap()
    }
}
