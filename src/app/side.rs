//! The numbers beside the panels: how the run is doing, small curves, and what ended it.

use egui::{Button, Color32, RichText, Sense, Stroke, Ui, pos2, vec2};

use super::bars::Pressed;
use super::studio::Studio;
use super::theme;
use crate::session::health::Verdict;

/// A small curve.
pub fn spark(ui: &mut Ui, name: &str, values: &[f32], colour: Color32, last: &str) {
    let theme = theme::of(ui);
    let size = vec2(ui.available_width(), 46.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    ui.painter()
        .rect_filled(rect, f32::from(theme::ROUND), theme.raised);
    let inner = rect.shrink2(vec2(8.0, 5.0));
    let text = |at, align, text: &str, colour| {
        let font = egui::FontId::proportional(11.5);
        ui.painter().text(at, align, text, font, colour);
    };
    let curve = inner.with_min_y(inner.min.y + 15.0);
    let finite: Vec<f32> = values.iter().copied().filter(|v| v.is_finite()).collect();
    let (low, high) = finite
        .iter()
        .fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
    if finite.len() > 1 {
        let span = (high - low).max(1e-9);
        // At most a point every half point of the screen.
        let every = (finite.len() / 400).max(1);
        let points: Vec<egui::Pos2> = finite
            .chunks(every)
            .enumerate()
            .map(|(i, chunk)| {
                let mean = chunk.iter().sum::<f32>() / chunk.len() as f32;
                let x = i as f32 * every as f32 / (finite.len() - 1) as f32;
                let y = (mean - low) / span;
                pos2(
                    curve.min.x + curve.width() * x.min(1.0),
                    curve.max.y - curve.height() * y,
                )
            })
            .collect();
        ui.painter().line(points, Stroke::new(1.5, colour));
    }
    text(inner.left_top(), egui::Align2::LEFT_TOP, name, theme.faint);
    text(inner.right_top(), egui::Align2::RIGHT_TOP, last, theme.ink);
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Label, true, format!("{name} {last}"))
    });
}

/// How the run is doing, and what would help.
fn health_card(ui: &mut Ui, studio: &Studio) -> Option<Pressed> {
    let theme = theme::of(ui);
    let mut pressed = None;
    let health = &studio.health;
    let colour = match health.verdict {
        Verdict::Learning => theme.good,
        Verdict::WarmingUp => theme.series[1],
        Verdict::Plateau => theme.warn,
        Verdict::Collapsing | Verdict::NotFinite => theme.bad,
    };
    let card = egui::Frame::new()
        .fill(theme.raised)
        .corner_radius(f32::from(theme::ROUND))
        .inner_margin(10.0);
    card.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.label(
            RichText::new(health.verdict.name())
                .strong()
                .size(15.0)
                .color(colour),
        );
        if health.headline.to_lowercase() != health.verdict.name() {
            ui.label(RichText::new(&health.headline).strong());
        }
        ui.label(RichText::new(&health.reason).small());
        for (i, remedy) in health.remedies.iter().enumerate() {
            // What no live setting can do is said, not pressed.
            if remedy.changes.is_empty() {
                ui.label(RichText::new(&remedy.label).strong())
                    .on_hover_text(&remedy.help);
                ui.label(RichText::new(&remedy.help).small());
                continue;
            }
            let button = ui.add_enabled(studio.is_running(), Button::new(&remedy.label).wrap());
            if button
                .on_hover_text(&remedy.help)
                .on_disabled_hover_text("The run is not going on")
                .clicked()
            {
                pressed = Some(Pressed::Remedy(i));
            }
        }
        if let Some((label, _)) = studio.undo.as_ref().filter(|_| studio.is_running()) {
            let button = ui.button("Undo").on_hover_text(label);
            if button.clicked() {
                pressed = Some(Pressed::Undo);
            }
        }
    });
    pressed
}

/// What ended the run, and what to do about it.
pub fn failure_card(ui: &mut Ui, studio: &Studio) -> Option<Pressed> {
    let failure = studio.failure.as_ref()?;
    let theme = theme::of(ui);
    let mut pressed = None;
    let card = egui::Frame::new()
        .fill(theme.raised)
        .stroke(Stroke::new(1.5, theme.bad))
        .corner_radius(f32::from(theme::ROUND))
        .inner_margin(14.0);
    card.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.label(
            RichText::new("The run has ended with an error")
                .strong()
                .color(theme.bad),
        );
        ui.label(&failure.what);
        ui.label(RichText::new(&failure.remedy).color(theme.faint));
        ui.horizontal(|ui| {
            if ui.button("Go on from the last checkpoint").clicked() {
                pressed = Some(Pressed::Resume);
            }
            let help = "The same result with less memory: run.accumulate is doubled";
            if ui
                .button("Go on with smaller parts")
                .on_hover_text(help)
                .clicked()
            {
                pressed = Some(Pressed::ResumeInParts);
            }
            if ui.button("Copy details").clicked() {
                let text = format!("{}\n{}", failure.what, failure.remedy);
                ui.ctx().copy_text(text);
            }
        });
    });
    pressed
}

/// The numbers beside the panels.
pub fn numbers(ui: &mut Ui, studio: &Studio) -> Option<Pressed> {
    let theme = theme::of(ui);
    let pressed = health_card(ui, studio);
    let history = &studio.history;
    let steps = &history.steps;
    let curve = |value: fn(&crate::session::events::StepMetrics) -> f32| -> Vec<f32> {
        steps.iter().map(value).collect()
    };
    let last = steps.last();
    if let Some(last) = last {
        let patch = last.patch_1 + last.patch_2;
        spark(
            ui,
            "loss",
            &curve(|s| s.loss),
            theme.series[0],
            &format!("{:.3}", last.loss),
        );
        spark(
            ui,
            "patch loss",
            &curve(|s| s.patch_1 + s.patch_2),
            theme.series[1],
            &format!("{patch:.3}"),
        );
    }
    let knn: Vec<f32> = history
        .evals
        .iter()
        .filter_map(|e| Some(e.knn? as f32))
        .collect();
    if let Some(newest) = knn.last() {
        let text = format!("{:.1} %", 100.0 * newest);
        spark(ui, "k-NN accuracy", &knn, theme.series[2], &text);
    }
    if let Some(last) = last {
        let text = format!("{}", last.prototypes_used_patch);
        spark(
            ui,
            "patch prototypes in use",
            &curve(|s| s.prototypes_used_patch as f32),
            theme.series[3],
            &text,
        );
        let text = format!("{:.0} %", 100.0 * last.agreement);
        spark(
            ui,
            "teacher and student agree",
            &curve(|s| s.agreement),
            theme.series[4],
            &text,
        );
    }
    pressed
}
