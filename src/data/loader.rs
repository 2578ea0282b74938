//! Keeps the training thread fed: worker threads turn pictures into [`Batch`]es ahead of time.
//!
//! The unit of work is one picture with all its crops, so that the first batch is ready soon and
//! memory holds `queue` batches however many threads there are. Workers take numbered places in
//! order and write into the batch the place belongs to; batches leave strictly in order. What is
//! in a batch depends on (seed, epoch, step) alone: neither on the number of threads nor on where
//! a run was resumed. A picture that cannot be read is replaced (`order`) and reported.

mod cache;
mod order;
mod stats;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

pub use stats::LoaderStats;

use super::masks::MaskSpec;
use super::views::ViewSpec;
use super::{Batch, LoadError, Source};
use cache::Cache;
use order::Order;
use stats::Counters;

/// What the loader makes, and with which means.
#[derive(Clone, Debug)]
pub struct LoaderPlan {
    pub views: ViewSpec,
    pub masks: MaskSpec,
    /// Side of a patch in pixels: masks have `global size / patch` cells a side.
    pub patch: usize,
    /// Pictures in a batch.
    pub batch: usize,
    pub seed: u64,
    /// Threads; 0 = one for every core.
    pub workers: usize,
    /// Batches made ahead, at least 1.
    pub queue: usize,
    /// Memory for decoded pictures; 0 = decode every time.
    pub cache_bytes: usize,
    /// Pictures whose shorter side is longer are reduced to it after decoding, so that more of them
    /// fit and crops are cut faster; this changes pixels slightly. 0 = never, as the reference.
    pub cache_side: usize,
}

/// Why no batch can be made.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LoaderError {
    #[error("{0}")]
    Plan(String),
    #[error(
        "the source holds {pictures} pictures, less than one batch of {batch}; \
         set run.batch to at most {pictures} or add pictures"
    )]
    TooFew { pictures: usize, batch: usize },
    #[error("none of the {tried} pictures can be read; the first that failed: {first}")]
    Unreadable { tried: usize, first: LoadError },
    #[error("cannot start a loader thread: {0}; set run.workers to a smaller number")]
    Start(String),
    #[error("a loader thread stopped unexpectedly: {0}")]
    Worker(String),
}

/// A running loader. Dropping it stops its threads.
pub struct Loader {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    source: Arc<dyn Source>,
    plan: LoaderPlan,
    order: Order,
    cache: Cache,
    counters: Counters,
    state: Mutex<State>,
    /// There is room in the queue, or it is over.
    work: Condvar,
    /// The next batch is finished, or it is over.
    ready: Condvar,
}

struct State {
    /// The next place to be worked on, counted from the first place of epoch 0.
    next_place: usize,
    /// Number of the batch that the training thread gets next, counted in the same way.
    next_batch: usize,
    /// Batches being made or finished, from `next_batch` on.
    drafts: VecDeque<Arc<Draft>>,
    masks: Arc<MaskSpec>,
    failed: Option<LoaderError>,
    closed: bool,
}

/// A batch being made.
struct Draft {
    /// Places not yet filled.
    left: AtomicUsize,
    masks: Arc<MaskSpec>,
    body: Mutex<Body>,
}

struct Body {
    batch: Batch,
    /// What failed, place by place, so that reports come in order too.
    failures: Vec<Vec<LoadError>>,
}

