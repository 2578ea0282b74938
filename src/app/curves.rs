//! The curves of a run: loss, features, the teacher's health, gradient and schedules over the steps.
//!
//! Points are thinned once and kept until there is more to show, so that a frame costs the same after
//! 200,000 steps as after 2,000. All x axes move together, and so does the time cursor.

mod csv;
mod panels;
mod plans;
mod plot;
mod thin;
mod tunings;

use std::path::Path;
use std::time::{Duration, Instant};

use egui::Slider;

use super::theme;
use crate::session::history::{Change, History};
use crate::session::plots;
use crate::session::tuning::Epoch;
pub use csv::csv;
use panels::{Panel, View};
use plans::GROUPS;
use plot::Frame;

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
    /// known). `cursor`: the step under the shared time cursor, if any. `tunings`: the fine-tunings of the run. Returns the step that a click
    /// on a plot, or an arrow key on a focused one, asks for.
    pub fn ui(
        &mut self,
        ui: &mut egui::Ui,
        history: &History,
        head: (usize, usize),
        cursor: Option<usize>,
        tunings: &[(String, Vec<Epoch>)],
    ) -> Option<usize> {
        if history.steps.is_empty() && history.evals.is_empty() {
            ui.weak(
                "Nothing to draw yet. Loss, features, the teacher's health and the schedules appear \
                 here as soon as a run makes its first step.",
            );
            tunings::draw(ui, tunings);
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
                // The last label of an axis stands half beside it.
                ui.set_max_width(ui.available_width() - 2.0 * theme::SPACE[2]);
                for row in panels.chunks(columns) {
                    ui.columns(columns, |cells| {
                        for (cell, panel) in cells.iter_mut().zip(row) {
                            let (step, x) = frame.plot(cell, panel);
                            asked = asked.or(step);
                            seen = Some(x);
                        }
                    });
                }
                tunings::draw(ui, tunings);
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
            let smoothing = Slider::new(&mut self.view.span, 1..=1000)
                .logarithmic(true)
                .trailing_fill(true);
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

#[cfg(test)]
mod tests;
