//! The curves of a run: loss, features, the teacher's health, gradient and schedules over the steps.
//!
//! Points are thinned once and kept until there is more to show, so that a frame costs the same after
//! 200,000 steps as after 2,000. All x axes move together, and so does the time cursor.

mod csv;
mod panels;
mod thin;

use std::path::Path;
use std::time::{Duration, Instant};

use egui::{
    Color32, EventFilter, Id, Key, Modifiers, RichText, Role, Slider, TextStyle, WidgetInfo,
};
use egui_plot::{
    Corner, HLine, HoverPosition, Legend, Line, LineStyle, Plot, PlotPoints, Points, VLine,
};

use super::theme::{self, Theme};
use crate::session::history::{Change, History};
use crate::session::plots;
pub use csv::csv;
use panels::{GROUPS, Panel, View};

/// A curve is made anew at most this often while a long run goes on.
const PAUSE: Duration = Duration::from_secs(1);

/// Steps from which on `PAUSE` is kept.
const LONG: usize = 5000;

/// Height that a plot has at least and at most, in points.
const HEIGHT: (f32, f32) = (150.0, 420.0);

/// A file that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// [`csv`] of the history.
    Csv,
    /// [`Curves::save_png`].
    Png,
}

/// What the points were made from.
#[derive(Clone, Copy, PartialEq)]
struct Stamp {
    view: View,
    part: (f64, f64),
    first: Option<u32>,
    last: Option<(usize, u32)>,
    lens: [usize; 4],
}

/// Vertical marks, thinned to what a screen can show, as places on the x axis.
#[derive(Default)]
struct Marks {
    checkpoints: Vec<f64>,
    evals: Vec<f64>,
    changes: Vec<(f64, String)>,
}

/// The panel; it keeps what the person has set, and the points.
pub struct Curves {
    view: View,
    shown: [bool; GROUPS.len()],
    /// Puts all axes back at the next frame.
    whole: bool,
    request: Option<Export>,
    stamp: Option<(Stamp, Instant)>,
    panels: Vec<Panel>,
    marks: Marks,
}

impl Default for Curves {
    fn default() -> Self {
        Curves {
            view: View {
                span: 20,
                log_x: false,
                log_y: false,
                head: (0, 0),
                seen: (0.0, 0.0),
            },
            shown: [true; GROUPS.len()],
            whole: false,
            request: None,
            stamp: None,
            panels: vec![],
            marks: Marks::default(),
        }
    }
}

impl Curves {
    /// Draws all plots. `head`: number of class and patch prototypes, for the ln K lines (0 where not
    /// known). `cursor`: the step under the shared time cursor, if any. Returns the step that a click
    /// on a plot, or an arrow key on a focused one, asks for.
    pub fn ui(
        &mut self,
        ui: &mut egui::Ui,
        history: &History,
        head: (usize, usize),
        cursor: Option<usize>,
    ) -> Option<usize> {
        if history.steps.is_empty() && history.evals.is_empty() {
            ui.weak(
                "Nothing to draw yet. Loss, features, the teacher's health and the schedules appear \
                 here as soon as a run makes its first step.",
            );
            return None;
        }
        self.view.head = head;
        self.controls(ui);
        self.refresh(ui.ctx(), history);
        let link = ui.make_persistent_id("curves, shared x axis");
        let visible = |panel: &&Panel| {
            self.shown.get(panel.plan.group).is_some_and(|shown| *shown)
                && panel.curves.iter().any(|curve| !curve.points.is_empty())
        };
        let panels: Vec<&Panel> = self.panels.iter().filter(visible).collect();
        if panels.is_empty() {
            ui.weak("No plot is chosen. Choose some in the row above.");
        }
        let columns = if ui.available_width() >= 640.0 { 2 } else { 1 };
        let rows = panels.len().div_ceil(columns).max(1);
        let room = ui.available_height() / rows as f32 - 3.0 * ui.spacing().interact_size.y;
        let height = room.clamp(HEIGHT.0, HEIGHT.1);
        let frame = Frame {
            curves: self,
            history,
            cursor,
            link,
            height,
            full: self.view.full(history),
        };
        let (mut asked, mut seen) = (None, None);
        egui::ScrollArea::vertical()
            .id_salt("curves")
            .auto_shrink([false, true])
            .show(ui, |ui| {
                for row in panels.chunks(columns) {
                    ui.columns(columns, |cells| {
                        for (cell, panel) in cells.iter_mut().zip(row) {
                            let (step, x) = frame.plot(cell, panel);
                            asked = asked.or(step);
                            seen = Some(x);
                        }
                    });
                }
            });
        self.view.seen = seen.unwrap_or(self.view.seen);
        self.whole = false;
        asked
    }

    /// The file that was asked for since the last call. A PNG is written by [`Curves::save_png`].
    pub fn take_request(&mut self) -> Option<Export> {
        self.request.take()
    }

    /// Writes the plots that are shown as one PNG in the look of the report.
    ///
    /// # Errors
    /// A path that cannot be written to.
    pub fn save_png(&self, path: &Path) -> anyhow::Result<()> {
        let shown = self
            .panels
            .iter()
            .filter(|p| self.shown.get(p.plan.group).is_some_and(|shown| *shown));
        let charts: Vec<plots::Chart> = shown.map(|p| panels::chart(p, &self.view)).collect();
        let rows = charts.len().div_ceil(2).max(1) as u32;
        plots::draw_panels(&charts, 2, path, (1400, 380 * rows))
    }

