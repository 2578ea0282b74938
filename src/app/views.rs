//! What the networks see: crops side by side, the teacher's whole and the student's with their masks.

use std::sync::Arc;

use egui::{Color32, ColorImage, RichText, ScrollArea, TextureHandle, TextureOptions, Ui, Vec2};

use super::overlay::{self, Layer, Overlay};
use super::scene::named;
use super::theme;
use crate::data::Picture;
use crate::session::showing::ViewsShown;
use crate::settings::{MaskShape, Settings};

/// Mask settings to draw examples under.
#[derive(Clone, Debug, PartialEq)]
struct Trial {
    shape: MaskShape,
    ratio: f64,
    variance: f64,
    draw: usize,
}

/// The panel.
#[derive(Default)]
pub struct Views {
    shown: Option<Arc<ViewsShown>>,
    /// Global crops, then local ones, of each picture.
    textures: Vec<Vec<TextureHandle>>,
    trial: Option<Trial>,
    /// Whether what is shown was drawn for a trial.
    of_trial: bool,
}

impl Views {
    /// Shows the views of a step.
    pub fn take(&mut self, ctx: &egui::Context, shown: Arc<ViewsShown>, of_trial: bool) {
        let texture = |picture: &Picture| {
            let size = [picture.width, picture.height];
            let image = ColorImage::from_rgb(size, &picture.rgb);
            ctx.load_texture("crop", image, TextureOptions::LINEAR)
        };
        let of = |p: &crate::session::showing::PictureShown| {
            let globals = p.globals.iter().map(|(picture, _)| texture(picture));
            globals.chain(p.locals.iter().map(texture)).collect()
        };
        self.textures = shown.pictures.iter().map(of).collect();
        self.shown = Some(shown);
        self.of_trial = of_trial;
    }

    /// Whether the panel wants the views of the next step.
    pub fn follows(&self) -> bool {
        self.trial.is_none()
    }

    /// Draws the panel; `Some` asks for examples under other settings, with their number.
    pub fn ui(
        &mut self,
        ui: &mut Ui,
        settings: &Settings,
        (running, gpu): (bool, bool),
    ) -> Option<(Box<Settings>, usize)> {
        let asked = self.controls(ui, settings, running);
        ui.add_space(theme::SPACE[0]);
        let Some(shown) = self.shown.clone() else {
            ui.weak("The crops of the next step appear here.");
            return asked;
        };
        let theme = theme::of(ui);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let columns = if ui.available_width() > 900.0 { 2 } else { 1 };
            let width = ui.available_width() / columns as f32 - theme::SPACE[1];
            let all: Vec<_> = shown.pictures.iter().zip(&self.textures).collect();
            for line in all.chunks(columns) {
                ui.horizontal_top(|ui| {
                    for (picture, textures) in line {
                        let card = egui::Frame::new()
                            .fill(theme.raised)
                            .corner_radius(f32::from(theme::ROUND))
                            .inner_margin(8.0);
                        card.show(ui, |ui| {
                            ui.set_width(width - 16.0);
                            ui.vertical(|ui| {
                                card_ui(ui, &shown, picture, textures, (width - 16.0, gpu))
                            });
                        });
                    }
                });
            }
        });
        asked
    }

    fn controls(
        &mut self,
        ui: &mut Ui,
        settings: &Settings,
        running: bool,
    ) -> Option<(Box<Settings>, usize)> {
        let mut ask = false;
        ui.horizontal(|ui| {
            let mut following = self.trial.is_none();
            let follow = ui.add_enabled(
                running,
                egui::Checkbox::new(&mut following, "Follow the run"),
            );
            follow
                .on_hover_text("Show the crops of the step that is made right now")
                .on_disabled_hover_text("No run is going on");
            if !running && self.shown.is_none() {
                following = false;
            }
            match (following && running, &mut self.trial) {
                (true, trial) => *trial = None,
                (false, trial @ None) => {
                    *trial = Some(Trial {
                        shape: settings.mask.shape,
                        ratio: settings.mask.ratio.iter().copied().fold(0.0, f64::max),
                        variance: settings.mask.variance.iter().copied().fold(0.0, f64::max),
                        draw: 0,
                    });
                    ask = true;
                }
                _ => {}
            }
            ui.separator();
            let mut trial = self.trial.clone().unwrap_or(Trial {
                shape: settings.mask.shape,
                ratio: 0.3,
                variance: 0.0,
                draw: 0,
            });
            ui.add_enabled_ui(self.trial.is_some(), |ui| {
                ui.selectable_value(&mut trial.shape, MaskShape::Block, "Block");
                ui.selectable_value(&mut trial.shape, MaskShape::Rand, "Random");
                ui.add(
                    egui::Slider::new(&mut trial.ratio, 0.0..=0.9)
                        .text("ratio")
                        .fixed_decimals(2),
                );
                ui.add(
                    egui::Slider::new(&mut trial.variance, 0.0..=0.4)
                        .text("±")
                        .fixed_decimals(2),
                );
                if ui.button("Draw new examples").clicked() {
                    trial.draw += 1;
                }
            });
            if let Some(old) = &mut self.trial
                && *old != trial
            {
                *old = trial;
                ask = true;
            }
        });
        ui.weak(match (&self.shown, self.of_trial) {
            (Some(shown), false) => format!(
                "The crops of step {}. The teacher sees them whole; of the student's, masked patches are replaced by one \
                 learned token.",
                shown.step
            ),
            _ => "Examples under these mask settings; the run is not touched.".into(),
        });
        let trial = self.trial.as_ref().filter(|_| ask)?;
        let mut changed = settings.clone();
        changed.mask.shape = trial.shape;
        changed.mask.ratio = vec![trial.ratio];
        changed.mask.variance = vec![trial.variance.min(trial.ratio)];
        Some((Box::new(changed), trial.draw))
    }
}

