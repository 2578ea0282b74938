//! k-means on features: the clusters that frozen features fall into, to be compared with classes.
//!
//! Lloyd's iterations from k-means++ starts (Arthur & Vassilvitskii 2007); of several restarts the one with
//! the smallest inertia is kept. Score the result with [`compare`](super::clusters::compare).

use super::nearest::{Features, ProbeError};
use super::product::{dot_rows, even_block};
use crate::data::draws::Draws;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// What to look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KmeansOptions {
    pub clusters: usize,
    pub restarts: u32,
    /// Iterations of one restart at most; it ends earlier when no row changes its cluster.
    pub max_iterations: usize,
    pub seed: u64,
}

impl KmeansOptions {
    /// Ten restarts of at most 300 iterations.
    pub fn new(clusters: usize) -> Self {
        Self {
            clusters,
            restarts: 10,
            max_iterations: 300,
            seed: 0,
        }
    }
}

/// The best restart.
#[derive(Clone, Debug, PartialEq)]
pub struct Kmeans {
    /// The cluster of every row.
    pub assignments: Vec<u32>,
    /// `[clusters, dim]`.
    pub centres: Vec<f32>,
    /// Sum over rows of the squared distance to their centre.
    pub inertia: f64,
    pub iterations: usize,
    /// Whether the assignments had settled.
    pub converged: bool,
}

/// Clusters `features` by Euclidean distance; normalise them first for clusters of directions. The result
/// does not depend on the number of threads.
pub fn kmeans(features: &Features, options: &KmeansOptions) -> Result<Kmeans, ProbeError> {
    features.check("picture")?;
    let counts = [
        ("clusters of k-means", options.clusters),
        ("restarts of k-means", options.restarts as usize),
        ("iterations of k-means", options.max_iterations),
    ];
    if let Some((setting, _)) = counts.iter().find(|(_, count)| *count == 0) {
        return Err(ProbeError::Setting {
            setting,
            value: 0.0,
            allowed: "1 or more",
        });
    }
    if options.clusters > features.rows() {
        return Err(ProbeError::Setting {
            setting: "clusters of k-means",
            value: options.clusters as f64,
            allowed: "at most the number of pictures",
        });
    }
    let mut best: Option<Kmeans> = None;
    for restart in 0..options.restarts {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(u64::from(restart));
        let found = lloyd(
            features,
            start(features, options.clusters, &mut rng),
            options,
        );
        if best
            .as_ref()
            .is_none_or(|best| found.inertia < best.inertia)
        {
            best = Some(found);
        }
    }
    best.ok_or(ProbeError::Empty("no restart of k-means"))
}

/// k-means++: rows drawn one after the other, each with a chance that grows with the squared distance to
/// the nearest one before.
fn start(features: &Features, clusters: usize, rng: &mut impl Draws) -> Vec<f32> {
    let dim = features.dim;
    let mut distances = vec![f64::INFINITY; features.rows()];
    let mut centres = Vec::with_capacity(clusters * dim);
    let mut next = rng.below(features.rows());
    for _ in 0..clusters {
        let centre = row(features, next);
        centres.extend_from_slice(centre);
        (distances.par_iter_mut())
            .zip(features.data.par_chunks_exact(dim))
            .for_each(|(distance, x)| *distance = distance.min(squared_distance(x, centre)));
        next = drawn(&distances, rng);
    }
    centres
}

/// A row with a chance proportional to its distance; any where all are 0.
fn drawn(distances: &[f64], rng: &mut impl Draws) -> usize {
    let sum: f64 = distances.iter().sum();
    if sum <= 0.0 {
        return rng.below(distances.len());
    }
    let mut left = rng.uniform(0.0, sum);
    let hit = distances.iter().position(|distance| {
        left -= distance;
        left < 0.0
    });
    // Rounding may leave a rest at the end: the last row that has a chance then.
    let last = || distances.iter().rposition(|distance| *distance > 0.0);
    hit.or_else(last).unwrap_or(0)
}

