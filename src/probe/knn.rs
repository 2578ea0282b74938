//! Weighted k-nearest-neighbour classification: how good are frozen features, with nothing trained.
//!
//! Exact, on plain `f32` rows, for any number of pictures, classes and `k`: the protocol of the
//! reference (cosine similarity, a neighbour votes with `exp(similarity / temperature)`, class votes
//! are summed) without its 1000 hard-wired classes and its at-least-100 test pictures. Finding the
//! neighbours is nearly all of the time and has its own file; it is done once for the largest `k`.

use super::nearest::same_length;
pub use super::nearest::{Features, Neighbours, ProbeError, nearest};
use rayon::prelude::*;

/// The temperature of the reference's protocol (iBOT and DINO `eval_knn.py`).
pub const TEMPERATURE: f32 = 0.07;

/// Lowest temperature: `exp(1 / 0.002)` is 1e217 and a sum of such votes still fits an `f64`.
const LOWEST_TEMPERATURE: f32 = 0.002;
/// What one `k` gives.
#[derive(Clone, Debug, PartialEq)]
pub struct KnnResult {
    /// As asked for; where there are fewer training rows, all of them vote.
    pub k: usize,
    /// Fraction of right answers in `[0, 1]`; `None` without test labels or test rows.
    pub top1: Option<f64>,
    /// The right class is among the five with most votes; classes without a vote count too, lower
    /// number first, as in the reference.
    pub top5: Option<f64>,
    /// The class with most votes of every test row; equal votes go to the lower class.
    pub predictions: Vec<u32>,
}

/// Weighted k-NN accuracy for every `k` of `ks` (spec: iBOT paper's `eval_knn.py`): features
/// `[rows, dim]`, normalised or not, labels any class numbers, `temperature` at least 0.002.
pub fn knn(
    train: &Features,
    train_labels: &[u32],
    test: &Features,
    test_labels: Option<&[u32]>,
    ks: &[usize],
    temperature: f32,
) -> Result<Vec<KnnResult>, ProbeError> {
    same_length("training labels", train.rows(), train_labels.len())?;
    if let Some(labels) = test_labels {
        same_length("test labels", test.rows(), labels.len())?;
    }
    if !(temperature.is_finite() && temperature >= LOWEST_TEMPERATURE) {
        return Err(ProbeError::Setting {
            setting: "the k-NN temperature",
            value: temperature.into(),
            allowed: "0.002 or more",
        });
    }
    if ks.contains(&0) {
        return Err(ProbeError::Setting {
            setting: "k of the k-NN",
            value: 0.0,
            allowed: "1 or more",
        });
    }
    let most = ks.iter().copied().max().ok_or(ProbeError::Empty("no k"))?;
    let neighbours = nearest(train, test, most)?;
    // Dense votes need small class numbers; any numbers are allowed, so they are ranked first.
    let mut classes: Vec<u32> = train_labels
        .iter()
        .chain(test_labels.unwrap_or(&[]))
        .copied()
        .collect();
    classes.sort_unstable();
    classes.dedup();
    let dense = |labels: &[u32]| -> Vec<u32> {
        labels
            .iter()
            .map(|l| classes.partition_point(|c| c < l) as u32)
            .collect()
    };
    let (train_dense, test_dense) = (dense(train_labels), test_labels.map(dense));
    let accuracy = |ranked: &[Vec<u32>], top: usize| {
        let labels = test_dense.as_ref().filter(|l| !l.is_empty())?;
        let hit = |(ranks, label): &(&Vec<u32>, &u32)| ranks.iter().take(top).any(|c| c == *label);
        let right = ranked.iter().zip(labels).filter(hit).count();
        Some(right as f64 / labels.len() as f64)
    };
    let result = |&k: &usize| {
        let ranked: Vec<Vec<u32>> = (0..test.rows())
            .into_par_iter()
            .map(|row| {
                let first = neighbours.row(row).take(k);
                best_five(&votes(first, &train_dense, classes.len(), temperature))
            })
            .collect();
        KnnResult {
            k,
            top1: accuracy(&ranked, 1),
            top5: accuracy(&ranked, 5),
            predictions: ranked
                .iter()
                .filter_map(|r| classes.get(*r.first()? as usize).copied())
                .collect(),
        }
    };
    Ok(ks.iter().map(result).collect())
}

/// Votes per class of one test row's neighbours (training row, similarity): the sum of
/// `exp(similarity / temperature)`. `train_labels` are class numbers below `classes`.
pub fn votes(
    neighbours: impl Iterator<Item = (u32, f32)>,
    train_labels: &[u32],
    classes: usize,
    temperature: f32,
) -> Vec<f64> {
    let mut votes = vec![0.0; classes];
    for (index, similarity) in neighbours {
        let class = train_labels.get(index as usize);
        if let Some(vote) = class.and_then(|c| votes.get_mut(*c as usize)) {
            *vote += (f64::from(similarity) / f64::from(temperature)).exp();
        }
    }
    votes
}

fn best_five(votes: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..votes.len() as u32).collect();
    let vote = |c: &u32| votes.get(*c as usize).copied().unwrap_or(0.0);
    order.sort_by(|a, b| vote(b).total_cmp(&vote(a)));
    order.truncate(5);
    order
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
    fn equal_rows_keep_their_order_and_lower_class_wins() {
        let train = Features {
            dim: 2,
            data: [1.0, 0.0].repeat(40),
        };
        let test = Features {
            dim: 2,
            data: vec![3.0, 0.0],
        };
        let labels: Vec<u32> = (0..40).map(|i| if i % 2 == 0 { 900 } else { 7 }).collect();
        assert_eq!(nearest(&train, &test, 4).unwrap().indices, [0, 1, 2, 3]);
        let result = knn(
            &train,
            &labels,
            &test,
            Some(&[7]),
            &[2, 1, 400],
            TEMPERATURE,
        )
        .unwrap();
        assert_eq!(
            result.iter().map(|r| r.predictions[0]).collect::<Vec<_>>(),
            [7, 900, 7]
        );
        assert_eq!((result[1].top1, result[1].top5), (Some(0.0), Some(1.0)));
    }

    #[test]
    fn bad_input_is_an_error() {
        let good = random(4, 3, 3);
        let mut bad = good.clone();
        bad.data[7] = f32::NAN;
        let labels = [0, 1, 0, 1];
        let error = |train: &Features, labels: &[u32], test: &Features, ks: &[usize], t: f32| {
            knn(train, labels, test, None, ks, t).is_err()
        };
        assert!(error(&bad, &labels, &good, &[1], 0.07));
        assert!(error(&good, &labels[..3], &good, &[1], 0.07));
        assert!(error(&good, &labels, &random(4, 2, 0), &[1], 0.07));
        assert!(error(&good, &labels, &good, &[], 0.07));
        assert!(error(&good, &labels, &good, &[0], 0.07));
        assert!(error(&good, &labels, &good, &[1], 0.0));
        assert!(error(
            &Features {
                dim: 3,
                data: vec![]
            },
            &[],
            &good,
            &[1],
            0.07
        ));
        assert!(Features::new(0, vec![]).is_err() && Features::new(3, vec![0.0; 4]).is_err());
        let none = knn(
            &good,
            &labels,
            &Features {
                dim: 3,
                data: vec![],
            },
            Some(&[]),
            &[1],
            0.07,
        )
        .unwrap();
        assert_eq!((none[0].top1, none[0].predictions.len()), (None, 0));
    }
}
