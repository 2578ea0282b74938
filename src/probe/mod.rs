//! How good the features are, without training anything on them: k-NN, agreement of prototypes with
//! labels, and prototypes as detectors of parts.

pub mod clusters;
pub mod features;
pub mod knn;
pub mod nearest;
pub mod parts;
