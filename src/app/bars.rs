//! The bars of an open run: transport above, time below, and the numbers beside the panel.

use std::path::PathBuf;

use egui::{Align, Button, Color32, Layout, ProgressBar, RichText, Sense, Stroke, Ui, pos2, vec2};

use super::scene::named;
use super::studio::Studio;
use super::theme;
use crate::session::health::Verdict;

/// What a bar was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Pressed {
    Home,
    /// Go on with the open run.
    Resume,
    Pause(bool),
    Step,
    Stop,
    /// Train the demo's network further, or a new one from nothing.
    TrainDemo {
        further: bool,
    },
    Theme,
    Large,
    Help,
    Moment(Option<(usize, PathBuf)>),
    /// Do what remedy number so-and-so says, or take it back.
    Remedy(usize),
    Undo,
    /// Go on with the batch computed in twice as many parts.
    ResumeInParts,
}

/// The bar above the panels.
pub fn transport(ui: &mut Ui, studio: &Studio, busy: &str) -> Option<Pressed> {
    let mut pressed = None;
    let theme = theme::of(ui);
    ui.horizontal(|ui| {
        ui.set_min_height(34.0);
        let home = Button::new(
            RichText::new("patchlight")
                .strong()
                .color(theme.accent)
                .size(16.0),
        )
        .frame(false);
        if ui
            .add(home)
            .on_hover_text("Back to the first screen")
            .clicked()
        {
            pressed = Some(Pressed::Home);
        }
        ui.label(RichText::new(&studio.title).strong());
        ui.separator();
        if studio.is_running() {
            let (name, help) = match studio.is_paused() {
                true => ("▶ Go on", "Space"),
                false => ("⏸ Pause", "Space"),
            };
            if ui.button(name).on_hover_text(help).clicked() {
                pressed = Some(Pressed::Pause(!studio.is_paused()));
            }
            if ui
                .button("Step")
                .on_hover_text("One step, then pause (→ while paused)")
                .clicked()
            {
                pressed = Some(Pressed::Step);
            }
            if ui
                .button("⏹ Stop and save")
                .on_hover_text("The run can go on later")
                .clicked()
            {
                pressed = Some(Pressed::Stop);
            }
        } else if studio.folder.is_some() {
            let go = Button::new(RichText::new("▶ Go on training").color(theme.on_accent))
                .fill(theme.accent);
            if ui
                .add(go)
                .on_hover_text("From the newest checkpoint")
                .clicked()
            {
                pressed = Some(Pressed::Resume);
            }
        } else if studio.weights.as_os_str() == "demo" {
            let go = Button::new(RichText::new("▶ Train it further").color(theme.on_accent))
                .fill(theme.accent);
            if ui
                .add(go)
                .on_hover_text("A new run from these weights")
                .clicked()
            {
                pressed = Some(Pressed::TrainDemo { further: true });
            }
            if ui.button("Start from nothing and watch").clicked() {
                pressed = Some(Pressed::TrainDemo { further: false });
            }
        }
        if !studio.phase.is_empty() {
            progress(ui, studio);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.button("Help").on_hover_text("F1").clicked() {
                pressed = Some(Pressed::Help);
            }
            if ui
                .button("A+")
                .on_hover_text("Large type, for projectors")
                .clicked()
            {
                pressed = Some(Pressed::Large);
            }
            let name = if ui.visuals().dark_mode {
                "Light"
            } else {
                "Dark"
            };
            if ui.button(name).on_hover_text("Light or dark").clicked() {
                pressed = Some(Pressed::Theme);
            }
            if !busy.is_empty() {
                // No spinner: it would draw sixty frames a second beside the training.
                ui.weak(format!("{busy} …"));
            }
        });
    });
    pressed
}

