//! What a run will cost and how its schedules go, shown beside the form before it starts.
//!
//! Everything here is a pure function of the settings; the numbers come from
//! [`crate::session::estimate`] and [`crate::pretrain::schedules`].

use egui::{Grid, Label, RichText, Sense, Stroke, Ui, WidgetInfo, accesskit, vec2};
use egui_plot::{Line, Plot};

use super::theme::{self, SPACE};
use crate::pretrain::schedules::{Plan, Scheduled, Schedules};
use crate::session::estimate;
use crate::settings::Settings;

/// Points of a schedule's curve.
const POINTS: usize = 200;

/// Narrowest useful curve, in points.
const NARROWEST: f32 = 108.0;

/// What a run will need.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Of the student with its head.
    pub parameters: usize,
    /// Of the student without its head.
    pub backbone: usize,
    /// To within a third.
    pub memory_bytes: u64,
    /// Floating point operations of a step.
    pub step_flops: f64,
    /// Of the whole run; `None` while the number of pictures is not known.
    pub steps: Option<usize>,
    /// `None` while the speed of the device is not known.
    pub seconds_per_step: Option<f64>,
    /// Of the whole run; `None` where steps or speed are not known.
    pub seconds: Option<f64>,
}

impl Cost {
    /// The cost of a run of `steps_per_epoch` (0 while not known) on a device that was measured to
    /// compute `flops_per_second` (0 while not known).
    pub fn new(settings: &Settings, steps_per_epoch: usize, flops_per_second: f64) -> Self {
        let counts = estimate::parameters(settings);
        let some = |seconds: f64| Some(seconds).filter(|s| s.is_finite() && *s > 0.0);
        let run = estimate::run_seconds(settings, steps_per_epoch, flops_per_second);
        let known = steps_per_epoch > 0;
        Cost {
            parameters: counts.student,
            backbone: counts.backbone,
            memory_bytes: estimate::training_bytes(settings, counts.student),
            step_flops: estimate::step_flops(settings),
            steps: known.then(|| estimate::total_steps(settings, steps_per_epoch)),
            seconds_per_step: some(estimate::seconds_per_step(settings, flops_per_second)),
            // Without a measured speed a time limit alone would be shown as the run's time.
            seconds: some(run).filter(|_| known && flops_per_second > 0.0),
        }
    }

    /// The cost in words: a name and what it is, a line each.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = vec![
            (
                "Parameters",
                format!(
                    "{}, {} in the backbone",
                    large(self.parameters as f64),
                    large(self.backbone as f64)
                ),
            ),
            ("Memory", format!("about {}", bytes(self.memory_bytes))),
        ];
        let work = format!("{}FLOP", large(self.step_flops));
        lines.push((
            "A step",
            match self.seconds_per_step {
                Some(seconds) => format!("about {}, {work}", duration(seconds)),
                None => work,
            },
        ));
        let run = match (self.steps, self.seconds) {
            (Some(steps), Some(seconds)) => format!("about {}, {steps} steps", duration(seconds)),
            (Some(steps), None) => format!("{steps} steps"),
            (None, _) => return lines,
        };
        lines.push(("The run", run));
        lines
    }

    /// Shows the cost.
    pub fn ui(&self, ui: &mut Ui) {
        let faint = theme::of(ui).faint;
        let grid = Grid::new("cost").num_columns(2);
        let grid = grid.min_row_height(0.0).spacing([SPACE[2], SPACE[0]]);
        grid.show(ui, |ui| {
            for (name, value) in self.lines() {
                ui.label(RichText::new(name).color(faint));
                ui.label(value);
                ui.end_row();
            }
        });
    }
}

/// One schedule of a run, sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub name: &'static str,
    /// Epoch and value.
    pub points: Vec<[f64; 2]>,
}

impl Curve {
    fn value(&self, point: Option<&[f64; 2]>) -> String {
        point.map_or_else(String::new, |point| short(point[1]))
    }

    /// Value at the end.
    pub fn end(&self) -> String {
        self.value(self.points.last())
    }

    /// The curve in a sentence.
    fn sentence(&self) -> String {
        let order = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
        let (low, high) = (
            self.value(self.points.iter().min_by(order)),
            self.value(self.points.iter().max_by(order)),
        );
        let (start, end) = (self.value(self.points.first()), self.end());
        if low == high {
            format!("{}: always {end}", self.name)
        } else {
            format!(
                "{}: from {start} to {end}, between {low} and {high}",
                self.name
            )
        }
    }
}