fn lloyd(features: &Features, mut centres: Vec<f32>, options: &KmeansOptions) -> Kmeans {
    let mut nearest = assign(features, &centres);
    let (mut iterations, mut converged) = (0, false);
    while iterations < options.max_iterations && !converged {
        iterations += 1;
        move_centres(features, &mut nearest, &mut centres);
        let next = assign(features, &centres);
        let same = |((a, _), (b, _)): (&(u32, f64), &(u32, f64))| a == b;
        converged = next.iter().zip(&nearest).all(same);
        nearest = next;
    }
    Kmeans {
        inertia: nearest.iter().map(|(_, distance)| distance).sum(),
        assignments: nearest.into_iter().map(|(cluster, _)| cluster).collect(),
        centres,
        iterations,
        converged,
    }
}

/// The nearest centre of every row, the lower of equal ones, and its squared distance.
fn assign(features: &Features, centres: &[f32]) -> Vec<(u32, f64)> {
    let dim = features.dim;
    let clusters = centres.len() / dim;
    let halves: Vec<f32> = centres
        .chunks_exact(dim)
        .map(|c| c.iter().map(|x| x * x).sum::<f32>() / 2.0)
        .collect();
    let block = even_block(features.rows()) * dim;
    let blocks = features.data.par_chunks(block).flat_map_iter(|x| {
        let mut products = vec![0.0; x.len() / dim * clusters];
        dot_rows(x, centres, dim, &mut products);
        let rows = x.chunks_exact(dim).zip(products.chunks_exact(clusters));
        let nearest = |(x, products): (&[f32], &[f32])| {
            // |x − c|² is smallest where x·c − |c|²/2 is largest.
            let closeness = products.iter().zip(&halves).map(|(p, half)| p - half);
            let best = closeness
                .enumerate()
                .reduce(|a, b| if b.1 > a.1 { b } else { a });
            let cluster = best.map_or(0, |(cluster, _)| cluster);
            let centre = centres.chunks_exact(dim).nth(cluster).unwrap_or_default();
            (cluster as u32, squared_distance(x, centre))
        };
        rows.map(nearest).collect::<Vec<_>>()
    });
    blocks.collect()
}

/// Moves every centre to the mean of its rows; one without rows takes the row that is farthest from its own.
fn move_centres(features: &Features, nearest: &mut [(u32, f64)], centres: &mut [f32]) {
    let dim = features.dim;
    let mut counts = vec![0usize; centres.len() / dim];
    for (cluster, _) in nearest.iter() {
        if let Some(count) = counts.get_mut(*cluster as usize) {
            *count += 1;
        }
    }
    for empty in 0..counts.len() {
        if counts.get(empty) != Some(&0) {
            continue;
        }
        let shared = |(cluster, _): &(u32, f64)| counts.get(*cluster as usize) > Some(&1);
        let movable = nearest.iter().enumerate().filter(|(_, own)| shared(own));
        let farthest = movable.max_by(|(_, a), (_, b)| a.1.total_cmp(&b.1));
        let Some(farthest) = farthest.map(|(row, _)| row) else {
            continue;
        };
        if let Some(own) = nearest.get_mut(farthest) {
            if let Some(count) = counts.get_mut(own.0 as usize) {
                *count -= 1;
            }
            *own = (empty as u32, 0.0);
        }
        if let Some(count) = counts.get_mut(empty) {
            *count = 1;
        }
    }
    let mut sums = vec![0.0f64; centres.len()];
    for (x, (cluster, _)) in features.data.chunks_exact(dim).zip(nearest.iter()) {
        let sum = sums.iter_mut().skip(*cluster as usize * dim);
        sum.zip(x).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    let means = sums.chunks_exact(dim).zip(counts);
    for (centre, (sum, count)) in centres.chunks_exact_mut(dim).zip(means) {
        for (c, sum) in centre.iter_mut().zip(sum) {
            *c = (sum / count.max(1) as f64) as f32;
        }
    }
}

fn row(features: &Features, number: usize) -> &[f32] {
    let own = number * features.dim..(number + 1) * features.dim;
    features.data.get(own).unwrap_or_default()
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests;
