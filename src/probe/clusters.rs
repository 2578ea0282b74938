//! How well do the teacher's prototypes agree with classes it was never told?
//!
//! Every picture falls into the cluster of its strongest prototype (no k-means); these scores compare
//! that grouping with the labels. All follow scikit-learn's definitions, so numbers can be set beside
//! published ones: NMI with the arithmetic mean, ARI, Fowlkes–Mallows, and accuracy after the best
//! one-to-one assignment of clusters to classes (Hungarian method). Purity is added because it stays
//! readable where there are many more prototypes than classes.

use super::nearest::ProbeError;
use pathfinding::prelude::{Matrix, kuhn_munkres};
use std::collections::BTreeMap;

/// Agreement of two groupings of the same samples; 1 is perfect for all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterScores {
    /// Normalised mutual information, arithmetic mean, `[0, 1]`.
    pub nmi: f64,
    /// Adjusted Rand index, 0 at chance, can be negative.
    pub ari: f64,
    /// Fowlkes–Mallows index, `[0, 1]`.
    pub fmi: f64,
    /// Fraction right after the best one-to-one assignment of clusters to classes.
    pub accuracy: f64,
    /// Fraction right when every cluster takes its most frequent class; rises with more clusters.
    pub purity: f64,
    /// Clusters that hold at least one sample.
    pub clusters: usize,
    /// Classes that hold at least one sample.
    pub classes: usize,
}

/// Compares `labels` with `predictions` (cluster numbers), one a sample; any `u32` numbers, since only
/// equality counts. An error where the lengths differ or there is no sample. The assignment takes
/// `min² · max` steps of the two group counts: 1000 classes and 8192 clusters are some seconds.
pub fn compare(labels: &[u32], predictions: &[u32]) -> Result<ClusterScores, ProbeError> {
    if labels.len() != predictions.len() {
        return Err(ProbeError::Length {
            what: "cluster numbers",
            expected: labels.len(),
            found: predictions.len(),
        });
    }
    if labels.is_empty() {
        return Err(ProbeError::Empty("no labelled sample"));
    }
    let (classes, clusters) = (count(labels), count(predictions));
    let mut cells: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for pair in predictions.iter().copied().zip(labels.iter().copied()) {
        *cells.entry(pair).or_default() += 1;
    }
    let mut best: BTreeMap<u32, u64> = BTreeMap::new();
    for (&(cluster, _), &n) in &cells {
        let most = best.entry(cluster).or_default();
        *most = n.max(*most);
    }
    let n = labels.len() as f64;
    let (ari, fmi) = pair_scores(labels.len() as u64, &classes, &clusters, &cells);
    Ok(ClusterScores {
        nmi: normalised_mutual_information(n, &classes, &clusters, &cells),
        ari,
        fmi,
        accuracy: best_assignment(&classes, &clusters, &cells) as f64 / n,
        purity: best.values().sum::<u64>() as f64 / n,
        clusters: clusters.len(),
        classes: classes.len(),
    })
}

type Counts = BTreeMap<u32, u64>;
/// Samples by (cluster, class).
type Cells = BTreeMap<(u32, u32), u64>;

fn count(numbers: &[u32]) -> Counts {
    let mut counts = Counts::new();
    for number in numbers {
        *counts.entry(*number).or_default() += 1;
    }
    counts
}

/// `I / ((H1 + H2) / 2)`; 1 where both groupings are a single group, since they are then the same.
fn normalised_mutual_information(
    n: f64,
    classes: &Counts,
    clusters: &Counts,
    cells: &Cells,
) -> f64 {
    if classes.len() == 1 && clusters.len() == 1 {
        return 1.0;
    }
    let entropy = |counts: &Counts| -> f64 {
        counts
            .values()
            .map(|&c| -(c as f64 / n) * (c as f64 / n).ln())
            .sum()
    };
    let mutual: f64 = cells
        .iter()
        .map(|((cluster, class), &c)| {
            let of = |counts: &Counts, key| counts.get(key).copied().unwrap_or(1) as f64;
            let c = c as f64;
            c / n * (c.ln() + n.ln() - of(clusters, cluster).ln() - of(classes, class).ln())
        })
        .sum();
    (mutual / ((entropy(classes) + entropy(clusters)) / 2.0)).clamp(0.0, 1.0)
}

