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
    /// Two cells.
    Bilinear,
    /// The cell that the new one's upper left corner falls into.
    Nearest,
}

/// Cubic convolution kernel at distance `t`.
fn cubic(t: f64) -> f64 {
    const A: f64 = -0.75;
    let t = t.abs();
    if t <= 1.0 {
        ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A
    } else {
        0.0
    }
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
                        add(base as i64 + tap, cubic((at - base) as f64 - tap as f64));
                    }
                }
                Resample::Bilinear => {
                    let at = at.max(0.0);
                    let part = (at - at.floor()) as f64;
                    add(at as i64, 1.0 - part);
                    add(at as i64 + 1, part);
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
/// larger than the table's own spread, so it is part of the model.
pub fn positions(side: usize, rows: usize, columns: usize) -> Vec<f32> {
    let scale = |n: usize| (n as f64 + 0.1) / side as f64;
    Resample::Bicubic.matrix((side, side), (rows, columns), (scale(rows), scale(columns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_every_cell_sum_to_one() {
        for (rows, columns) in [(6, 6), (3, 5), (20, 14), (1, 1)] {
            for row in positions(14, rows, columns).chunks_exact(14 * 14) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}
