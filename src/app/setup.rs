//! Before a run: what is in the pictures, which preset suits them, and every setting one click away.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use anyhow::Result;
use egui::{
    Button, CentralPanel, ColorImage, ComboBox, Frame, Panel, RichText, ScrollArea, TextureHandle,
    TextureOptions, Ui, Vec2, vec2,
};

use super::dialog::aside;
use super::estimate::{Cost, schedules_plot};
use super::form::Form;
use super::theme;
use crate::session::pictures::DEMO;
use crate::session::survey::Survey;
use crate::settings::{Settings, preset, presets};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    Back,
    Start,
    /// Look at the pictures through the network that was open before.
    Look,
}

/// The screen.
pub struct Setup {
    survey: Survey,
    form: Form,
    samples: Vec<TextureHandle>,
    /// The cost of these settings at this speed.
    cost: Option<((Settings, u64), Cost)>,
    files: Option<Receiver<File>>,
    /// What became of the last file.
    said: String,
    /// A network that was open before: these pictures can be looked at through it.
    through: Option<PathBuf>,
}

impl Setup {
    /// For the pictures of `survey`, with the preset that suits them.
    ///
    /// # Errors
    /// A preset that this program does not have.
    pub fn new(survey: Survey, through: Option<PathBuf>) -> Result<Self> {
        let name = survey.preset;
        Ok(Setup {
            form: Form::new(preset(name)?.settings()?, name),
            survey,
            samples: Vec::new(),
            cost: None,
            files: None,
            said: String::new(),
            through,
        })
    }

    /// Source, preset and settings of the run.
    pub fn job(&self) -> (String, String, Settings) {
        (
            self.survey.source.clone(),
            self.form.preset().to_owned(),
            self.form.settings().clone(),
        )
    }

    /// The network that was open before.
    pub fn through(&self) -> Option<&Path> {
        self.through.as_deref()
    }

    fn choose(&mut self, name: &str) {
        if let Ok(settings) = preset(name).and_then(|preset| preset.settings()) {
            self.form = Form::new(settings, name);
        }
    }

    /// Draws it. `speed`: operations a second that training was measured to make here, 0 while not known.
    pub fn ui(&mut self, ui: &mut Ui, banner: Option<&str>, speed: f64) -> Option<Chosen> {
        let theme = theme::of(ui);
        let mut chosen = None;
        let frame = Frame::new().fill(theme.panel).inner_margin(16.0);
        let bar = Frame::new().fill(theme.paper).inner_margin(10.0);
        Panel::bottom("start").frame(bar).show(ui, |ui| {
            ui.horizontal(|ui| {
                if ui.button("◀ Back").clicked() {
                    chosen = Some(Chosen::Back);
                }
                let start = RichText::new("▶ Start training")
                    .size(16.0)
                    .color(theme.on_accent);
                let start = Button::new(start)
                    .fill(theme.accent)
                    .min_size(vec2(180.0, 34.0));
                let problems = self.form.problems();
                let start = ui.add_enabled(problems.is_empty(), start);
                if start.on_disabled_hover_text(problems.join("\n")).clicked() {
                    chosen = Some(Chosen::Start);
                }
                if let Some(through) = &self.through {
                    let name = through.file_stem().unwrap_or_default().to_string_lossy();
                    if ui.button(format!("Look at them with {name}")).clicked() {
                        chosen = Some(Chosen::Look);
                    }
                }
                if let Some(first) = problems.first() {
                    ui.label(RichText::new(first).color(theme.bad));
                }
                if let Some(banner) = banner {
                    ui.label(RichText::new(banner).color(theme.bad));
                }
            });
        });
        Panel::left("survey")
            .frame(frame)
            .exact_size(420.0)
            .show(ui, |ui| {
                ScrollArea::vertical()
                    .id_salt("survey")
                    .show(ui, |ui| self.survey_ui(ui));
            });
        CentralPanel::default()
            .frame(frame)
            .show(ui, |ui| self.choice_ui(ui, speed));
        chosen
    }

