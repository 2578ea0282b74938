//! One plot under its title: curves, marks, the time cursor, and what the pointer and the keys ask.

use egui::{Color32, EventFilter, Id, Key, Modifiers, RichText, Role, WidgetInfo};
use egui_plot::{
    GridInput, GridMark, HLine, HoverPosition, Line, LineStyle, Plot, PlotPoints, Points, VLine,
};

use super::Curves;
use super::panels::{self, Panel};
use super::plans::Values;
use crate::app::theme::{self, Theme};
use crate::session::history::History;

/// What all plots of a frame share.
pub struct Frame<'a> {
    pub curves: &'a Curves,
    pub history: &'a History,
    pub cursor: Option<usize>,
    pub link: Id,
    pub height: f32,
    pub full: (f64, f64),
}

impl Frame<'_> {
    /// One plot under its title; the step it asks for, and what is seen of the x axis.
    pub fn plot(&self, ui: &mut egui::Ui, panel: &Panel) -> (Option<usize>, (f64, f64)) {
        let theme = theme::of(ui);
        let plan = panel.plan;
        ui.horizontal(|ui| {
            let title = ui.label(RichText::new(plan.title).strong());
            ui.label(RichText::new(plan.unit).small().color(theme.faint));
            legend(ui, panel, &theme);
            if !plan.note.is_empty() {
                title.on_hover_text(plan.note);
            }
        });
        if plan.group == 0 {
            ui.label(RichText::new(plan.note).small().color(theme.faint));
        }
        let (log_x, log_y) = (self.curves.view.log_x, panel.log);
        let axis = |log: bool, value: f64| match log {
            true => panels::number(10f64.powf(value)),
            false => panels::number(value),
        };
        let mut plot = Plot::new(plan.title)
            .id(self.link.with(plan.title))
            .height(self.height)
            .link_axis(self.link, [true, false])
            .link_cursor(self.link, [true, false])
            .allow_scroll(false)
            .allow_zoom([true, false])
            .allow_drag([true, false])
            .set_margin_fraction(egui::vec2(0.01, 0.08))
            .include_x(self.full.0)
            .include_x(self.full.1)
            .x_grid_spacer(move |input| marks(&input, 10.0, log_x))
            .y_grid_spacer(move |input| marks(&input, 4.0, log_y))
            .y_axis_min_width(44.0)
            .x_axis_formatter(move |mark, _| axis(log_x, mark.value))
            .y_axis_formatter(move |mark, _| axis(log_y, mark.value))
            .cursor_color(theme.faint)
            .grid_color(theme.line)
            .label_formatter(|at| Some(self.label(panel, at)));
        if let Some((low, high)) = panel.flat {
            plot = plot.include_y(low).include_y(high);
        }
        if self.curves.whole {
            plot = plot.reset();
        }
        let shown = plot.show(ui, |plot| self.draw(plot, panel, &theme));
        let response = shown.response;
        response.widget_info(|| {
            let text = format!("{}, curves over the steps", plan.title);
            WidgetInfo::labeled(Role::Figure, true, text)
        });
        let view = &self.curves.view;
        let mut asked = None;
        if let Some(at) = response
            .interact_pointer_pos()
            .filter(|_| response.clicked())
        {
            asked = Some(view.step(shown.transform.value_from_position(at).x));
        }
        if response.has_focus() {
            let edge = egui::Stroke::new(2.0, theme.accent);
            let inside = egui::StrokeKind::Inside;
            ui.painter().rect_stroke(response.rect, 2.0, edge, inside);
            asked = asked.or(self.keys(ui, response.id));
        }
        let last = self.history.last_step().unwrap_or_default();
        let bounds = shown.transform.bounds();
        (
            asked.map(|step| step.min(last)),
            (bounds.min()[0], bounds.max()[0]),
        )
    }

    /// Moves the cursor by a step, or with Shift by a hundredth of the run.
    fn keys(&self, ui: &egui::Ui, id: Id) -> Option<usize> {
        let filter = EventFilter {
            horizontal_arrows: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(id, filter));
        let last = self.history.last_step().unwrap_or_default();
        let (from, wide) = (self.cursor.unwrap_or(last), (last / 100).max(1));
        ui.input_mut(|input| {
            for (modifiers, by) in [(Modifiers::SHIFT, wide), (Modifiers::NONE, 1)] {
                if input.consume_key(modifiers, Key::ArrowLeft) {
                    return Some(from.saturating_sub(by));
                }
                if input.consume_key(modifiers, Key::ArrowRight) {
                    return Some(from.saturating_add(by));
                }
            }
            None
        })
    }

    /// The step under the pointer, its exact values, and a setting that was changed near it.
    fn label(&self, panel: &Panel, at: &HoverPosition<'_>) -> String {
        let (HoverPosition::NearDataPoint { position, .. } | HoverPosition::Elsewhere { position }) =
            at;
        let view = &self.curves.view;
        let step = view.step(position.x);
        let mut lines = vec![format!("step {step}")];
        lines.extend(panels::values_at(panel.plan, self.history, step));
        let near = 0.01 * (view.seen.1 - view.seen.0).abs();
        let changes = &self.curves.marks.changes;
        let here = changes.iter().filter(|c| (c.0 - position.x).abs() <= near);
        lines.extend(here.map(|change| change.1.clone()));
        lines.join("\n")
    }

    fn draw<'p>(&'p self, plot: &mut egui_plot::PlotUi<'p>, panel: &'p Panel, theme: &Theme) {
        let mark = |x: f64, colour: Color32| VLine::new("", x).color(colour).width(1.0);
        let marks = &self.curves.marks;
        for x in &marks.checkpoints {
            plot.vline(mark(*x, theme.faint.gamma_multiply(0.5)));
        }
        for x in &marks.evals {
            let line = mark(*x, theme.accent.gamma_multiply(0.3));
            plot.vline(line.style(LineStyle::dotted_dense()));
        }
        for (x, _) in &marks.changes {
            plot.vline(mark(*x, theme.accent).style(LineStyle::dashed_loose()));
        }
        for (y, name) in panel.levels.iter().filter(|level| level.0.is_finite()) {
            let level = HLine::new(name, *y).color(theme.faint).width(1.0);
            plot.hline(level.style(LineStyle::dashed_dense()));
        }
        for (curve, colour) in panel.curves.iter().zip(theme.series.iter().cycle()) {
            if !curve.raw.is_empty() {
                let raw = Line::new("", PlotPoints::Borrowed(&curve.raw));
                plot.line(
                    raw.color(colour.gamma_multiply(0.28))
                        .width(1.0)
                        .allow_hover(false),
                );
            }
            let points = || PlotPoints::Borrowed(&curve.points);
            plot.line(Line::new(curve.name, points()).color(*colour).width(1.8));
            if matches!(panel.plan.values, Values::Evals(_)) || curve.points.len() == 1 {
                let dots = Points::new(curve.name, points()).color(*colour);
                plot.points(dots.radius(3.0));
            }
        }
        if let Some(step) = self.cursor {
            plot.vline(
                VLine::new("", self.curves.view.x(step))
                    .color(theme.ink)
                    .width(1.5),
            );
        }
    }
}

