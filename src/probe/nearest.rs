//! The nearest feature rows, exactly: one large matrix product, done in blocks that stay in the cache.
//!
//! Similarities of all test rows with all training rows are far too many to keep (2 GB for CIFAR-10),
//! so each thread takes some test rows, meets the training rows block by block and keeps the best `k`.
//! Training rows are normalised while they are packed for the register tile, which costs nothing and
//! spares a normalised copy.

use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Test rows a thread works on at once; a block of packed training rows is reused this many times.
const TEST_ROWS: usize = 64;
/// Rows of the register tile: 4 x 8 sums fill 8 of the 16 SSE registers every x86-64 has.
const TILE_TEST: usize = 4;
const TILE_TRAIN: usize = 8;
/// Floats of a packed training block: 256 KiB, half of a small second-level cache.
const BLOCK_FLOATS: usize = 64 * 1024;

/// Why a measure of the features could not be taken.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProbeError {
    #[error("there is nothing to measure: {0}")]
    Empty(&'static str),
    #[error("{what}: {found} given where {expected} are needed")]
    Length {
        what: &'static str,
        expected: usize,
        found: usize,
    },
    #[error(
        "{what} features: row {row} holds a value that is not finite; the network has diverged"
    )]
    NotFinite { what: &'static str, row: usize },
    #[error("{setting} is {value}, allowed is {allowed}")]
    Setting {
        setting: &'static str,
        value: f64,
        allowed: &'static str,
    },
}

/// Feature rows, `[rows, dim]`, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Features {
    pub dim: usize,
    pub data: Vec<f32>,
}

impl Features {
    /// Wraps `data` of `[rows, dim]`; an error where it is no whole number of rows.
    pub fn new(dim: usize, data: Vec<f32>) -> Result<Self, ProbeError> {
        if dim == 0 || !data.len().is_multiple_of(dim) {
            return Err(ProbeError::Length {
                what: "feature values",
                expected: data.len().next_multiple_of(dim.max(1)).max(dim.max(1)),
                found: data.len(),
            });
        }
        Ok(Self { dim, data })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.data.len() / self.dim.max(1)
    }

    /// Divides every row by its Euclidean length; a row of zeros stays (lengths below 1e-12 count as
    /// 1e-12, as in PyTorch's `normalize`). [`knn`](crate::probe::knn) and [`nearest`] do it by themselves.
    pub fn l2_normalise(&mut self) {
        for row in self.data.chunks_exact_mut(self.dim.max(1)) {
            let scale = inverse_length(row);
            row.iter_mut().for_each(|x| *x *= scale);
        }
    }

    pub(super) fn check(&self, what: &'static str) -> Result<(), ProbeError> {
        if self.dim == 0 || !self.data.len().is_multiple_of(self.dim) {
            return Err(ProbeError::Length {
                what: "feature values",
                expected: self.data.len().next_multiple_of(self.dim.max(1)),
                found: self.data.len(),
            });
        }
        match self.data.par_iter().position_first(|x| !x.is_finite()) {
            Some(i) => Err(ProbeError::NotFinite {
                what,
                row: i / self.dim,
            }),
            None => Ok(()),
        }
    }
}

/// The nearest training rows of every test row, nearest first, equal ones by lower index.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Neighbours per test row.
    pub k: usize,
    /// Training rows, `[test rows, k]`.
    pub indices: Vec<u32>,
    /// Their cosine similarities, `[test rows, k]`.
    pub similarities: Vec<f32>,
}

impl Neighbours {
    /// Training row and similarity of every neighbour of test row `row`, nearest first.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let indices = self.indices.iter().copied().skip(row * self.k);
        let similarities = self.similarities.iter().copied().skip(row * self.k);
        indices.zip(similarities).take(self.k)
    }
}
/// The `k` training rows nearest to every test row by cosine similarity (all, where there are fewer).
/// Time is `2 * test * train * dim` operations; memory is `test * k` and some hundred KiB a thread.
pub fn nearest(train: &Features, test: &Features, k: usize) -> Result<Neighbours, ProbeError> {
    train.check("training")?;
    test.check("test")?;
    same_length("values of a test row", train.dim, test.dim)?;
    if train.rows() == 0 {
        return Err(ProbeError::Empty("no training rows"));
    }
    let (dim, k) = (train.dim, k.min(train.rows()));
    let scales: Vec<f32> = train
        .data
        .par_chunks_exact(dim)
        .map(inverse_length)
        .collect();
    let found: Vec<Vec<Candidate>> = test
        .data
        .par_chunks(TEST_ROWS * dim)
        .flat_map_iter(|rows| nearest_of_chunk(train, &scales, rows, k))
        .collect();
    Ok(Neighbours {
        k,
        indices: found.iter().flatten().map(|c| c.index).collect(),
        similarities: found.iter().flatten().map(|c| c.similarity).collect(),
    })
}

