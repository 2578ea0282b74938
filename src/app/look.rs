//! One picture large: which patches are like the one under the pointer, where the class token looks, what
//! colour and cluster every patch has, and what teacher and student say of a chosen one.

use egui::{Color32, RichText, ScrollArea, Sense, Ui, Vec2, vec2};

use super::overlay::{self, Colours, Map, Overlay};
use super::scene::{Picked, Scene, bar, cell, frame, named};
use super::theme;
use crate::explore::attention::{Attention, head_colour, threshold};
use crate::explore::draw;
use crate::explore::guess::Guess;
use crate::session::looker::Ask;

/// What lies over the picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Layer {
    #[default]
    Similar,
    Attention,
    Colours,
    Clusters,
    Nothing,
}

impl Layer {
    const ALL: [(Layer, &'static str, &'static str); 5] = [
        (
            Layer::Similar,
            "Similar",
            "Patches like the one under the pointer light up",
        ),
        (Layer::Attention, "Attention", "Where the class token looks"),
        (
            Layer::Colours,
            "Colours",
            "The first three principal components of the patch tokens: the same colour means the same thing in every picture",
        ),
        (
            Layer::Clusters,
            "Clusters",
            "The pattern that every patch belongs to",
        ),
        (Layer::Nothing, "Picture", "The picture alone"),
    ];
}

const INFERNO: Map = Map {
    colours: Colours::Inferno,
    smooth: false,
};

/// Neighbours shown beside the picture.
const NEIGHBOURS: usize = 12;

/// The panel.
pub struct Look {
    layer: Layer,
    opacity: f32,
    block: usize,
    /// A head, or all of them in their colours.
    head: Option<usize>,
    mass: f32,
    attention: Option<((usize, usize), Attention)>,
    asked_attention: Option<(String, usize, usize)>,
    guess: Option<(Picked, Guess)>,
    asked_guess: Option<(String, Picked)>,
    found: Option<Found>,
}

/// What was found for a patch.
struct Found {
    /// The look in which it was found.
    look: String,
    at: Picked,
    /// Cosines in the same picture.
    map: Vec<f32>,
    /// Picture, patch and cosine of the nearest in others.
    near: Vec<(usize, usize, f32)>,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            layer: Layer::Similar,
            opacity: 0.65,
            block: usize::MAX,
            head: None,
            mass: 0.6,
            attention: None,
            asked_attention: None,
            guess: None,
            asked_guess: None,
            found: None,
        }
    }
}

impl Look {
    pub fn take_attention(&mut self, picture: usize, block: usize, attention: Attention) {
        self.attention = Some(((picture, block), attention));
    }

    /// Takes guesses about one hidden patch; says whether they were meant for this panel.
    pub fn take_guesses(&mut self, picture: usize, mask: &[bool], guesses: &[Guess]) -> bool {
        let [guess] = guesses else {
            return false;
        };
        let picked = Picked {
            picture,
            patch: Some(guess.patch),
        };
        let asked = self.asked_guess.as_ref();
        if asked.is_none_or(|(_, asked)| *asked != picked)
            || mask.iter().filter(|&&m| m).count() != 1
        {
            return false;
        }
        self.guess = Some((picked, guess.clone()));
        true
    }

    pub fn ui(&mut self, ui: &mut Ui, scene: &mut Scene) {
        self.controls(ui, scene);
        ui.add_space(theme::SPACE[0]);
        let strip = 64.0;
        let height = (ui.available_height() - strip - 3.0 * theme::SPACE[1]).max(160.0);
        let side = height.min(ui.available_width() * 0.6);
        ui.horizontal_top(|ui| {
            let hovered = self.picture(ui, scene, side);
            ui.add_space(theme::SPACE[1]);
            ui.vertical(|ui| {
                ui.set_height(height);
                self.beside(ui, scene, hovered);
            });
        });
        self.filmstrip(ui, scene, strip);
        self.keys(ui, scene);
    }

