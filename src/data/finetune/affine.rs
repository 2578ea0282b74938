//! Rotating, shearing and shifting a picture, equal to Pillow's bicubic `transform` and `rotate`.
//!
//! Each pixel of the result is looked up in the picture; where it comes from outside, the fill
//! colour is taken. Pillow's cubic here is sharper than the one it resamples with (a = −1, not
//! −0.5), its sums are f64, and the result is cut to 8 bits, not rounded.

use crate::data::Picture;

/// Where a pixel comes from: `(x, y)` of the result is at `(m[0]·x + m[1]·y + m[2],
/// m[3]·x + m[4]·y + m[5])` of the picture, both measured from the top left corner.
type Matrix = [f64; 6];

/// Turns the picture around its middle by `degrees`, counter-clockwise.
pub fn rotate(picture: &Picture, degrees: f64, fill: [u8; 3]) -> Picture {
    // As Pillow: an angle from 0 to 360, sine and cosine rounded to 15 decimals. libm gives the
    // same digits on every machine.
    let angle = -degrees.rem_euclid(360.0).to_radians();
    let rounded = |value: f64| (value * 1e15).round_ties_even() / 1e15;
    let (sin, cos) = (rounded(libm::sin(angle)), rounded(libm::cos(angle)));
    let (x, y) = (picture.width as f64 / 2.0, picture.height as f64 / 2.0);
    let right = cos * -x + sin * -y + x;
    let down = -sin * -x + cos * -y + y;
    transform(picture, [cos, sin, right, -sin, cos, down], fill)
}

/// Moves each row to the left by `factor` times its distance from the top.
pub fn shear_x(picture: &Picture, factor: f64, fill: [u8; 3]) -> Picture {
    transform(picture, [1.0, factor, 0.0, 0.0, 1.0, 0.0], fill)
}

/// Moves each column up by `factor` times its distance from the left.
pub fn shear_y(picture: &Picture, factor: f64, fill: [u8; 3]) -> Picture {
    transform(picture, [1.0, 0.0, 0.0, factor, 1.0, 0.0], fill)
}

/// Moves the picture to the left by `share` of its width.
pub fn translate_x(picture: &Picture, share: f64, fill: [u8; 3]) -> Picture {
    let pixels = share * picture.width as f64;
    transform(picture, [1.0, 0.0, pixels, 0.0, 1.0, 0.0], fill)
}

/// Moves the picture up by `share` of its height.
pub fn translate_y(picture: &Picture, share: f64, fill: [u8; 3]) -> Picture {
    let pixels = share * picture.height as f64;
    transform(picture, [1.0, 0.0, 0.0, 0.0, 1.0, pixels], fill)
}

fn transform(picture: &Picture, matrix: Matrix, fill: [u8; 3]) -> Picture {
    let canvas = Canvas::new(picture);
    let mut rgb = picture.rgb.clone();
    // Compiled for the widest vectors of this processor; what it calls has to be inlined for that.
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let [a, b, c, d, e, f] = matrix;
            let rows = rgb.chunks_exact_mut((picture.width * 3).max(1));
            for (row, out) in rows.enumerate() {
                let y = row as f64 + 0.5;
                for (column, pixel) in out.as_chunks_mut::<3>().0.iter_mut().enumerate() {
                    let x = column as f64 + 0.5;
                    let colour = canvas.sample(a * x + b * y + c, d * x + e * y + f);
                    *pixel = colour.unwrap_or(fill);
                }
            }
        },
    );
    Picture { rgb, ..*picture }
}

/// Pixels that the cubic sees beyond the border.
const MARGIN: usize = 2;

/// A colour and an empty fourth channel, which fills a vector register.
type Colour<T> = [T; 4];

/// A picture with its border's pixels going on for [`MARGIN`] pixels.
struct Canvas {
    /// Size of the picture inside.
    width: usize,
    height: usize,
    colours: Vec<Colour<f32>>,
}

impl Canvas {
    fn new(picture: &Picture) -> Self {
        let (width, height) = (picture.width, picture.height);
        let colour = |&[r, g, b]: &[u8; 3]| [r, g, b, 0].map(f32::from);
        let mut colours = Vec::with_capacity((width + 2 * MARGIN) * (height + 2 * MARGIN));
        let mut line = |row: &[u8], times: usize| {
            let pixels = row.as_chunks::<3>().0;
            if let (Some(first), Some(last)) = (pixels.first(), pixels.last()) {
                for _ in 0..times {
                    colours.extend([colour(first); MARGIN]);
                    colours.extend(pixels.iter().map(colour));
                    colours.extend([colour(last); MARGIN]);
                }
            }
        };
        let rows = picture.rgb.chunks_exact((width * 3).max(1));
        let last = height.saturating_sub(1);
        for (y, row) in rows.enumerate() {
            let ends = usize::from(y == 0) + usize::from(y == last);
            line(row, 1 + ends * MARGIN);
        }
        Canvas {
            width,
            height,
            colours,
        }
    }

    /// The colour at a place between pixels, `None` outside the picture.
    #[inline(always)]
    fn sample(&self, x: f64, y: f64) -> Option<[u8; 3]> {
        if !(x >= 0.0 && x < self.width as f64 && y >= 0.0 && y < self.height as f64) {
            return None;
        }
        let ((left, dx), (top, dy)) = (split(x - 0.5), split(y - 0.5));
        // From −1 on; the cubic begins one place earlier, and the margin adds two.
        let first = |place: i32| (place + 1) as usize;
        let pitch = self.width + 2 * MARGIN;
        let start = first(top) * pitch + first(left);
        let mut lines = [[0.0; 4]; 4];
        for (i, line) in lines.iter_mut().enumerate() {
            let taps = self.colours.get(start + i * pitch..)?.first_chunk()?;
            *line = cubic(taps, dx);
        }
        let [r, g, b, _] = cubic(&lines, dy);
        // The casts cut and clip.
        Some([r as u8, g as u8, b as u8])
    }
}

/// The next whole number below `value` and what is missing to it; `f64::floor` would be a call.
#[inline(always)]
fn split(value: f64) -> (i32, f64) {
    let cut = value as i32;
    let whole = cut - i32::from(f64::from(cut) > value);
    (whole, value - f64::from(whole))
}

/// Keys' cubic with a = −1 between the second and third of four colours, `d` on the way. A plain
/// loop: the closures of `map` are not inlined here and would stay narrow.
#[inline(always)]
fn cubic<T: Copy + Into<f64>>(colours: &[Colour<T>; 4], d: f64) -> Colour<f64> {
    let [first, second, third, fourth] = colours;
    let mut result = [0.0; 4];
    for (i, result) in result.iter_mut().enumerate() {
        let (v0, v1) = (first[i].into(), second[i].into());
        let (v2, v3) = (third[i].into(), fourth[i].into());
        let slope = v2 - v0;
        let square = 2.0 * (v0 - v1) + v2 - v3;
        let cube = v1 - v0 - v2 + v3;
        *result = v1 + d * (slope + d * (square + d * cube));
    }
    result
}
