//! Every device must train as the CPU does; here lavapipe, Mesa's Vulkan on the CPU, stands for GPUs.
//!
//! The program is run as a person would run it, which also lets a test choose the driver by
//! environment variables. Where there is no Vulkan the test says so and passes, unless
//! `PATCHLIGHT_REQUIRE_VULKAN=1`.

#![allow(
    clippy::print_stdout,
    reason = "shown with --nocapture: what was measured or skipped"
)]

use std::path::Path;
use std::process::{Command, Output};

/// Where Debian's and Ubuntu's mesa-vulkan-drivers put lavapipe.
const LAVAPIPE: &str = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";

/// Runs `patchlight` with `args` in the folder `here`, which also serves drivers as their own.
fn patchlight(here: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchlight"));
    command.args(args).current_dir(here);
    let unset = |name: &str| std::env::var_os(name).is_none();
    if unset("VK_DRIVER_FILES") && unset("VK_ICD_FILENAMES") && Path::new(LAVAPIPE).exists() {
        command.env("VK_DRIVER_FILES", LAVAPIPE);
    }
    if unset("XDG_RUNTIME_DIR") {
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    command.output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn vulkan_trains_like_the_cpu() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listed = text(&patchlight(folder.path(), &["devices"]).stdout);
    if !listed.contains("vulkan:0") {
        let required = std::env::var("PATCHLIGHT_REQUIRE_VULKAN").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "PATCHLIGHT_REQUIRE_VULKAN=1, but there is no Vulkan here:\n{listed}"
        );
        eprintln!(
            "SKIPPED: no Vulkan on this machine; install mesa-vulkan-drivers to run this test"
        );
        return;
    }
    let args = ["doctor", "--device", "vulkan:0", "--json", "report.json"];
    let output = patchlight(folder.path(), &args);
    println!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(output.status.success());

    let report = std::fs::read(folder.path().join("report.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    assert_eq!(report["passed"], true);
    let checks = report["checks"].as_array().expect("a list of checks");
    for quantity in ["loss", "gradient", "student", "teacher", "centre"] {
        let of_kind = checks.iter().filter(|check| check["quantity"] == quantity);
        let worst = of_kind.map(|check| check["deviation"].as_f64().unwrap_or(f64::INFINITY));
        let worst = worst
            .reduce(f64::max)
            .expect("something of each kind is compared");
        // Another backend never agrees to the last bit: exactly 0 would mean that nothing was run.
        assert!(worst > 0.0, "{quantity}: {worst:e}");
    }
    // Kernels and their timings are not cached beside the user's files.
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder")
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn the_cpu_is_listed_and_passes() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let listed = text(&patchlight(folder.path(), &["devices", "--device", "cpu"]).stdout);
    assert!(listed.contains("would take cpu"), "{listed}");
    let output = patchlight(folder.path(), &["doctor", "--device", "cpu"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("passed"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn a_device_that_is_not_there_explains_itself() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for command in ["devices", "doctor"] {
        let output = patchlight(folder.path(), &[command, "--device", "nonsense"]);
        let message = text(&output.stderr);
        assert!(!output.status.success());
        assert!(
            message.contains("nonsense") && message.contains("cpu"),
            "{message}"
        );
        assert!(!message.contains("panicked"), "{message}");
    }
}