    fn controls(&mut self, ui: &mut Ui, scene: &Scene) {
        self.block = self.block.min(scene.gallery.depth.saturating_sub(1));
        ui.horizontal(|ui| {
            for (layer, name, help) in Layer::ALL {
                ui.selectable_value(&mut self.layer, layer, name)
                    .on_hover_text(help);
            }
            ui.separator();
            if self.layer != Layer::Nothing {
                ui.add(
                    egui::Slider::new(&mut self.opacity, 0.0..=1.0)
                        .text("over the picture")
                        .show_value(false),
                );
            }
            if self.layer == Layer::Attention {
                let label = ui.label("block").id;
                let last = scene.gallery.depth.saturating_sub(1);
                ui.add(egui::DragValue::new(&mut self.block).range(0..=last))
                    .labelled_by(label);
                let text = |head: Option<usize>| match head {
                    Some(head) => format!("head {head}"),
                    None => "all heads".into(),
                };
                let heads = scene.gallery.heads.get(self.block).copied().unwrap_or(0);
                egui::ComboBox::from_id_salt("head")
                    .selected_text(text(self.head))
                    .show_ui(ui, |ui| {
                        for head in std::iter::once(None).chain((0..heads).map(Some)) {
                            ui.selectable_value(&mut self.head, head, text(head));
                        }
                    });
                ui.add(
                    egui::Slider::new(&mut self.mass, 0.05..=1.0)
                        .text("share of the attention kept")
                        .fixed_decimals(2),
                );
            }
        });
    }

    /// The picture with its layer; the patch under the pointer.
    fn picture(&mut self, ui: &mut Ui, scene: &mut Scene, side: f32) -> Option<usize> {
        let gallery = scene.gallery.clone();
        let grid = gallery.grid;
        let picture = gallery.pictures.get(scene.picked.picture)?;
        let overlay = Overlay {
            picture: &picture.view,
            grid,
            layer: self.overlay(scene),
            opacity: self.opacity,
            lines: false,
            chosen: scene.picked.patch.as_slice(),
        };
        let response = overlay::show(ui, "look", &overlay, side, scene.gpu);
        let rect = response.rect;
        let hovered = response.hover_pos();
        let hovered = hovered.and_then(|pos| overlay::patch_at(&response, pos, grid));
        if response.clicked() {
            scene.picked.patch = match hovered == scene.picked.patch {
                true => None,
                false => hovered,
            };
        }
        if let Some(patch) = overlay::patch_by_key(ui, &response, scene.picked.patch, grid) {
            scene.picked.patch = Some(patch);
        }
        let shown = hovered.or(scene.picked.patch);
        if self.find(scene, shown) {
            ui.ctx().request_repaint(); // what was found lies over the picture from the next frame on
        }
        if let Some(patch) = hovered {
            frame(ui, cell(rect, grid, patch), Color32::WHITE, 1.5);
        }
        named(
            &response,
            "picture with its patches; arrow keys move the chosen patch",
        );
        shown
    }

    /// Looks for patches like `patch` of the chosen picture; false where they are known.
    fn find(&mut self, scene: &Scene, patch: Option<usize>) -> bool {
        let at = Picked {
            picture: scene.picked.picture,
            patch,
        };
        let look = format!("{}{:?}", scene.gallery.weights, scene.gallery.how);
        let known = self.found.as_ref();
        if known.is_some_and(|known| known.look == look && known.at == at) {
            return false;
        }
        let (map, near) = match patch {
            Some(patch) => {
                let token = (at.picture, patch);
                let map = scene.gallery.similar(token, at.picture);
                (map, scene.gallery.nearest(at.picture, patch, NEIGHBOURS))
            }
            None => (Vec::new(), Vec::new()),
        };
        self.found = Some(Found {
            look,
            at,
            map,
            near,
        });
        true
    }

