//! Matrix products of plain row-major slices, on one thread.
//!
//! nalgebra hands them to the blocked kernels of `matrixmultiply`; row-major and transposed operands
//! are only other strides, so nothing is copied. Callers cut the work into blocks of fixed size and give
//! those to the threads: no sum then depends on how many threads there are.
//!
//! A scar: where a product is at most 5 wide in any direction, nalgebra's `gemm` goes another way, which
//! writes out of bounds when the *columns* of its left operand do not lie contiguously
//! (dimforge/nalgebra#1616, open in 0.34 and 0.35). Hence the two roads in [`dot_rows`].

use nalgebra::{DMatrixView, Dyn, MatrixView, MatrixViewMut, RealField};

/// Rows a thread takes at a time where rows are independent.
const ROWS: usize = 256;
/// Products of at least this size in every direction go to the blocked kernels.
const WIDE: usize = 8;

type View<'a, T> = MatrixView<'a, T, Dyn, Dyn, Dyn, Dyn>;
type ViewMut<'a, T> = MatrixViewMut<'a, T, Dyn, Dyn, Dyn, Dyn>;

/// Rows of one block when `rows` are cut into equal blocks of at most 256; never 0. Equal, since a last
/// block of a few rows would take a slow path.
pub fn even_block(rows: usize) -> usize {
    rows.div_ceil(rows.div_ceil(ROWS).max(1)).max(1)
}

/// `out [rows, n] = a [rows, width] · b [n, width]ᵀ`: dot products of all rows of `a` with all of `b`.
pub fn dot_rows<T: RealField + Copy>(a: &[T], b: &[T], width: usize, out: &mut [T]) {
    let (rows, n) = (a.len() / width.max(1), b.len() / width.max(1));
    if rows == 0 || n == 0 || out.len() != rows * n {
        return out.fill(T::zero());
    }
    let mut out = ViewMut::from_slice_with_strides_generic(out, Dyn(n), Dyn(rows), Dyn(1), Dyn(n));
    let columns = DMatrixView::from_slice(a, width, rows);
    if rows.min(n).min(width) < WIDE {
        let b = DMatrixView::from_slice(b, width, n);
        return out.gemm_tr(T::one(), &b, &columns, T::zero());
    }
    let b = View::from_slice_with_strides_generic(b, Dyn(n), Dyn(width), Dyn(width), Dyn(1));
    out.gemm(T::one(), &b, &columns, T::zero());
}

/// `out [count, width] = keep · out + a [rows, n]ᵀ · b [rows, width]`, only the `count` rows of it that
/// belong to the columns of `a` from `first` on.
pub fn add_products<T: RealField + Copy>(
    (a, n): (&[T], usize),
    first: usize,
    (b, width): (&[T], usize),
    keep: T,
    out: &mut [T],
) {
    let (rows, count) = (a.len() / n.max(1), out.len() / width.max(1));
    if rows == 0 || count == 0 || first + count > n || b.len() != rows * width {
        return out.iter_mut().for_each(|x| *x *= keep);
    }
    let a = View::from_slice_with_strides_generic(a, Dyn(rows), Dyn(n), Dyn(n), Dyn(1));
    let mut out =
        ViewMut::from_slice_with_strides_generic(out, Dyn(width), Dyn(count), Dyn(1), Dyn(width));
    // The left operand's columns are the rows of `b`, contiguous: right on either road of `gemm`.
    let columns = DMatrixView::from_slice(b, width, rows);
    out.gemm(T::one(), &columns, &a.columns(first, count), keep);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `run` on a slice of `size` within a larger one, the rest of which must stay as it is.
    fn guarded(size: usize, start: f64, run: impl Fn(&mut [f64])) -> Vec<f64> {
        let mut all = vec![start; size + 8000];
        run(&mut all[4000..4000 + size]);
        let outside = all[..4000].iter().chain(&all[4000 + size..]);
        assert!(
            outside.copied().all(|x| x == start),
            "written out of bounds"
        );
        all[4000..4000 + size].to_vec()
    }

    #[test]
    fn products_equal_plain_sums_and_stay_in_bounds() {
        for (rows, n, width) in (0..512).map(|i| (1 + i % 8 * 3, 1 + i / 8 % 8 * 2, 1 + i / 64 * 3))
        {
            let a: Vec<f64> = (0..rows * width)
                .map(|i| (i * 7 % 11) as f64 - 5.0)
                .collect();
            let b: Vec<f64> = (0..n * width).map(|i| (i * 5 % 13) as f64 - 6.0).collect();
            let out = guarded(rows * n, 3.0, |out| dot_rows(&a, &b, width, out));
            for i in 0..rows {
                for j in 0..n {
                    let plain: f64 = (0..width)
                        .map(|k| a[i * width + k] * b[j * width + k])
                        .sum();
                    assert_eq!(out[i * n + j], plain, "{rows} {n} {width}");
                }
            }
            // out is [rows, n]; its transpose times a is [n, width].
            let (first, count) = (n / 2, n - n / 2);
            let sums = guarded(count * width, 2.0, |sums| {
                add_products((&out, n), first, (&a, width), 0.5, sums);
            });
            for j in 0..count {
                for k in 0..width {
                    let plain: f64 = (0..rows)
                        .map(|i| out[i * n + first + j] * a[i * width + k])
                        .sum();
                    assert_eq!(sums[j * width + k], 1.0 + plain, "{rows} {n} {width}");
                }
            }
        }
        assert_eq!((even_block(0), even_block(7), even_block(257)), (1, 7, 129));
    }
}
