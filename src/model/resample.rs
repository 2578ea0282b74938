//! Resampling of small grids as one matrix, exactly as PyTorch's `interpolate` without antialiasing
//! and without aligned corners.
//!
//! Resampling is linear in its input, so a matrix `[out cells, in cells]` does it: the same product
//! serves every device, and its gradient comes free. Grids here are tables of positions and masks,
//! tens of cells a side.

/// How a new cell is read from the old ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resample {
    /// Cubic convolution with a = −0.75 over four cells.
    Bicubic,
    /// Cubic convolution with a = −0.5, widened where cells get fewer. The coordinates are those of the sizes.
    Antialiased,
    /// Two cells.
    Bilinear,
    /// The cell that the new one's upper left corner falls into.
    Nearest,
}

/// Cubic convolution kernel at distance `t`.
fn cubic(t: f64, a: f64) -> f64 {
    let t = t.abs();
    if t <= 1.0 {
        ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    } else {
        0.0
    }
}

/// The cell before the place where output `i` is read, and how far that is towards the next one.
fn between(i: usize, step: f32) -> (usize, f32) {
    let at = ((i as f32 + 0.5) * step - 0.5).max(0.0);
    (at as usize, at - at.floor())
}

/// Planes `[3, height, width]` at `scale`, with at least `least` pixels a side, and their new height and width
/// (PyTorch's `interpolate(scale_factor=scale, mode="bilinear")`).
pub fn planes(
    planes: &[f32],
    [height, width]: [usize; 2],
    scale: f64,
    least: usize,
) -> (Vec<f32>, [usize; 2]) {
    let axis = |size: usize| -> Vec<(usize, usize, f32)> {
        let whole = (size as f64 * scale).floor() as usize;
        let (out, step) = match whole < least {
            true => (least, size as f64 / least as f64),
            false => (whole, 1.0 / scale),
        };
        let last = size.saturating_sub(1);
        let tap = |i| {
            let (cell, part) = between(i, step as f32);
            (cell.min(last), (cell + 1).min(last), part)
        };
        (0..out).map(tap).collect()
    };
    let (rows, columns) = (axis(height), axis(width));
    let mut out = Vec::with_capacity(3 * rows.len() * columns.len());
    for plane in planes.chunks_exact((height * width).max(1)) {
        for &(top, bottom, down) in &rows {
            let (top, bottom) = (
                &plane[top * width..][..width],
                &plane[bottom * width..][..width],
            );
            out.extend(columns.iter().map(|&(left, right, across)| {
                let mix = |row: &[f32]| row[left] * (1.0 - across) + row[right] * across;
                mix(top) * (1.0 - down) + mix(bottom) * down
            }));
        }
    }
    (out, [rows.len(), columns.len()])
}

impl Resample {
    /// Weights `[out, size]` along one axis; output `i` is read at `(i + ½)/scale − ½`. Cells beyond
    /// the border repeat it.
    fn axis(self, size: usize, out: usize, scale: f64) -> Vec<f32> {
        let mut weights = vec![0.0; out * size];
        let step = (1.0 / scale) as f32;
        for (i, row) in weights.chunks_exact_mut(size).enumerate() {
            let mut add = |cell: i64, weight: f64| {
                row[cell.clamp(0, size as i64 - 1) as usize] += weight as f32;
            };
            // PyTorch computes coordinates in f32.
            let at = (i as f32 + 0.5) * step - 0.5;
            match self {
                Resample::Bicubic => {
                    let base = at.floor();
                    for tap in -1..=2 {
                        add(
                            base as i64 + tap,
                            cubic((at - base) as f64 - tap as f64, -0.75),
                        );
                    }
                }
                Resample::Antialiased => {
                    let ratio = size as f64 / out as f64;
                    let (centre, wide) = (ratio * (i as f64 + 0.5), ratio.max(1.0));
                    let first = (centre - 2.0 * wide + 0.5).max(0.0) as usize;
                    let end = ((centre + 2.0 * wide + 0.5) as usize).min(size);
                    let weight = |cell: usize| cubic((cell as f64 + 0.5 - centre) / wide, -0.5);
                    let sum: f64 = (first..end).map(weight).sum();
                    (first..end).for_each(|cell| add(cell as i64, weight(cell) / sum));
                }
                Resample::Bilinear => {
                    let (cell, part) = between(i, step);
                    add(cell as i64, 1.0 - f64::from(part));
                    add(cell as i64 + 1, part.into());
                }
                Resample::Nearest => add((i as f32 * step) as i64, 1.0),
            }
        }
        weights
    }