    /// The layer that is chosen, for the chosen picture.
    fn overlay(&mut self, scene: &mut Scene) -> overlay::Layer {
        let patches = scene.gallery.patches();
        let base = scene.picked.picture * patches;
        let solid = |[r, g, b]: [u8; 3]| [r, g, b, 255];
        match self.layer {
            Layer::Nothing => overlay::Layer::None,
            Layer::Similar => match &self.found {
                Some(Found { map, .. }) if !map.is_empty() => {
                    overlay::Layer::Heat(map.iter().map(|c| c.max(0.0)).collect(), INFERNO)
                }
                _ => overlay::Layer::None,
            },
            Layer::Colours => {
                let colours = scene.gallery.colours.iter().skip(base).take(patches);
                overlay::Layer::Tint(colours.copied().map(solid).collect())
            }
            Layer::Clusters => {
                let ids = scene.gallery.ids.iter().skip(base).take(patches);
                overlay::Layer::Tint(ids.map(|&id| solid(draw::kind(id as usize))).collect())
            }
            Layer::Attention => self.attention_layer(scene),
        }
    }

    fn attention_layer(&mut self, scene: &mut Scene) -> overlay::Layer {
        let key = (scene.picked.picture, self.block);
        let asked = (scene.gallery.weights.clone(), key.0, key.1);
        if self.asked_attention.as_ref() != Some(&asked) {
            self.asked_attention = Some(asked);
            scene.asks.push(Ask::Attention {
                picture: key.0,
                block: key.1,
            });
        }
        let known = self.attention.as_ref();
        let Some((_, attention)) = known.filter(|(of, _)| *of == key) else {
            return overlay::Layer::None;
        };
        if attention.patches() != scene.gallery.patches() {
            return overlay::Layer::None;
        }
        let kept = |head: usize| -> Vec<f32> {
            let kept = threshold(attention.head(head), self.mass);
            let most = kept.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
            kept.into_iter().map(|weight| weight / most).collect()
        };
        if let Some(head) = self.head {
            let head = head.min(attention.heads.saturating_sub(1));
            return overlay::Layer::Heat(kept(head), INFERNO);
        }
        // Each patch in the colour of the head that looks at it most.
        let mut colours = vec![[0, 0, 0, 255]; attention.patches()];
        let mut most = vec![0.0f32; attention.patches()];
        for head in 0..attention.heads {
            let cells = colours.iter_mut().zip(&mut most);
            for ((colour, most), value) in cells.zip(kept(head)) {
                if value > *most {
                    *most = value;
                    let shade = |c: u8| (f32::from(c) * value) as u8;
                    let [r, g, b] = head_colour(head).map(shade);
                    *colour = [r, g, b, 255];
                }
            }
        }
        overlay::Layer::Tint(colours)
    }