/// One picture's crops.
fn card_ui(
    ui: &mut Ui,
    shown: &ViewsShown,
    picture: &crate::session::showing::PictureShown,
    textures: &[TextureHandle],
    (width, gpu): (f32, bool),
) {
    let theme = theme::of(ui);
    ui.label(RichText::new(&picture.name).small().color(theme.faint));
    let globals = picture.globals.len();
    let gap = 6.0;
    let size = ((width - 12.0) / (2 * globals.max(1)) as f32 - gap).min(170.0);
    ui.horizontal_top(|ui| {
        ui.spacing_mut().item_spacing.x = gap;
        for (who, masked) in [("teacher", false), ("student", true)] {
            for (crop, texture) in textures.iter().take(globals).enumerate() {
                ui.vertical(|ui| {
                    let hidden = picture.hidden(crop);
                    crop_ui(ui, shown, picture, (crop, texture), masked, (size, gpu));
                    let caption = match masked {
                        true => format!("{who}, {:.0} % hidden", 100.0 * hidden),
                        false => who.to_owned(),
                    };
                    ui.label(RichText::new(caption).small().color(theme.faint));
                });
            }
            ui.add_space(gap);
        }
    });
    if textures.len() > globals {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing.x = 3.0;
            ui.label(RichText::new("local").small().color(theme.faint));
            for texture in textures.iter().skip(globals) {
                ui.add(
                    egui::Image::new(texture)
                        .fit_to_exact_size(Vec2::splat(size * 0.42))
                        .tint(Color32::WHITE)
                        .alt_text("local crop of the student"),
                );
            }
        });
    }
}

/// A global crop as the teacher or the student sees it.
fn crop_ui(
    ui: &mut Ui,
    shown: &ViewsShown,
    picture: &crate::session::showing::PictureShown,
    (crop, texture): (usize, &TextureHandle),
    masked: bool,
    (size, gpu): (f32, bool),
) {
    let response = match picture.globals.get(crop).filter(|_| masked) {
        Some((view, mask)) => {
            let overlay = Overlay {
                picture: view,
                grid: view.width / shown.patch.max(1),
                layer: Layer::Mask(mask.clone()),
                opacity: 0.94,
                lines: true,
                chosen: &[],
            };
            let id = ("student's view", &picture.name, crop);
            overlay::show(ui, id, &overlay, size, gpu)
        }
        None => {
            let (rect, response) = ui.allocate_exact_size(Vec2::splat(size), egui::Sense::hover());
            egui::Image::new(texture).paint_at(ui, rect);
            response
        }
    };
    let name = match masked {
        true => format!(
            "student's global crop {}: {:.0} % hidden, shape {}",
            crop + 1,
            100.0 * picture.hidden(crop),
            shown.shape
        ),
        false => format!("teacher's global crop {}", crop + 1),
    };
    named(&response, &name);
    response.on_hover_text(name);
}
