//! The form as a person uses it: search, change, reset, refusal.

use super::*;
use crate::settings::preset;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};

struct App {
    form: Form,
    running: bool,
    changes: Vec<Change>,
}

fn demo() -> Form {
    let base = preset("demo").and_then(|p| p.settings()).expect("preset");
    Form::new(base, "demo")
}

fn harness(running: bool, search: &str) -> Harness<'static, App> {
    let mut form = demo();
    form.search = search.into();
    let app = App {
        form,
        running,
        changes: Vec::new(),
    };
    let show = |ui: &mut Ui, app: &mut App| {
        let changes = app.form.ui(ui, app.running);
        app.changes.extend(changes);
    };
    let builder = Harness::builder().with_size([420.0, 900.0]);
    let mut harness = builder.build_ui_state(show, app);
    harness.run();
    harness
}

/// Types `text` over what the field of `key` holds, and leaves the field where `enter`.
fn type_over(harness: &mut Harness<App>, key: &str, text: &str, enter: bool) {
    harness.get_by_label(key).focus();
    harness.run_ok();
    harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
    harness.get_by_label(key).type_text(text);
    harness.run_ok();
    if enter {
        harness.key_press(Key::Enter);
        harness.run();
    }
}

#[test]
fn typing_into_the_search_filters_by_key_help_and_unit() {
    let mut harness = harness(false, "");
    assert!(harness.query_by_label("run.epochs").is_some());
    assert!(harness.query_by_label("mask.ratio").is_none(), "closed");
    type_over(&mut harness, "Search settings", "share hidden", false);
    assert!(harness.query_by_label("run.epochs").is_none());
    assert!(harness.query_by_label("mask.ratio").is_some());
    type_over(&mut harness, "Search settings", "learning RATE end", false);
    assert!(harness.query_by_label("optim.min_lr").is_some());
    assert!(harness.query_by_label("mask.ratio").is_none());
    type_over(&mut harness, "Search settings", "no such thing", false);
    harness.get_by_label_contains("No setting mentions");
    harness.key_press(Key::Escape);
    harness.run();
    assert!(harness.query_by_label("run.epochs").is_some());
}

#[test]
fn every_row_of_the_table_is_shown_and_named() {
    let harness = harness(false, "e");
    let shown = ROWS
        .iter()
        .filter(|row| words::match_row(row, &["e".into()]));
    for row in shown {
        assert!(harness.query_by_label(row.key).is_some(), "{}", row.key);
    }
}

#[test]
fn a_changed_number_is_returned_and_marked_and_reset_takes_it_back() {
    let mut harness = harness(false, "lr");
    assert!(harness.query_by_label("Reset optim.lr").is_none());
    assert_eq!(
        harness.get_by_label("optim.lr").value().as_deref(),
        Some("0.01")
    );
    type_over(&mut harness, "optim.lr", "5e-4", false);
    let app = harness.state();
    assert_eq!(app.changes.last(), Some(&("optim.lr", "5e-4".to_owned())));
    assert_eq!(app.form.settings().optim.lr, 5e-4);
    assert_eq!(app.form.changed(), ["optim.lr"]);
    harness.key_press(Key::Enter);
    harness.run();
    harness.get_by_label("optim.lr differs from the preset");
    harness.get_by_label("Optim · 1 changed");
    assert_eq!(
        harness.get_by_label("optim.lr").value().as_deref(),
        Some("5e-4")
    );

    harness.get_by_label("Reset optim.lr").click();
    harness.run();
    let app = harness.state();
    assert_eq!(app.changes.last(), Some(&("optim.lr", "0.01".to_owned())));
    assert_eq!(app.form.changed(), [""; 0]);
    assert!(
        harness
            .query_by_label("optim.lr differs from the preset")
            .is_none()
    );
}

#[test]
fn a_wrong_value_keeps_its_text_says_why_and_changes_nothing() {
    let mut harness = harness(false, "flip");
    let before = harness.state().form.settings().clone();
    type_over(&mut harness, "views.flip", "often", true);
    let reason = "give a number from 0 to 1";
    harness.get_by_label_contains(reason);
    harness.get_by_label_contains("1 to correct");
    let field = harness.get_by_label("views.flip");
    assert_eq!(field.value().as_deref(), Some("often"));
    let app = harness.state();
    assert_eq!((app.form.settings(), app.changes.len()), (&before, 0));
    assert_eq!(app.form.problems().len(), 1);
    assert!(app.form.problems()[0].contains(reason));

    harness.get_by_label("Reset views.flip").click();
    harness.run();
    assert!(harness.query_by_label_contains(reason).is_none());
    assert!(harness.state().form.problems().is_empty());
}

#[test]
fn settings_that_do_not_fit_together_are_said_at_their_row_and_as_a_whole() {
    let mut harness = harness(false, "side of a global crop");
    type_over(&mut harness, "views.global_size", "100", true);
    harness.get_by_label_contains("not a multiple of model.patch");
    let form = &harness.state().form;
    assert_eq!(form.settings().views.global_size, 100);
    assert_eq!(form.problems().len(), 1);
}

