//! What the panels of a run share: the newest look, its pictures, the chosen patch, and what they ask
//! for.

use std::sync::Arc;

use egui::{Color32, Rect, Response, Sense, Stroke, StrokeKind, Ui, Vec2, pos2, vec2};

use super::atlas::Atlas;
use super::theme;
use crate::session::gallery::Gallery;
use crate::session::looker::Ask;

/// One patch of one picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Picked {
    pub picture: usize,
    pub patch: Option<usize>,
}

/// A panel of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Patterns,
    Look,
    Lab,
    Views,
    Curves,
    Settings,
    Log,
}

impl Tab {
    pub const ALL: [Tab; 7] = [
        Tab::Patterns,
        Tab::Look,
        Tab::Lab,
        Tab::Views,
        Tab::Curves,
        Tab::Settings,
        Tab::Log,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Tab::Patterns => "Patterns",
            Tab::Look => "Look",
            Tab::Lab => "Mask lab",
            Tab::Views => "Masks & views",
            Tab::Curves => "Curves",
            Tab::Settings => "Settings",
            Tab::Log => "Log",
        }
    }

    /// What it shows, in a sentence.
    pub fn help(self) -> &'static str {
        match self {
            Tab::Patterns => "Groups of patches that the network finds alike",
            Tab::Look => "One picture: similar patches, attention, colours, clusters",
            Tab::Lab => "Hide patches of a picture and see what teacher and student say of them",
            Tab::Views => "The crops that the networks see, with their masks",
            Tab::Curves => "Losses and measurements over time",
            Tab::Settings => "All settings of this run; some can change while it goes on",
            Tab::Log => "What happened, with warnings and errors",
        }
    }
}

/// What panels see and change.
pub struct Scene<'a> {
    pub gallery: &'a Arc<Gallery>,
    pub atlas: &'a Atlas,
    pub picked: &'a mut Picked,
    /// A panel that was asked for.
    pub go: &'a mut Option<Tab>,
    pub asks: &'a mut Vec<Ask>,
    /// Temperature of the teacher's patches now.
    pub temperature: f64,
    /// Whether overlays are drawn by the GPU.
    pub gpu: bool,
}

impl Scene<'_> {
    /// Chooses a picture, and asks for nothing.
    pub fn pick(&mut self, picture: usize, patch: Option<usize>) {
        *self.picked = Picked { picture, patch };
    }

    /// A patch of picture `picture` in its surroundings, `size` points a side, that can be pressed.
    pub fn patch_button(
        &self,
        ui: &mut Ui,
        (picture, patch): (usize, usize),
        size: f32,
        name: &str,
    ) -> Response {
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(size), Sense::click());
        if ui.is_rect_visible(rect) {
            let at = self
                .atlas
                .patch(ui, picture, patch, self.atlas.context(), rect);
            let theme = theme::of(ui);
            let strong = response.hovered() || response.has_focus();
            let colour = if strong {
                theme.accent
            } else {
                Color32::from_white_alpha(150)
            };
            frame(ui, at, colour, if strong { 2.0 } else { 1.0 });
            if response.has_focus() {
                frame(ui, rect, theme.accent, 2.0);
            }
        }
        named(&response, name);
        response
    }

    /// A whole picture, `size` points a side, that can be pressed.
    pub fn picture_button(&self, ui: &mut Ui, picture: usize, size: f32, chosen: bool) -> Response {
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(size), Sense::click());
        if ui.is_rect_visible(rect) {
            self.atlas.picture(ui, picture, rect);
            let theme = theme::of(ui);
            if chosen || response.has_focus() || response.hovered() {
                frame(ui, rect, theme.accent, if chosen { 2.5 } else { 1.0 });
            }
        }
        let name = self.gallery.pictures.get(picture).map(|p| p.name.as_str());
        named(&response, &format!("picture {}", name.unwrap_or_default()));
        response
    }

    /// What people call cluster `id`: what it shows if that is known, else its number.
    pub fn name_of(&self, id: u32) -> String {
        let shows = self.gallery.pattern(id).and_then(|p| p.shows.as_ref());
        match shows {
            Some(shows) if shows.purity >= super::patterns::NAMED => {
                format!("{} #{id}", shows.name)
            }
            _ => format!("#{id}"),
        }
    }
}

/// Says to screen readers what a painted control is.
pub fn named(response: &Response, name: &str) {
    response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, response.enabled(), name));
}

/// An outline inside `rect`.
pub fn frame(ui: &Ui, rect: Rect, colour: Color32, width: f32) {
    let stroke = Stroke::new(width, colour);
    ui.painter()
        .rect_stroke(rect, 0.0, stroke, StrokeKind::Inside);
}

/// The part of `rect` that patch `patch` of a grid takes.
pub fn cell(rect: Rect, grid: usize, patch: usize) -> Rect {
    let size = rect.size() / grid.max(1) as f32;
    let (row, column) = (patch / grid.max(1), patch % grid.max(1));
    let min = rect.min + vec2(column as f32 * size.x, row as f32 * size.y);
    Rect::from_min_size(min, size)
}

/// A bar of `share` of the width with a caption.
pub fn bar(ui: &mut Ui, share: f32, colour: Color32, text: &str) -> Response {
    let size = vec2(ui.available_width().min(220.0), 16.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    let theme = theme::of(ui);
    ui.painter().rect_filled(rect, 3.0, theme.paper);
    let mut filled = rect;
    filled.set_width(rect.width() * share.clamp(0.0, 1.0));
    ui.painter()
        .rect_filled(filled, 3.0, colour.gamma_multiply(0.6));
    ui.painter().text(
        pos2(rect.min.x + 6.0, rect.center().y),
        egui::Align2::LEFT_CENTER,
        text,
        egui::FontId::proportional(11.0),
        theme.ink,
    );
    response
}