/// How far the run is, how fast, and how long it will take.
fn progress(ui: &mut Ui, studio: &Studio) {
    let now = studio.step_now();
    let last = studio.history.steps.last();
    let total = studio
        .history
        .plan
        .as_ref()
        .map_or(0, |plan| plan.total_steps);
    let mut text = studio.phase.clone();
    if total > 0 && now > 0 {
        text = format!("{text}, step {now} of {total}");
    } else if now > 0 {
        text = format!("{text}, step {now}");
    }
    if let Some(last) = last.filter(|_| studio.is_running() && !studio.is_paused()) {
        let left = total.saturating_sub(now) as f64 * pace(studio);
        text = format!(
            "{text}   {:.0} pictures/s   {} left",
            last.images_per_second,
            duration(left)
        );
    }
    let share = now as f32 / total.max(1) as f32;
    ui.add(
        ProgressBar::new(if total > 0 { share } else { 0.0 })
            .desired_width(430.0)
            .text(text),
    );
}

/// Seconds a step, over the last ones.
fn pace(studio: &Studio) -> f64 {
    let recent = studio.history.steps.iter().rev().take(20);
    let (sum, count) = recent.fold((0.0, 0), |(sum, n), step| (sum + step.seconds, n + 1));
    sum / f64::from(count.max(1))
}

/// `95 s`, `12 min`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round() as u64;
    match seconds {
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{minutes} min"),
        _ => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// The time slider: all moments that can be looked back at.
pub fn time(ui: &mut Ui, studio: &Studio, moments: &[(usize, PathBuf)]) -> Option<Pressed> {
    let mut pressed = None;
    let theme = theme::of(ui);
    ui.horizontal(|ui| {
        ui.label(RichText::new("Time").strong());
        let now = studio
            .step_now()
            .max(moments.last().map_or(0, |m| m.0))
            .max(1);
        let at = studio.past.unwrap_or(now);
        let live = ui.selectable_label(studio.past.is_none(), "Now");
        if live.on_hover_text("Follow the run").clicked() && studio.past.is_some() {
            pressed = Some(Pressed::Moment(None));
        }
        let size = vec2(ui.available_width() - 150.0, 24.0);
        let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
        let x = |step: usize| rect.min.x + rect.width() * step as f32 / now as f32;
        let y = rect.center().y;
        let line = Stroke::new(2.0, theme.line);
        ui.painter()
            .line_segment([pos2(rect.min.x, y), pos2(rect.max.x, y)], line);
        for (step, _) in moments {
            let here = pos2(x(*step), y);
            ui.painter().circle_filled(here, 3.0, theme.faint);
        }
        let knob = if response.hovered() || response.has_focus() {
            8.0
        } else {
            7.0
        };
        ui.painter()
            .circle_filled(pos2(x(at.min(now)), y), knob, theme.accent);
        let nearest = |step: f32| {
            let away = |s: usize| (s as f32 - step).abs();
            moments
                .iter()
                .min_by(|a, b| away(a.0).total_cmp(&away(b.0)))
        };
        if let Some(pos) = response.interact_pointer_pos() {
            let step = (pos.x - rect.min.x) / rect.width() * now as f32;
            if let Some(moment) = nearest(step)
                && studio.past != Some(moment.0)
            {
                pressed = Some(Pressed::Moment(Some(moment.clone())));
            }
        }
        if response.has_focus() {
            let place = moments
                .iter()
                .position(|m| m.0 >= at)
                .unwrap_or(moments.len());
            let key = |key| ui.input(|input| input.key_pressed(key));
            let next = match (key(egui::Key::ArrowLeft), key(egui::Key::ArrowRight)) {
                (true, _) => place.checked_sub(1),
                (_, true) => Some(place + 1),
                _ => None,
            };
            if let Some(next) = next {
                pressed = Some(Pressed::Moment(moments.get(next).cloned()));
            }
        }
        named(
            &response,
            "time: steps of the run that can be looked back at",
        );
        response.on_hover_text("Drag to look at the run as it was");
        ui.label(match studio.past {
            Some(step) => format!("step {step}"),
            None => format!("step {}, now", studio.step_now()),
        });
    });
    pressed
}

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

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        let all = [4.4, 95.0, 130.0, 5000.0, 12_000.0].map(duration);
        assert_eq!(all, ["4 s", "95 s", "2 min", "83 min", "3 h 20 min"]);
    }
}