    /// What is known of the patch: its pattern, its neighbours, what the networks say.
    fn beside(&mut self, ui: &mut Ui, scene: &mut Scene, shown: Option<usize>) {
        let gallery = scene.gallery.clone();
        let picture = scene.picked.picture;
        if let Some(about) = gallery.pictures.get(picture) {
            ui.label(RichText::new(&about.name).strong());
            if let Some(class) = &about.class {
                ui.weak(class);
            }
        }
        let Some(patch) = shown else {
            ui.add_space(theme::SPACE[1]);
            ui.weak("Move over the picture: patches that the network finds alike light up, here and in other pictures. Press a patch to hold it.");
            return;
        };
        let (row, column) = (patch / gallery.grid, patch % gallery.grid);
        if let Some(id) = gallery.id(picture, patch) {
            ui.weak(format!(
                "patch in row {row}, column {column}, of pattern {}",
                scene.name_of(id)
            ));
        }
        ui.add_space(theme::SPACE[0]);
        ui.label("Most alike in other pictures");
        let near = self.found.as_ref().map(|found| found.near.clone());
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(4.0, 4.0);
            for (other, at, cosine) in near.unwrap_or_default() {
                let name = format!("similar patch in picture {other}");
                let response = scene.patch_button(ui, (other, at), 74.0, &name);
                if response
                    .on_hover_text(format!("cosine {cosine:.2}"))
                    .clicked()
                {
                    scene.pick(other, Some(at));
                }
            }
        });
        if let Some(held) = scene.picked.patch {
            self.distributions(ui, scene, held);
        }
    }

    /// The teacher's and the student's distribution for the chosen patch.
    fn distributions(&mut self, ui: &mut Ui, scene: &mut Scene, patch: usize) {
        if scene.gallery.prototypes.is_empty() {
            return;
        }
        let picked = *scene.picked;
        let asked = (scene.gallery.weights.clone(), picked);
        if self.asked_guess.as_ref() != Some(&asked) {
            self.asked_guess = Some(asked);
            let mut mask = vec![false; scene.gallery.patches()];
            if let Some(cell) = mask.get_mut(patch) {
                *cell = true;
            }
            scene.asks.push(Ask::Guess {
                picture: picked.picture,
                mask,
                temperature: scene.temperature,
            });
        }
        ui.add_space(theme::SPACE[1]);
        let Some((_, guess)) = self.guess.as_ref().filter(|(of, _)| *of == picked) else {
            ui.weak("asking teacher and student …");
            return;
        };
        ScrollArea::vertical()
            .id_salt("guess")
            .show(ui, |ui| guess_ui(ui, scene, guess));
    }

    fn filmstrip(&mut self, ui: &mut Ui, scene: &mut Scene, size: f32) {
        ScrollArea::horizontal().id_salt("film").show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing = vec2(3.0, 0.0);
                for picture in 0..scene.gallery.pictures.len() {
                    let chosen = scene.picked.picture == picture;
                    let response = scene.picture_button(ui, picture, size - 16.0, chosen);
                    if response.clicked() {
                        scene.pick(picture, None);
                    }
                }
            });
        });
    }

    /// Arrow keys move the chosen patch; without one they turn to the next picture.
    fn keys(&mut self, ui: &Ui, scene: &mut Scene) {
        if ui.ctx().egui_wants_keyboard_input() {
            return;
        }
        use egui::Key;
        let grid = scene.gallery.grid;
        let pressed = |key| ui.input(|input| input.key_pressed(key));
        let (left, right) = (pressed(Key::ArrowLeft), pressed(Key::ArrowRight));
        let (up, down) = (pressed(Key::ArrowUp), pressed(Key::ArrowDown));
        match scene.picked.patch {
            Some(patch) => {
                let (row, column) = (patch / grid, patch % grid);
                let row = (row + usize::from(down))
                    .saturating_sub(usize::from(up))
                    .min(grid - 1);
                let column = (column + usize::from(right)).saturating_sub(usize::from(left));
                scene.picked.patch = Some(row * grid + column.min(grid - 1));
                if pressed(Key::Escape) {
                    scene.picked.patch = None;
                }
            }
            None => {
                let last = scene.gallery.pictures.len().saturating_sub(1);
                let next =
                    (scene.picked.picture + usize::from(right)).saturating_sub(usize::from(left));
                scene.picked.picture = next.min(last);
            }
        }
    }
}

/// What both networks say of a hidden patch: two columns of prototypes with their best patches.
pub fn guess_ui(ui: &mut Ui, scene: &Scene, guess: &Guess) {
    let theme = theme::of(ui);
    ui.label(format!(
        "Hidden from the student: loss {:.2}, of which {:.2} is the teacher's own doubt (entropy, nats)",
        guess.loss, guess.entropy
    ));
    ui.columns(2, |columns| {
        let sides = [
            ("The teacher says", &guess.teacher, theme.series[0]),
            ("The student guesses", &guess.student, theme.series[1]),
        ];
        for (ui, (title, named, colour)) in columns.iter_mut().zip(sides) {
            ui.label(RichText::new(title).strong().color(colour));
            for &(prototype, probability) in named {
                ui.horizontal(|ui| {
                    let best = scene.gallery.prototypes.get(prototype as usize);
                    match best.copied().flatten() {
                        Some(at) => {
                            let name = format!("best patch of prototype {prototype}");
                            scene.patch_button(ui, at, 34.0, &name);
                        }
                        None => {
                            ui.allocate_exact_size(Vec2::splat(34.0), Sense::hover());
                        }
                    }
                    let text = format!("#{prototype}  {:.0} %", 100.0 * probability);
                    bar(ui, probability, colour, &text);
                });
            }
        }
    });
}
