//! The first screen: what this is, and the ways in.

use std::path::PathBuf;

use egui::{Align, Button, Color32, Frame, Layout, RichText, Ui, vec2};

use super::theme;

/// What was asked for on the first screen.
#[derive(Clone, Debug, PartialEq)]
pub enum Wanted {
    Demo,
    /// A dialog for pictures, or for a run.
    ChoosePictures,
    ChooseRun,
    /// Whatever is at this path.
    Open(PathBuf),
}

/// The screen's own state.
#[derive(Default)]
pub struct First {
    path: String,
}

impl First {
    /// Draws it. `busy` says what is being done; `banner` what is missing on this machine.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        runs: &[PathBuf],
        busy: &str,
        banner: Option<&str>,
    ) -> Option<Wanted> {
        let mut wanted = None;
        let theme = theme::of(ui);
        ui.with_layout(Layout::top_down(Align::Center), |ui| {
            ui.add_space((ui.available_height() * 0.12).min(90.0));
            ui.label(RichText::new("patchlight").size(44.0).strong().color(theme.accent));
            ui.label(
                RichText::new("Watch a vision transformer learn what a patch is, from pictures without labels.")
                    .size(18.0),
            );
            ui.add_space(theme::SPACE[2] * 1.5);
            let width = 640.0_f32.min(ui.available_width() - 40.0);
            ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                ui.horizontal(|ui| {
                    let size = vec2((width - 2.0 * theme::SPACE[1]) / 3.0, 64.0);
                    let demo = Button::new(RichText::new("Try the demo").size(17.0).strong().color(theme.on_accent))
                        .fill(theme.accent)
                        .min_size(size);
                    let demo = ui.add(demo);
                    if demo.on_hover_text("A network that was trained for an hour: its patterns at once").clicked() {
                        wanted = Some(Wanted::Demo);
                    }
                    let big = |text: &str| Button::new(RichText::new(text).size(17.0)).min_size(size);
                    if ui.add(big("Open pictures…")).on_hover_text("A folder, zip or tar of pictures, or CIFAR-10").clicked() {
                        wanted = Some(Wanted::ChoosePictures);
                    }
                    if ui.add(big("Open a run…")).on_hover_text("Go on with a run, or look at it").clicked() {
                        wanted = Some(Wanted::ChooseRun);
                    }
                });
                ui.add_space(theme::SPACE[1]);
                let hovering = ui.input(|input| !input.raw.hovered_files.is_empty());
                let edge = if hovering { theme.accent } else { theme.line };
                let zone = Frame::new()
                    .stroke(egui::Stroke::new(1.5, edge))
                    .fill(if hovering { theme.raised } else { Color32::TRANSPARENT })
                    .corner_radius(f32::from(2 * theme::ROUND))
                    .inner_margin(18.0);
                zone.show(ui, |ui| {
                    ui.set_width(width - 38.0);
                    ui.vertical_centered(|ui| {
                        ui.label("Drop a folder, a zip, a picture, a run or a weight file here");
                        ui.horizontal(|ui| {
                            let label = ui.weak("or type a path").id;
                            let field = egui::TextEdit::singleline(&mut self.path).desired_width(width - 260.0);
                            let field = ui.add(field).labelled_by(label);
                            let enter = field.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
                            let typed = !self.path.trim().is_empty();
                            let open = ui.add_enabled(typed, Button::new("Open")).clicked();
                            if typed && (enter || open) {
                                wanted = Some(Wanted::Open(PathBuf::from(self.path.trim())));
                            }
                        });
                    });
                });
                if !runs.is_empty() {
                    ui.add_space(theme::SPACE[2]);
                    ui.label(RichText::new("Recent runs").strong());
                    for run in runs {
                        let name = run.file_name().unwrap_or_default().to_string_lossy();
                        ui.horizontal(|ui| {
                            if ui.button(name.as_ref()).clicked() {
                                wanted = Some(Wanted::Open(run.clone()));
                            }
                            ui.weak(run.parent().unwrap_or(run).display().to_string());
                        });
                    }
                }
                ui.add_space(theme::SPACE[1]);
                if !busy.is_empty() {
                    ui.horizontal(|ui| {
                        ui.spinner();
                        ui.label(busy);
                    });
                }
                if let Some(banner) = banner {
                    ui.label(RichText::new(banner).color(theme.warn));
                }
            });
        });
        wanted
    }
}
