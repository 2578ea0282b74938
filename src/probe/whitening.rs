//! PCA whitening: features turned and scaled so that all directions of other pictures weigh the same.

use super::nearest::{Features, ProbeError, same_length};
use super::product::{add_products, dot_rows, even_block};
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

/// Directions are divided by this power of their eigenvalue.
const EXPONENT: f64 = 0.5;
/// Smallest eigenvalue that is divided by, as a share of the largest.
const FLOOR: f64 = 1e-5;
/// Rows of one matrix product.
const ROWS: usize = 128;
/// Rows of the second moments that a thread sums at a time.
const MOMENT_ROWS: usize = 64;

/// What the second moments are taken about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The mean: the covariance, which PCA is defined by.
    Mean,
    /// Zero, as in the reference, which takes the mean from the features it compares but not from those
    /// it learns the whitening from; the direction of the mean then counts as the widest and is damped.
    Zero,
}

/// A learned whitening.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    mean: Vec<f64>,
    /// `[out, dim]`, largest eigenvalue first.
    directions: Vec<f64>,
    /// Share of the summed eigenvalues that the kept directions hold.
    pub energy: f64,
}

impl Whitening {
    /// Learns from `features` the `dimension` widest directions, all where it is `None`. Time rises with the
    /// cube of the width: some seconds for 768.
    pub fn learn(
        features: &Features,
        dimension: Option<usize>,
        about: About,
    ) -> Result<Self, ProbeError> {
        features.check("whitening")?;
        let dim = features.dim;
        if features.rows() == 0 {
            return Err(ProbeError::Empty("no picture to learn the whitening from"));
        }
        let kept = dimension.unwrap_or(dim);
        if kept == 0 || kept > dim {
            return Err(ProbeError::Setting {
                setting: "the dimension of the whitening",
                value: kept as f64,
                allowed: "1 to the width of the features",
            });
        }
        let mean = mean(features);
        let moments = match about {
            About::Mean => second_moments(features, &mean),
            About::Zero => second_moments(features, &vec![0.0; dim]),
        };
        let eigen = SymmetricEigen::new(DMatrix::from_vec(dim, dim, moments));
        let largest = eigen.eigenvalues.max();
        if largest <= 0.0 {
            return Err(ProbeError::Empty(
                "all pictures of the whitening have the same features",
            ));
        }
        let columns = eigen
            .eigenvalues
            .iter()
            .zip(eigen.eigenvectors.column_iter());
        let mut columns: Vec<_> = columns
            .map(|(value, vector)| (value.max(FLOOR * largest), vector))
            .collect();
        columns.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let all: f64 = columns.iter().map(|(value, _)| value).sum();
        columns.truncate(kept);
        let energy = columns.iter().map(|(value, _)| value).sum::<f64>() / all;
        let directions = columns.iter().flat_map(|(value, vector)| {
            let scale = value.powf(-EXPONENT);
            vector.iter().map(move |x| x * scale)
        });
        Ok(Self {
            mean,
            directions: directions.collect(),
            energy,
        })
    }

    /// Whitened features of the learned dimension.
    pub fn apply(&self, features: &Features) -> Result<Features, ProbeError> {
        features.check("picture")?;
        let dim = self.mean.len();
        same_length("values of a row to whiten", dim, features.dim)?;
        let kept = self.directions.len() / dim;
        let whiten = |rows: &[f32]| {
            let centred = centred(rows, &self.mean);
            let mut out = vec![0.0; rows.len() / dim * kept];
            dot_rows(&centred, &self.directions, dim, &mut out);
            out.into_iter().map(|x| x as f32).collect::<Vec<f32>>()
        };
        let block = even_block(features.rows()) * dim;
        let rows = features.data.par_chunks(block).flat_map_iter(whiten);
        Features::new(kept, rows.collect())
    }
}

fn mean(features: &Features) -> Vec<f64> {
    let mut mean = vec![0.0; features.dim];
    for row in features.data.chunks_exact(features.dim) {
        mean.iter_mut()
            .zip(row)
            .for_each(|(m, x)| *m += f64::from(*x));
    }
    let rows = features.rows() as f64;
    mean.iter_mut().for_each(|m| *m /= rows);
    mean
}

fn centred(rows: &[f32], mean: &[f64]) -> Vec<f64> {
    let rows = rows.chunks_exact(mean.len());
    rows.flat_map(|row| row.iter().zip(mean).map(|(x, m)| f64::from(*x) - m))
        .collect()
}

