//! The window without a screen: the same code as the program's, driven by labels, keys and time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::Key;
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::{Harness, SnapshotOptions, SnapshotResults};
use patchlight::app::{App, Opening};
use patchlight::device::Api;
use patchlight::session::folder::RunFile;
use patchlight::session::run::Start;
use patchlight::session::{Control, Job, train};
use patchlight::settings::Settings;

type Window = Harness<'static, Option<App>>;

/// A window of 1280 × 800 points that keeps what it remembers in `home`.
fn window(home: &Path, path: Option<PathBuf>) -> Window {
    let opening = Opening {
        path,
        memory: Some(home.join("window.json")),
        runs: Some(home.join("runs")),
        ..Opening::default()
    };
    Harness::builder()
        .with_size([1280.0, 800.0])
        .with_pixels_per_point(0.5) // small pictures
        .with_max_steps(8)
        .with_options(SnapshotOptions::default().max_failed_pixels(200))
        .build_ui_state(
            move |ui, app: &mut Option<App>| {
                app.get_or_insert_with(|| {
                    App::new(ui.ctx().clone(), opening.clone(), false).expect("a window")
                })
                .ui(ui);
            },
            None,
        )
}

/// Draws frames until `there` says so.
fn until(window: &mut Window, what: &str, there: impl Fn(&Window) -> bool) {
    let end = Instant::now() + Duration::from_secs(90);
    while Instant::now() < end {
        window.step();
        if there(window) {
            window.step();
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never seen: {what}");
}

fn sees(window: &Window, text: &str) -> bool {
    window.query_all_by_label_contains(text).next().is_some()
}

fn press(window: &mut Window, label: &str) {
    window.get_by_label(label).click();
    window.step();
    window.step();
}

/// A tiny run of two steps in `folder`, which has many more to go.
fn tiny_run(folder: &Path) {
    let mut settings = Settings::default();
    for (key, value) in [
        ("model.arch", "custom"),
        ("model.dim", "24"),
        ("model.depth", "2"),
        ("model.heads", "3"),
        ("model.patch", "8"),
        ("views.global_size", "32"),
        ("head.out_dim", "48"),
        ("head.patch_out_dim", "48"),
        ("head.hidden", "32"),
        ("head.bottleneck", "16"),
        ("run.batch", "8"),
        ("run.epochs", "200"),
        ("run.workers", "1"),
        ("run.eval_every", "100000"),
        ("run.checkpoint_every", "100000"),
        ("data.images", "64"),
        ("data.size", "32"),
        ("data.knn_train", "16"),
        ("data.knn_test", "16"),
        ("run.device", "cpu"),
    ] {
        settings.set(key, value, "the test").unwrap();
    }
    settings.run.max_steps = 2;
    let job = Job {
        run: RunFile {
            source: "parts".into(),
            preset: None,
            version: String::new(),
        },
        settings: settings.clone(),
        folder: folder.to_owned(),
        start: Start::Fresh,
    };
    let cpu = patchlight::device::choose("cpu").unwrap();
    train(&job, &cpu, &Control::default(), &mut |_| ()).unwrap();
    settings.run.max_steps = 0;
    std::fs::write(folder.join("settings.toml"), settings.to_toml()).unwrap();
}

#[test]
fn the_first_screen_says_what_this_is_and_explains_a_wrong_path() {
    let home = tempfile::tempdir().unwrap();
    let mut window = window(home.path(), None);
    window.step();
    assert!(sees(&window, "Watch a vision transformer learn"));
    for label in ["Try the demo", "Open pictures…", "Open a run…"] {
        window.get_by_label(label);
    }
    let field = window.get_by_label("or type a path");
    field.focus();
    window.step();
    window
        .get_by_role(egui::accesskit::Role::TextInput)
        .type_text("/no/such/place");
    window.step();
    press(&mut window, "Open");
    until(&mut window, "the reason", |w| sees(w, "/no/such/place"));
}

#[test]
fn the_demo_goes_from_the_first_screen_to_patterns_picture_and_lab() {
    let home = tempfile::tempdir().unwrap();
    let mut window = window(home.path(), None);
    window.step();
    press(&mut window, "Try the demo");
    until(&mut window, "patterns", |w| {
        sees(w, "128 patterns in 256 pictures")
    });
    assert!(sees(&window, "wheel"));
    // A patch of a card leads to its picture.
    window
        .query_all_by_label_contains("patch 0 of pattern")
        .next()
        .unwrap()
        .click();
    window.step();
    until(&mut window, "neighbours", |w| {
        sees(w, "Most alike in other pictures")
    });
    until(&mut window, "guesses", |w| sees(w, "The student guesses"));
    for layer in ["Attention", "Colours", "Clusters", "Picture", "Similar"] {
        press(&mut window, layer);
    }
    window.key_press(Key::Num3);
    until(&mut window, "the lab's verdict", |w| {
        sees(w, "of it the teacher's own doubt")
    });
    press(&mut window, "Clear");
    assert!(sees(&window, "0 of 64 patches are hidden"));
    press(&mut window, "Random");
    until(&mut window, "another verdict", |w| {
        sees(w, "of it the teacher's own doubt")
    });
    window.key_press(Key::Num4);
    until(&mut window, "examples", |w| {
        sees(w, "teacher's global crop 1")
    });
    press(&mut window, "Draw new examples");
    window.key_press(Key::F1);
    window.step();
    assert!(sees(&window, "this list"));
}

#[test]
fn a_run_goes_on_pauses_steps_stops_and_is_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("runs/tiny");
    tiny_run(&folder);
    let mut window = window(home.path(), Some(folder.clone()));
    window.step();
    until(&mut window, "its patterns", |w| sees(w, "patterns in"));
    press(&mut window, "▶ Go on training");
    until(&mut window, "steps", |w| sees(w, "pictures/s"));
    window.key_press(Key::Space);
    until(&mut window, "the pause", |w| sees(w, "paused"));
    let step = |w: &Window| {
        let line = w
            .query_all_by_label_contains("now")
            .filter_map(|n| n.value().or(n.accesskit_node().label()));
        line.filter_map(|text| {
            text.strip_prefix("step ")?
                .split(',')
                .next()?
                .parse::<usize>()
                .ok()
        })
        .max()
    };
    std::thread::sleep(Duration::from_millis(300));
    window.step();
    let held = step(&window).expect("a step");
    press(&mut window, "Step");
    until(&mut window, "one step", |w| step(w) == Some(held + 1));
    std::thread::sleep(Duration::from_millis(300));
    window.step();
    assert_eq!(step(&window), Some(held + 1), "one step, not more");
    window.key_press(Key::Num5);
    window.step();
    for (button, file) in [("Save CSV", "curves.csv"), ("Save PNG", "curves.png")] {
        press(&mut window, button);
        until(&mut window, file, |w| sees(w, file));
        assert!(
            std::fs::metadata(folder.join(file)).unwrap().len() > 500,
            "{file}"
        );
    }
    let lines = std::fs::read_to_string(folder.join("curves.csv")).unwrap();
    assert!(
        lines.lines().count() > held,
        "a line a step, and one for the columns"
    );
    // Closing asks first.
    assert!(!window.state_mut().as_mut().unwrap().may_close());
    window.step();
    window.step();
    press(&mut window, "Keep training");
    press(&mut window, "⏹ Stop and save");
    until(&mut window, "the end", |w| sees(w, "stopped and saved"));
    assert!(window.state_mut().as_mut().unwrap().may_close());
    drop(window);

    let mut again = self::window(home.path(), Some(folder));
    again.step();
    until(&mut again, "its patterns", |w| sees(w, "patterns in"));
    assert_eq!(step(&again), Some(held + 1));
    press(&mut again, "patchlight");
    assert!(sees(&again, "Recent runs") && sees(&again, "tiny"));
}

#[test]
fn a_damaged_run_is_explained_and_the_window_lives_on() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("runs/bad");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("run.json"), "{ torn").unwrap();
    let mut window = window(home.path(), Some(folder));
    window.step();
    window.step();
    assert!(sees(&window, "run.json is damaged"));
    press(&mut window, "Try the demo");
    until(&mut window, "patterns", |w| sees(w, "patterns in"));
}