/// Adjusted Rand and Fowlkes–Mallows from the counts of ordered sample pairs that are together in
/// both, one or neither grouping (Hubert & Arabie 1985). Whole numbers, so nothing cancels.
fn pair_scores(n: u64, classes: &Counts, clusters: &Counts, cells: &Cells) -> (f64, f64) {
    let pairs = |c: &u64| i128::from(*c) * (i128::from(*c) - 1);
    let both: i128 = cells.values().map(pairs).sum();
    let same_class: i128 = classes.values().map(pairs).sum();
    let same_cluster: i128 = clusters.values().map(pairs).sum();
    let (missed, false_joins) = (same_class - both, same_cluster - both);
    let neither = pairs(&n) - both - missed - false_joins;
    let ari = if missed == 0 && false_joins == 0 {
        1.0
    } else {
        let above = both * neither - missed * false_joins;
        let below =
            (both + missed) * (missed + neither) + (both + false_joins) * (false_joins + neither);
        2.0 * above as f64 / below as f64
    };
    let fmi = if both == 0 {
        0.0
    } else {
        (both as f64 / same_class as f64).sqrt() * (both as f64 / same_cluster as f64).sqrt()
    };
    (ari, fmi)
}

/// Samples that are right under the best one-to-one assignment.
fn best_assignment(classes: &Counts, clusters: &Counts, cells: &Cells) -> i64 {
    // The method wants no more rows than columns.
    let flip = classes.len() > clusters.len();
    let (rows, columns) = if flip {
        (clusters, classes)
    } else {
        (classes, clusters)
    };
    let (rows, columns): (Vec<u32>, Vec<u32>) = (
        rows.keys().copied().collect(),
        columns.keys().copied().collect(),
    );
    let weights = Matrix::from_fn(rows.len(), columns.len(), |(r, c)| {
        let (r, c) = (
            rows.get(r).copied().unwrap_or(0),
            columns.get(c).copied().unwrap_or(0),
        );
        let cell = if flip { (r, c) } else { (c, r) };
        cells.get(&cell).map_or(0, |n| *n as i64)
    });
    kuhn_munkres(&weights).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_scikit_learn() {
        // labels [0,0,1,1,2], predictions [0,0,1,2,2]: worked by hand.
        let s = compare(
            &[5, 5, 4_000_000_000, 4_000_000_000, 2],
            &[0, 0, 10, 20, 20],
        )
        .unwrap();
        let h = 0.8 * 2.5f64.ln() + 0.2 * 5f64.ln();
        let mutual = h - 0.4 * 2f64.ln();
        assert!((s.nmi - mutual / h).abs() < 1e-12, "{}", s.nmi);
        assert!(
            (s.ari - 0.375).abs() < 1e-12 && (s.fmi - 0.5).abs() < 1e-12,
            "{s:?}"
        );
        assert_eq!(
            (s.accuracy, s.purity, s.clusters, s.classes),
            (0.8, 0.8, 3, 3)
        );
    }

    #[test]
    fn single_groups_and_odd_shapes() {
        let one = compare(&[3; 6], &[9; 6]).unwrap();
        assert_eq!(
            (one.nmi, one.ari, one.fmi, one.accuracy),
            (1.0, 1.0, 1.0, 1.0)
        );
        let lumped = compare(&[0, 1, 2, 3], &[7; 4]).unwrap();
        assert_eq!(
            (lumped.nmi, lumped.ari, lumped.accuracy, lumped.purity),
            (0.0, 0.0, 0.25, 0.25)
        );
        let apart = compare(&[7; 4], &[0, 1, 2, 3]).unwrap();
        assert_eq!(
            (apart.nmi, apart.fmi, apart.accuracy, apart.purity),
            (0.0, 0.0, 0.25, 1.0)
        );
        assert!(compare(&[], &[]).is_err() && compare(&[1], &[]).is_err());
    }
}
