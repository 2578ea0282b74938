//! Pictures made of pictures: strips, grids, heat maps. Plain pixels, so that the command line, the page
//! and the window show the same.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use image::{ImageFormat, RgbImage};

use crate::data::Picture;

/// A colour, red, green and blue.
pub type Rgb = [u8; 3];

/// Between pictures of a strip or a grid.
pub const GAP: usize = 4;

/// Behind pictures.
pub const PAPER: Rgb = [255, 255, 255];

impl Picture {
    /// A picture of one colour.
    pub fn filled(width: usize, height: usize, colour: Rgb) -> Self {
        Picture {
            width,
            height,
            rgb: colour.repeat(width * height),
        }
    }

    /// Copies `other` to (`left`, `top`); what lies outside is left out.
    pub fn paste(&mut self, other: &Picture, left: usize, top: usize) {
        let columns = other.width.min(self.width.saturating_sub(left));
        for y in 0..other.height.min(self.height.saturating_sub(top)) {
            let from = &other.rgb[y * other.width * 3..][..columns * 3];
            self.rgb[((top + y) * self.width + left) * 3..][..columns * 3].copy_from_slice(from);
        }
    }

    /// Every pixel `times` as wide and high.
    pub fn enlarged(&self, times: usize) -> Self {
        let width = self.width * times;
        let mut rgb = Vec::with_capacity(self.rgb.len() * times * times);
        for row in self.rgb.chunks_exact((self.width * 3).max(1)) {
            let (pixels, _) = row.as_chunks::<3>();
            let line: Vec<u8> = pixels.iter().flat_map(|p| p.repeat(times)).collect();
            rgb.extend(line.repeat(times));
        }
        Picture {
            width,
            height: self.height * times,
            rgb,
        }
    }

    /// Draws the outline of a rectangle, `thick` pixels inwards.
    pub fn outline(&mut self, [left, top, width, height]: [usize; 4], thick: usize, colour: Rgb) {
        for y in top..(top + height).min(self.height) {
            for x in left..(left + width).min(self.width) {
                let inside = |at: usize, from: usize, size: usize| {
                    at >= from + thick && at + thick < from + size
                };
                if !(inside(x, left, width) && inside(y, top, height)) {
                    self.rgb[(y * self.width + x) * 3..][..3].copy_from_slice(&colour);
                }
            }
        }
    }

    /// Mixes `colour` into a pixel: 0 leaves it, 1 replaces it.
    pub fn blend(&mut self, x: usize, y: usize, colour: Rgb, share: f32) {
        if x < self.width && y < self.height {
            let pixel = &mut self.rgb[(y * self.width + x) * 3..][..3];
            for (value, colour) in pixel.iter_mut().zip(colour) {
                let mixed = f32::from(*value) * (1.0 - share) + f32::from(colour) * share;
                *value = mixed.round() as u8;
            }
        }
    }