#[test]
fn a_run_that_cannot_go_on_says_why_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("runs/tiny");
    tiny_run(&folder);
    let run = RunFile {
        source: home.path().join("gone").display().to_string(),
        preset: None,
        version: String::new(),
    };
    std::fs::write(folder.join("run.json"), serde_json::to_vec(&run).unwrap()).unwrap();
    let mut window = window(home.path(), Some(folder));
    window.step();
    press(&mut window, "▶ Go on training");
    until(&mut window, "the error", |w| {
        sees(w, "The run has ended with an error")
    });
    assert!(sees(&window, "gone"));
    for label in ["Go on from the last checkpoint", "Copy details"] {
        window.get_by_label(label);
    }
    press(&mut window, "Go on with smaller parts");
    until(&mut window, "it again", |w| {
        sees(w, "The run has ended with an error")
    });
}

#[test]
fn pictures_are_described_before_a_run_and_a_setting_can_be_changed() {
    let home = tempfile::tempdir().unwrap();
    let mut window = window(home.path(), Some("parts".into()));
    window.step();
    until(&mut window, "the pictures", |w| sees(w, "16 classes"));
    assert!(sees(&window, "a preset of their own"));
    until(&mut window, "the cost", |w| {
        sees(w, "GFLOP") && sees(w, "about")
    });
    window.get_by_label("▶ Start training");
    window.get_by_label("Search settings").focus();
    window.step();
    window
        .get_by_label("Search settings")
        .type_text("teacher_momentum");
    window.step();
    window.step();
    assert!(sees(&window, "optim.teacher_momentum"));
    assert!(!sees(&window, "optim.warmup_epochs"));
    press(&mut window, "◀ Back");
    assert!(sees(&window, "Try the demo"));
}

/// A file that was let go over the window.
#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

