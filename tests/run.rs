//! A run as a whole: interrupted anywhere, it goes on as if nothing had happened.

#![allow(
    clippy::print_stdout,
    reason = "shown with --nocapture: what was measured or skipped"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use patchlight::data::Source;
use patchlight::data::parts::Parts;
use patchlight::model::HostTensors;
use patchlight::session::checkpoint::Checkpoint;

/// Steps of the small run: 4 epochs of 6.
const STEPS: usize = 24;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchlight"));
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// A run small enough to be made twenty times: seconds on one core.
fn start(folder: &Path) -> Command {
    let mut command = program();
    command
        .arg("train")
        .arg("parts")
        .arg("--device")
        .arg("cpu")
        .arg("--out")
        .arg(folder);
    for set in [
        "data.images=48",
        "data.size=32",
        "data.knn_train=16",
        "data.knn_test=16",
        "run.batch=8",
        "run.epochs=4",
        "run.checkpoint_every=3",
        "run.eval_every=12",
        "views.global_size=32",
        "views.local_size=16",
        "views.local_crops=2",
        "model.dim=32",
        "model.depth=2",
        "model.heads=2",
        "model.drop_path=0.1",
        "head.out_dim=64",
        "head.patch_out_dim=64",
        "head.hidden=64",
        "optim.warmup_epochs=1",
    ] {
        command.arg("--set").arg(set);
    }
    command
}

fn resume(folder: &Path) -> Command {
    let mut command = program();
    command.arg("resume").arg(folder).arg("--device").arg("cpu");
    command
}

fn finish(mut command: Command) {
    let output = command.output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

/// Student, teacher, optimizer and centres after the last step.
fn last_weights(folder: &Path) -> Vec<HostTensors> {
    let path = patchlight::session::checkpoint::path_for(folder, STEPS);
    let checkpoint = Checkpoint::read(&path).expect("the run has ended with a checkpoint");
    ["student", "teacher", "optimizer", "centre"]
        .map(|part| checkpoint.part(part))
        .into()
}

/// The loss of every step, by step.
fn losses(folder: &Path) -> Vec<(u64, String)> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).expect("metrics are there");
    let mut losses = Vec::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).expect("whole lines");
        if value["kind"] == "step" {
            let step = value["step"].as_u64().expect("a number");
            losses.push((step, value["loss"].to_string()));
        }
    }
    losses
}

fn run_folder(root: &tempfile::TempDir, name: &str) -> PathBuf {
    root.path().join(name)
}

#[test]
fn a_killed_run_resumes_to_the_same_weights_bit_for_bit() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let whole = run_folder(&root, "whole");
    let begun = Instant::now();
    finish(start(&whole));
    let duration = begun.elapsed();

    let killed = run_folder(&root, "killed");
    let mut kills = 0;
    // A fixed sequence that looks random: every run of this test kills at the same fractions.
    let mut state = 0x2545_f491u32;
    for attempt in 0.. {
        assert!(attempt < 200, "the run does not come to its end");
        let mut command = match killed.join("run.json").exists() {
            true => resume(&killed),
            false => start(&killed),
        };
        let mut child = command.spawn().expect("the program starts");
        if kills >= 20 {
            let output = child.wait_with_output().expect("the program ends");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{errors}");
            break;
        }
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let share = f64::from(state % 1000) / 1000.0;
        let writing = attempt % 2 == 1;
        if !kill_after(
            &mut child,
            duration.mul_f64(share * 0.5),
            writing.then_some(&*killed),
        ) {
            // It came to its end before it was killed: take checkpoints away, so that it goes on.
            for (step, path) in patchlight::session::checkpoint::list(&killed) {
                if step > STEPS / 4 {
                    std::fs::remove_file(path).expect("a checkpoint can be deleted");
                }
            }
        }
        kills += 1;
    }
    assert_eq!(last_weights(&whole), last_weights(&killed));
    assert_eq!(losses(&whole), losses(&killed));
    println!("killed {kills} times; a whole run takes {duration:.1?}");
}

