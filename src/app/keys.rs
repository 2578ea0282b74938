//! What keys do, and the list of them.

use egui::{Align2, Key, RichText, Ui};

use super::scene::Tab;
use super::{App, Screen};

impl App {
    pub(super) fn keys(&mut self, ui: &Ui) {
        if ui.input(|input| input.key_pressed(Key::F1)) {
            self.help = !self.help;
        }
        let quit = egui::KeyboardShortcut::new(egui::Modifiers::COMMAND, Key::Q);
        if ui.input_mut(|input| input.consume_shortcut(&quit)) && self.may_close() {
            self.close = true;
        }
        if ui.ctx().text_edit_focused() {
            return;
        }
        let pressed = |key| ui.input(|input| input.key_pressed(key));
        let Screen::Studio(studio) = &mut self.screen else {
            return;
        };
        let nothing_focused = ui.ctx().memory(|memory| memory.focused().is_none());
        if pressed(Key::Space) && nothing_focused {
            studio.pause(!studio.is_paused());
        }
        if pressed(Key::ArrowRight) && studio.is_paused() && studio.tab == Tab::Curves {
            studio.step();
        }
        for (key, tab) in NUMBERS.iter().zip(Tab::ALL) {
            if pressed(*key) {
                studio.tab = tab;
            }
        }
    }

    pub(super) fn help_window(&mut self, ui: &Ui) {
        egui::Window::new("Shortcuts")
            .open(&mut self.help)
            .anchor(Align2::CENTER_CENTER, [0.0, 0.0])
            .resizable(false)
            .collapsible(false)
            .show(ui.ctx(), |ui| {
                egui::Grid::new("shortcuts")
                    .num_columns(2)
                    .spacing([24.0, 6.0])
                    .show(ui, |ui| {
                        for (key, what) in SHORTCUTS {
                            ui.label(RichText::new(*key).monospace());
                            ui.label(*what);
                            ui.end_row();
                        }
                    });
            });
    }
}

const NUMBERS: [Key; 7] = [
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
];

/// What keys do.
const SHORTCUTS: &[(&str, &str)] = &[
    ("Space", "pause and go on"),
    ("→", "one step, while paused (in Curves)"),
    ("1 … 7", "the panels"),
    (
        "Arrows",
        "in Look: move the chosen patch, or turn to another picture",
    ),
    ("Enter", "in the mask lab: hide or uncover a patch"),
    ("Tab", "the next control"),
    ("Ctrl Q", "close; a run is saved first"),
    ("F1", "this list"),
];
