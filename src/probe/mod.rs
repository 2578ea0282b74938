//! How good frozen features are: neighbours, classifiers on top of them, clusters, retrieval, copies.
//!
//! Everything here works on plain rows of numbers; what makes them of pictures is in [`features`].

pub mod clusters;
pub mod copies;
pub mod features;
pub mod interval;
pub mod kmeans;
pub mod knn;
pub mod labelled;
mod lbfgs;
pub mod linear;
pub mod logistic;
pub mod nearest;
pub mod parts;
pub mod pooled;
mod product;
pub mod retrieval;
pub mod splits;
pub mod sweep;
pub mod whitening;
