//! The random draws that views and masks are made of.
//!
//! A trait with two questions, so that what draws can also be fed from a recorded trace of the
//! reference. The generator's answers are computed here from its raw 64-bit words rather than by
//! a distribution of the `rand` crate: those may change between versions, and a run must repeat.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// A source of random numbers.
pub trait Draws {
    /// An even draw from `[low, high)`; runs downwards from `low` where `high` is smaller.
    fn uniform(&mut self, low: f64, high: f64) -> f64;

    /// An even draw from `0..count`; 0 where `count` is 0.
    fn below(&mut self, count: usize) -> usize;

    /// True with probability `probability`.
    fn chance(&mut self, probability: f64) -> bool {
        self.uniform(0.0, 1.0) < probability
    }

    /// Brings `items` into an even random order (Fisher–Yates, from the end).
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

impl Draws for ChaCha8Rng {
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        // 53 bits: every double in [0, 1) with that spacing.
        let share = (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        low + (high - low) * share
    }

    fn below(&mut self, count: usize) -> usize {
        // The high half of a 128-bit product; off even by less than count / 2^64.
        ((u128::from(self.next_u64()) * count as u128) >> 64) as usize
    }
}
