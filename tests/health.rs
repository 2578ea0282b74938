//! Runs that are made to collapse on purpose, and what is said of them.

use patchlight::session::folder::RunFile;
use patchlight::session::health::{Verdict, judge};
use patchlight::session::history::History;
use patchlight::session::run::Start;
use patchlight::session::{Control, Job, train};
use patchlight::settings::preset;

/// The verdict on 240 steps of a tiny network with some settings changed, and its reason.
fn verdict(changes: &[(&str, &str)]) -> (Verdict, String) {
    let mut settings = preset("demo").unwrap().settings().unwrap();
    let small = [
        ("data.images", "512"),
        ("data.size", "32"),
        ("data.knn_train", "64"),
        ("data.knn_test", "32"),
        ("run.batch", "32"),
        ("run.epochs", "20"),
        ("run.eval_every", "100000"),
        ("run.checkpoint_every", "100000"),
        ("run.max_steps", "240"),
        ("views.global_size", "32"),
        ("views.local_size", "16"),
        ("views.local_crops", "2"),
        ("model.arch", "custom"),
        ("model.dim", "32"),
        ("model.depth", "2"),
        ("model.heads", "2"),
        ("model.patch", "8"),
        ("model.init_std", "0"),
        ("head.out_dim", "64"),
        ("head.patch_out_dim", "64"),
        ("head.hidden", "64"),
        ("head.bottleneck", "32"),
        ("optim.lr", "0.01"),
        ("optim.warmup_epochs", "2"),
        ("loss.warmup_teacher_temp_epochs", "0"),
    ];
    for (key, value) in small.iter().chain(changes) {
        settings.set(key, value, "the test").unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let job = Job {
        run: RunFile {
            source: "parts".into(),
            preset: None,
            version: String::new(),
        },
        settings: settings.clone(),
        folder: folder.path().join("run"),
        start: Start::Fresh,
    };
    let cpu = patchlight::device::choose("cpu").unwrap();
    let mut history = History::default();
    let mut listen = |event| history.take(&event);
    train(&job, &cpu, &Control::default(), &mut listen).unwrap();
    let health = judge(&history, &settings);
    (health.verdict, health.reason)
}

#[test]
fn a_healthy_run_is_learning() {
    let (verdict, reason) = verdict(&[]);
    assert_eq!(verdict, Verdict::Learning, "{reason}");
}

#[test]
fn without_its_centre_one_prototype_takes_all() {
    let off = [
        ("loss.centre_momentum", "1"),
        ("loss.patch_centre_momentum", "1"),
    ];
    let (verdict, reason) = verdict(&off);
    assert_eq!(verdict, Verdict::Collapsing, "{reason}");
    assert!(reason.contains("the same of almost everything"), "{reason}");
    assert!(reason.contains("centre is switched off"), "{reason}");
}

#[test]
fn at_temperature_one_the_teacher_is_undecided() {
    let hot = [
        ("loss.warmup_teacher_temp", "1"),
        ("loss.teacher_temp", "1"),
        ("loss.warmup_teacher_patch_temp", "1"),
        ("loss.teacher_patch_temp", "1"),
    ];
    let (verdict, reason) = verdict(&hot);
    assert_eq!(verdict, Verdict::Collapsing, "{reason}");
    assert!(reason.contains("undecided"), "{reason}");
}

#[test]
fn masked_patches_alone_do_not_collapse_so_soon() {
    // The paper finds that masked image modelling alone learns little that is semantic; it does not
    // collapse, and nothing else is claimed.
    let (verdict, reason) = verdict(&[("loss.lambda_cls", "0")]);
    assert_eq!(verdict, Verdict::Learning, "{reason}");
}
