//! A picture with something said about each of its patches: what is hidden, how much, or of which kind.
//!
//! A GPU draws it in one pass of `shaders/overlay.wgsl`; [`compose`] makes the same pixels without one.
//! Pictures are enlarged smoothly and reduced by averaging; patches have hard edges.

mod cpu;
mod gpu;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use egui::{
    EventFilter, Id, Key, Pos2, Rect, Response, Role, Sense, TextureHandle, TextureOptions, Ui,
    WidgetInfo,
};

use super::theme::Mode;
use crate::data::Picture;
use crate::explore::draw;
pub use cpu::compose;
pub use gpu::install;

/// Pixels that a side has at most; larger pictures are drawn without the GPU.
const LARGEST: usize = 4096;

/// Patches that a side has at most.
const MOST_PATCHES: usize = 1024;

/// What was not shown for so many passes is forgotten.
const IDLE: u64 = 120;

/// A picture and what is drawn over it.
#[derive(Clone, Debug)]
pub struct Overlay<'a> {
    pub picture: &'a Picture,
    /// Patches along one side; the picture is `grid` x `grid` patches, numbered row by row.
    pub grid: usize,
    pub layer: Layer,
    /// Of the layer: 0 leaves the picture, 1 replaces it.
    pub opacity: f32,
    /// Thin lines between patches.
    pub lines: bool,
    /// Patches with an outline.
    pub chosen: &'a [usize],
}

/// What is said about the patches. Patches that a list is too short for are left bare.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Layer {
    #[default]
    None,
    /// `true` is covered.
    Mask(Vec<bool>),
    /// Values in 0..=1; one that is not finite leaves its patch bare.
    Heat(Vec<f32>, Map),
    /// Red, green, blue (gamma-coded) and opacity.
    Tint(Vec<[u8; 4]>),
}

/// How values become colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Map {
    pub colours: Colours,
    /// Blends from the middle of one patch to the next in place of hard edges.
    pub smooth: bool,
}

/// A colour map of [`crate::explore::draw`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Colours {
    #[default]
    Viridis,
    Inferno,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    None,
    Tint,
    Heat,
}

/// An overlay without its picture, as both ways of drawing take it.
struct Sheet {
    /// Pixels on the screen.
    side: [usize; 2],
    grid: usize,
    kind: Kind,
    smooth: bool,
    lines: bool,
    /// Row of [`map_texels`].
    map: usize,
    /// Samples along each side of a pixel.
    taps: usize,
    /// Of an outline, in pixels.
    thick: usize,
    opacity: f32,
    line: [f32; 4],
    mark: [f32; 4],
    /// RGBA, `grid` wide and twice as high: the layer, then the flags of chosen patches.
    cells: Vec<u8>,
}

impl Sheet {
    fn of(overlay: &Overlay, side: [usize; 2]) -> Self {
        let theme = Mode::Dark.theme();
        let grid = overlay.grid.clamp(1, MOST_PATCHES);
        let side = side.map(|s| s.max(1));
        let (mut kind, mut map) = (Kind::None, Map::default());
        let mut layer: Vec<[u8; 4]> = match &overlay.layer {
            Layer::None => vec![],
            Layer::Mask(hidden) => {
                kind = Kind::Tint;
                let [r, g, b, _] = theme.paper.to_array();
                let cell = |hidden: &bool| [r, g, b, if *hidden { 255 } else { 0 }];
                hidden.iter().map(cell).collect()
            }
            Layer::Heat(values, with) => {
                (kind, map) = (Kind::Heat, *with);
                let cell = |value: &f32| {
                    let [high, low] = ((value.clamp(0.0, 1.0) * 65535.0) as u16).to_be_bytes();
                    [high, low, 0, if value.is_finite() { 255 } else { 0 }]
                };
                values.iter().map(cell).collect()
            }
            Layer::Tint(colours) => {
                kind = Kind::Tint;
                colours.clone()
            }
        };
        layer.resize(grid * grid, [0; 4]);
        let mut flags = vec![[0; 4]; grid * grid];
        for chosen in overlay.chosen {
            if let Some(flag) = flags.get_mut(*chosen) {
                *flag = [255; 4];
            }
        }
        let cells = [layer, flags].concat().into_flattened();
        let smaller = side[0].min(side[1]);
        let larger = overlay.picture.width.max(overlay.picture.height);
        let opacity = overlay.opacity.clamp(0.0, 1.0);
        let part = |colour: egui::Color32, alpha: f32| {
            let [r, g, b, _] = colour.to_array().map(|v| f32::from(v) / 255.0);
            [r, g, b, alpha]
        };
        Sheet {
            side,
            grid,
            kind,
            smooth: map.smooth,
            // Closer lines would hide the picture.
            lines: overlay.lines && smaller / grid >= 4,
            map: usize::from(map.colours == Colours::Inferno),
            taps: larger.div_ceil(smaller).clamp(1, 4),
            thick: (smaller / 150).clamp(1, 4),
            opacity: if opacity.is_finite() { opacity } else { 0.0 },
            line: part(theme.ink, 0.35),
            mark: part(theme.accent, 1.0),
            cells,
        }
    }

