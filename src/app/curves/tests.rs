//! The panel draws with no, one and many steps, and its controls can be named.

use egui::{Key, Modifiers, Role};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;

use super::*;
use crate::session::events::{EvalMetrics, StepMetrics};

fn history(steps: usize) -> History {
    let step = |step: usize| StepMetrics {
        step,
        loss: 9.0 - step as f32 / 1e5,
        grad_norm: 1.0,
        lr: 1e-4,
        ..StepMetrics::default()
    };
    History {
        steps: (0..steps).map(step).collect(),
        evals: vec![EvalMetrics {
            step: 0,
            knn: Some(0.3),
            ..EvalMetrics::default()
        }],
        changes: vec![Change {
            step: steps / 2,
            key: "optim.lr".into(),
            from: "0.01".into(),
            to: "0.003".into(),
        }],
        checkpoints: (0..steps).step_by(10).collect(),
        ..History::default()
    }
}

type Asked = (Curves, History, Option<usize>);

fn harness(history: History) -> Harness<'static, Asked> {
    Harness::builder()
        .with_size([1000.0, 900.0])
        .build_ui_state(
            |ui, (curves, history, asked): &mut Asked| {
                let cursor = asked.or(Some(3));
                *asked = curves.ui(ui, history, (8192, 64), cursor, &[]).or(*asked);
            },
            (Curves::default(), history, None),
        )
}

#[test]
fn an_empty_history_says_what_will_be_here() {
    let harness = harness(History::default());
    harness.get_by_label_contains("first step");
}

#[test]
fn plots_and_controls_have_names() {
    for steps in [1, 100_000] {
        let mut harness = harness(history(steps));
        harness.run_steps(3);
        for plan in &plans::PLANS {
            harness.get_by_label(&format!("{}, curves over the steps", plan.title));
        }
        harness.get_by_role_and_label(Role::Slider, "Smoothing");
        for name in ["Log x", "Log y"] {
            harness.get_by_role_and_label(Role::CheckBox, name).click();
            harness.run_steps(2);
        }
        harness.get_by_label("Whole run").click();
        harness.get_by_label("Save CSV").click();
        harness.run_steps(2);
        assert_eq!(harness.state_mut().0.take_request(), Some(Export::Csv));
        assert_eq!(harness.state_mut().0.take_request(), None);
        let name = format!("{}, curves over the steps", plans::PLANS[5].title);
        harness
            .get_by_role_and_label(Role::Button, "Gradient")
            .click();
        harness.run_steps(2);
        assert!(harness.query_by_label(&name).is_none());
    }
}

#[test]
fn clicks_and_arrow_keys_move_the_cursor() {
    let mut harness = harness(history(1000));
    harness.run_steps(3);
    harness.get_by_label("Loss, curves over the steps").click();
    harness.run_steps(2);
    let at = harness.state().2.unwrap();
    assert!((400..600).contains(&at), "the middle of the plot: {at}");
    harness.get_by_label("Loss, curves over the steps").focus();
    harness.run_steps(3);
    harness.key_press(Key::ArrowLeft);
    harness.run_steps(2);
    assert_eq!(harness.state().2, Some(at - 1));
    harness.key_press_modifiers(Modifiers::SHIFT, Key::ArrowRight);
    harness.run_steps(2);
    assert_eq!(harness.state().2, Some(at + 9));
}

#[test]
fn points_are_made_once_and_the_png_is_written() {
    let mut harness = harness(history(100_000));
    harness.run_steps(3);
    let (curves, ..) = harness.state();
    let made = curves.stamp.as_ref().unwrap().1;
    let drawn = |panel: &Panel| panel.curves.iter().all(|c| c.points.len() <= thin::POINTS);
    assert!(curves.panels.iter().all(drawn));
    assert!(curves.marks.checkpoints.len() <= 301);
    harness.run_steps(5);
    assert_eq!(harness.state().0.stamp.as_ref().unwrap().1, made);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("curves.png");
    harness.state().0.save_png(&path).unwrap();
    assert!(image::open(&path).unwrap().width() == 1400);
}