#[test]
fn what_is_dropped_is_opened() {
    let home = tempfile::tempdir().unwrap();
    let pictures = home.path().join("holiday");
    for (class, colour) in [("sea", [0, 80, 200]), ("wood", [20, 120, 40])] {
        std::fs::create_dir_all(pictures.join(class)).unwrap();
        for i in 0..4 {
            let picture = image::RgbImage::from_pixel(90 + i, 70, image::Rgb(colour));
            picture
                .save(pictures.join(class).join(format!("{i}.png")))
                .unwrap();
        }
    }
    std::fs::write(pictures.join("sea/torn.jpg"), b"nothing").unwrap();
    let mut window = window(home.path(), None);
    window.step();
    let file = std::sync::Arc::new(Dropped(pictures.clone()));
    window.input_mut().dropped_files.push(file);
    until(&mut window, "the pictures", |w| sees(w, "2 classes"));
    assert!(sees(&window, "sea 5, wood 4"));
    assert!(sees(&window, "1 cannot be used"));
    press(&mut window, "◀ Back");

    // A picture, while a network is open, can be looked at through it.
    press(&mut window, "Try the demo");
    until(&mut window, "patterns", |w| sees(w, "patterns in"));
    let file = std::sync::Arc::new(Dropped(pictures.join("sea/0.png")));
    window.input_mut().dropped_files.push(file);
    until(&mut window, "one picture", |w| sees(w, "1 pictures"));
    press(&mut window, "Look at them with demo");
    until(&mut window, "its patches", |w| sees(w, "in 1 pictures"));
}

#[test]
fn a_collapsing_run_offers_a_remedy_that_can_be_taken_back() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("runs/tiny");
    tiny_run(&folder);
    let file = folder.join("settings.toml");
    let mut settings = Settings::from_toml(&std::fs::read_to_string(&file).unwrap(), "").unwrap();
    for key in [
        "loss.warmup_teacher_temp",
        "loss.teacher_temp",
        "loss.warmup_teacher_patch_temp",
        "loss.teacher_patch_temp",
    ] {
        settings.set(key, "1", "").unwrap();
    }
    std::fs::write(&file, settings.to_toml()).unwrap();
    let mut window = window(home.path(), Some(folder.clone()));
    window.step();
    press(&mut window, "▶ Go on training");
    until(&mut window, "the verdict", |w| sees(w, "collapsing"));
    until(&mut window, "a remedy", |w| sees(w, "Sharpen the teacher"));
    let remedy = window
        .query_all_by_label_contains("Sharpen the teacher")
        .next();
    remedy.unwrap().click();
    window.step();
    let temperature = |folder: &Path| {
        let text = std::fs::read_to_string(folder.join("settings.toml")).unwrap();
        Settings::from_toml(&text, "").unwrap().loss.teacher_temp
    };
    until(&mut window, "the change", |_| temperature(&folder) < 0.5);
    press(&mut window, "Undo");
    until(&mut window, "the old value", |_| {
        temperature(&folder) == 1.0
    });
    press(&mut window, "⏹ Stop and save");
    until(&mut window, "the end", |w| sees(w, "stopped and saved"));
    let metrics = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    assert!(metrics.matches(r#""kind":"change""#).count() >= 2);
}

/// The window as it looks, on lavapipe: where the picture does not depend on the last digits of a network.
/// `UPDATE_SNAPSHOTS=1` takes new pictures.
#[test]
fn it_looks_as_it_did() {
    let drawn = patchlight::device::adapters();
    if !drawn.iter().any(|adapter| adapter.api != Api::Flex) {
        assert!(
            std::env::var_os("PATCHLIGHT_REQUIRE_VULKAN").is_none(),
            "there is nothing to draw with"
        );
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let memory = home.path().join("window.json");
    let remember = |mode: &str, large: bool| {
        let text = format!(r#"{{"mode":"{mode}","large":{large},"runs":[]}}"#);
        std::fs::write(&memory, text).unwrap();
    };
    let mut seen = SnapshotResults::new();
    for (name, mode, large) in [
        ("first-dark", "dark", false),
        ("first-light", "light", false),
        ("first-large", "dark", true),
    ] {
        remember(mode, large);
        let mut window = window(home.path(), None);
        window.run_steps(4);
        seen.add(window.try_snapshot(name));
    }
    for mode in ["dark", "light"] {
        remember(mode, false);
        let mut window = window(home.path(), None);
        window.step();
        press(&mut window, "Try the demo");
        until(&mut window, "patterns", |w| sees(w, "patterns in"));
        window.key_press(Key::Num4);
        until(&mut window, "examples", |w| {
            sees(w, "student's global crop 1")
        });
        until(&mut window, "rest", |w| !sees(w, " …"));
        for (key, name) in [
            (Key::Num4, "views"),
            (Key::Num5, "curves-empty"),
            (Key::Num6, "settings"),
            (Key::Num7, "log-empty"),
        ] {
            window.key_press(key);
            window.run_steps(4);
            seen.add(window.try_snapshot(format!("{name}-{mode}")));
        }
        window.key_press(Key::F1);
        window.run_steps(30); // until it has faded in
        seen.add(window.try_snapshot(format!("help-{mode}")));
    }
}