    fn controls(&mut self, ui: &mut egui::Ui) {
        let before = (self.view.log_x, self.view.log_y);
        ui.horizontal_wrapped(|ui| {
            let smoothing = Slider::new(&mut self.view.span, 1..=1000).logarithmic(true);
            ui.add(smoothing.suffix(" steps").text("Smoothing"))
                .on_hover_text(
                    "Moving average over about so many steps; 1 shows the bare numbers.",
                );
            ui.checkbox(&mut self.view.log_y, "Log y").on_hover_text(
                "Logarithmic height of loss, gradient norm, learning rate and weight decay.",
            );
            ui.checkbox(&mut self.view.log_x, "Log x")
                .on_hover_text("Logarithmic steps: the beginning of a run in detail.");
            ui.separator();
            for (name, shown) in GROUPS.iter().zip(&mut self.shown) {
                ui.toggle_value(shown, *name)
                    .on_hover_text(format!("Show or hide: {name}"));
            }
            ui.separator();
            if ui
                .button("Whole run")
                .on_hover_text("All axes back to everything there is (or double-click a plot).")
                .clicked()
            {
                self.whole = true;
            }
            for (name, export) in [("Save CSV", Export::Csv), ("Save PNG", Export::Png)] {
                if ui.button(name).clicked() {
                    self.request = Some(export);
                }
            }
        });
        self.whole |= before != (self.view.log_x, self.view.log_y);
    }

    /// Makes the points anew where they no longer fit.
    fn refresh(&mut self, ctx: &egui::Context, history: &History) {
        if self.whole {
            self.view.seen = (0.0, 0.0);
        }
        let stamp = Stamp {
            // What is seen moves with every drag; the part that points are taken from does not.
            view: View {
                seen: (0.0, 0.0),
                ..self.view
            },
            part: self.view.part(history),
            first: history.steps.first().map(|s| s.loss.to_bits()),
            last: history.steps.last().map(|s| (s.step, s.loss.to_bits())),
            lens: [
                history.steps.len(),
                history.evals.len(),
                history.changes.len(),
                history.checkpoints.len(),
            ],
        };
        if let Some((old, at)) = &self.stamp {
            if *old == stamp {
                return;
            }
            let grown = old.view == stamp.view
                && old.first == stamp.first
                && old.lens.iter().zip(&stamp.lens).all(|(a, b)| a <= b)
                && old.part.0 == stamp.part.0;
            let age = at.elapsed();
            if grown && history.steps.len() > LONG && age < PAUSE {
                ctx.request_repaint_after(PAUSE - age);
                return;
            }
        }
        self.panels = panels::build(history, &self.view);
        self.marks = marks(history, &self.view);
        self.stamp = Some((stamp, Instant::now()));
    }
}

fn marks(history: &History, view: &View) -> Marks {
    let (from, to) = view.full(history);
    let least = (to - from) / 300.0;
    let apart = |steps: &mut dyn Iterator<Item = usize>| {
        let mut kept: Vec<f64> = vec![];
        for x in steps.map(|step| view.x(step)) {
            if kept.last().is_none_or(|last| x - last >= least) {
                kept.push(x);
            }
        }
        kept
    };
    // The fonts of the window have no arrow.
    let name = |c: &Change| format!("{}: {} to {}", c.key, c.from, c.to);
    let changes = history.changes.iter();
    Marks {
        checkpoints: apart(&mut history.checkpoints.iter().copied()),
        evals: apart(&mut history.evals.iter().map(|e| e.step)),
        changes: changes.map(|c| (view.x(c.step), name(c))).collect(),
    }
}

/// What all plots of a frame share.
struct Frame<'a> {
    curves: &'a Curves,
    history: &'a History,
    cursor: Option<usize>,
    link: Id,
    height: f32,
    full: (f64, f64),
}

impl Frame<'_> {
    /// One plot under its title; the step it asks for, and what is seen of the x axis.
    fn plot(&self, ui: &mut egui::Ui, panel: &Panel) -> (Option<usize>, (f64, f64)) {
        let theme = theme::of(ui);
        let plan = panel.plan;
        ui.horizontal(|ui| {
            let title = ui.label(RichText::new(plan.title).strong());
            ui.label(RichText::new(plan.unit).small().color(theme.faint));
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
            .y_axis_min_width(44.0)
            .x_axis_formatter(move |mark, _| axis(log_x, mark.value))
            .y_axis_formatter(move |mark, _| axis(log_y, mark.value))
            .cursor_color(theme.faint)
            .label_formatter(|at| Some(self.label(panel, at)));
        if panel.curves.len() > 1 || !panel.levels.is_empty() {
            let legend = Legend::default().text_style(TextStyle::Small);
            plot = plot.legend(legend.position(Corner::RightTop));
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
            plot.vline(mark(*x, theme.line));
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
            if matches!(panel.plan.values, panels::Values::Evals(_)) || curve.points.len() == 1 {
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

#[cfg(test)]
mod tests;
