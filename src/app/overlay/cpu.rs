//! The same sums as `shaders/overlay.wgsl`, without a GPU: for windows on software renderers, for
//! files, and as the shader's test.

use egui::{Color32, ColorImage};

use super::{Kind, Overlay, Sheet};

type Vec3 = [f32; 3];

fn mix<const N: usize>(a: [f32; N], b: [f32; N], share: f32) -> [f32; N] {
    std::array::from_fn(|i| a[i] * (1.0 - share) + b[i] * share)
}

/// The picture with its overlay, `side` pixels wide and high; a picture that is not square is
/// stretched. A picture without pixels is one grey.
pub fn compose(overlay: &Overlay, side: usize) -> ColorImage {
    let side = side.clamp(1, super::LARGEST);
    let sheet = Sheet::of(overlay, [side; 2]);
    let texels = super::texels(overlay.picture);
    let painter = Painter {
        size: [texels.0, texels.1],
        texels: texels.2.as_chunks::<4>().0,
        cells: sheet.cells.as_chunks::<4>().0,
        maps: super::map_texels().as_chunks::<4>().0.to_vec(),
        sheet: &sheet,
    };
    let pixels = (0..side * side).map(|i| painter.pixel([i % side, i / side]));
    ColorImage::new([side; 2], pixels.collect())
}

struct Painter<'a> {
    size: [usize; 2],
    texels: &'a [[u8; 4]],
    cells: &'a [[u8; 4]],
    maps: Vec<[u8; 4]>,
    sheet: &'a Sheet,
}

fn rgb(texel: Option<&[u8; 4]>) -> Vec3 {
    let [r, g, b, _] = texel.copied().unwrap_or_default();
    [r, g, b].map(|v| f32::from(v) / 255.0)
}

impl Painter<'_> {
    fn pixel(&self, pixel: [usize; 2]) -> Color32 {
        let sheet = self.sheet;
        let cell = sheet.cell(pixel);
        let mut colour = self.photograph(pixel);
        match sheet.kind {
            Kind::None => {}
            Kind::Tint => {
                let texel = self.cells.get(cell[1] * sheet.grid + cell[0]);
                let alpha = texel.map_or(0.0, |t| f32::from(t[3]) / 255.0);
                colour = mix(colour, rgb(texel), alpha * sheet.opacity);
            }
            Kind::Heat => {
                let [value, weight] = self.heat(pixel, cell);
                if weight > 0.0 {
                    let heat = self.map_colour(value / weight);
                    colour = mix(colour, heat, weight * sheet.opacity);
                }
            }
        }
        let before = sheet.cell(pixel.map(|p| p.max(1) - 1));
        if sheet.lines && before != cell {
            let [r, g, b, a] = sheet.line;
            colour = mix(colour, [r, g, b], a);
        }
        let chosen = self
            .cells
            .get((sheet.grid + cell[1]) * sheet.grid + cell[0]);
        if chosen.is_some_and(|flag| flag[0] > 127) && self.at_edge(pixel, cell) {
            let [r, g, b, _] = sheet.mark;
            colour = [r, g, b];
        }
        let [r, g, b] = colour.map(|v| (v * 255.0).round().clamp(0.0, 255.0) as u8);
        Color32::from_rgb(r, g, b)
    }

    fn photograph(&self, pixel: [usize; 2]) -> Vec3 {
        let taps = self.sheet.taps;
        let scale: [f32; 2] =
            std::array::from_fn(|d| self.size[d] as f32 / self.sheet.side[d] as f32);
        let mut sum = [0.0; 3];
        for j in 0..taps {
            for i in 0..taps {
                let inside = [i, j].map(|t| (t as f32 + 0.5) / taps as f32);
                let at = std::array::from_fn(|d| (pixel[d] as f32 + inside[d]) * scale[d] - 0.5);
                let texel = |x: i32, y: i32| {
                    let x = x.clamp(0, self.size[0] as i32 - 1) as usize;
                    let y = y.clamp(0, self.size[1] as i32 - 1) as usize;
                    rgb(self.texels.get(y * self.size[0] + x))
                };
                let tap = between(at, texel);
                sum = std::array::from_fn(|c| sum[c] + tap[c]);
            }
        }
        sum.map(|v| v / (taps * taps) as f32)
    }

    fn value(&self, x: i32, y: i32) -> [f32; 2] {
        let last = self.sheet.grid as i32 - 1;
        let (x, y) = (x.clamp(0, last) as usize, y.clamp(0, last) as usize);
        let texel = self.cells.get(y * self.sheet.grid + x);
        let [r, g, _, a] = texel.copied().unwrap_or_default().map(f32::from);
        [(r * 256.0 + g) / 65535.0 * (a / 255.0), a / 255.0]
    }

    fn heat(&self, pixel: [usize; 2], cell: [usize; 2]) -> [f32; 2] {
        let sheet = self.sheet;
        if !sheet.smooth {
            return self.value(cell[0] as i32, cell[1] as i32);
        }
        let at = std::array::from_fn(|d| {
            (pixel[d] as f32 + 0.5) / sheet.side[d] as f32 * sheet.grid as f32 - 0.5
        });
        between(at, |x, y| self.value(x, y))
    }

    fn map_colour(&self, value: f32) -> Vec3 {
        let at = value.clamp(0.0, 1.0) * 255.0;
        let low = at.floor() as usize;
        let entry = |i: usize| rgb(self.maps.get(self.sheet.map * 256 + i.min(255)));
        mix(entry(low), entry(low + 1), at.fract())
    }

    fn at_edge(&self, pixel: [usize; 2], cell: [usize; 2]) -> bool {
        let sheet = self.sheet;
        let reach = sheet.thick;
        let far = pixel.map(|p| p + reach);
        pixel.iter().any(|p| *p < reach)
            || far[0] >= sheet.side[0]
            || far[1] >= sheet.side[1]
            || sheet.cell(pixel.map(|p| p - reach)) != cell
            || sheet.cell(far) != cell
    }
}

/// Bilinear: what lies between the four values around `at`.
fn between<const N: usize>(at: [f32; 2], value: impl Fn(i32, i32) -> [f32; N]) -> [f32; N] {
    let [x, y] = at.map(|v| v.floor() as i32);
    let part = at.map(|v| v - v.floor());
    let top = mix(value(x, y), value(x + 1, y), part[0]);
    let bottom = mix(value(x, y + 1), value(x + 1, y + 1), part[0]);
    mix(top, bottom, part[1])
}
