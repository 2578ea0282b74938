//! What the loader promises: the same batches however they are made, and an end to every failure.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Loader, LoaderError, LoaderPlan};
use crate::data::masks::MaskSpec;
use crate::data::views::ViewSpec;
use crate::data::{Batch, LoadError, Picture, Source};

/// Small gradients, some of which cannot be read.
struct Gradients {
    count: usize,
    broken: fn(usize) -> bool,
    panics: bool,
}

impl Source for Gradients {
    fn len(&self) -> usize {
        self.count
    }
    fn name(&self, index: usize) -> String {
        format!("gradient {index}")
    }
    fn label(&self, _: usize) -> Option<usize> {
        None
    }
    fn classes(&self) -> &[String] {
        &[]
    }
    fn load(&self, index: usize) -> Result<Picture, LoadError> {
        assert!(!self.panics, "a fault in the source");
        if (self.broken)(index) {
            return Err(LoadError {
                name: self.name(index),
                reason: "broken".into(),
            });
        }
        let (width, height) = (30 + index, 25);
        let rgb = (0..width * height * 3).map(|i| (i * (index + 1)) as u8);
        Ok(Picture {
            width,
            height,
            rgb: rgb.collect(),
        })
    }
}

fn source(count: usize, broken: fn(usize) -> bool) -> Arc<dyn Source> {
    Arc::new(Gradients {
        count,
        broken,
        panics: false,
    })
}

fn plan(workers: usize) -> LoaderPlan {
    let mut views = ViewSpec {
        locals: 2,
        ..ViewSpec::default()
    };
    (views.global1.size, views.global2.size, views.local.size) = (16, 16, 8);
    LoaderPlan {
        views,
        masks: MaskSpec::default(),
        patch: 4,
        batch: 3,
        seed: 5,
        workers,
        queue: 2,
        cache_bytes: 0,
        cache_side: 0,
    }
}

fn batches(source: &Arc<dyn Source>, plan: LoaderPlan, start: (usize, usize)) -> Vec<Batch> {
    let mut loader = Loader::new(source.clone(), plan, start).expect("a loader");
    (0..7)
        .map(|_| loader.next_batch().expect("a batch"))
        .collect()
}

fn assert_same(a: &[Batch], b: &[Batch]) {
    for (a, b) in a.iter().zip(b) {
        assert_eq!((a.epoch, a.step, &a.images), (b.epoch, b.step, &b.images));
        assert_eq!(a.masks, b.masks);
        assert!(a.globals == b.globals && a.locals == b.locals);
        let names = |batch: &Batch| -> Vec<String> {
            batch
                .failures
                .iter()
                .map(|failure| failure.name.clone())
                .collect()
        };
        assert_eq!(names(a), names(b));
    }
}

#[test]
fn threads_cache_and_resuming_change_nothing() {
    let source = source(10, |index| index == 4 || index == 7);
    let alone = batches(&source, plan(1), (0, 0));
    assert_same(&alone, &batches(&source, plan(4), (0, 0)));
    let cached = LoaderPlan {
        cache_bytes: 9000,
        ..plan(4)
    };
    assert_same(&alone, &batches(&source, cached, (0, 0)));
    let places: Vec<_> = alone
        .iter()
        .map(|batch| (batch.epoch, batch.step))
        .collect();
    assert_eq!(places[2..5], [(0, 2), (1, 0), (1, 1)]);
    assert_same(&alone[4..], &batches(&source, plan(3), (1, 1)));
    assert_same(&alone[3..], &batches(&source, plan(2), (0, 3)));
    let first = &alone[0];
    assert_eq!(first.globals.len(), 2 * 3 * 3 * 16 * 16);
    assert_eq!(first.locals.len(), 2 * 3 * 3 * 8 * 8);
    assert_eq!(first.masks.len(), 2 * 3 * 4 * 4);
    assert_ne!(first.globals, alone[3].globals, "a new epoch has new views");
}

