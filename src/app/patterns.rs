//! The gallery of patch patterns: each card is a group of patches that the network finds alike.

use egui::{ComboBox, Frame, RichText, ScrollArea, Ui, vec2};

use super::scene::{Scene, Tab};
use super::theme;
use crate::explore::patterns::Pattern;
use crate::session::gallery::{Group, How};
use crate::session::looker::Ask;

/// The order of the cards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Order {
    #[default]
    Purity,
    Population,
    Confidence,
}

impl Order {
    fn name(self) -> &'static str {
        match self {
            Order::Purity => "purest first",
            Order::Population => "largest first",
            Order::Confidence => "most alike first",
        }
    }
}

/// Groups that are in fewer pictures stand for one picture, not for a pattern.
const ENOUGH: usize = 6;

/// Share of a group's patches that must show one thing for the group to have its name.
pub const NAMED: f64 = 0.2;

/// The panel.
#[derive(Default)]
pub struct Patterns {
    order: Order,
    /// The cluster whose sheet is open.
    open: Option<u32>,
}

impl Patterns {
    pub fn ui(&mut self, ui: &mut Ui, scene: &mut Scene) {
        self.controls(ui, scene);
        ui.add_space(theme::SPACE[0]);
        match self.open.filter(|&id| scene.gallery.pattern(id).is_some()) {
            Some(id) => self.sheet(ui, scene, id),
            None => self.gallery(ui, scene),
        }
    }

    fn controls(&mut self, ui: &mut Ui, scene: &mut Scene) {
        ui.horizontal(|ui| {
            if self.open.is_some() && ui.button("◀ All patterns").clicked() {
                self.open = None;
            }
            let known = scene.gallery.patterns.iter().any(|p| p.shows.is_some());
            if !known && self.order == Order::Purity {
                self.order = Order::Population;
            }
            ComboBox::from_id_salt("order")
                .selected_text(self.order.name())
                .show_ui(ui, |ui| {
                    for order in [Order::Purity, Order::Population, Order::Confidence] {
                        ui.add_enabled_ui(known || order != Order::Purity, |ui| {
                            ui.selectable_value(&mut self.order, order, order.name());
                        });
                    }
                })
                .response
                .on_hover_text("Order of the patterns");
            let how = scene.gallery.how;
            let text = |group: Group| match group {
                Group::Clusters(count) => format!("{count} clusters"),
                Group::Prototypes => "the network's prototypes".to_owned(),
            };
            let mut group = how.group;
            ComboBox::from_id_salt("groups")
                .selected_text(text(group))
                .show_ui(ui, |ui| {
                    for count in [16, 32, 64, 128, 256] {
                        let choice = Group::Clusters(count);
                        ui.selectable_value(&mut group, choice, text(choice));
                    }
                    let head = !scene.gallery.prototypes.is_empty();
                    ui.add_enabled_ui(head, |ui| {
                        ui.selectable_value(&mut group, Group::Prototypes, text(Group::Prototypes))
                    })
                    .inner
                    .on_disabled_hover_text("This network has no projection head");
                })
                .response
                .on_hover_text("How patches are grouped");
            let depth = scene.gallery.depth as isize;
            let mut block = if how.block < 0 {
                depth + how.block
            } else {
                how.block
            };
            let label = ui.label("block").id;
            ui.add(egui::DragValue::new(&mut block).range(0..=depth - 1))
                .labelled_by(label)
                .on_hover_text("The block whose tokens are compared; the last one sees most");
            let wanted = How {
                group,
                block: block - depth,
            };
            if wanted != how {
                scene.asks.push(Ask::How(wanted));
            }
            ui.weak(format!(
                "{} patterns in {} pictures, step {}",
                scene.gallery.patterns.len(),
                scene.gallery.pictures.len(),
                scene.gallery.step
            ));
        });
    }