impl Loader {
    /// Starts making batches from `start` = (epoch, step) on; the step may run past the epoch.
    ///
    /// # Errors
    /// A plan that contradicts itself, fewer pictures than a batch, or no threads to be had.
    pub fn new(
        source: Arc<dyn Source>,
        plan: LoaderPlan,
        start: (usize, usize),
    ) -> Result<Self, LoaderError> {
        check(&plan)?;
        let order = Order::new(plan.seed, source.len(), plan.batch);
        if order.steps() == 0 {
            return Err(LoaderError::TooFew {
                pictures: source.len(),
                batch: plan.batch,
            });
        }
        let next_batch = start.0 * order.steps() + start.1;
        let threads = match plan.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let shared = Arc::new(Shared {
            source,
            order,
            cache: Cache::new(plan.cache_bytes),
            counters: Counters::default(),
            state: Mutex::new(State {
                next_place: next_batch * plan.batch,
                next_batch,
                drafts: VecDeque::new(),
                masks: Arc::new(plan.masks.clone()),
                failed: None,
                closed: false,
            }),
            plan,
            work: Condvar::new(),
            ready: Condvar::new(),
        });
        let mut loader = Loader {
            shared: shared.clone(),
            workers: Vec::with_capacity(threads),
        };
        for number in 0..threads {
            let shared = shared.clone();
            let thread = std::thread::Builder::new()
                .name(format!("loader-{number}"))
                .spawn(move || worker::run(&shared))
                .map_err(|error| LoaderError::Start(error.to_string()))?;
            loader.workers.push(thread);
        }
        Ok(loader)
    }

    /// Steps of an epoch: whole batches; the pictures left over wait for another epoch's order.
    pub fn steps_per_epoch(&self) -> usize {
        self.shared.order.steps()
    }

    /// The next batch; waits for it. Batches never end: epoch follows epoch.
    ///
    /// # Errors
    /// When the source has no readable picture at all, or a thread broke down. The same error
    /// comes again at every further call.
    pub fn next_batch(&mut self) -> Result<Batch, LoaderError> {
        let began = Instant::now();
        let mut state = self.shared.lock();
        let draft = loop {
            let finished = state
                .drafts
                .front()
                .is_some_and(|draft| draft.is_finished());
            if let Some(draft) = state.drafts.pop_front_if(|_| finished) {
                break draft;
            }
            if let Some(error) = &state.failed {
                return Err(error.clone());
            }
            state = wait(&self.shared.ready, state);
        };
        state.next_batch += 1;
        drop(state);
        self.shared.work.notify_all();
        self.shared.counters.waited(began.elapsed());
        let mut body = draft.body.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = std::mem::replace(&mut body.batch, empty_batch());
        batch.failures = body.failures.drain(..).flatten().collect();
        Ok(batch)
    }

    /// Masks of the batches that are not begun yet.
    pub fn set_masks(&self, masks: MaskSpec) {
        self.shared.lock().masks = Arc::new(masks);
    }

    /// What has been done so far and where the time went.
    pub fn stats(&self) -> LoaderStats {
        self.shared.counters.read(self.shared.cache.bytes())
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches its own panics, so there is nothing to learn from the result.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// No state is left half changed by a panic, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the work of all threads; the training thread gets `error` at its next call.
    fn fail(&self, error: LoaderError) {
        let mut state = self.lock();
        state.failed.get_or_insert(error);
        state.closed = true;
        drop(state);
        self.work.notify_all();
        self.ready.notify_all();
    }
}

fn wait<'a>(signal: &Condvar, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
    signal.wait(state).unwrap_or_else(PoisonError::into_inner)
}

fn empty_batch() -> Batch {
    Batch {
        epoch: 0,
        step: 0,
        images: Vec::new(),
        globals: Vec::new(),
        locals: Vec::new(),
        masks: Vec::new(),
        failures: Vec::new(),
    }
}

fn check(plan: &LoaderPlan) -> Result<(), LoaderError> {
    let views = &plan.views;
    let (size, local) = (views.global1.size, views.local.size);
    let problem = if plan.batch == 0 {
        "run.batch is 0; a batch holds at least one picture".into()
    } else if views.globals == 0 {
        "views.global_crops is 0; at least one global crop is needed".into()
    } else if plan.patch == 0 || size == 0 || !size.is_multiple_of(plan.patch) {
        let patch = plan.patch;
        format!("views.global_size ({size}) is not a multiple of model.patch ({patch})")
    } else if views.locals > 0 && local == 0 {
        "views.local_size is 0; set it, or views.local_crops to 0".into()
    } else if views.globals > 1 && views.global2.size != size {
        format!(
            "all global crops need one size, not {size} and {}",
            views.global2.size
        )
    } else {
        return Ok(());
    };
    Err(LoaderError::Plan(problem))
}