/// Names of curves and levels, beside the title so that they cover nothing.
fn legend(ui: &mut egui::Ui, panel: &Panel, theme: &Theme) {
    let mut entry = |name: &str, colour: Color32, dashed: bool| {
        let size = egui::vec2(14.0, 10.0);
        let (rect, _) = ui.allocate_exact_size(size, egui::Sense::hover());
        let ends = [rect.left_center(), rect.right_center()];
        let stroke = egui::Stroke::new(2.0, colour);
        let dashes = if dashed { (3.0, 2.0) } else { (14.0, 0.1) };
        let line = egui::Shape::dashed_line(&ends, stroke, dashes.0, dashes.1);
        ui.painter().extend(line);
        ui.label(RichText::new(name).small().color(theme.faint));
    };
    if panel.curves.len() > 1 {
        for (curve, colour) in panel.curves.iter().zip(theme.series.iter().cycle()) {
            if !curve.points.is_empty() {
                entry(curve.name, *colour, false);
            }
        }
    }
    for (_, name) in &panel.levels {
        entry(name, theme.faint, true);
    }
}

/// Grid lines at 1, 2 or 5 times a power of ten, `apart` times as far from each other as lines may
/// be; on a logarithmic axis those of each decade, as far as a decade or more is seen.
fn marks(input: &GridInput, apart: f64, log: bool) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let least = input.base_step_size * apart;
    // More would be drawn upon each other, and ends a loop over odd bounds.
    if !(least > 0.0 && high > low && (high - low) / least < 1000.0) {
        return vec![];
    }
    if log && high - low >= 0.8 && high - low < 40.0 {
        let decades = low.floor() as i32..=high.ceil() as i32;
        let within = decades.flat_map(|decade| {
            (1..10).map(move |times| GridMark {
                value: f64::from(decade) + f64::from(times).log10(),
                step_size: match times {
                    1 => 1.0,
                    2 | 5 => 0.3,
                    _ => 0.05,
                },
            })
        });
        return within
            .filter(|m| m.value >= low && m.value <= high)
            .collect();
    }
    let power = 10f64.powf(least.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
    let step = nice
        .into_iter()
        .find(|step| *step >= least)
        .unwrap_or(least);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    let mark = |i: i64| GridMark {
        value: i as f64 * step,
        step_size: step,
    };
    (first..=last).map(mark).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_lines_stand_at_round_numbers() {
        let values = |bounds, base_step_size, log| -> Vec<f64> {
            let input = GridInput {
                bounds,
                base_step_size,
            };
            marks(&input, 10.0, log).iter().map(|m| m.value).collect()
        };
        assert_eq!(
            values((-10.0, 1010.0), 15.0, false),
            [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]
        );
        assert_eq!(
            values((-0.1, 2.1), 0.03, true)
                .iter()
                .filter(|v| v.fract() == 0.0)
                .count(),
            3
        );
        assert!(values((f64::NAN, 1.0), 0.1, false).is_empty());
        assert!(values((0.0, 1e300), 1e-9, false).is_empty());
    }
}