    /// The patch, column and row, that a pixel is of.
    fn cell(&self, pixel: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|d| (2 * pixel[d] + 1) * self.grid / (2 * self.side[d]))
    }
}

/// Width, height and RGBA of a picture; one grey texel where it lacks pixels.
fn texels(picture: &Picture) -> (usize, usize, Vec<u8>) {
    let (pixels, rest) = picture.rgb.as_chunks::<3>();
    let complete = rest.is_empty() && pixels.len() == picture.width * picture.height;
    if !complete || pixels.is_empty() {
        return (1, 1, Mode::Dark.theme().raised.to_array().to_vec());
    }
    let rgba = pixels.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]);
    (picture.width, picture.height, rgba.collect())
}

/// The colour maps as RGBA, 256 entries a row: viridis, inferno.
fn map_texels() -> Vec<u8> {
    let rows = [draw::viridis, draw::inferno];
    let entries = rows
        .iter()
        .flat_map(|map| (0..256).map(|i| map(i as f32 / 255.0)));
    entries.flat_map(|[r, g, b]| [r, g, b, 255]).collect()
}

/// What is kept from pass to pass for pictures on the screen.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<HashMap<(Id, bool), Entry>>>);

struct Entry {
    key: u64,
    pass: u64,
    item: Item,
}

#[derive(Clone)]
enum Item {
    Texture(TextureHandle),
    Texels(Arc<(usize, usize, Vec<u8>)>),
}

/// The item of `id` with contents `key`, made by `make` where there is none.
fn kept(ui: &Ui, id: (Id, bool), key: u64, make: impl FnOnce() -> Item) -> Item {
    let pass = ui.ctx().cumulative_pass_nr();
    let kept: Kept = ui.data_mut(|data| data.get_temp_mut_or_default::<Kept>(Id::NULL).clone());
    let mut map = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
    map.retain(|_, entry| entry.pass + IDLE >= pass);
    let found = map.get(&id).filter(|entry| entry.key == key);
    let item = found.map_or_else(make, |entry| entry.item.clone());
    let entry = Entry {
        key,
        pass,
        item: item.clone(),
    };
    map.insert(id, entry);
    item
}

