//! Before a run: what is in the pictures, which preset suits them, and every setting one click away.

use anyhow::Result;
use egui::{
    Button, CentralPanel, ColorImage, ComboBox, Frame, Panel, RichText, ScrollArea, TextureHandle,
    TextureOptions, Ui, Vec2, vec2,
};

use super::theme;
use crate::session::survey::Survey;
use crate::settings::{Settings, preset, presets};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    Back,
    Start,
}

/// The screen.
pub struct Setup {
    survey: Survey,
    preset: String,
    settings: Settings,
    samples: Vec<TextureHandle>,
}

impl Setup {
    /// For the pictures of `survey`, with the preset that suits them.
    ///
    /// # Errors
    /// A preset that this program does not have.
    pub fn new(survey: Survey) -> Result<Self> {
        let name = survey.preset;
        Ok(Setup {
            preset: name.to_owned(),
            settings: preset(name)?.settings()?,
            survey,
            samples: Vec::new(),
        })
    }

    /// Source, preset and settings of the run.
    pub fn job(&self) -> (String, String, Settings) {
        (
            self.survey.source.clone(),
            self.preset.clone(),
            self.settings.clone(),
        )
    }

    fn choose(&mut self, name: &str) {
        if let Ok(settings) = preset(name).and_then(|preset| preset.settings()) {
            self.preset = name.to_owned();
            self.settings = settings;
        }
    }

    pub fn ui(&mut self, ui: &mut Ui, banner: Option<&str>) -> Option<Chosen> {
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
                if ui.add(start).clicked() {
                    chosen = Some(Chosen::Start);
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
            .show(ui, |ui| self.choice_ui(ui));
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

    fn choice_ui(&mut self, ui: &mut Ui) {
        ui.heading("The run");
        let mut name = self.preset.clone();
        ui.horizontal(|ui| {
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
        if name != self.preset {
            self.choose(&name);
        }
        if let Ok(preset) = preset(&self.preset) {
            ui.label(preset.description);
        }
    }
}
