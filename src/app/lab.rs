//! The mask lab: hide patches of a picture by hand or by chance, and see for each what the teacher says, what the
//! student guesses, and what that costs.

use egui::{Color32, Key, RichText, ScrollArea, Sense, Ui};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::look::guess_ui;
use super::overlay::{self, Layer, Overlay};
use super::scene::{Picked, Scene, cell, frame, named};
use super::theme;
use crate::data::masks::{self, MaskSpec};
use crate::explore::draw;
use crate::explore::guess::Guess;
use crate::session::looker::Ask;
use crate::settings::MaskShape;

/// The panel.
pub struct Lab {
    mask: Vec<bool>,
    ratio: f64,
    draws: u64,
    /// Whether the pointer hides or uncovers, while it is pressed.
    painting: Option<bool>,
    guesses: Vec<Guess>,
    /// What was asked for: weights, picture, mask.
    asked: Option<(String, usize, Vec<bool>)>,
    /// The cell that the keyboard moves.
    at: usize,
}

impl Default for Lab {
    fn default() -> Self {
        Lab {
            mask: Vec::new(),
            ratio: 0.3,
            draws: 0,
            painting: None,
            guesses: Vec::new(),
            asked: None,
            at: 0,
        }
    }
}

impl Lab {
    /// Takes what the networks say of `mask`, if that is what is shown.
    pub fn take_guesses(&mut self, picture: usize, mask: &[bool], guesses: Vec<Guess>) {
        let asked = self.asked.as_ref();
        if asked.is_some_and(|(_, p, m)| *p == picture && m.as_slice() == mask) {
            self.guesses = guesses;
        }
    }

    pub fn ui(&mut self, ui: &mut Ui, scene: &mut Scene) {
        let patches = scene.gallery.patches();
        if self.mask.len() != patches {
            self.mask = vec![false; patches];
            self.draw(scene.gallery.grid, MaskShape::Block);
        }
        self.controls(ui, scene);
        ui.add_space(theme::SPACE[0]);
        let side = ui.available_height().min(ui.available_width() * 0.55);
        ui.horizontal_top(|ui| {
            let hovered = self.picture(ui, scene, side);
            ui.add_space(theme::SPACE[1]);
            ui.vertical(|ui| self.beside(ui, scene, hovered));
        });
        self.ask(scene);
    }

    fn controls(&mut self, ui: &mut Ui, scene: &mut Scene) {
        let grid = scene.gallery.grid;
        ui.horizontal(|ui| {
            if ui.button("Block").on_hover_text("Hide rectangles, as training does").clicked() {
                self.draw(grid, MaskShape::Block);
            }
            if ui.button("Random").on_hover_text("Hide single patches").clicked() {
                self.draw(grid, MaskShape::Rand);
            }
            ui.add(egui::Slider::new(&mut self.ratio, 0.0..=0.9).text("share hidden").fixed_decimals(2));
            if ui.button("Clear").clicked() {
                self.mask.fill(false);
            }
            ui.separator();
            let last = scene.gallery.pictures.len().saturating_sub(1);
            if ui.button("◀").on_hover_text("Picture before").clicked() {
                scene.pick(scene.picked.picture.saturating_sub(1), None);
            }
            ui.label(format!("picture {} of {}", scene.picked.picture + 1, last + 1));
            if ui.button("▶").on_hover_text("Next picture").clicked() {
                scene.pick((scene.picked.picture + 1).min(last), None);
            }
            ui.weak("Drag over the picture to hide and uncover patches; with the keyboard: arrows and Enter.");
        });
    }

