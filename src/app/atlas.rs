//! The pictures that are looked at, in one texture: thumbnails and patches are cut out of it by the GPU.

use std::sync::Arc;

use egui::{
    Color32, ColorImage, Context, Pos2, Rect, TextureHandle, TextureOptions, Ui, pos2, vec2,
};

use crate::session::gallery::Gallery;
use crate::session::reference::ReferencePicture;

/// All pictures of a look.
pub struct Atlas {
    pictures: Arc<Vec<ReferencePicture>>,
    texture: TextureHandle,
    columns: usize,
    rows: usize,
    side: usize,
    grid: usize,
}

impl Atlas {
    /// The texture of the pictures of `gallery`.
    pub fn of(ctx: &Context, gallery: &Gallery) -> Self {
        let pictures = gallery.pictures.clone();
        let side = pictures.first().map_or(1, |p| p.view.width).max(1);
        let columns = (pictures.len() as f64).sqrt().ceil().max(1.0) as usize;
        let rows = pictures.len().div_ceil(columns).max(1);
        let mut image = ColorImage::filled([columns * side, rows * side], Color32::BLACK);
        for (i, picture) in pictures.iter().enumerate() {
            let (left, top) = (i % columns * side, i / columns * side);
            let lines = picture.view.rgb.chunks_exact(3 * picture.view.width.max(1));
            for (y, line) in lines.take(side).enumerate() {
                let from = (top + y) * columns * side + left;
                let pixels = line.chunks_exact(3).take(side);
                for (out, rgb) in image.pixels[from..].iter_mut().zip(pixels) {
                    *out = Color32::from_rgb(rgb[0], rgb[1], rgb[2]);
                }
            }
        }
        Atlas {
            pictures,
            texture: ctx.load_texture("pictures", image, TextureOptions::LINEAR),
            columns,
            rows,
            side,
            grid: gallery.grid.max(1),
        }
    }

    /// Whether it holds the pictures of `gallery`.
    pub fn holds(&self, gallery: &Gallery) -> bool {
        Arc::ptr_eq(&self.pictures, &gallery.pictures) && self.grid == gallery.grid
    }

    /// Draws picture `index` into `rect`.
    pub fn picture(&self, ui: &Ui, index: usize, rect: Rect) {
        self.draw(ui, index, [0.0, 0.0, 1.0], rect);
    }

    /// Draws a patch with its surroundings, `window` patches a side, into `rect`, and says where in `rect` the patch
    /// is. At an edge the window moves inwards.
    pub fn patch(&self, ui: &Ui, index: usize, patch: usize, window: usize, rect: Rect) -> Rect {
        let window = window.clamp(1, self.grid);
        let start = |at: usize| at.saturating_sub(window / 2).min(self.grid - window);
        let (row, column) = (patch / self.grid, patch % self.grid);
        let (top, left) = (start(row), start(column));
        let share = 1.0 / self.grid as f32;
        let from = [left as f32 * share, top as f32 * share];
        self.draw(ui, index, [from[0], from[1], window as f32 * share], rect);
        let cell = rect.width() / window as f32;
        let at = vec2((column - left) as f32 * cell, (row - top) as f32 * cell);
        Rect::from_min_size(rect.min + at, vec2(cell, cell))
    }

    /// Side of the window around a patch that shows what it belongs to.
    pub fn context(&self) -> usize {
        (self.grid * 3 / 8).max(3) | 1
    }

    /// `part`: left, top and side within the picture, of 1.
    fn draw(&self, ui: &Ui, index: usize, part: [f32; 3], rect: Rect) {
        if index >= self.pictures.len() {
            return;
        }
        let side = self.side as f32;
        let size = vec2(self.columns as f32 * side, self.rows as f32 * side);
        let cell = pos2(
            (index % self.columns) as f32 * side,
            (index / self.columns) as f32 * side,
        );
        // Half a pixel inwards: filtering must not take in the neighbour.
        let [left, top, share] = part;
        let min = cell + vec2(left, top) * side + vec2(0.5, 0.5);
        let max = cell + vec2(left + share, top + share) * side - vec2(0.5, 0.5);
        let uv = |p: Pos2| pos2(p.x / size.x, p.y / size.y);
        let uv = Rect::from_min_max(uv(min), uv(max));
        ui.painter()
            .image(self.texture.id(), rect, uv, Color32::WHITE);
    }
}