/// One chunk of at most [`TEST_ROWS`] test rows against all training rows.
fn nearest_of_chunk(
    train: &Features,
    scales: &[f32],
    rows: &[f32],
    k: usize,
) -> Vec<Vec<Candidate>> {
    let dim = train.dim;
    let count = rows.len() / dim;
    let own_scales: Vec<f32> = rows.chunks_exact(dim).map(inverse_length).collect();
    let tiles = count.div_ceil(TILE_TEST);
    let mut queries = vec![[0.0; TILE_TEST]; tiles * dim];
    pack(rows, &own_scales, dim, &mut queries);

    let block = (BLOCK_FLOATS / dim)
        .next_multiple_of(TILE_TRAIN)
        .max(TILE_TRAIN);
    let mut packed = vec![[0.0; TILE_TRAIN]; block / TILE_TRAIN * dim];
    let mut similarities = vec![0.0; tiles * TILE_TEST * block];
    let mut heaps: Vec<BinaryHeap<Candidate>> = vec![BinaryHeap::with_capacity(k + 1); count];
    for (number, (part, scales)) in train
        .data
        .chunks(block * dim)
        .zip(scales.chunks(block))
        .enumerate()
    {
        pack(part, scales, dim, &mut packed);
        multiply(&queries, &packed, dim, &mut similarities);
        for (heap, sums) in heaps.iter_mut().zip(similarities.chunks_exact(block)) {
            for (offset, &similarity) in sums.iter().take(scales.len()).enumerate() {
                // The heap's top is the worst kept one. Indices only rise, so an equal similarity
                // never displaces an earlier row.
                let full = heap.len() == k;
                if full
                    && heap
                        .peek()
                        .is_none_or(|worst| similarity <= worst.similarity)
                {
                    continue;
                }
                if full {
                    heap.pop();
                }
                let index = (number * block + offset) as u32;
                heap.push(Candidate { similarity, index });
            }
        }
    }
    heaps.into_iter().map(BinaryHeap::into_sorted_vec).collect()
}

/// Rows times their scales in panels of `LANES` rows: `packed[panel][d]` holds component `d` of each
/// row. Rows that the last panel lacks keep what was there; their sums are not looked at.
fn pack<const LANES: usize>(rows: &[f32], scales: &[f32], dim: usize, packed: &mut [[f32; LANES]]) {
    let panels = packed.chunks_exact_mut(dim).zip(rows.chunks(LANES * dim));
    for ((panel, rows), scales) in panels.zip(scales.chunks(LANES)) {
        for (lane, (row, scale)) in rows.chunks_exact(dim).zip(scales).enumerate() {
            for (x, slot) in row.iter().zip(panel.iter_mut()) {
                slot[lane] = x * scale;
            }
        }
    }
}

/// `sums[query][train row of the block]`: dot products of all packed queries with all packed rows.
fn multiply(
    queries: &[[f32; TILE_TEST]],
    rows: &[[f32; TILE_TRAIN]],
    dim: usize,
    sums: &mut [f32],
) {
    let block = rows.len() / dim * TILE_TRAIN;
    let tiles = queries
        .chunks_exact(dim)
        .zip(sums.chunks_exact_mut(TILE_TEST * block));
    for (queries, sums) in tiles {
        for (number, panel) in rows.chunks_exact(dim).enumerate() {
            let tile = tile_product(queries, panel);
            for (row, sums) in tile.iter().zip(sums.chunks_exact_mut(block)) {
                let slots = sums.iter_mut().skip(number * TILE_TRAIN);
                slots.zip(row).for_each(|(slot, sum)| *slot = *sum);
            }
        }
    }
}

/// The register tile. Loops of constant length over arrays, so that the compiler unrolls them and
/// keeps all sums in vector registers: it does not where the operands are reached by iterators.
fn tile_product(
    queries: &[[f32; TILE_TEST]],
    rows: &[[f32; TILE_TRAIN]],
) -> [[f32; TILE_TRAIN]; TILE_TEST] {
    let mut tile = [[0.0; TILE_TRAIN]; TILE_TEST];
    for (a, b) in queries.iter().zip(rows) {
        for i in 0..TILE_TEST {
            for j in 0..TILE_TRAIN {
                tile[i][j] += a[i] * b[j];
            }
        }
    }
    tile
}

/// A training row and its similarity, ordered so that a nearer one is `Less`: a sorted list begins
/// with the nearest, the top of a heap is the farthest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    similarity: f32,
    index: u32,
}

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        let nearer = other.similarity.total_cmp(&self.similarity);
        nearer.then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn inverse_length(row: &[f32]) -> f32 {
    1.0 / row.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12)
}

pub(super) fn same_length(
    what: &'static str,
    expected: usize,
    found: usize,
) -> Result<(), ProbeError> {
    if expected == found {
        return Ok(());
    }
    Err(ProbeError::Length {
        what,
        expected,
        found,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    fn random(rows: usize, dim: usize, seed: u64) -> Features {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let data = (0..rows * dim)
            .map(|_| rng.random_range(-1.0..1.0))
            .collect();
        Features { dim, data }
    }

    #[test]
    fn blocks_and_tiles_equal_the_plain_sum() {
        // Odd sizes, more training rows than one block, fewer test rows than one tile in the last chunk.
        for (train_rows, test_rows, dim, k) in [(1500, 67, 61, 9), (3, 1, 1, 5), (9, 2, 70_000, 2)]
        {
            let (mut train, mut test) = (random(train_rows, dim, 1), random(test_rows, dim, 2));
            let found = nearest(&train, &test, k).unwrap();
            train.l2_normalise();
            test.l2_normalise();
            for (row, query) in test.data.chunks(dim).enumerate() {
                let dot = |t: &[f32]| {
                    t.iter()
                        .zip(query)
                        .map(|(a, b)| f64::from(a * b))
                        .sum::<f64>()
                };
                let mut plain: Vec<f64> = train.data.chunks(dim).map(dot).collect();
                plain.sort_by(|a, b| b.total_cmp(a));
                for (similarity, plain) in found.similarities[row * found.k..]
                    .iter()
                    .zip(&plain)
                    .take(found.k)
                {
                    assert!(
                        (f64::from(*similarity) - plain).abs() < 1e-5,
                        "{similarity} {plain}"
                    );
                }
            }
        }
    }
}
