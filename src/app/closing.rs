//! Closing the window while a run goes on: it asks, saves, and goes.

use egui::Ui;

use super::{App, Screen};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// Asked: save and close, or go on?
    Asked,
    /// Waiting for the run to save.
    Saving,
}

impl App {
    /// Whether the window may close now; else it asks first.
    pub fn may_close(&mut self) -> bool {
        match &self.screen {
            Screen::Studio(studio) if studio.is_running() => {
                self.closing.get_or_insert(Closing::Asked);
                false
            }
            _ => true,
        }
    }

    pub(super) fn closing_window(&mut self, ui: &Ui) {
        let Some(closing) = self.closing else {
            return;
        };
        egui::Modal::new(egui::Id::unique("closing")).show(ui.ctx(), |ui| {
            ui.set_width(360.0);
            match closing {
                Closing::Asked => {
                    ui.heading("A run is going on");
                    ui.label("It can be saved and continued later from the list of recent runs.");
                    ui.horizontal(|ui| {
                        if ui.button("Save and close").clicked() {
                            self.closing = Some(Closing::Saving);
                            if let Screen::Studio(studio) = &mut self.screen {
                                studio.stop();
                            }
                        }
                        if ui.button("Keep training").clicked() {
                            self.closing = None;
                        }
                    });
                }
                Closing::Saving => {
                    ui.horizontal(|ui| {
                        ui.spinner();
                        ui.label("Saving …");
                    });
                }
            }
        });
    }

    /// Whether the program shall end.
    pub fn wants_to_close(&self) -> bool {
        self.close
    }
}