/// Shows `overlay`, `size` points wide and high; the response feels hover and click, see [`patch_at`]
/// and [`patch_by_key`]. `id` tells pictures apart, the same one for the same place in every frame.
/// `gpu` asks for the shader, which needs [`install`]. The name for screen readers is a general one;
/// who knows better sets it with `Response::widget_info`.
pub fn show(
    ui: &mut Ui,
    id: impl std::hash::Hash,
    overlay: &Overlay,
    size: f32,
    gpu: bool,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(egui::Vec2::splat(size), Sense::click());
    let grid = overlay.grid;
    response.widget_info(|| {
        let name = format!("Picture of {grid} by {grid} patches");
        WidgetInfo::labeled(Role::Image, true, name)
    });
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let id = Id::unique(("overlay", egui::util::hash(id)));
    let picture = overlay.picture;
    let picture_key = egui::util::hash((picture.width, picture.height, &picture.rgb));
    if gpu && picture.width.max(picture.height) <= LARGEST {
        let scale = ui.ctx().pixels_per_point();
        let (min, max) = (rect.min * scale, rect.max * scale);
        let side = |a: f32, b: f32| (b.round() - a.round()).max(1.0) as usize;
        let made = kept(ui, (id, true), picture_key, || {
            Item::Texels(Arc::new(texels(picture)))
        });
        if let Item::Texels(texels) = made {
            let drawing = gpu::Drawing {
                id,
                rect,
                pass: ui.ctx().cumulative_pass_nr(),
                picture: (picture_key, texels),
                sheet: Sheet::of(overlay, [side(min.x, max.x), side(min.y, max.y)]),
            };
            let callback = egui_wgpu::Callback::new_paint_callback(rect, drawing);
            ui.painter().add(callback);
        }
    } else {
        let side = (size * ui.ctx().pixels_per_point()).round().max(1.0) as usize;
        let sheet = Sheet::of(overlay, [side; 2]);
        let drawn = (
            sheet.kind,
            sheet.smooth,
            sheet.lines,
            sheet.map,
            sheet.opacity.to_bits(),
        );
        let key = egui::util::hash((picture_key, side, sheet.grid, drawn, &sheet.cells));
        let made = kept(ui, (id, false), key, || {
            let image = compose(overlay, side);
            Item::Texture(ui.load_texture("overlay", image, TextureOptions::NEAREST))
        });
        if let Item::Texture(texture) = made {
            let whole = Rect::from_min_max(Pos2::ZERO, egui::pos2(1.0, 1.0));
            ui.painter()
                .image(texture.id(), rect, whole, egui::Color32::WHITE);
        }
    }
    if response.has_focus() {
        let theme = super::theme::of(ui);
        let edge = egui::Stroke::new(2.0, theme.accent);
        ui.painter()
            .rect_stroke(rect, 0.0, edge, egui::StrokeKind::Outside);
    }
    response
}

/// The patch of a shown picture under `pos`, if `pos` is inside.
pub fn patch_at(response: &Response, pos: Pos2, grid: usize) -> Option<usize> {
    let rect = response.rect;
    if !rect.contains(pos) || grid == 0 || !rect.is_positive() {
        return None;
    }
    let place = (pos - rect.min) / rect.size() * grid as f32;
    let cell = |v: f32| (v as usize).min(grid - 1);
    Some(cell(place.y) * grid + cell(place.x))
}

/// The patch that an arrow key moves to from `patch` (or from the middle) while the picture has the
/// keyboard.
pub fn patch_by_key(
    ui: &Ui,
    response: &Response,
    patch: Option<usize>,
    grid: usize,
) -> Option<usize> {
    if !response.has_focus() || grid == 0 {
        return None;
    }
    let filter = EventFilter {
        horizontal_arrows: true,
        vertical_arrows: true,
        ..EventFilter::default()
    };
    ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    let from = patch
        .unwrap_or(grid / 2 * grid + grid / 2)
        .min(grid * grid - 1);
    let (x, y, last) = (from % grid, from / grid, grid - 1);
    let moves = [
        (Key::ArrowLeft, (x.saturating_sub(1), y)),
        (Key::ArrowRight, ((x + 1).min(last), y)),
        (Key::ArrowUp, (x, y.saturating_sub(1))),
        (Key::ArrowDown, (x, (y + 1).min(last))),
    ];
    let pressed = |key: Key| ui.input_mut(|i| i.consume_key(egui::Modifiers::NONE, key));
    let to = moves.into_iter().find(|(key, _)| pressed(*key));
    to.map(|(_, (x, y))| y * grid + x)
}

#[cfg(test)]
mod tests;
