//! k-means on the unit sphere: nearest by cosine, centres are normalised means.
//!
//! Seeds are chosen far apart (k-means++, Arthur & Vassilvitskii 2007), moved by mini-batches (Sculley
//! 2010), which gets near in a fraction of a full pass, and settled by a few full passes (Lloyd). The
//! products with all centres are made on the device, the sums on the host.

use anyhow::{Result, bail};
use burn::tensor::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Progress, Stopped, Tell};
use crate::model::kernels::matmul_transposed;
use crate::model::{download, upload};

/// Rows that seeds are chosen from.
const SEED_ROWS: usize = 16 * 1024;

/// Rows of a mini-batch, and of a block of a full pass.
const BATCH: usize = 8 * 1024;

/// Mini-batches; a small sample is gone through several times.
const BATCHES: usize = 60;

/// Full passes at the end.
const PASSES: usize = 4;

/// `count` unit centres `[count, dim]` of unit rows `[rows, dim]`, which are in random order and at
/// least as many. The same seed gives the same centres on the same device.
///
/// # Errors
/// [`Stopped`].
pub fn spherical(rows: Tensor<2>, count: usize, seed: u64, tell: Tell) -> Result<Vec<f32>> {
    let [total, dim] = rows.dims();
    let device = rows.device();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let host = download(
        rows.clone()
            .slice([0..total.min(SEED_ROWS.max(count)), 0..dim]),
    );
    let mut centres = seeds(&host, dim, count, &mut rng);
    drop(host);
    let mut told = teller(BATCHES + PASSES, tell);
    let mut seen = vec![0.0f32; count];
    for batch in 0..BATCHES {
        let from = batch * BATCH % total;
        let block = rows.clone().slice([from..total.min(from + BATCH), 0..dim]);
        let moved = Sums::of(block, &centres, &device);
        for (k, centre) in centres.chunks_exact_mut(dim).enumerate() {
            if moved.members[k] > 0 {
                // A mean over all rows that ever came to this centre.
                seen[k] += moved.members[k] as f32;
                let sum = &moved.sums[k * dim..][..dim];
                let old = 1.0 - moved.members[k] as f32 / seen[k];
                for (c, s) in centre.iter_mut().zip(sum) {
                    *c = *c * old + s / seen[k];
                }
                normalise(centre);
            }
        }
        told()?;
    }
    settle(&rows, &mut centres, &mut told)?;
    Ok(centres)
}

/// The centres that full passes from `centres` lead to, which are `[count, dim]`, at length 1: each stays
/// near where it was.
///
/// # Errors
/// [`Stopped`].
pub fn refine(rows: &Tensor<2>, mut centres: Vec<f32>, tell: Tell) -> Result<Vec<f32>> {
    settle(rows, &mut centres, &mut teller(PASSES, tell))?;
    Ok(centres)
}

/// Tells of each of `total` steps, and ends the work when it is told to.
fn teller<'a>(total: usize, tell: Tell<'a>) -> impl FnMut() -> Result<()> + 'a {
    let mut done = 0;
    move || {
        done += 1;
        let progress = Progress {
            what: "k-means",
            done,
            total,
        };
        match tell(progress).is_break() {
            true => bail!(Stopped),
            false => Ok(()),
        }
    }
}

/// Full passes over all rows.
fn settle(
    rows: &Tensor<2>,
    centres: &mut [f32],
    told: &mut impl FnMut() -> Result<()>,
) -> Result<()> {
    let [total, dim] = rows.dims();
    let (count, device) = (centres.len() / dim, rows.device());
    for _ in 0..PASSES {
        let mut all = Sums::new(count, dim);
        for from in (0..total).step_by(BATCH) {
            let block = rows.clone().slice([from..total.min(from + BATCH), 0..dim]);
            all.add(Sums::of(block, centres, &device));
        }
        let mut lonely = all.worst.into_iter();
        for (k, centre) in centres.chunks_exact_mut(dim).enumerate() {
            match (all.members[k], lonely.as_slice().is_empty()) {
                // A centre that nothing is near to starts again where the fit is worst.
                (0, false) => {
                    if let Some((_, row)) = lonely.next() {
                        centre.copy_from_slice(&row);
                    }
                }
                (0, true) => {}
                _ => {
                    centre.copy_from_slice(&all.sums[k * dim..][..dim]);
                    normalise(centre);
                }
            }
        }
        told()?;
    }
    Ok(())
}

/// The nearest centre of every row, and the cosine to it.
pub fn nearest(rows: Tensor<2>, centres: Tensor<2>) -> (Vec<u32>, Vec<f32>) {
    let (values, indices) = matmul_transposed(rows, centres).max_dim_with_indices(1);
    let indices = indices.into_data().convert::<u32>();
    let indices = indices.try_into_vec().unwrap_or_default();
    (indices, download(values))
}

