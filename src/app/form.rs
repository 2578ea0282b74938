//! The settings form: every row of the settings table as a line that can be read and edited.
//!
//! The form knows no setting by name. Kind, limits, unit, help and whether a running session takes a
//! new value all come from the table, so that a setting added there appears here. What is typed is
//! kept as text until the table accepts it; [`Form::settings`] never holds a value that its row
//! refuses.

mod row;
mod words;

use std::collections::BTreeMap;

use egui::text::{LayoutJob, TextFormat};
use egui::{CollapsingHeader, Key, Response, RichText, TextEdit, TextStyle, Ui};

use super::theme::{self, SPACE};
use crate::settings::{GROUPS, Problem, ROWS, Row, Settings};

/// A change: the setting's key and its new value, as [`Settings::set`] reads it.
pub type Change = (&'static str, String);

/// Settings being edited.
#[derive(Clone, Debug)]
pub struct Form {
    /// Name of the preset that `base` comes from.
    preset: String,
    /// What "changed" and "reset" refer to.
    base: Settings,
    settings: Settings,
    search: String,
    /// Texts that are being typed, or were refused, by key.
    drafts: BTreeMap<&'static str, Draft>,
    /// What the settings as a whole get wrong.
    conflicts: Vec<Problem>,
}

#[derive(Clone, Debug)]
struct Draft {
    text: String,
    /// Why it was refused.
    refused: Option<String>,
}

impl Form {
    /// A form that starts from `base`, the settings of the preset named `preset`.
    pub fn new(base: Settings, preset: &str) -> Self {
        Form {
            preset: preset.to_owned(),
            settings: base.clone(),
            search: String::new(),
            drafts: BTreeMap::new(),
            conflicts: conflicts(&base),
            base,
        }
    }

    /// The settings as they are; every value is one that its row allows.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Name of the preset that the form started from.
    pub fn preset(&self) -> &str {
        &self.preset
    }

    /// Keys whose values differ from the preset's.
    pub fn changed(&self) -> Vec<&'static str> {
        self.settings.diff(&self.base)
    }

    /// What keeps a run from starting, a line each: typed texts that are not allowed, and settings
    /// that do not fit together.
    pub fn problems(&self) -> Vec<String> {
        let refused = self.drafts.values().filter_map(|d| d.refused.clone());
        refused
            .chain(self.conflicts.iter().map(Problem::to_string))
            .collect()
    }

    /// Lays a file of settings over the preset's and forgets what was edited before. `origin` names
    /// the file in messages.
    ///
    /// # Errors
    /// Text that is not TOML, and every key that is unknown or has a value that is not allowed; the
    /// form is then as before.
    pub fn load_toml(&mut self, text: &str, origin: &str) -> Result<(), String> {
        let mut settings = self.base.clone();
        settings
            .merge_toml(text, origin)
            .map_err(|error| error.to_string())?;
        self.conflicts = conflicts(&settings);
        self.settings = settings;
        self.drafts.clear();
        Ok(())
    }

    /// The command that starts this run in a terminal: `patchlight train SOURCE --preset NAME` and
    /// a `--set` for each setting that differs from the preset.
    pub fn command_line(&self, source: &str) -> String {
        words::command_line(&self.settings, &self.preset, source)
    }

    /// Shows the form and returns what was changed in this frame. While `running`, only live
    /// settings can be edited, and a typed value counts once the field is left.
    pub fn ui(&mut self, ui: &mut Ui, running: bool) -> Vec<Change> {
        if running {
            self.drafts
                .retain(|key, _| Row::find(key).is_some_and(|row| row.live));
        }
        self.search_field(ui);
        let search = words::split(&self.search);
        let searching = !search.is_empty();
        let mut changes = Vec::new();
        let mut found = false;
        for (group, about) in GROUPS {
            let rows = ROWS.iter().filter(|row| row.group == *group);
            let rows: Vec<&'static Row> =
                rows.filter(|row| words::match_row(row, &search)).collect();
            if rows.is_empty() {
                continue;
            }
            found = true;
            // Another identity while searching: what is found is open, and afterwards every group
            // is as it was.
            CollapsingHeader::new(self.header(ui, group))
                .id_salt((group, searching))
                .default_open(searching || *group == "run")
                .show_unindented(ui, |ui| {
                    ui.spacing_mut().item_spacing.y = SPACE[0];
                    for row in rows {
                        ui.push_id(row.key, |ui| self.row(ui, row, running, &mut changes));
                    }
                })
                .header_response
                .on_hover_text(*about);
        }
        if !found {
            let text = format!("No setting mentions “{}”.", self.search.trim());
            ui.label(RichText::new(text).color(theme::of(ui).faint));
        }
        changes
    }

    fn search_field(&mut self, ui: &mut Ui) {
        let field = TextEdit::singleline(&mut self.search)
            .hint_text("Search settings")
            .desired_width(f32::INFINITY);
        let response = ui.add(field).accessible_name("Search settings");
        if left_with_escape(ui, &response) {
            self.search.clear();
        }
    }

    /// A group's name, and how many of its rows were changed or need attention.
    fn header(&self, ui: &Ui, group: &str) -> LayoutJob {
        let theme = theme::of(ui);
        let within = |key: &str| key.split('.').next() == Some(group);
        let changed = self.changed().into_iter().filter(|key| within(key)).count();
        let refused = self.drafts.iter().filter(|(_, d)| d.refused.is_some());
        let wrong = refused.filter(|(key, _)| within(key)).count()
            + self.conflicts.iter().filter(|p| within(&p.key)).count();
        let font = TextStyle::Button.resolve(ui.style());
        let mut job = LayoutJob::default();
        let mut add = |text: &str, color| {
            job.append(text, 0.0, TextFormat::simple(font.clone(), color));
        };
        add(&words::title(group), theme.ink);
        if changed > 0 {
            add(&format!(" · {changed} changed"), theme.accent);
        }
        if wrong > 0 {
            add(&format!(" · {wrong} to correct"), theme.bad);
        }
        job
    }

    /// Sets `row` from `text`; what is refused stays visible with the reason.
    fn take(&mut self, row: &'static Row, text: &str, running: bool, changes: &mut Vec<Change>) {
        match self.apply(row, text, running) {
            Ok(change) => {
                self.drafts.remove(row.key);
                changes.extend(change);
            }
            Err(reason) => {
                let (text, refused) = (text.to_owned(), Some(reason));
                self.drafts.insert(row.key, Draft { text, refused });
            }
        }
    }

    fn apply(
        &mut self,
        row: &'static Row,
        text: &str,
        running: bool,
    ) -> Result<Option<Change>, String> {
        let before = row.get(&self.settings);
        match running {
            true => self
                .settings
                .set_live(row.key, text, "")
                .map_err(|error| error.to_string())?,
            false => self
                .settings
                .set(row.key, text, "")
                .map_err(|problem| problem.to_string())?,
        }
        let after = row.get(&self.settings);
        if after == before {
            return Ok(None);
        }
        self.conflicts = conflicts(&self.settings);
        Ok(Some((row.key, words::exact(&after))))
    }

    /// Whether a running session would take `text`.
    fn trial(&self, row: &Row, text: &str) -> Result<(), String> {
        let mut settings = self.settings.clone();
        let outcome = settings.set_live(row.key, text, "");
        outcome.map_err(|error| error.to_string())
    }
}

/// What [`Settings::check`] says.
fn conflicts(settings: &Settings) -> Vec<Problem> {
    settings
        .check()
        .err()
        .map(|e| e.problems)
        .unwrap_or_default()
}

fn left_with_escape(ui: &Ui, response: &Response) -> bool {
    response.lost_focus() && ui.input(|input| input.key_pressed(Key::Escape))
}

#[cfg(test)]
mod tests;