/// The schedules of a run of `steps_per_epoch`, at 200 points of its length.
pub fn curves(settings: &Settings, steps_per_epoch: usize) -> [Curve; 5] {
    let per_epoch = steps_per_epoch.max(1);
    let schedules = Schedules::new(Plan::new(settings, per_epoch));
    let last = schedules.total_steps().saturating_sub(1);
    let steps: Vec<usize> = (0..POINTS)
        .map(|i| (last as f64 * i as f64 / (POINTS - 1) as f64).round() as usize)
        .collect();
    let curve = |name, value: fn(&Scheduled) -> f64| Curve {
        name,
        points: steps
            .iter()
            .map(|&step| [step as f64 / per_epoch as f64, value(&schedules.at(step))])
            .collect(),
    };
    [
        curve("learning rate", |now| now.lr),
        curve("weight decay", |now| now.weight_decay),
        curve("teacher momentum", |now| now.momentum),
        curve("teacher temperature", |now| now.teacher_temp),
        curve("patch temperature", |now| now.teacher_patch_temp),
    ]
}

/// Draws the schedules as a row of small curves with their names and end values; in a narrow place,
/// as several rows. `steps_per_epoch` may be a guess while the pictures are not known: the curves
/// hardly depend on it.
pub fn schedules_plot(ui: &mut Ui, settings: &Settings, steps_per_epoch: usize) {
    let curves = curves(settings, steps_per_epoch);
    let room = ui.available_width() + SPACE[1];
    let columns = match (room / (NARROWEST + SPACE[1])) as usize {
        0 | 1 => 1,
        2 => 2,
        // Four and one would look unfinished.
        3 | 4 => 3,
        _ => curves.len(),
    };
    let width = (room / columns as f32 - SPACE[1]).max(1.0);
    let theme = theme::of(ui);
    for (row, chunk) in curves.chunks(columns).enumerate() {
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = SPACE[1];
            for (i, curve) in chunk.iter().enumerate() {
                let colors = theme.series;
                let color = colors[(row * columns + i) % colors.len()];
                ui.vertical(|ui| {
                    ui.set_width(width);
                    ui.spacing_mut().item_spacing.y = SPACE[0];
                    sparkline(ui, curve, color);
                });
            }
        });
    }
}

fn sparkline(ui: &mut Ui, curve: &Curve, color: egui::Color32) {
    let faint = theme::of(ui).faint;
    ui.add(Label::new(RichText::new(curve.name).small().color(faint)).truncate());
    let line = Line::new(curve.name, curve.points.clone()).stroke(Stroke::new(1.5, color));
    let plot = Plot::new(curve.name)
        .width(ui.available_width())
        .height(36.0)
        .min_size(vec2(1.0, 1.0))
        // A picture of 200 points, nothing to be steered.
        .sense(Sense::hover())
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_axis_zoom_drag(false)
        .allow_double_click_reset(false)
        .show_axes(false)
        .show_grid(false)
        .show_crosshair(false)
        .label_formatter(|_| None)
        .set_margin_fraction(vec2(0.02, 0.12))
        .cursor_color(egui::Color32::TRANSPARENT);
    let response = plot.show(ui, |plot| plot.line(line)).response;
    let sentence = curve.sentence();
    response.widget_info(|| WidgetInfo::labeled(accesskit::Role::Image, true, &sentence));
    response.on_hover_text(&sentence);
    ui.add(Label::new(RichText::new(format!("ends at {}", curve.end())).small()).truncate());
}

/// Three digits: `0.00123`, `1e-6`.
fn short(x: f64) -> String {
    let x: f64 = format!("{x:.2e}").parse().unwrap_or(x);
    if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) {
        format!("{x:e}")
    } else {
        x.to_string()
    }
}

/// `21.7 M`.
fn large(x: f64) -> String {
    let (factor, letter) = match x {
        x if x >= 1e15 => (1e15, "P"),
        x if x >= 1e12 => (1e12, "T"),
        x if x >= 1e9 => (1e9, "G"),
        x if x >= 1e6 => (1e6, "M"),
        x if x >= 1e3 => (1e3, "k"),
        _ => (1.0, ""),
    };
    let digits = if x / factor < 100.0 && factor > 1.0 {
        1
    } else {
        0
    };
    format!("{:.digits$} {letter}", x / factor)
}

/// `1.4 GiB`.
fn bytes(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    match mib {
        mib if mib < 10.0 => format!("{mib:.1} MiB"),
        mib if mib < 1024.0 => format!("{mib:.0} MiB"),
        mib => format!("{:.1} GiB", mib / 1024.0),
    }
}

/// `0.12 s`, `45 s`, `12 min`, `3 h 20 min`, `2 days 3 h`.
pub fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round();
    let (hours, days) = ((minutes / 60.0).floor(), (seconds / 86400.0).floor());
    match seconds {
        s if s < 0.001 => format!("{:.2} ms", 1e3 * s),
        s if s < 0.1 => format!("{:.0} ms", 1e3 * s),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        _ if minutes < 60.0 => format!("{minutes:.0} min"),
        _ if hours < 48.0 => format!("{hours:.0} h {:.0} min", minutes % 60.0),
        _ => format!(
            "{days:.0} days {:.0} h",
            (seconds % 86400.0 / 3600.0).floor()
        ),
    }
}

#[cfg(test)]
mod tests;
