//! Positions for grids other than the stored one.
//!
//! The reference resamples its position table bicubically with a scale of (h + 0.1)/s and uses that
//! scale, not the ratio of the sizes, for the coordinates; the difference is larger than the table's
//! own spread on small crops, so it is reproduced. Resampling is linear in the table, hence one
//! matrix `[h·w, s·s]` per grid: the same product serves every device and its gradient comes free.

/// Bicubic convolution kernel with a = −0.75 at distance `t`, as PyTorch's `interpolate`.
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

/// Weights `[out, size]` that resample `size` samples to `out`, reading output `i` at
/// `(i + ½)/scale − ½`; taps beyond the border repeat it.
fn resampling(size: usize, out: usize, scale: f64) -> Vec<f32> {
    let mut weights = vec![0.0; out * size];
    for i in 0..out {
        // PyTorch computes coordinates in f32 from the reciprocal of the scale given.
        let at = (((i as f32 + 0.5) * (1.0 / scale) as f32) - 0.5) as f64;
        let base = at.floor();
        for tap in -1..=2 {
            let index = (base as i64 + tap).clamp(0, size as i64 - 1) as usize;
            weights[i * size + index] += cubic(at - base - tap as f64) as f32;
        }
    }
    weights
}

/// The matrix `[height·width, side·side]` that takes a stored `side × side` table of positions to a
/// grid of `height × width` patches.
pub fn interpolation(side: usize, height: usize, width: usize) -> Vec<f32> {
    let scale = |n: usize| (n as f64 + 0.1) / side as f64;
    let rows = resampling(side, height, scale(height));
    let columns = resampling(side, width, scale(width));
    let mut matrix = vec![0.0; height * width * side * side];
    for (cell, out) in matrix.chunks_exact_mut(side * side).enumerate() {
        let (y, x) = (cell / width, cell % width);
        for (i, out) in out.chunks_exact_mut(side).enumerate() {
            for (j, out) in out.iter_mut().enumerate() {
                *out = rows[y * side + i] * columns[x * side + j];
            }
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_every_cell_sum_to_one() {
        for (h, w) in [(6, 6), (3, 5), (20, 14), (1, 1)] {
            let matrix = interpolation(14, h, w);
            for row in matrix.chunks_exact(14 * 14) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            }
        }
    }
}
