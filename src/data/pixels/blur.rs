//! Pillow's Gaussian blur: three box blurs whose width need not be a whole number.
//!
//! A box of radius l + a weighs the 2l+1 middle values fully and the two beyond by a. A running
//! sum makes the cost of a value independent of the radius. The sums of all columns run side by
//! side, one picture row after another, which is vector code; the horizontal direction is done on
//! the turned picture. Pillow's order: horizontal first, each box rounded to 8 bits.

use crate::data::Picture;

use super::lanes::{turned, widest};

/// Boxes in a row; three are close to a Gaussian.
const PASSES: usize = 3;

/// Blurs with standard deviation `sigma` in pixels; beyond the border the border's values go on.
/// At 0.1 nothing changes and below about 0.5 hardly anything: that is how Pillow's boxes are.
pub fn gaussian_blur(picture: &mut Picture, sigma: f32) {
    let radius = box_radius(sigma);
    if !radius.is_finite() || radius <= 0.0 || picture.rgb.is_empty() {
        return;
    }
    let (width, height) = (picture.width, picture.height);
    let columns = turned(picture.rgb.chunks_exact(width * 3), width);
    let columns = blur_columns(columns, height * 3, radius);
    let rows = turned(columns.chunks_exact(height * 3), height);
    picture.rgb = blur_columns(rows, width * 3, radius);
}

/// Radius of the box of which [`PASSES`] make a Gaussian of `sigma` (Gwosdek et al. 2011, eq. 14).
fn box_radius(sigma: f32) -> f32 {
    // Pillow computes in C, where a double literal widens a product and a float variable narrows it.
    let variance = sigma * sigma / PASSES as f32;
    let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
    let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
    let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance);
    whole + part / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)))
}

fn blur_columns(mut picture: Vec<u8>, row: usize, radius: f32) -> Vec<u8> {
    let mut out = vec![0; picture.len()];
    for _ in 0..PASSES {
        widest(
            #[inline(always)]
            || box_columns(&picture, row, radius, &mut out),
        );
        std::mem::swap(&mut picture, &mut out);
    }
    picture
}

/// One box along the columns; `row` values a row.
#[inline(always)]
fn box_columns(picture: &[u8], row: usize, radius: f32, out: &mut [u8]) {
    // Weights in 24-bit fixed point: of a value inside the box, and of the two at its ends.
    let inner = ((1 << 24) as f32 / (radius * 2.0 + 1.0)) as u32;
    let radius = radius as usize;
    let outer = ((1u32 << 24) - (radius as u32 * 2 + 1) * inner) / 2;
    let last = (picture.len() / row).saturating_sub(1);
    let line = |y: usize| &picture[y.min(last) * row..][..row];
    // The sum as it stands one place above the picture; a value counts once for every row it fills.
    let mut sums: Vec<u32> = vec![0; row];
    for (offset, times) in std::iter::once((0, radius + 1))
        .chain((0..radius.min(last)).map(|y| (y, 1)))
        .chain([(last, radius.saturating_sub(last))])
    {
        for (sum, &value) in sums.iter_mut().zip(line(offset)) {
            *sum += u32::from(value) * times as u32;
        }
    }
    for (y, out) in out.chunks_exact_mut(row).enumerate() {
        let above = line(y.saturating_sub(radius + 1));
        let entering = line(y + radius);
        let below = line(y + radius + 1);
        for ((((out, sum), &above), &entering), &below) in out
            .iter_mut()
            .zip(&mut sums)
            .zip(above)
            .zip(entering)
            .zip(below)
        {
            *sum = *sum + u32::from(entering) - u32::from(above);
            let ends = u32::from(above) + u32::from(below);
            *out = ((*sum * inner + ends * outer + (1 << 23)) >> 24) as u8;
        }
    }
}
