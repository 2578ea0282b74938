//! Vector arithmetic on slices.
//!
//! The functions here are written so that the compiler turns them into vector code: no branches,
//! no calls, sixteen independent accumulators in every reduction. [`on_rows`] hands blocks of rows
//! to the threads and runs each block with the widest instructions the machine has. Blocks are cut
//! by a fixed size, never by the number of threads, so results do not depend on it.
//!
//! A closure on its way into `Arch::dispatch` must be `#[inline(always)]`: one that is not inlined
//! silently stays 128 bits wide.

use pulp::Arch;
use rayon::prelude::*;

/// Elements a thread takes at a time: small enough for its cache, large enough to be worth a task.
const BLOCK: usize = 1 << 14;

const LANES: usize = 16;

/// Rows of `width` elements that make up one block.
pub fn block_rows(width: usize) -> usize {
    (BLOCK / width.max(1)).max(1)
}

/// Calls `f` for every row of `out` (of `width` elements) with the row's number.
pub fn on_rows(out: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = block_rows(width);
    let arch = Arch::new();
    out.par_chunks_mut(rows * width)
        .enumerate()
        .for_each(|(block, chunk)| {
            arch.dispatch(
                #[inline(always)]
                || {
                    for (i, row) in chunk.chunks_exact_mut(width).enumerate() {
                        f(block * rows + i, row);
                    }
                },
            );
        });
}

/// Calls `f` for every row of `a` (of `width` elements) together with its row of `b` (of `width_b`);
/// `work` is the number of elements that `f` touches.
pub fn on_row_pairs(
    (a, width): (&mut [f32], usize),
    (b, width_b): (&mut [f32], usize),
    work: usize,
    f: impl Fn(usize, &mut [f32], &mut [f32]) + Sync,
) {
    let rows = block_rows(work);
    let arch = Arch::new();
    a.par_chunks_mut(rows * width)
        .zip(b.par_chunks_mut(rows * width_b))
        .enumerate()
        .for_each(|(block, (a, b))| {
            arch.dispatch(
                #[inline(always)]
                || {
                    let pairs = a.chunks_exact_mut(width).zip(b.chunks_exact_mut(width_b));
                    for (i, (a, b)) in pairs.enumerate() {
                        f(block * rows + i, a, b);
                    }
                },
            );
        });
}

/// Sums over rows in a fixed order: `add(row, accumulator)` adds one row to `width` accumulators.
pub fn sum_rows(rows: usize, width: usize, add: impl Fn(usize, &mut [f32]) + Sync) -> Vec<f32> {
    // At most 64 partial sums, whatever the number of rows.
    let per_block = rows.div_ceil(64).max(block_rows(width));
    let arch = Arch::new();
    let partial: Vec<Vec<f32>> = (0..rows.div_ceil(per_block))
        .into_par_iter()
        .map(|block| {
            let mut sum = vec![0.0; width];
            arch.dispatch(
                #[inline(always)]
                || {
                    for row in block * per_block..((block + 1) * per_block).min(rows) {
                        add(row, &mut sum);
                    }
                },
            );
            sum
        })
        .collect();
    let mut total = vec![0.0; width];
    for sum in partial {
        for (t, s) in total.iter_mut().zip(sum) {
            *t += s;
        }
    }
    total
}

/// Folds a slice with `LANES` accumulators: each takes `map(element)` by `join`.
#[inline(always)]
fn fold(x: &[f32], start: f32, map: impl Fn(f32) -> f32, join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [start; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, &v) in lanes.iter_mut().zip(chunk) {
            *lane = join(*lane, map(v));
        }
    }
    for (lane, &v) in lanes.iter_mut().zip(rest) {
        *lane = join(*lane, map(v));
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// Sum of a slice.
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    fold(x, 0.0, |v| v, |a, v| a + v)
}

/// Largest element; minus infinity for an empty slice.
#[inline(always)]
pub fn max(x: &[f32]) -> f32 {
    fold(
        x,
        f32::NEG_INFINITY,
        |v| v,
        |a, v| if v > a { v } else { a },
    )
}

/// Sum of products.
#[inline(always)]
pub fn dot(x: &[f32], y: &[f32]) -> f32 {
    dot_shifted(x, 0.0, y)
}

/// `Σ (x − shift)·y`.
#[inline(always)]
pub fn dot_shifted(x: &[f32], shift: f32, y: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let (x_rest, y_rest) = (xs.remainder(), ys.remainder());
    for (x, y) in xs.zip(ys) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(x).zip(y) {
            *lane += (a - shift) * b;
        }
    }
    for ((lane, &a), &b) in lanes.iter_mut().zip(x_rest).zip(y_rest) {
        *lane += (a - shift) * b;
    }
    sum(&lanes)
}

/// `e^x` to two units in the last place; flushes to zero below −87 and saturates above 88.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that the remainder keeps all its bits.
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * r + 1.0;
    let p = p * r + 1.0;
    let power = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    p * f32::from_bits(((power + 127) << 23) as u32)
}

/// `x ← e^(scale·(x − shift))`, returning the sum.
#[inline(always)]
pub fn exp_sum(x: &mut [f32], scale: f32, shift: f32) -> f32 {
    for v in x.iter_mut() {
        *v = exp(scale * (*v - shift));
    }
    sum(x)
}

/// `Σ e^(scale·(x − shift))`.
#[inline(always)]
pub fn sum_exp(x: &[f32], scale: f32, shift: f32) -> f32 {
    fold(x, 0.0, |v| exp(scale * (v - shift)), |a, v| a + v)
}

/// Upper tail of the normal distribution and its density, `(1 − Φ(|x|), φ(x))`, to 1e-7
/// (Abramowitz & Stegun 7.1.26, a rational function of 1/(1+p·z) times e^(−z²)).
#[inline(always)]
pub fn normal_tail(x: f32) -> (f32, f32) {
    let e = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * std::f32::consts::FRAC_1_SQRT_2 * x.abs());
    let p = 1.061_405_4;
    let p = p * t - 1.453_152_1;
    let p = p * t + 1.421_413_8;
    let p = p * t - 0.284_496_74;
    let p = p * t + 0.254_829_6;
    (0.5 * p * t * e, 0.398_942_3 * e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate_over_its_range() {
        for i in -8600..8700 {
            let x = i as f32 * 0.01;
            let exact = (x as f64).exp();
            let relative = ((exp(x) as f64 - exact) / exact).abs();
            assert!(relative < 4e-7, "exp({x}) is off by {relative:e}");
        }
    }

    #[test]
    fn reductions_see_every_element() {
        let x: Vec<f32> = (0..37).map(|i| i as f32).collect();
        assert_eq!(sum(&x), 666.0);
        assert_eq!(dot(&x, &x), 16206.0);
        assert_eq!(max(&x), 36.0);
        let columns = sum_rows(1000, 3, |row, s| s[row % 3] += 1.0);
        assert_eq!(columns, [334.0, 333.0, 333.0]);
    }

    #[test]
    fn normal_tail_meets_a_numeric_integral() {
        for i in 0..60 {
            let x = i as f64 * 0.1;
            let steps = 20_000;
            let h = (10.0 - x) / steps as f64;
            let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let tail: f64 = (0..steps)
                .map(|k| density(x + (k as f64 + 0.5) * h) * h)
                .sum();
            let got = normal_tail(x as f32).0 as f64;
            assert!((got - tail).abs() < 2e-7, "tail({x}) = {got}, not {tail}");
        }
    }
}