/// Kills the program after `delay`; with a folder, at the moment a checkpoint is being written (if
/// one is within two seconds). False if it had ended by itself.
fn kill_after(child: &mut Child, delay: Duration, folder: Option<&Path>) -> bool {
    std::thread::sleep(delay);
    if let Some(folder) = folder {
        let limit = Instant::now() + Duration::from_secs(2);
        while Instant::now() < limit && child.try_wait().ok().flatten().is_none() {
            let entries = std::fs::read_dir(folder.join("checkpoints"))
                .into_iter()
                .flatten();
            let is_partial =
                |e: std::fs::DirEntry| e.path().extension().is_some_and(|x| x == "partial");
            if entries.flatten().any(is_partial) {
                break;
            }
        }
    }
    let running = child
        .try_wait()
        .expect("the program can be asked")
        .is_none();
    // SIGKILL: no handler runs, nothing is flushed.
    let _ = child.kill();
    let _ = child.wait();
    running
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_and_exits_with_130() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = run_folder(&root, "interrupted");
    let child = start(&folder)
        .arg("--set")
        .arg("run.epochs=400")
        .spawn()
        .expect("it starts");
    let limit = Instant::now() + Duration::from_secs(60);
    while losses_so_far(&folder) < 3 && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = child.id().to_string();
    let sent = Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .expect("kill exists");
    assert!(sent.success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(
        output.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let (step, _) = patchlight::session::checkpoint::list(&folder)
        .pop()
        .expect("a checkpoint");
    assert_eq!(
        losses(&folder).len(),
        step,
        "every step before the checkpoint is in the metrics"
    );
}

#[cfg(unix)]
fn losses_so_far(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
}

#[test]
fn broken_pictures_are_named_and_do_not_stop_a_run() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let pictures = root.path().join("pictures");
    for class in ["one", "two"] {
        std::fs::create_dir_all(pictures.join(class)).expect("a folder");
        for i in 0..12u8 {
            let picture = image::RgbImage::from_fn(40, 30, |x, y| {
                image::Rgb([(x as u8).wrapping_mul(i + 3), (y as u8) * 5, i * 20])
            });
            picture
                .save(pictures.join(class).join(format!("{i}.png")))
                .expect("a picture");
        }
    }
    std::fs::write(
        pictures.join("one/broken.jpg"),
        b"\xff\xd8\xff this is no picture",
    )
    .expect("a file");
    std::fs::write(pictures.join("two/empty.png"), b"").expect("a file");
    let folder = run_folder(&root, "run");
    let mut command = start(&folder);
    command
        .args(["--set", "data.held_out=0", "--set", "run.epochs=3"])
        .stdout(Stdio::piped());
    // The source is the third argument of `start`; a later one is not accepted, so build anew.
    let arguments: Vec<_> = command
        .get_args()
        .map(|a| match a.to_str() {
            Some("parts") => pictures.clone().into_os_string(),
            _ => a.to_owned(),
        })
        .collect();
    let output = program()
        .args(arguments)
        .stdout(Stdio::piped())
        .output()
        .expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("broken.jpg") && text.contains("empty.png"),
        "{text}"
    );
    let report = std::fs::read_to_string(folder.join("report.md")).expect("a report");
    assert!(report.contains("broken.jpg") && report.contains("empty.png"));
}

#[test]
fn training_goes_on_from_the_built_in_checkpoint() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let first_loss = |name: &str, init: &[&str]| -> f64 {
        let folder = run_folder(&root, name);
        let mut command = program();
        command.args(["train", "parts", "--device", "cpu", "--out"]);
        command.arg(&folder).args(init);
        for set in ["run.max_steps=1", "data.knn_train=16", "data.knn_test=16"] {
            command.args(["--set", set]);
        }
        finish(command);
        losses(&folder)[0].1.parse().expect("a number")
    };
    let (fresh, trained) = (
        first_loss("fresh", &[]),
        first_loss("trained", &["--init", "demo"]),
    );
    assert!(trained < 0.9 * fresh, "{trained} from demo, {fresh} fresh");
}

#[test]
fn features_that_become_worse_are_reported() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let folder = run_folder(&root, "worse");
    let mut command = program();
    command.args([
        "train", "parts", "--device", "cpu", "--init", "demo", "--out",
    ]);
    command.arg(&folder);
    for set in [
        "optim.lr=0.5",
        "optim.warmup_epochs=0",
        "run.max_steps=4",
        "run.eval_every=2",
        "data.knn_train=300",
        "data.knn_test=100",
    ] {
        command.args(["--set", set]);
    }
    finish(command);
    let log = std::fs::read_to_string(folder.join("log.txt")).expect("a log");
    assert!(log.contains("k-NN fell from"), "{log}");
    assert_eq!(log.matches("k-NN fell from").count(), 1, "told once: {log}");
}

