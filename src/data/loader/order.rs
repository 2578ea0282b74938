//! Which picture stands at which place: a new order for every epoch, by (seed, epoch) alone.

use std::sync::{Arc, Mutex, PoisonError};

use crate::data::draws::Draws;
use crate::data::views::view_rng;

/// Stands where a picture's number or a view's number stands in a generator's key.
const NONE: usize = usize::MAX;

/// The orders of all epochs of a source. The last two are kept: threads work on both sides of an
/// epoch's end.
pub struct Order {
    seed: u64,
    pictures: usize,
    batch: usize,
    kept: Mutex<Vec<(usize, Arc<Vec<usize>>)>>,
}

impl Order {
    pub fn new(seed: u64, pictures: usize, batch: usize) -> Self {
        Order {
            seed,
            pictures,
            batch,
            kept: Mutex::default(),
        }
    }

    /// Whole batches in an epoch.
    pub fn steps(&self) -> usize {
        self.pictures / self.batch.max(1)
    }

    /// All pictures in the order of `epoch`.
    pub fn of(&self, epoch: usize) -> Arc<Vec<usize>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, order)) = kept.iter().find(|(held, _)| *held == epoch) {
            return order.clone();
        }
        let mut order: Vec<usize> = (0..self.pictures).collect();
        view_rng(self.seed, epoch, NONE, NONE).shuffle(&mut order);
        let order = Arc::new(order);
        kept.truncate(1);
        kept.insert(0, (epoch, order.clone()));
        order
    }

    /// Pictures to take in place of `image`: a walk through the epoch's order from a random place,
    /// so that neighbours in a folder of broken files have different replacements. Visits all.
    pub fn replacements(&self, epoch: usize, image: usize) -> impl Iterator<Item = usize> {
        let order = self.of(epoch);
        let count = order.len();
        let start = view_rng(self.seed, epoch, image, NONE).below(count);
        (start..start + count)
            .filter_map(move |place| order.get(place % count).copied())
            .filter(move |&other| other != image)
    }
}