    fn survey_ui(&mut self, ui: &mut Ui) {
        let theme = theme::of(ui);
        let survey = &self.survey;
        if self.samples.is_empty() {
            self.samples = survey
                .samples
                .iter()
                .map(|(name, picture)| {
                    let size = [picture.width, picture.height];
                    let image = ColorImage::from_rgb(size, &picture.rgb);
                    ui.ctx().load_texture(name, image, TextureOptions::LINEAR)
                })
                .collect();
        }
        ui.heading("Your pictures");
        ui.label(RichText::new(&survey.source).small().color(theme.faint));
        ui.label(format!("{} pictures", survey.pictures));
        match survey.classes.as_slice() {
            [] => {
                ui.weak("No classes: none are needed. With a folder for each class, k-NN shows how good the features are.");
            }
            classes => {
                let named = classes
                    .iter()
                    .take(12)
                    .map(|(name, count)| format!("{name} {count}"));
                let named: Vec<String> = named.collect();
                let more = classes.len().saturating_sub(12);
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                ui.label(format!("{} classes", classes.len()));
                ui.weak(format!("{}{more}", named.join(", ")));
            }
        }
        if let Some([least, median, most]) = survey.sizes {
            let size = |(w, h): (usize, usize)| format!("{w} × {h}");
            ui.label(match least == most {
                true => format!("all {} pixels", size(least)),
                false => format!(
                    "{} to {} pixels, half below {}",
                    size(least),
                    size(most),
                    size(median)
                ),
            });
        }
        if !survey.broken.is_empty() {
            let text = format!(
                "{} cannot be used and will be passed over",
                survey.broken.len()
            );
            egui::CollapsingHeader::new(RichText::new(text).color(theme.warn)).show(ui, |ui| {
                for broken in &survey.broken {
                    ui.label(RichText::new(broken).small());
                }
            });
        }
        ui.add_space(theme::SPACE[1]);
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
            for (texture, (name, _)) in self.samples.iter().zip(&survey.samples) {
                let image = egui::Image::new(texture).fit_to_exact_size(Vec2::splat(60.0));
                ui.add(image.alt_text(name)).on_hover_text(name);
            }
        });
    }

    fn choice_ui(&mut self, ui: &mut Ui, speed: f64) {
        ui.heading("The run");
        let mut name = self.form.preset().to_owned();
        ui.horizontal_wrapped(|ui| {
            let label = ui.label("Preset").id;
            ComboBox::from_id_salt("preset")
                .selected_text(&name)
                .show_ui(ui, |ui| {
                    for preset in presets() {
                        let row =
                            ui.selectable_value(&mut name, preset.name.to_owned(), preset.name);
                        row.on_hover_text(&preset.description);
                    }
                })
                .response
                .labelled_by(label);
            if name == self.survey.preset {
                ui.weak(format!("suits these pictures: {}", self.survey.why));
            } else {
                ui.weak(format!("{} would suit these pictures", self.survey.preset));
            }
        });
        if name != self.form.preset() {
            self.choose(&name);
        }
        if let Ok(preset) = preset(self.form.preset()) {
            ui.label(preset.description);
        }
        ui.add_space(theme::SPACE[1]);
        let held_out = match self.survey.classes.len() > 1 && self.survey.source != DEMO {
            true => self.form.settings().data.held_out,
            false => 0.0,
        };
        let pictures = self.survey.pictures as f64 * (1.0 - held_out);
        let steps_per_epoch = pictures as usize / self.form.settings().run.batch.max(1);
        let key = (self.form.settings().clone(), speed.to_bits());
        let cost = match &self.cost {
            Some((known, cost)) if *known == key => *cost,
            _ => {
                let cost = Cost::new(self.form.settings(), steps_per_epoch, speed);
                self.cost = Some((key, cost));
                cost
            }
        };
        cost.ui(ui);
        ui.add_space(theme::SPACE[1]);
        schedules_plot(ui, self.form.settings(), steps_per_epoch);
        ui.add_space(theme::SPACE[1]);
        ui.horizontal(|ui| {
            if ui
                .button("Copy as command")
                .on_hover_text("The same run from a terminal")
                .clicked()
            {
                ui.ctx()
                    .copy_text(self.form.command_line(&self.survey.source));
            }
            if ui.button("Save settings…").clicked() {
                let text = self.form.settings().to_toml();
                self.files = Some(save_dialog(ui.ctx(), text));
            }
            if ui.button("Load settings…").clicked() {
                self.files = Some(load_dialog(ui.ctx()));
            }
            let changed = self.form.changed().len();
            if changed > 0 {
                ui.weak(format!("{changed} differ from the preset"));
            }
        });
        if let Some(said) = self.files.as_ref().and_then(|files| files.try_recv().ok()) {
            self.files = None;
            match said {
                File::Read { path, text } => match self.form.load_toml(&text, &path) {
                    Ok(()) => self.said = format!("loaded {path}"),
                    Err(error) => self.said = error,
                },
                File::Said(text) => self.said = text,
            }
        }
        if !self.said.is_empty() {
            ui.weak(&self.said);
        }
        ui.separator();
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            self.form.ui(ui, false);
        });
    }
}

/// What a file dialog led to.
enum File {
    Read { path: String, text: String },
    Said(String),
}

fn save_dialog(ctx: &egui::Context, text: String) -> Receiver<File> {
    aside(ctx, move || {
        let dialog = rfd::FileDialog::new().set_file_name("settings.toml");
        let Some(path) = dialog.save_file() else {
            return File::Said(String::new());
        };
        File::Said(match std::fs::write(&path, text) {
            Ok(()) => format!("saved {}", path.display()),
            Err(error) => format!("cannot write {}: {error}", path.display()),
        })
    })
}

fn load_dialog(ctx: &egui::Context) -> Receiver<File> {
    aside(ctx, || {
        let dialog = rfd::FileDialog::new().add_filter("settings", &["toml"]);
        let Some(path) = dialog.pick_file() else {
            return File::Said(String::new());
        };
        let shown = path.display().to_string();
        match std::fs::read_to_string(&path) {
            Ok(text) => File::Read { path: shown, text },
            Err(error) => File::Said(format!("cannot read {shown}: {error}")),
        }
    })
}
