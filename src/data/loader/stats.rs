//! Counters of the loader: cheap enough to run always, read by the benchmark and the front ends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What a loader has done since it started. Seconds of work are summed over its threads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoaderStats {
    /// Pictures made into views.
    pub pictures: u64,
    /// Batches handed over.
    pub batches: u64,
    /// Pictures that could not be read (again in every epoch).
    pub failures: u64,
    /// Pictures that came from the cache.
    pub cache_hits: u64,
    /// Memory that the cache holds.
    pub cache_bytes: usize,
    /// Seconds of reading and decoding.
    pub load_seconds: f64,
    /// Seconds of cropping, altering and normalising.
    pub views_seconds: f64,
    /// Seconds of drawing masks.
    pub masks_seconds: f64,
    /// Seconds that workers waited because the queue was full: the loader is faster than training.
    pub idle_seconds: f64,
    /// Seconds that the training thread waited for a batch: training is faster than the loader.
    pub wait_seconds: f64,
}

#[derive(Default)]
pub struct Counters {
    pub pictures: AtomicU64,
    pub failures: AtomicU64,
    pub cache_hits: AtomicU64,
    pub load: Clock,
    pub views: Clock,
    pub masks: Clock,
    pub idle: Clock,
    wait: Clock,
    batches: AtomicU64,
}

/// A sum of times, in nanoseconds.
#[derive(Default)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn add(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Relaxed);
    }

    fn seconds(&self) -> f64 {
        self.0.load(Relaxed) as f64 * 1e-9
    }
}

impl Counters {
    /// A batch was handed over after the training thread waited this long.
    pub fn waited(&self, time: Duration) {
        self.wait.add(time);
        self.batches.fetch_add(1, Relaxed);
    }

    pub fn read(&self, cache_bytes: usize) -> LoaderStats {
        LoaderStats {
            pictures: self.pictures.load(Relaxed),
            batches: self.batches.load(Relaxed),
            failures: self.failures.load(Relaxed),
            cache_hits: self.cache_hits.load(Relaxed),
            cache_bytes,
            load_seconds: self.load.seconds(),
            views_seconds: self.views.seconds(),
            masks_seconds: self.masks.seconds(),
            idle_seconds: self.idle.seconds(),
            wait_seconds: self.wait.seconds(),
        }
    }
}
