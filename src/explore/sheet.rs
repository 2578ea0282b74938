//! Contact sheets: the patches of one pattern with what is around them, in the reference's layout.
//!
//! A square grid, best patch first, row by row; a cell is the patch and two patches to each side of it,
//! black beyond the picture's edge. Cells that are too dark to see anything are passed over, which is
//! why twice as many candidates are looked at as there are cells.

use std::sync::Arc;

use rayon::prelude::*;

use super::draw::{self, PAPER, Rgb};
use super::patterns::{Choice, Pattern};
use super::{Encoder, Look, text};
use crate::data::pixels::{Filter, resize};
use crate::data::{Picture, Source};

/// The reference's orange.
pub const ORANGE: Rgb = [200, 100, 0];

/// Cells at most this bright on average (of 255) are passed over.
const DARK: f64 = 40.0;

/// Pixels that a cell has at least: smaller ones are enlarged by a whole factor.
const CELL: usize = 80;

/// Cells of a line of an overview, and pixels of its label.
const LINE: usize = 12;
const LABEL: usize = 150;

const INK: Rgb = [34, 38, 46];
const QUIET: Rgb = [104, 111, 122];

/// Between cells.
const GAP: usize = 2;

/// How the patch itself is marked in its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A line around it, so that what is in it can be seen.
    Outline,
    /// Half orange over it, as in the reference.
    Tint,
    None,
}

/// A pattern with the pictures of its choices.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub pattern: Pattern,
    /// The view of each choice.
    pub views: Vec<Picture>,
}

/// A square of `window` patches around patch `patch` of a view; black beyond the edge. A whole
/// picture's window is the picture.
pub fn context(encoder: &Encoder, view: &Picture, patch: usize, window: usize) -> Picture {
    let (side, grid) = (encoder.patch(), encoder.grid());
    let reach = (window / 2 * side) as isize;
    let size = (window / 2 * 2 + 1) * side;
    let left = (patch % grid * side) as isize - reach;
    let top = (patch / grid * side) as isize - reach;
    let mut cell = Picture::filled(size, size, [0; 3]);
    for y in 0..size as isize {
        for x in 0..size as isize {
            let (from_x, from_y) = (left + x, top + y);
            let inside = |at: isize, size: usize| (0..size as isize).contains(&at);
            if inside(from_x, view.width) && inside(from_y, view.height) {
                let from = (from_y as usize * view.width + from_x as usize) * 3;
                let to = (y as usize * size + x as usize) * 3;
                cell.rgb[to..to + 3].copy_from_slice(&view.rgb[from..from + 3]);
            }
        }
    }
    cell
}

/// Brightness as in HSV, the mean over all pixels, of 255.
fn brightness(picture: &Picture) -> f64 {
    let (pixels, _) = picture.rgb.as_chunks::<3>();
    let value = |p: &[u8; 3]| u64::from(p[0].max(p[1]).max(p[2]));
    pixels.iter().map(value).sum::<u64>() as f64 / pixels.len().max(1) as f64
}

impl Drawn {
    /// Loads the pictures of a pattern whose choices are candidates: the first `count` of them that can be
    /// read are kept. With `bright`, cells of `window` patches (0: whole pictures) that are too dark are
    /// passed over.
    pub fn load(
        encoder: &Encoder,
        source: &Arc<dyn Source>,
        mut pattern: Pattern,
        count: usize,
        bright: Option<usize>,
    ) -> Self {
        let see = |choice: &Choice| {
            let view = Look::load(encoder, source, choice.picture).ok()?.view;
            let seen = match bright {
                None => true,
                Some(0) => brightness(&view) > DARK,
                Some(window) => brightness(&context(encoder, &view, choice.patch, window)) > DARK,
            };
            seen.then_some((*choice, view))
        };
        let loaded = pattern.choices.par_iter().map(see).collect::<Vec<_>>();
        let (choices, views) = loaded.into_iter().flatten().take(count).unzip();
        pattern.choices = choices;
        Drawn { pattern, views }
    }

