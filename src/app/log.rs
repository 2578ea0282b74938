//! What went on, newest last: levels, filter, copy.

use egui::{RichText, ScrollArea, Ui};

use super::theme;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        }
    }
}

/// Lines that are kept.
const LINES: usize = 2000;

/// The log of a window.
pub struct Log {
    lines: std::collections::VecDeque<(Level, String)>,
    unseen: usize,
    least: Level,
    filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            lines: Default::default(),
            unseen: 0,
            least: Level::Info,
            filter: String::new(),
        }
    }
}

impl Log {
    pub fn add(&mut self, level: Level, text: impl Into<String>) {
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.unseen += usize::from(level > Level::Info);
        self.lines.push_back((level, text.into()));
    }

    /// Warnings and errors since the log was last looked at.
    pub fn unseen(&self) -> usize {
        self.unseen
    }

    /// The lines that the filter lets through, as text.
    pub fn text(&self) -> String {
        let lines = self
            .shown()
            .map(|(level, text)| format!("{}: {text}\n", level.name()));
        lines.collect()
    }

    fn shown(&self) -> impl Iterator<Item = &(Level, String)> {
        let filter = self.filter.to_lowercase();
        self.lines.iter().filter(move |(level, text)| {
            *level >= self.least && text.to_lowercase().contains(&filter)
        })
    }

    pub fn ui(&mut self, ui: &mut Ui) {
        self.unseen = 0;
        let theme = theme::of(ui);
        ui.horizontal(|ui| {
            ui.label("Show");
            for (level, name) in [
                (Level::Info, "all"),
                (Level::Warning, "warnings"),
                (Level::Error, "errors"),
            ] {
                ui.selectable_value(&mut self.least, level, name);
            }
            let label = ui.label("Filter").id;
            ui.text_edit_singleline(&mut self.filter).labelled_by(label);
            if ui.button("Copy").clicked() {
                ui.ctx().copy_text(self.text());
            }
        });
        ui.separator();
        ScrollArea::both()
            .auto_shrink(false)
            .stick_to_bottom(true)
            .show(ui, |ui| {
                if self.shown().next().is_none() {
                    ui.weak("Nothing to report.");
                }
                for (level, text) in self.shown() {
                    let colour = match level {
                        Level::Info => theme.ink,
                        Level::Warning => theme.warn,
                        Level::Error => theme.bad,
                    };
                    let line = format!("{:<8} {text}", level.name());
                    ui.label(RichText::new(line).monospace().color(colour));
                }
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_filtered() {
        let mut log = Log::default();
        (0..LINES + 5).for_each(|i| log.add(Level::Info, format!("line {i}")));
        log.add(Level::Warning, "a file is broken");
        assert_eq!((log.lines.len(), log.unseen()), (LINES, 1));
        log.filter = "BROKEN".into();
        assert_eq!(log.text(), "warning: a file is broken\n");
        log.least = Level::Error;
        assert_eq!(log.text(), "");
    }
}