/// Rows chosen one after the other, each with a probability that grows with its distance from those
/// chosen before. On the sphere the squared distance is 2 − 2 cos.
fn seeds(rows: &[f32], dim: usize, count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let total = rows.len() / dim;
    let mut chosen = Vec::with_capacity(count * dim);
    let mut distance = vec![f32::MAX; total];
    let mut next = rng.random_range(0..total);
    for _ in 0..count {
        let centre = &rows[next * dim..][..dim];
        chosen.extend_from_slice(centre);
        distance
            .par_iter_mut()
            .zip(rows.par_chunks_exact(dim))
            .for_each(|(distance, row)| {
                let cosine: f32 = row.iter().zip(centre).map(|(a, b)| a * b).sum();
                *distance = distance.min((2.0 - 2.0 * cosine).max(0.0));
            });
        let sum: f64 = distance.iter().map(|&d| f64::from(d)).sum();
        let mut left = rng.random::<f64>() * sum;
        let found = distance.iter().position(|&d| {
            left -= f64::from(d);
            left < 0.0
        });
        // All rows are chosen already: any may be chosen twice.
        next = found.unwrap_or_else(|| rng.random_range(0..total));
    }
    chosen
}

/// Rows that fit worst, kept for centres that lose all their rows.
const WORST: usize = 16;

/// What the rows of each centre add up to.
struct Sums {
    sums: Vec<f32>,
    members: Vec<usize>,
    /// Cosine and row, lowest first.
    worst: Vec<(f32, Vec<f32>)>,
}

impl Sums {
    fn new(count: usize, dim: usize) -> Self {
        Sums {
            sums: vec![0.0; count * dim],
            members: vec![0; count],
            worst: Vec::new(),
        }
    }

    fn of(rows: Tensor<2>, centres: &[f32], device: &burn::tensor::Device) -> Self {
        let dim = rows.dims()[1];
        let count = centres.len() / dim;
        let there = upload(centres.to_vec(), [count, dim], device);
        let (ids, cosines) = nearest(rows.clone(), there);
        let rows = download(rows);
        let mut found = Sums::new(count, dim);
        for (&id, row) in ids.iter().zip(rows.chunks_exact(dim)) {
            found.members[id as usize] += 1;
            let sum = &mut found.sums[id as usize * dim..][..dim];
            sum.iter_mut().zip(row).for_each(|(s, x)| *s += x);
        }
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        order.sort_by(|&a, &b| cosines[a].total_cmp(&cosines[b]));
        let worst = order.iter().take(WORST);
        found.worst = worst
            .map(|&i| (cosines[i], rows[i * dim..][..dim].to_vec()))
            .collect();
        found
    }

    fn add(&mut self, other: Sums) {
        self.sums
            .iter_mut()
            .zip(other.sums)
            .for_each(|(a, b)| *a += b);
        let members = self.members.iter_mut().zip(other.members);
        members.for_each(|(a, b)| *a += b);
        self.worst.extend(other.worst);
        self.worst.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.worst.truncate(WORST);
    }
}

/// Brings a row to length 1.
pub fn normalise(row: &mut [f32]) {
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
    row.iter_mut().for_each(|x| *x /= length);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    /// `each` noisy copies of `count` random directions, shuffled, with the direction of each.
    fn blobs(count: usize, each: usize, dim: usize) -> (Vec<f32>, Vec<usize>) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut random = |scale: f32| -> Vec<f32> {
            let row = (0..dim).map(|_| scale * rng.random_range(-1.0..1.0f32));
            row.collect()
        };
        let centres: Vec<Vec<f32>> = (0..count).map(|_| random(1.0)).collect();
        let (mut rows, mut from) = (Vec::new(), Vec::new());
        for i in 0..count * each {
            let noise = random(0.1);
            let centre = &centres[i * 7 % count];
            let mut row: Vec<f32> = centre.iter().zip(noise).map(|(a, b)| a + b).collect();
            normalise(&mut row);
            rows.extend(row);
            from.push(i * 7 % count);
        }
        (rows, from)
    }

    #[test]
    fn separate_groups_are_found_whatever_the_seed() {
        let (count, each, dim) = (20, 50, 16);
        let (rows, from) = blobs(count, each, dim);
        let device = burn::tensor::Device::flex();
        let rows = upload(rows, [count * each, dim], &device);
        for seed in 0..3 {
            let go = &mut |_| ControlFlow::Continue(());
            let centres = spherical(rows.clone(), count, seed, go).unwrap();
            let (ids, cosines) = nearest(rows.clone(), upload(centres, [count, dim], &device));
            let mut of_group = vec![None; count];
            let mut split = 0;
            for (&id, &group) in ids.iter().zip(&from) {
                split += usize::from(*of_group[group].get_or_insert(id) != id);
            }
            // k-means++ may put two seeds into one group; more than two of twenty would be chance.
            assert!(
                split <= 2 * each,
                "seed {seed}: {split} rows apart from their group"
            );
            let mean = cosines.iter().sum::<f32>() / cosines.len() as f32;
            assert!(mean > 0.93, "seed {seed}: {mean}");
        }
    }

    #[test]
    fn it_can_be_stopped_and_has_a_centre_for_every_row_if_asked() {
        let (rows, _) = blobs(4, 2, 8);
        let device = burn::tensor::Device::flex();
        let rows = upload(rows, [8, 8], &device);
        let mut steps = 0;
        let stop = &mut |_| {
            steps += 1;
            if steps == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let error = spherical(rows.clone(), 4, 0, stop).unwrap_err();
        assert!(error.is::<Stopped>());
        let go = &mut |_| ControlFlow::Continue(());
        let centres = spherical(rows.clone(), 8, 0, go).unwrap();
        let (_, cosines) = nearest(rows, upload(centres, [8, 8], &device));
        assert!(cosines.iter().all(|c| *c > 0.97), "{cosines:?}");
    }
}