    fn draw(&mut self, grid: usize, shape: MaskShape) {
        self.draws += 1;
        let spec = MaskSpec {
            shape,
            ratio: vec![self.ratio],
            variance: vec![0.0],
            start_epoch: 0,
            ..MaskSpec::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(self.draws);
        self.mask = masks::sample(&spec, (grid, grid), 0, &mut rng).cells;
    }

    /// The picture with what is hidden; the patch under the pointer.
    fn picture(&mut self, ui: &mut Ui, scene: &mut Scene, side: f32) -> Option<usize> {
        let gallery = scene.gallery.clone();
        let grid = gallery.grid;
        let picture = gallery.pictures.get(scene.picked.picture)?;
        let overlay = Overlay {
            picture: &picture.view,
            grid,
            layer: self.layer(ui, scene),
            opacity: 1.0,
            lines: true,
            chosen: &[],
        };
        let response = overlay::show(ui, "lab", &overlay, side, scene.gpu);
        let response = response.interact(Sense::click_and_drag());
        let rect = response.rect;
        let pointer = response.interact_pointer_pos().or(response.hover_pos());
        let hovered = pointer.and_then(|pos| overlay::patch_at(&response, pos, grid));
        if response.is_pointer_button_down_on() {
            if let Some(cell) = hovered.and_then(|patch| self.mask.get_mut(patch)) {
                let hide = *self.painting.get_or_insert(!*cell);
                *cell = hide;
            }
        } else {
            self.painting = None;
        }
        if let Some(at) = overlay::patch_by_key(ui, &response, Some(self.at), grid) {
            self.at = at;
        }
        if response.has_focus() {
            if ui.input(|input| input.key_pressed(Key::Enter))
                && let Some(cell) = self.mask.get_mut(self.at)
            {
                *cell = !*cell;
            }
            frame(ui, cell(rect, grid, self.at), theme::of(ui).accent, 2.0);
        }
        if let Some(patch) = hovered {
            frame(ui, cell(rect, grid, patch), Color32::WHITE, 1.5);
        }
        named(
            &response,
            "picture to hide patches of; arrow keys move, Enter hides or uncovers",
        );
        hovered
    }

    /// Hidden patches: dark until the networks have answered, then by how badly they are guessed.
    fn layer(&self, ui: &Ui, scene: &Scene) -> Layer {
        let [r, g, b, _] = theme::of(ui).paper.to_array();
        // What is beyond the teacher's own doubt, over the range of a whole guess in the dark.
        let most = (scene.gallery.prototypes.len().max(2) as f32).ln();
        let colour = |(patch, &hidden): (usize, &bool)| {
            let guess = self.guesses.iter().find(|guess| guess.patch == patch);
            match (hidden, guess) {
                (false, _) => [0; 4],
                (true, None) => [r, g, b, 240],
                (true, Some(guess)) => {
                    let badly = ((guess.loss - guess.entropy) / most).clamp(0.0, 1.0);
                    let [r, g, b] = draw::viridis(badly);
                    [r, g, b, 235]
                }
            }
        };
        Layer::Tint(self.mask.iter().enumerate().map(colour).collect())
    }

    /// Asks again when the network, the picture or the mask is another; not in the middle of a stroke.
    fn ask(&mut self, scene: &mut Scene) {
        let wanted = (
            scene.gallery.weights.clone(),
            scene.picked.picture,
            self.mask.clone(),
        );
        if self.painting.is_some() || self.asked.as_ref() == Some(&wanted) {
            return;
        }
        if self
            .asked
            .as_ref()
            .is_some_and(|(_, p, m)| (*p, m) != (wanted.1, &wanted.2))
        {
            self.guesses.clear();
        }
        scene.asks.push(Ask::Guess {
            picture: wanted.1,
            mask: wanted.2.clone(),
            temperature: scene.temperature,
        });
        self.asked = Some(wanted);
    }

    fn beside(&mut self, ui: &mut Ui, scene: &mut Scene, hovered: Option<usize>) {
        if scene.gallery.prototypes.is_empty() {
            ui.label("This file holds a backbone alone. Teacher and student need the projection head of a run.");
            return;
        }
        let hidden = self.mask.iter().filter(|&&m| m).count();
        ui.label(
            RichText::new(format!(
                "{hidden} of {} patches are hidden",
                self.mask.len()
            ))
            .strong(),
        );
        if hidden == 0 {
            ui.weak("Hide some: the student must then guess what the teacher, who sees everything, says of them.");
            return;
        }
        let count = self.guesses.len().max(1) as f32;
        let loss = self.guesses.iter().map(|g| g.loss).sum::<f32>() / count;
        let doubt = self.guesses.iter().map(|g| g.entropy).sum::<f32>() / count;
        let right = self.guesses.iter().filter(|g| {
            let first = |named: &[(u32, f32)]| named.first().map(|n| n.0);
            first(&g.teacher) == first(&g.student)
        });
        ui.label(format!(
            "Loss {loss:.2} nats a patch, {doubt:.2} of it the teacher's own doubt; in {} of {} both put the same \
             prototype first.",
            right.count(),
            self.guesses.len()
        ));
        ui.weak("Dark patches are guessed well, bright ones badly. Point at one for the details.");
        ui.add_space(theme::SPACE[1]);
        let at = hovered
            .filter(|&p| self.mask.get(p) == Some(&true))
            .or(Some(self.at));
        let guess = self.guesses.iter().find(|g| Some(g.patch) == at);
        let worst = || self.guesses.iter().max_by(|a, b| a.loss.total_cmp(&b.loss));
        if let Some(guess) = guess.or_else(worst) {
            ScrollArea::vertical().show(ui, |ui| {
                let row = (
                    guess.patch / scene.gallery.grid,
                    guess.patch % scene.gallery.grid,
                );
                ui.label(
                    RichText::new(format!("Patch in row {}, column {}", row.0, row.1)).strong(),
                );
                let picture = scene.picked.picture;
                *scene.picked = Picked {
                    picture,
                    patch: scene.picked.patch,
                };
                scene.patch_button(ui, (picture, guess.patch), 96.0, "the hidden patch");
                guess_ui(ui, scene, guess);
            });
        }
    }
}