    /// The matrix `[out rows · out columns, rows · columns]` that takes a grid `from` to a grid `to`
    /// (rows, columns), row-major, with the sampling scale of each axis.
    pub fn matrix(self, from: (usize, usize), to: (usize, usize), scale: (f64, f64)) -> Vec<f32> {
        let rows = self.axis(from.0, to.0, scale.0);
        let columns = self.axis(from.1, to.1, scale.1);
        let cells = from.0 * from.1;
        let mut matrix = vec![0.0; to.0 * to.1 * cells];
        for (cell, out) in matrix.chunks_exact_mut(cells).enumerate() {
            let row = &rows[cell / to.1 * from.0..][..from.0];
            let column = &columns[cell % to.1 * from.1..][..from.1];
            for (out, &y) in out.chunks_exact_mut(from.1).zip(row) {
                for (out, &x) in out.iter_mut().zip(column) {
                    *out = y * x;
                }
            }
        }
        matrix
    }
}

/// The matrix that takes the reference's stored `side × side` table of positions to a grid of
/// `rows × columns` patches.
///
/// The reference asks for a scale of (n + 0.1)/side, to be safe from rounding, and PyTorch then uses
/// that scale, not the ratio of the sizes, for the coordinates. On small crops the difference is
/// larger than the table's own spread, so it is part of the model. With `antialias` it is done as in the
/// networks of DINOv2 that have registers.
pub fn positions(side: usize, rows: usize, columns: usize, antialias: bool) -> Vec<f32> {
    if antialias {
        return Resample::Antialiased.matrix((side, side), (rows, columns), (1.0, 1.0));
    }
    let scale = |n: usize| (n as f64 + 0.1) / side as f64;
    Resample::Bicubic.matrix((side, side), (rows, columns), (scale(rows), scale(columns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_every_cell_sum_to_one() {
        for (rows, columns) in [(6, 6), (3, 5), (20, 14), (1, 1)] {
            for antialias in [false, true] {
                for row in positions(14, rows, columns, antialias).chunks_exact(14 * 14) {
                    assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                }
            }
        }
    }

    #[test]
    fn antialiased_grids_equal_pytorchs() {
        // interpolate(sin(0.7 i), size, mode="bicubic", antialias=True) of PyTorch 1.13.
        let grid: Vec<f32> = (0..16).map(|i| (i as f32 * 0.7).sin()).collect();
        for (rows, columns, expected) in [
            (2, 2, &[0.092156, 0.123784, 0.108581, -0.04425][..]),
            (
                3,
                5,
                &[
                    0.127716, 0.305744, 0.432168, 0.402843, 0.288076, -0.187613, -0.211331,
                    -0.184911, -0.091851, 0.009709, 0.439317, 0.332975, 0.126699, -0.125238,
                    -0.31742,
                ],
            ),
        ] {
            let matrix = positions(4, rows, columns, true);
            for (weights, want) in matrix.chunks_exact(16).zip(expected) {
                let found: f32 = weights.iter().zip(&grid).map(|(w, x)| w * x).sum();
                assert!((found - want).abs() < 2e-6, "{found} {want}");
            }
        }
    }

    #[test]
    fn planes_are_read_like_grids() {
        let (height, width) = (7, 10);
        let pixels: Vec<f32> = (0..3 * height * width)
            .map(|i| (i as f32 * 0.7).sin())
            .collect();
        for scale in [1.0, 0.5, 0.5f64.sqrt(), 1.6] {
            let (found, [rows, columns]) = planes(&pixels, [height, width], scale, 1);
            let matrix =
                Resample::Bilinear.matrix((height, width), (rows, columns), (scale, scale));
            assert_eq!(rows, (7.0 * scale) as usize);
            for (plane, found) in pixels
                .chunks(height * width)
                .zip(found.chunks(rows * columns))
            {
                for (weights, found) in matrix.chunks(height * width).zip(found) {
                    let want: f32 = weights.iter().zip(plane).map(|(w, x)| w * x).sum();
                    assert!((want - found).abs() < 1e-6, "{scale}: {want} {found}");
                }
            }
        }
        assert_eq!(planes(&pixels, [height, width], 0.1, 4).1, [4, 4]);
    }
}