#[test]
fn during_a_run_fixed_rows_are_disabled_and_live_ones_count_when_left() {
    let mut harness = harness(true, "lr");
    let node = |harness: &Harness<App>, key: &str| {
        let node = harness.get_by_label(key);
        node.accesskit_node().is_disabled()
    };
    assert!(node(&harness, "optim.min_lr"));
    assert!(!node(&harness, "optim.lr"));
    harness.get_by_label("live");
    harness
        .get_by_label("optim.min_lr")
        .set_text_value_accesskit("1");
    harness.run();
    assert!(harness.state().changes.is_empty());

    type_over(&mut harness, "optim.lr", "0.02", false);
    assert!(harness.state().changes.is_empty(), "still typing");
    harness.key_press(Key::Enter);
    harness.run();
    let app = harness.state();
    assert_eq!(app.changes, [("optim.lr", "0.02".to_owned())]);
    assert_eq!(app.form.settings().optim.lr, 0.02);
}

#[test]
fn a_running_session_is_not_told_what_would_not_fit() {
    let mut harness = harness(true, "mask.");
    type_over(&mut harness, "mask.ratio", "0.1, 0.2, 0.3", true);
    harness.get_by_label_contains("give one variance for each ratio");
    assert!(harness.state().changes.is_empty());
    assert_eq!(harness.state().form.settings().mask.ratio, [0.0, 0.3]);
}

#[test]
fn switches_and_choices_work() {
    let mut harness = harness(false, "model.");
    harness.get_by_label("model.qkv_bias").click();
    harness.run();
    harness.get_by_label("model.arch").click();
    harness.run();
    harness.get_by_label("vit_tiny").click();
    harness.run();
    let changes = &harness.state().changes;
    assert_eq!(changes[0], ("model.qkv_bias", "false".to_owned()));
    assert_eq!(changes[1], ("model.arch", "vit_tiny".to_owned()));
}

/// Words as a POSIX shell makes them of quotes, backslashes and spaces.
fn shell(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => quoted = !quoted,
            '\\' if !quoted => word.extend(chars.next()),
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

#[test]
fn the_command_line_reads_back_as_the_same_settings() {
    for name in ["demo", "vits16", "no-such-preset"] {
        let base = preset(name).and_then(|p| p.settings()).unwrap_or_default();
        let mut form = Form::new(base, name);
        for (key, text) in [
            ("optim.eps", "3.7e-12"),
            ("optim.lr", "5e-4"),
            ("run.seed", "9007199254740991"),
            ("run.device", "it's \"odd\" $HOME"),
            ("mask.ratio", "0, 0.123456789012345"),
            ("mask.variance", "0, 0.05"),
            ("mask.shape", "block"),
            ("model.qkv_bias", "no"),
            ("views.std", "0.1 0.2 0.3"),
            ("views.aspect", "0.7, 1.2857142857142858"),
        ] {
            form.settings.set(key, text, "test").expect(key);
        }
        let line = form.command_line("/my pictures/it's");
        let words = shell(&line);
        assert_eq!(
            words[..4],
            ["patchlight", "train", "/my pictures/it's", "--preset"]
        );
        let set: Vec<String> = words[5..]
            .chunks(2)
            .inspect(|pair| assert_eq!(pair[0], "--set"))
            .map(|pair| pair[1].clone())
            .collect();
        let read = Settings::layered(Some(&words[4]), None, &set, None);
        assert_eq!(read.as_ref(), Ok(form.settings()), "{line}");
    }
}

#[test]
fn the_command_line_says_only_what_differs() {
    let mut form = demo();
    let bare = "patchlight train parts --preset demo";
    assert_eq!(form.command_line("parts"), bare);
    form.settings
        .set("mask.ratio", "0,0.5", "test")
        .expect("set");
    let line = form.command_line("parts");
    assert_eq!(line, format!("{bare} --set mask.ratio=0,0.5"));
    assert!(form.command_line("-x").contains(" ./-x "));
}

#[test]
fn a_file_is_laid_over_the_preset_or_refused_as_a_whole() {
    let mut form = demo();
    form.settings.run.epochs = 7;
    let file = "[run]\nbatch = 32\nepoch = 3\n";
    let error = form.load_toml(file, "my.toml").expect_err("unknown key");
    assert!(error.contains("did you mean run.epochs?"), "{error}");
    assert_eq!((form.settings.run.epochs, form.settings.run.batch), (7, 64));
    form.load_toml("[run]\nbatch = 32\n", "my.toml")
        .expect("loads");
    assert_eq!(form.changed(), ["run.batch"]);
    let saved = form.settings().to_toml();
    let mut other = Form::new(Settings::default(), "");
    other.load_toml(&saved, "saved").expect("loads");
    assert_eq!(other.settings(), form.settings());
}

#[test]
fn values_are_shown_briefly_and_kept_exactly() {
    use toml::Value::{Array, Float};
    let aspect = Array(vec![Float(0.75), Float(4.0 / 3.0)]);
    assert_eq!(words::brief(&aspect), "0.75, 1.33333");
    assert_eq!(words::exact(&aspect), "0.75, 1.3333333333333333");
    for (x, shown) in [
        (0.0, "0"),
        (1.0, "1"),
        (1e-8, "1e-8"),
        (0.9995, "0.9995"),
        (2e6, "2e6"),
    ] {
        assert_eq!(words::exact(&Float(x)), shown);
    }
}