    /// The cell of choice `i`. `window` 0 shows the whole picture.
    pub fn cell(&self, encoder: &Encoder, i: usize, window: usize, mark: Mark) -> Picture {
        let (Some(choice), Some(view)) = (self.pattern.choices.get(i), self.views.get(i)) else {
            return Picture::filled(CELL, CELL, [0; 3]);
        };
        if window == 0 {
            return view.enlarged(CELL.div_ceil(view.width.max(1)));
        }
        let cell = context(encoder, view, choice.patch, window);
        let times = CELL.div_ceil(cell.width);
        let mut cell = cell.enlarged(times);
        let side = encoder.patch() * times;
        let from = window / 2 * side;
        match mark {
            Mark::Outline => {
                // Just outside the patch: nothing of it is covered.
                let line = (cell.width / 80).max(1);
                let around = [from - line, from - line, side + 2 * line, side + 2 * line];
                cell.outline(around, line, ORANGE);
            }
            Mark::Tint => {
                for y in from..=from + side {
                    for x in from..=from + side {
                        cell.blend(x, y, ORANGE, 127.0 / 255.0);
                    }
                }
            }
            Mark::None => {}
        }
        cell
    }

    /// One line for an overview: what it shows, and its best patches.
    pub fn line(&self, encoder: &Encoder, window: usize, mark: Mark) -> Picture {
        let cells = (0..self.views.len().min(LINE)).map(|i| {
            let cell = self.cell(encoder, i, window, mark);
            resize(&cell, CELL, CELL, Filter::Bicubic)
        });
        let cells = draw::grid(&cells.collect::<Vec<_>>(), LINE, GAP, PAPER);
        let width = LABEL + LINE * (CELL + GAP) - GAP;
        let mut line = Picture::filled(width, CELL, PAPER);
        line.paste(&cells, LABEL, 0);
        let (name, about) = match &self.pattern.shows {
            Some(shows) => (
                shows.name.clone(),
                format!("{} · {:.0} %", self.pattern.id, 100.0 * shows.purity),
            ),
            None => (self.pattern.id.to_string(), String::new()),
        };
        text::write(&mut line, &name, 4, 18, 21, INK);
        text::write(&mut line, &about, 4, 44, 16, QUIET);
        line
    }

    /// The sheet.
    pub fn sheet(&self, encoder: &Encoder, window: usize, mark: Mark) -> Picture {
        let count = self.views.len();
        let cells: Vec<Picture> = (0..count)
            .map(|i| self.cell(encoder, i, window, mark))
            .collect();
        let side = (1..).find(|side| side * side >= count).unwrap_or(1);
        draw::grid(&cells, side, GAP, PAPER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::tests::tiny_encoder;

    #[test]
    fn a_window_shows_the_patch_in_the_middle_and_black_beyond_the_edge() {
        // 32 px, patches of 8: every patch has the shade of its number.
        let encoder = tiny_encoder();
        let shade = |patch: usize| 100 + patch as u8;
        let mut view = Picture::filled(32, 32, [0; 3]);
        for patch in 0..16 {
            let square = Picture::filled(8, 8, [shade(patch); 3]);
            view.paste(&square, patch % 4 * 8, patch / 4 * 8);
        }
        let cell = context(&encoder, &view, 4, 3);
        assert_eq!((cell.width, cell.height), (24, 24));
        let at = |x: usize, y: usize| cell.rgb[(y * 24 + x) * 3];
        assert_eq!(at(12, 12), shade(4));
        assert_eq!(at(20, 4), shade(1));
        assert_eq!(at(20, 20), shade(9));
        assert_eq!(at(4, 12), 0);
        assert!((brightness(&cell) - 2.0 / 3.0 * (100.0 + 4.5)).abs() < 1e-9);
    }
}