#[test]
fn crops_are_crop_major() {
    let source = source(9, |_| false);
    let one = |batch| {
        let plan = LoaderPlan { batch, ..plan(1) };
        batches(&source, plan, (0, 0)).swap_remove(0)
    };
    let (single, triple) = (one(1), one(3));
    let crop = 3 * 16 * 16;
    for view in 0..2 {
        let expected = &single.globals[view * crop..][..crop];
        assert_eq!(&triple.globals[view * 3 * crop..][..crop], expected);
        assert_eq!(
            triple.masks[view * 3 * 16..][..16],
            single.masks[view * 16..][..16]
        );
    }
}

#[test]
fn an_epoch_shows_every_picture_once_and_replaces_broken_ones() {
    let whole = source(12, |_| false);
    let shown: HashSet<usize> = batches(&whole, plan(2), (0, 0))[..4]
        .iter()
        .flat_map(|batch| batch.images.clone())
        .collect();
    assert_eq!(shown.len(), 12);
    let half = source(12, |index| index % 2 == 1);
    let made = batches(&half, plan(2), (0, 0));
    assert!(
        made.iter()
            .flat_map(|batch| &batch.images)
            .all(|index| index % 2 == 0)
    );
    let failed: HashSet<String> = made[..4]
        .iter()
        .flat_map(|batch| batch.failures.iter().map(|failure| failure.name.clone()))
        .collect();
    assert_eq!(
        failed.len(),
        6,
        "every broken picture of the epoch is reported"
    );
}

#[test]
fn failures_end_with_an_error_that_stays() {
    let mut none = Loader::new(source(6, |_| true), plan(3), (0, 0)).expect("a loader");
    for _ in 0..2 {
        assert!(matches!(
            none.next_batch(),
            Err(LoaderError::Unreadable { .. })
        ));
    }
    let panics = Arc::new(Gradients {
        count: 6,
        broken: |_| false,
        panics: true,
    });
    let mut loader = Loader::new(panics, plan(3), (0, 0)).expect("a loader");
    match loader.next_batch() {
        Err(LoaderError::Worker(reason)) => assert!(reason.contains("a fault in the source")),
        other => panic!("{other:?}"),
    }
    let few = Loader::new(source(2, |_| false), plan(1), (0, 0)).err();
    assert!(matches!(
        few,
        Some(LoaderError::TooFew {
            pictures: 2,
            batch: 3
        })
    ));
    let odd = LoaderPlan {
        patch: 5,
        ..plan(1)
    };
    let odd = Loader::new(source(9, |_| false), odd, (0, 0)).err();
    assert!(odd.is_some_and(|error| error.to_string().contains("model.patch")));
}

#[test]
fn dropping_stops_threads_that_wait_and_threads_that_work() {
    let source = source(9, |_| false);
    for taken in 0..3 {
        let mut loader = Loader::new(source.clone(), plan(4), (0, 0)).expect("a loader");
        for _ in 0..taken {
            loader.next_batch().expect("a batch");
        }
        drop(loader);
    }
    // Every thread held the source; none does any more.
    assert_eq!(Arc::strong_count(&source), 1);
}

#[test]
fn masks_can_change_while_running() {
    let mut loader = Loader::new(source(9, |_| false), plan(2), (0, 0)).expect("a loader");
    loader.next_batch().expect("a batch");
    loader.set_masks(MaskSpec {
        ratio: vec![0.0],
        ..MaskSpec::default()
    });
    // The queue of 2 and the batch being begun may still have the old masks.
    for _ in 0..4 {
        loader.next_batch().expect("a batch");
    }
    let last = loader.next_batch().expect("a batch");
    assert!(!last.masks.contains(&true));
    let stats = loader.stats();
    assert!(stats.batches == 6 && stats.pictures >= 18 && stats.views_seconds > 0.0);
}
