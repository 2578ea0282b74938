//! Fine-tuning goes on where it was stopped, and learns.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use patchlight::data::parts::Parts;
use patchlight::data::{Framing, Source};
use patchlight::explore::Progress;
use patchlight::finetune::Recipe;
use patchlight::session::import;
use patchlight::session::tuning::{Epoch, Job, tune};
use patchlight::weights::Found;

fn demo() -> Found {
    import::open(Path::new("demo"), None)
        .expect("it is inside the program")
        .network(false)
}

fn job<'a>(found: &'a Found, folder: Option<&Path>) -> Job<'a> {
    let pictures = |count, seed| -> Arc<dyn Source> { Arc::new(Parts::new(count, 64, seed)) };
    Job {
        found,
        recipe: Recipe {
            epochs: 3,
            batch: 32,
            lr: 2e-3,
            warmup: 0.5,
            ..Recipe::default()
        },
        from_head: false,
        train: pictures(160, 1),
        test: pictures(96, 2),
        side: 64,
        framing: Framing::Evaluation,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
        folder: folder.map(Path::to_owned),
    }
}

/// Tunes for at most `steps` steps.
fn run(job: &Job, steps: usize) -> (Vec<Epoch>, bool) {
    let device = patchlight::device::choose("cpu").expect("a CPU").device;
    let mut tell = |progress: Progress| match progress.done >= steps {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let mut seen = Vec::new();
    let outcome = tune(job, &device, &mut tell, &mut |epoch| {
        seen.push(epoch.clone())
    });
    match outcome {
        Ok(outcome) => (outcome.epochs, true),
        Err(_) => (seen, false),
    }
}

#[test]
fn a_stopped_fine_tuning_goes_on_bit_for_bit() {
    let found = demo();
    let (whole, finished) = run(&job(&found, None), usize::MAX);
    assert!(finished && whole.len() == 3, "{whole:?}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().join("tuned");
    // Five steps an epoch: stopped in the middle of the second one.
    let (first, finished) = run(&job(&found, Some(&place)), 8);
    assert!(!finished && first[..] == whole[..1], "{first:?}");
    let (rest, finished) = run(&job(&found, Some(&place)), usize::MAX);
    assert!(finished);
    assert_eq!(rest, whole);
    for name in [
        "checkpoint.safetensors",
        "best.safetensors",
        "metrics.jsonl",
    ] {
        assert!(place.join(name).is_file(), "{name}");
    }
    // Another recipe is another fine-tuning.
    let mut other = job(&found, Some(&place));
    other.recipe.lr = 1e-4;
    let device = patchlight::device::choose("cpu").expect("a CPU").device;
    let error = tune(
        &other,
        &device,
        &mut |_| ControlFlow::Continue(()),
        &mut |_| {},
    );
    let error = error.expect_err("another recipe").to_string();
    assert!(error.contains("other settings"), "{error}");
}

#[test]
fn the_network_inside_the_program_is_fine_tuned() {
    let found = demo();
    for from_head in [false, true] {
        let mut job = job(&found, None);
        job.from_head = from_head;
        job.recipe.mixup = 0.0;
        job.recipe.cutmix = 0.0;
        let (epochs, _) = run(&job, usize::MAX);
        let (first, last) = (&epochs[0], &epochs[2]);

        assert!(last.loss < first.loss, "{first:?} {last:?}");
        assert!(last.top1 > 0.5, "{last:?}: sixteen classes");
        assert!(last.top5 >= last.top1);
    }
}
