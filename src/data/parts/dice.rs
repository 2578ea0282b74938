//! The one source of chance of a picture.
//!
//! A counter-based generator keyed by (seed, index): picture 7 is the same whether it is drawn
//! first or last, on one thread or on eight.

use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Random choices for one picture.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// Dice of picture `index` under `seed`.
    pub(super) fn new(seed: u64, index: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(index);
        Self(generator)
    }

    /// Uniform in `[low, high)`.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.0.random::<f32>()
    }

    /// Uniform in `(-reach, reach)`.
    pub(super) fn about(&mut self, reach: f32) -> f32 {
        self.between(-reach, reach)
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f32) -> bool {
        self.0.random::<f32>() < p
    }

    /// A whole number in `low..=high`.
    pub(super) fn count(&mut self, low: usize, high: usize) -> usize {
        self.0.random_range(low..=high.max(low))
    }

    /// One of `N` things, all equally likely. `N` is never 0.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, things: [T; N]) -> T {
        things[self.count(0, N - 1)]
    }

    /// A seed for work that needs many cheap numbers, such as grain.
    pub(super) fn seed(&mut self) -> u32 {
        self.0.next_u32()
    }
}
