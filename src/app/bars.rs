//! The bars of an open run: transport above, time below.

use std::path::PathBuf;

use egui::{Align, Button, Layout, ProgressBar, RichText, Sense, Stroke, Ui, pos2, vec2};

use super::scene::named;
use super::studio::Studio;
use super::theme;

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
    if total == 0 {
        // An empty bar would be a dot under the text.
        ui.label(text);
        return;
    }
    let share = now as f32 / total as f32;
    // With round ends the first steps would be a dot under the text.
    let bar = ProgressBar::new(share)
        .corner_radius(2)
        .desired_width(430.0);
    ui.add(bar.text(text));
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

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_short() {
        let all = [4.4, 95.0, 130.0, 5000.0, 12_000.0].map(duration);
        assert_eq!(all, ["4 s", "95 s", "2 min", "83 min", "3 h 20 min"]);
    }
}
