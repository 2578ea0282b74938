//! One loader thread: take a place, make its views and masks, write them into the batch.
//!
//! Views are made in the thread's own buffer and copied under the batch's lock, which is held for
//! a small part of the time that making them takes.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{Body, Draft, LoaderError, Shared, empty_batch, wait};
use crate::data::pixels::{Filter, resize_shorter};
use crate::data::{Batch, LoadError, Picture, masks, views};

/// Works until the loader closes. A panic (a fault of a source, or ours) becomes the loader's error.
pub fn run(shared: &Shared) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut buffer = Buffer::new(shared);
        while let Some(place) = take(shared) {
            fill(shared, &place, &mut buffer)?;
        }
        Ok(())
    }));
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => shared.fail(error),
        Err(panic) => shared.fail(LoaderError::Worker(words(panic.as_ref()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".into())
}

/// One picture's place in a batch.
struct Place {
    draft: Arc<Draft>,
    epoch: usize,
    slot: usize,
    image: usize,
}

/// Waits for room in the queue; `None` when the loader closes.
fn take(shared: &Shared) -> Option<Place> {
    let (plan, steps) = (&shared.plan, shared.order.steps());
    let began = Instant::now();
    let mut state = shared.lock();
    let number = loop {
        if state.closed {
            return None;
        }
        let number = state.next_place / plan.batch;
        if number < state.next_batch + plan.queue.max(1) {
            break number;
        }
        state = wait(&shared.work, state);
    };
    shared.counters.idle.add(began.elapsed());
    let slot = state.next_place % plan.batch;
    let (epoch, step) = (number / steps, number % steps);
    state.next_place += 1;
    let known = state.drafts.get(number - state.next_batch).cloned();
    let draft = known.unwrap_or_else(|| {
        let draft = Arc::new(Draft::new(shared, state.masks.clone(), epoch, step));
        state.drafts.push_back(draft.clone());
        draft
    });
    drop(state);
    let order = shared.order.of(epoch);
    let image = order.get(step * plan.batch + slot).copied()?;
    Some(Place {
        draft,
        epoch,
        slot,
        image,
    })
}

impl Draft {
    fn new(shared: &Shared, masks: Arc<masks::MaskSpec>, epoch: usize, step: usize) -> Self {
        let plan = &shared.plan;
        let sizes = Sizes::new(shared);
        let crops = plan.batch * plan.views.globals;
        let batch = Batch {
            epoch,
            step,
            images: vec![0; plan.batch],
            globals: vec![0.0; crops * sizes.global],
            locals: vec![0.0; plan.batch * plan.views.locals * sizes.local],
            masks: vec![false; crops * sizes.cells],
            ..empty_batch()
        };
        let failures = vec![Vec::new(); plan.batch];
        Draft {
            left: AtomicUsize::new(plan.batch),
            masks,
            body: Mutex::new(Body { batch, failures }),
        }
    }

    /// Whether every place is filled.
    pub fn is_finished(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }
}

/// Values of one crop and cells of one mask.
struct Sizes {
    global: usize,
    local: usize,
    grid: usize,
    cells: usize,
}

impl Sizes {
    fn new(shared: &Shared) -> Self {
        let views = &shared.plan.views;
        let grid = views.global1.size / shared.plan.patch;
        Sizes {
            global: 3 * views.global1.size.pow(2),
            local: 3 * views.local.size.pow(2),
            grid,
            cells: grid * grid,
        }
    }
}

/// The views and masks of one picture.
struct Buffer {
    sizes: Sizes,
    globals: Vec<f32>,
    locals: Vec<f32>,
    masks: Vec<bool>,
}

impl Buffer {
    fn new(shared: &Shared) -> Self {
        let (views, sizes) = (&shared.plan.views, Sizes::new(shared));
        Buffer {
            globals: vec![0.0; views.globals * sizes.global],
            locals: vec![0.0; views.locals * sizes.local],
            masks: vec![false; views.globals * sizes.cells],
            sizes,
        }
    }
}

fn fill(shared: &Shared, place: &Place, buffer: &mut Buffer) -> Result<(), LoaderError> {
    let counters = &shared.counters;
    let began = Instant::now();
    let (image, picture, failures) = readable(shared, place)?;
    let loaded = Instant::now();
    make_views(shared, place.epoch, image, &picture, buffer);
    let viewed = Instant::now();
    make_masks(shared, place, image, buffer);
    counters.load.add(loaded - began);
    counters.views.add(viewed - loaded);
    counters.masks.add(viewed.elapsed());
    counters.pictures.fetch_add(1, Ordering::Relaxed);
    counters
        .failures
        .fetch_add(failures.len() as u64, Ordering::Relaxed);

    let (slot, batch) = (place.slot, shared.plan.batch);
    let mut body = place
        .draft
        .body
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let Body {
        batch: out,
        failures: reports,
    } = &mut *body;
    scatter(
        &buffer.globals,
        buffer.sizes.global,
        &mut out.globals,
        slot,
        batch,
    );
    scatter(
        &buffer.locals,
        buffer.sizes.local,
        &mut out.locals,
        slot,
        batch,
    );
    scatter(
        &buffer.masks,
        buffer.sizes.cells,
        &mut out.masks,
        slot,
        batch,
    );
    for (place, image) in out.images.iter_mut().skip(slot).zip([image]) {
        *place = image;
    }
    for (place, failures) in reports.iter_mut().skip(slot).zip([failures]) {
        *place = failures;
    }
    drop(body);
    if place.draft.left.fetch_sub(1, Ordering::AcqRel) == 1 {
        // Taking the lock once makes sure that a consumer about to wait does not miss the signal.
        drop(shared.lock());
        shared.ready.notify_all();
    }
    Ok(())
}

/// Copies the views of one picture to its rows of a crop-major batch.
fn scatter<T: Copy>(views: &[T], size: usize, out: &mut [T], slot: usize, batch: usize) {
    let rows = out.chunks_exact_mut(size.max(1)).skip(slot).step_by(batch);
    for (row, view) in rows.zip(views.chunks_exact(size.max(1))) {
        row.copy_from_slice(view);
    }
}

/// The picture of a place, or the first of its replacements that can be read.
fn readable(
    shared: &Shared,
    place: &Place,
) -> Result<(usize, Arc<Picture>, Vec<LoadError>), LoaderError> {
    let mut failures = Vec::new();
    let others = shared.order.replacements(place.epoch, place.image);
    for image in std::iter::once(place.image).chain(others) {
        match load(shared, image) {
            Ok(picture) => return Ok((image, picture, failures)),
            Err(error) => failures.push(error),
        }
        if shared.lock().closed {
            break;
        }
    }
    let tried = failures.len();
    let first = failures.into_iter().next().unwrap_or_else(|| LoadError {
        name: shared.source.name(place.image),
        reason: "never tried".into(),
    });
    Err(LoaderError::Unreadable { tried, first })
}

fn load(shared: &Shared, image: usize) -> Result<Arc<Picture>, LoadError> {
    if let Some(picture) = shared.cache.get(image) {
        shared.counters.cache_hits.fetch_add(1, Ordering::Relaxed);
        return Ok(picture);
    }
    let mut picture = shared.source.load(image)?;
    let (width, height, side) = (picture.width, picture.height, shared.plan.cache_side);
    if width == 0 || height == 0 || picture.rgb.len() != width * height * 3 {
        return Err(LoadError {
            name: shared.source.name(image),
            reason: format!("{width}x{height} pixels, {} bytes", picture.rgb.len()),
        });
    }
    if side > 0 && width.min(height) > side {
        picture = resize_shorter(&picture, side, Filter::Bicubic);
    }
    let picture = Arc::new(picture);
    shared.cache.offer(image, &picture);
    Ok(picture)
}

fn make_views(shared: &Shared, epoch: usize, image: usize, picture: &Picture, out: &mut Buffer) {
    let (seed, spec) = (shared.plan.seed, &shared.plan.views);
    let globals = out.globals.chunks_exact_mut(out.sizes.global);
    let locals = out.locals.chunks_exact_mut(out.sizes.local.max(1));
    for (view, out) in globals.chain(locals).enumerate() {
        let mut draws = views::view_rng(seed, epoch, image, view);
        let crop = spec.crop(view);
        let params = views::crop_params(crop, picture.width, picture.height, &mut draws);
        let crop = views::render(picture, &params);
        views::write_normalised(&crop, spec.mean, spec.std, out);
    }
}

fn make_masks(shared: &Shared, place: &Place, image: usize, out: &mut Buffer) {
    let (seed, grid) = (shared.plan.seed, out.sizes.grid);
    for (view, out) in out.masks.chunks_exact_mut(out.sizes.cells).enumerate() {
        let mut draws = views::mask_rng(seed, place.epoch, image, view);
        let mask = masks::sample(&place.draft.masks, (grid, grid), place.epoch, &mut draws);
        for (out, cell) in out.iter_mut().zip(mask.cells) {
            *out = cell;
        }
    }
}