    /// Writes it as PNG.
    ///
    /// # Errors
    /// A path that cannot be written to.
    pub fn save_png(&self, path: &Path) -> Result<()> {
        self.to_image()?
            .save_with_format(path, ImageFormat::Png)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// The same pixels as an image of the `image` crate.
    ///
    /// # Errors
    /// A picture whose pixels do not fill its size.
    pub fn to_image(&self) -> Result<RgbImage> {
        RgbImage::from_raw(self.width as u32, self.height as u32, self.rgb.clone())
            .ok_or_else(|| anyhow!("a picture of {}x{} lacks pixels", self.width, self.height))
    }
}

/// Pictures row by row in `columns`, with gaps, on `paper`; cells are as large as the largest.
pub fn grid(pictures: &[Picture], columns: usize, gap: usize, paper: Rgb) -> Picture {
    let columns = columns.clamp(1, pictures.len().max(1));
    let rows = pictures.len().div_ceil(columns);
    let width = pictures.iter().map(|p| p.width).max().unwrap_or_default();
    let height = pictures.iter().map(|p| p.height).max().unwrap_or_default();
    let span = |count: usize, size: usize| count * size + count.saturating_sub(1) * gap;
    let mut sheet = Picture::filled(span(columns, width), span(rows, height), paper);
    for (i, picture) in pictures.iter().enumerate() {
        let (left, top) = (i % columns * (width + gap), i / columns * (height + gap));
        sheet.paste(picture, left, top);
    }
    sheet
}

/// Pictures side by side, each as wide as it is.
pub fn strip(pictures: &[Picture]) -> Picture {
    let height = pictures.iter().map(|p| p.height).max().unwrap_or_default();
    let widths: usize = pictures.iter().map(|p| p.width).sum();
    let width = widths + pictures.len().saturating_sub(1) * GAP;
    let mut strip = Picture::filled(width, height, PAPER);
    let mut left = 0;
    for picture in pictures {
        strip.paste(picture, left, 0);
        left += picture.width + GAP;
    }
    strip
}

/// A quantity in [0, 1] as a colour of equal steps (viridis), readable for colour-blind eyes.
pub fn viridis(value: f32) -> Rgb {
    colorous::VIRIDIS
        .eval_continuous(f64::from(value).clamp(0.0, 1.0))
        .as_array()
}

/// The same on black (inferno), for what shines.
pub fn inferno(value: f32) -> Rgb {
    colorous::INFERNO
        .eval_continuous(f64::from(value).clamp(0.0, 1.0))
        .as_array()
}

/// A colour for the `index`-th of any number of kinds: hues by the golden angle, lightness in four
/// levels, so that neighbours in the list differ most.
pub fn kind(index: usize) -> Rgb {
    let hue = (index as f64 * 137.507_764) % 360.0;
    let lightness = [0.74, 0.55, 0.86, 0.65][index % 4];
    oklch(lightness, 0.13, hue)
}

/// OkLCh → sRGB, clipped (Björn Ottosson, "A perceptual color space for image processing").
fn oklch(lightness: f64, chroma: f64, hue: f64) -> Rgb {
    let (sin, cos) = hue.to_radians().sin_cos();
    let (a, b) = (chroma * cos, chroma * sin);
    let l = (lightness + 0.396_337_777_4 * a + 0.215_803_757_3 * b).powi(3);
    let m = (lightness - 0.105_561_345_8 * a - 0.063_854_172_8 * b).powi(3);
    let s = (lightness - 0.089_484_177_5 * a - 1.291_485_548 * b).powi(3);
    let linear = [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701 * s,
    ];
    linear.map(|x| {
        let x = x.clamp(0.0, 1.0);
        let gamma = match x <= 0.003_130_8 {
            true => 12.92 * x,
            false => 1.055 * x.powf(1.0 / 2.4) - 0.055,
        };
        (gamma * 255.0).round() as u8
    })
}

/// A grid of quantities `[rows, columns]` as a picture, `patch` pixels a cell.
pub fn heat_map(
    values: &[f32],
    columns: usize,
    patch: usize,
    range: (f32, f32),
    colour: fn(f32) -> Rgb,
) -> Picture {
    let (low, high) = range;
    let scale = if high > low { 1.0 / (high - low) } else { 0.0 };
    let rgb = values.iter().flat_map(|v| colour((v - low) * scale));
    Picture {
        width: columns,
        height: values.len() / columns.max(1),
        rgb: rgb.collect(),
    }
    .enlarged(patch)
}

/// The smallest and the largest of finite numbers.
pub fn range(values: &[f32]) -> (f32, f32) {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    finite.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_pasted_enlarged_and_outlined_where_they_belong() {
        let red = Picture::filled(2, 1, [255, 0, 0]);
        let sheet = grid(&[red.clone(), red.clone(), red], 2, 1, [9, 9, 9]);
        assert_eq!((sheet.width, sheet.height), (5, 3));
        let at = |p: &Picture, x: usize, y: usize| -> Rgb {
            let i = (y * p.width + x) * 3;
            [p.rgb[i], p.rgb[i + 1], p.rgb[i + 2]]
        };
        assert_eq!(at(&sheet, 1, 2), [255, 0, 0]);
        assert_eq!(at(&sheet, 2, 0), [9, 9, 9]);
        assert_eq!(at(&sheet, 3, 2), [9, 9, 9]);
        let mut large = sheet.enlarged(2);
        assert_eq!((large.width, large.height), (10, 6));
        assert_eq!(at(&large, 3, 1), [255, 0, 0]);
        large.outline([6, 2, 40, 40], 1, [1, 2, 3]);
        assert_eq!(at(&large, 6, 5), [1, 2, 3]);
        assert_eq!(at(&large, 7, 3), [255, 0, 0].map(|_| 9));
        large.paste(&Picture::filled(4, 4, [7; 3]), 8, 4);
        assert_eq!(at(&large, 9, 5), [7; 3]);
    }

    #[test]
    fn colours_of_kinds_differ() {
        let colours: Vec<Rgb> = (0..64).map(kind).collect();
        for (i, a) in colours.iter().enumerate() {
            for b in &colours[..i] {
                let apart: i32 = a
                    .iter()
                    .zip(b)
                    .map(|(x, y)| (i32::from(*x) - i32::from(*y)).abs())
                    .sum();
                assert!(apart >= 12, "{a:?} {b:?}");
            }
        }
    }
}