/// Mean of `(x − centre)(x − centre)ᵀ`, `[dim, dim]`.
fn second_moments(features: &Features, centre: &[f64]) -> Vec<f64> {
    let dim = features.dim;
    let mut moments = vec![0.0; dim * dim];
    moments
        .par_chunks_mut(MOMENT_ROWS * dim)
        .enumerate()
        .for_each(|(block, out)| {
            for rows in features.data.chunks(ROWS * dim) {
                let x = centred(rows, centre);
                add_products((&x, dim), block * MOMENT_ROWS, (&x, dim), 1.0, out);
            }
            out.iter_mut().for_each(|m| *m /= features.rows() as f64);
        });
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of four values; with `dependent` the last is the sum of the first two.
    fn rows(from: usize, to: usize, dependent: bool) -> Features {
        let value = |i: usize, j: usize| {
            let n = i * i * 37 + j * j * 101 + i * j * 59 + 13 * i + 7 * j;
            ((n % 193) as f32 - 96.0) / 64.0 + j as f32
        };
        let row = |i: usize| {
            let x = [0, 1, 2, 3].map(|j| value(i, j));
            let last = if dependent { x[0] + x[1] } else { x[3] };
            [x[0], x[1], x[2], last]
        };
        Features {
            dim: 4,
            data: (from..to).flat_map(row).collect(),
        }
    }

    #[test]
    fn inner_products_of_numpy() {
        // numpy.linalg.eigh on the second moments; signs of directions are free, inner products not. One
        // eigenvalue is 0, so the floor decides the large ones.
        #[rustfmt::skip]
        let cases = [
            (About::Mean, None, 1.0, [
                14895.5268, 65579.7879, 14006.0977, 31789.1956, 288744.141,
                61663.6862, 139968.596, 13173.3739, 29889.4846, 67853.7467,
            ]),
            (About::Mean, Some(2), 0.8545069587271475, [
                1.32343948, 0.849778749, 1.06247455, 0.121346209, 0.601351649,
                0.914884028, 0.37986249, 1.82471023, 1.35848819, 1.6476693,
            ]),
            (About::Zero, None, 1.0, [
                4843.60514, 21321.7848, 4554.48047, 10335.7334, 93876.6458,
                20047.8822, 45507.2497, 4285.83587, 9715.96791, 22062.122,
            ]),
            (About::Zero, Some(2), 0.9417845079872368, [
                1.2214445, 0.818359553, 1.33581794, 0.373392272, 0.563263728,
                0.937723477, 0.324170467, 1.58290751, 0.619625499, 0.479984987,
            ]),
        ];
        let (learned, test) = (rows(0, 30, true), rows(50, 54, false));
        for (about, dimension, energy, expected) in cases {
            let whitening = Whitening::learn(&learned, dimension, about).unwrap();
            assert!((whitening.energy - energy).abs() < 1e-9);
            let out = whitening.apply(&test).unwrap();
            let rows: Vec<&[f32]> = out.data.chunks(out.dim).collect();
            let mut expected = expected.iter();
            for i in 0..4 {
                for j in i..4 {
                    let pairs = rows[i].iter().zip(rows[j]);
                    let found: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                    let expected = expected.next().unwrap();
                    let off = (found - expected).abs() / expected.abs();
                    assert!(off < 2e-6, "{about:?} {i} {j}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn whitened_features_are_white() {
        let features = rows(0, 200, false);
        let whitening = Whitening::learn(&features, None, About::Mean).unwrap();
        let white = whitening.apply(&features).unwrap();
        let moments = second_moments(&white, &mean(&white));
        for (i, moment) in moments.iter().enumerate() {
            let expected = f64::from(u8::from(i % 5 == 0));
            assert!((moment - expected).abs() < 1e-5, "{moments:?}");
        }
    }

    #[test]
    fn impossible_asks_are_errors() {
        let features = rows(0, 9, false);
        let same = Features {
            dim: 2,
            data: [3.0, 4.0].repeat(5),
        };
        let none = Features {
            dim: 2,
            data: vec![],
        };
        assert!(Whitening::learn(&same, None, About::Mean).is_err());
        assert!(Whitening::learn(&none, None, About::Zero).is_err());
        assert!(Whitening::learn(&features, Some(5), About::Mean).is_err());
        assert!(Whitening::learn(&features, Some(0), About::Mean).is_err());
        let whitening = Whitening::learn(&features, Some(3), About::Mean).unwrap();
        assert!(whitening.apply(&same).is_err());
    }
}