/// The features that come with the program are worth having: k-NN on pictures it never saw.
#[test]
fn the_built_in_checkpoint_knows_classes() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let json = root.path().join("knn.json");
    let mut command = program();
    command.args([
        "probe",
        "knn",
        "demo",
        "parts",
        "--device",
        "cpu",
        "--baselines",
        "--no-cache",
    ]);
    command.args(["--max-train", "2000", "--max-test", "800", "--json"]);
    command.arg(&json);
    finish(command);
    let report = std::fs::read_to_string(&json).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let best = |row: usize| {
        let measures = report["rows"][row]["measures"]
            .as_array()
            .expect("measures");
        let values = measures
            .iter()
            .map(|m| m["value"].as_f64().expect("a number"));
        values.fold(0.0, f64::max)
    };
    let (untrained, trained) = (best(1), best(2));
    println!("k-NN: untrained {untrained:.3}, trained {trained:.3}");
    assert!(trained > 0.8 && untrained < 0.4, "{untrained} -> {trained}");
}

/// Smaller versions of pictures find the pictures they were made from, by a list as retrieval benchmarks have it.
#[test]
fn queries_of_a_list_find_their_pictures() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let parts = Parts::new(24, 64, 5);
    let jpg = root.path().join("jpg");
    std::fs::create_dir(&jpg).expect("a folder");
    let save = |name: &str, index: usize, side: u32| {
        let picture = parts.load(index).expect("it is drawn");
        let picture = image::RgbImage::from_raw(64, 64, picture.rgb).expect("64 x 64 pixels");
        let small = image::imageops::thumbnail(&picture, side, side);
        small.save(jpg.join(name)).expect("it is written");
    };
    let database: Vec<String> = (0..24).map(|i| format!("whole-{i}.png")).collect();
    let queries: Vec<String> = (0..6).map(|i| format!("small-{i}.png")).collect();
    for (i, name) in database.iter().enumerate() {
        save(name, i, 64);
    }
    for (i, name) in queries.iter().enumerate() {
        save(name, 4 * i, 48);
    }
    let asked: Vec<_> = (0..6)
        .map(|i| serde_json::json!({"easy": [4 * i], "hard": [], "junk": [4 * i + 1]}))
        .collect();
    let list = serde_json::json!({"imlist": database, "qimlist": queries, "gnd": asked});
    let path = root.path().join("gnd.json");
    std::fs::write(&path, list.to_string()).expect("a list");
    let json = root.path().join("found.json");
    let mut command = program();
    command.args([
        "probe",
        "retrieval",
        "demo",
        "--device",
        "cpu",
        "--no-cache",
        "--json",
    ]);
    command.arg(&json).arg(&path);
    finish(command);
    let report = std::fs::read_to_string(&json).expect("a report");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(
        (&report["train_pictures"], &report["test_pictures"]),
        (&24.into(), &6.into())
    );
    let measures = report["rows"][0]["measures"].as_array().expect("measures");
    // No query has a hard picture, so nothing is said of these.
    assert_eq!(measures.len(), 4);
    assert_eq!(measures[0]["name"], "Medium mAP");
    let found = measures[0]["value"].as_f64().expect("a number");
    assert!(found > 0.7, "mAP {found}");
}

#[test]
fn mistakes_are_explained() {
    for (arguments, expected) in [
        (&["train", "/no/such/folder"][..], "/no/such/folder"),
        (&["train", "--preset", "cifar"], "cifar10"),
        (&["train", "--set", "optim.lrr=1"], "optim.lr"),
        (&["train", "--set", "mask.ratio=[2.0]"], "mask.ratio"),
        (&["train", "--device", "vulcan:0"], "vul"),
        (&["resume", "/no/such/folder"], "/no/such/folder"),
        (&["probe", "knn", "/no/such/file", "parts"], "/no/such/file"),
        (&["inspect", "Cargo.toml"], "Cargo.toml"),
    ] {
        let root = tempfile::tempdir().expect("a temporary folder");
        let output = program()
            .current_dir(&root)
            .args(arguments)
            .output()
            .expect("it starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?} should fail");
        assert!(
            errors.contains("error") && errors.contains(expected),
            "{arguments:?}: {errors}"
        );
        assert!(!errors.contains("panicked"), "{arguments:?}: {errors}");
    }
}
