//! How weights start (spec of the reference: truncated normal of 0.02 for linear layers and tokens,
//! PyTorch's uniform for the patch convolution and the last layer).
//!
//! Every tensor draws from its own generator, keyed by the seed and its name, so that adding a layer
//! does not change the others.

use std::hash::{DefaultHasher, Hash, Hasher};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Standard deviation of linear layers and tokens in the reference.
pub const REFERENCE_STD: f32 = 0.02;

/// What a tensor is filled with before training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    Zeros,
    Ones,
    /// Every element the same: layer scale starts this way.
    Constant(f32),
    /// Normal of this standard deviation. The reference's is 0.02, cut a hundred deviations away.
    Normal(f32),
    /// Uniform in ±bound: PyTorch's default for convolutions and linear layers is 1/√fan-in.
    Uniform(f32),
}

impl Init {
    /// `count` values for the tensor called `name`.
    pub fn fill(self, count: usize, seed: u64, name: &str) -> Vec<f32> {
        // DefaultHasher::new() is SipHash with fixed keys: the same on every machine and run.
        let mut hasher = DefaultHasher::new();
        (seed, name).hash(&mut hasher);
        let mut rng = ChaCha8Rng::seed_from_u64(hasher.finish());
        match self {
            Init::Zeros => vec![0.0; count],
            Init::Ones => vec![1.0; count],
            Init::Constant(value) => vec![value; count],
            Init::Normal(std) => (0..count).map(|_| std * normal(&mut rng)).collect(),
            Init::Uniform(bound) => (0..count)
                .map(|_| rng.random_range(-bound..=bound))
                .collect(),
        }
    }
}

/// One draw of the standard normal (Box–Muller).
fn normal(rng: &mut impl Rng) -> f32 {
    let u: f64 = 1.0 - rng.random::<f64>();
    let v: f64 = rng.random();
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}