    fn ordered<'a>(&self, patterns: &'a [Pattern]) -> Vec<&'a Pattern> {
        let mut all: Vec<&Pattern> = patterns.iter().collect();
        let rank = |p: &Pattern| match self.order {
            Order::Population => 0.0,
            _ if p.population.pictures < ENOUGH => f64::NEG_INFINITY,
            Order::Confidence => p.population.confidence,
            Order::Purity => p.shows.as_ref().map_or(0.0, |shows| shows.purity),
        };
        all.sort_by(|a, b| rank(b).total_cmp(&rank(a))); // stable: equals stay by population
        all
    }

    fn gallery(&mut self, ui: &mut Ui, scene: &mut Scene) {
        let patterns = scene.gallery.clone();
        let ordered = self.ordered(&patterns.patterns);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            let width = ui.available_width();
            let columns = ((width / 250.0) as usize).max(1);
            let card = width / columns as f32 - theme::SPACE[1];
            for row in ordered.chunks(columns) {
                ui.horizontal_top(|ui| {
                    for pattern in row {
                        self.card(ui, scene, pattern, card);
                    }
                });
            }
        });
    }

    /// One pattern: its best patches and who belongs to it.
    fn card(&mut self, ui: &mut Ui, scene: &mut Scene, pattern: &Pattern, width: f32) {
        let theme = theme::of(ui);
        let (across, down) = (4, 2);
        let gap = 3.0;
        let inner = width - 2.0 * 8.0;
        let size = (inner - gap * (across - 1) as f32) / across as f32;
        let frame = Frame::new()
            .fill(theme.raised)
            .corner_radius(f32::from(theme::ROUND))
            .inner_margin(8.0);
        frame.show(ui, |ui| {
            ui.set_width(inner);
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing = vec2(gap, gap);
                for line in 0..down {
                    ui.horizontal(|ui| {
                        for i in line * across..(line + 1) * across {
                            match pattern.choices.get(i) {
                                Some(choice) => {
                                    let at = (choice.picture, choice.patch);
                                    let name = format!("patch {i} of pattern {}", pattern.id);
                                    if scene.patch_button(ui, at, size, &name).clicked() {
                                        scene.pick(choice.picture, Some(choice.patch));
                                        *scene.go = Some(Tab::Look);
                                    }
                                }
                                None => {
                                    ui.allocate_exact_size(vec2(size, size), egui::Sense::hover());
                                }
                            }
                        }
                    });
                }
                ui.add_space(2.0);
                ui.horizontal(|ui| {
                    let title = match &pattern.shows {
                        Some(shows) if shows.purity >= NAMED => {
                            format!("{} {:.0} %", shows.name, 100.0 * shows.purity)
                        }
                        _ => format!("#{}", pattern.id),
                    };
                    let title = ui.button(RichText::new(title).strong());
                    let who = &pattern.population;
                    let title = title.on_hover_text(format!(
                        "Pattern #{}: {} patches in {} pictures, mean cosine {:.2}",
                        pattern.id, who.members, who.pictures, who.confidence
                    ));
                    if title.clicked() {
                        self.open = Some(pattern.id);
                    }
                    ui.weak(format!("{} patches", who.members));
                    let kept = scene.gallery.kept.get(pattern.id as usize);
                    if kept.is_some_and(|&kept| kept < 0.5) {
                        ui.label(RichText::new("new").small().color(theme.accent))
                            .on_hover_text(
                                "Less than half of its patches were here at the last look",
                            );
                    }
                });
            });
        });
    }

    /// The sheet of one pattern.
    fn sheet(&mut self, ui: &mut Ui, scene: &mut Scene, id: u32) {
        let gallery = scene.gallery.clone();
        let Some(pattern) = gallery.pattern(id) else {
            return;
        };
        let who = &pattern.population;
        ui.heading(scene.name_of(id));
        let shows = pattern.shows.as_ref().map_or(String::new(), |shows| {
            format!(
                "; {:.0} % of them show: {}",
                100.0 * shows.purity,
                shows.name
            )
        });
        ui.weak(format!(
            "{} patches in {} pictures, mean cosine to the centre {:.2}{shows}. One patch a picture, nearest \
             to the centre first; press one to see its picture.",
            who.members, who.pictures, who.confidence
        ));
        ui.add_space(theme::SPACE[1]);
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.horizontal_wrapped(|ui| {
                for (i, choice) in pattern.choices.iter().enumerate() {
                    let name = format!("patch {i} of pattern {id}");
                    let at = (choice.picture, choice.patch);
                    let response = scene.patch_button(ui, at, 120.0, &name);
                    let picture = gallery.pictures.get(choice.picture);
                    let of = picture.map(|p| p.name.as_str()).unwrap_or_default();
                    let response =
                        response.on_hover_text(format!("{of}\ncosine {:.2}", choice.value));
                    if response.clicked() {
                        scene.pick(choice.picture, Some(choice.patch));
                        *scene.go = Some(Tab::Look);
                    }
                }
            });
        });
    }
}
