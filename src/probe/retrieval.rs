//! Finding pictures: average precision of ranked lists, and how well features find their own class.
//!
//! The measures are those of revisited Oxford and Paris (Radenović et al. 2018), as the reference computes
//! them: average precision by the trapezoid rule, junk pictures taken out of the list before ranks
//! are counted, queries without a positive left out of every mean.

use super::nearest::{Features, ProbeError, same_length};
use super::product::dot_rows;
use rayon::prelude::*;
use std::collections::HashSet;

/// Where precision is read in the reference's protocol.
pub const KS: [usize; 3] = [1, 5, 10];

/// Queries that are compared with all pictures at once.
const QUERIES: usize = 64;

/// What a query should find, as picture numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Pictures to be found ("ok" in the protocol's files).
    pub positives: Vec<u32>,
    /// Pictures that neither help nor harm, such as the query itself.
    pub junk: Vec<u32>,
}

/// How well one query found what it should.
#[derive(Clone, Debug, PartialEq)]
pub struct QueryScore {
    pub average_precision: f64,
    /// At every asked `k`: right ones among the first `min(k, rank of the last positive)`, so that a
    /// query with few positives can reach 1.
    pub precision: Vec<f64>,
}

/// The means over all queries that have a positive.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrieval {
    /// Mean average precision, `[0, 1]`.
    pub map: f64,
    /// Mean precision at every asked `k`.
    pub precision: Vec<f64>,
    /// Queries that have a positive.
    pub counted: usize,
    /// One a query; `None` where it has no positive.
    pub queries: Vec<Option<QueryScore>>,
}

/// Area under precision over recall by the trapezoid rule: `ranks` are those of the found positives,
/// counted from 0 and rising, `positives` how many there are to find.
pub fn average_precision(ranks: &[usize], positives: usize) -> f64 {
    let area = ranks.iter().enumerate().map(|(found, &rank)| {
        let before = if rank == 0 {
            1.0
        } else {
            found as f64 / rank as f64
        };
        let after = (found + 1) as f64 / (rank + 1) as f64;
        (before + after) / 2.0
    });
    // An empty sum is −0.
    area.sum::<f64>() / positives.max(1) as f64 + 0.0
}

/// Scores ranked lists: `rankings` holds the pictures' numbers by falling similarity, one list a query.
/// An error where lists and truths differ in number, a `k` is 0, or no query has a positive.
pub fn score_rankings(
    rankings: &[Vec<u32>],
    truths: &[Truth],
    ks: &[usize],
) -> Result<Retrieval, ProbeError> {
    same_length("ranked lists", truths.len(), rankings.len())?;
    check(ks)?;
    let queries = rankings.par_iter().zip(truths).map(|(ranking, truth)| {
        let positives: HashSet<u32> = truth.positives.iter().copied().collect();
        let junk: HashSet<u32> = truth.junk.iter().copied().collect();
        let (mut ranks, mut skipped) = (vec![], 0);
        for (position, picture) in ranking.iter().enumerate() {
            if positives.contains(picture) {
                ranks.push(position - skipped);
            }
            skipped += usize::from(junk.contains(picture));
        }
        score_query(&ranks, truth.positives.len(), ks)
    });
    means(queries.collect(), ks)
}

/// Every picture queries all others by cosine similarity; those of its class are the positives and it is
/// itself junk. Equal similarities rank by number. Exact; `2 rows² dim` operations and a sort a row.
pub fn leave_one_out(
    features: &Features,
    labels: &[u32],
    ks: &[usize],
) -> Result<Retrieval, ProbeError> {
    features.check("picture")?;
    same_length("labels", features.rows(), labels.len())?;
    check(ks)?;
    let mut features = features.clone();
    features.l2_normalise();
    let dim = features.dim;
    let queries = (features.data.par_chunks(QUERIES * dim))
        .enumerate()
        .flat_map_iter(|(block, queries)| {
            let rows = queries.len() / dim;
            let mut similarities = vec![0.0; rows * labels.len()];
            dot_rows(queries, &features.data, dim, &mut similarities);
            let each = similarities.chunks_exact(labels.len()).enumerate();
            let score = |(i, row): (usize, &[f32])| score_row(row, labels, block * QUERIES + i, ks);
            each.map(score).collect::<Vec<_>>()
        });
    means(queries.collect(), ks)
}

/// The rows of `database` by falling cosine similarity to each row of `queries`; equal ones by number.
pub fn rankings(queries: &Features, database: &Features) -> Result<Vec<Vec<u32>>, ProbeError> {
    queries.check("query")?;
    database.check("picture")?;
    same_length("values of a query", database.dim, queries.dim)?;
    let [mut queries, mut database] = [queries.clone(), database.clone()];
    queries.l2_normalise();
    database.l2_normalise();
    let dim = database.dim;
    let rows = queries.data.par_chunks_exact(dim);
    let ranked = rows.map(|query| {
        let mut similarities = vec![0.0; database.rows()];
        dot_rows(query, &database.data, dim, &mut similarities);
        ranking(similarities.iter().enumerate())
    });
    Ok(ranked.collect())
}

/// Numbers by falling similarity, equal ones by number.
fn ranking<'a>(similarities: impl Iterator<Item = (usize, &'a f32)>) -> Vec<u32> {
    // One whole number a picture, which sorts that way.
    let mut order: Vec<u64> = similarities
        .map(|(i, similarity)| u64::from(!rising(*similarity)) << 32 | i as u64)
        .collect();
    order.sort_unstable();
    order.into_iter().map(|key| key as u32).collect()
}

fn score_row(
    similarities: &[f32],
    labels: &[u32],
    query: usize,
    ks: &[usize],
) -> Option<QueryScore> {
    let own = labels.get(query)?;
    let others = similarities.iter().enumerate().filter(|(i, _)| *i != query);
    let is_positive = |picture: &u32| labels.get(*picture as usize) == Some(own);
    let order = ranking(others);
    let found = order.iter().enumerate().filter(|(_, i)| is_positive(i));
    let ranks: Vec<usize> = found.map(|(rank, _)| rank).collect();
    score_query(&ranks, ranks.len(), ks)
}

/// Bits that compare as whole numbers the way the numbers do.
fn rising(x: f32) -> u32 {
    let bits = (x + 0.0).to_bits(); // −0 and 0 are equal
    if bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    }
}

fn score_query(ranks: &[usize], positives: usize, ks: &[usize]) -> Option<QueryScore> {
    if positives == 0 {
        return None;
    }
    let last = ranks.last().map_or(usize::MAX, |rank| rank + 1);
    let precision = |k: &usize| {
        let first = last.min(*k);
        ranks.iter().filter(|rank| **rank < first).count() as f64 / first as f64
    };
    Some(QueryScore {
        average_precision: average_precision(ranks, positives),
        precision: ks.iter().map(precision).collect(),
    })
}

fn means(queries: Vec<Option<QueryScore>>, ks: &[usize]) -> Result<Retrieval, ProbeError> {
    let counted = queries.iter().flatten().count();
    if counted == 0 {
        return Err(ProbeError::Empty("no query has a picture to find"));
    }
    let mut map = 0.0;
    let mut precision = vec![0.0; ks.len()];
    for query in queries.iter().flatten() {
        map += query.average_precision;
        let pairs = precision.iter_mut().zip(&query.precision);
        pairs.for_each(|(sum, p)| *sum += p);
    }
    let n = counted as f64;
    Ok(Retrieval {
        map: map / n,
        precision: precision.into_iter().map(|sum| sum / n).collect(),
        counted,
        queries,
    })
}

fn check(ks: &[usize]) -> Result<(), ProbeError> {
    if ks.contains(&0) {
        return Err(ProbeError::Setting {
            setting: "k of the retrieval precision",
            value: 0.0,
            allowed: "1 or more",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Init;

    #[test]
    fn average_precision_by_hand() {
        assert_eq!(average_precision(&[0, 1, 2], 3), 1.0);
        // One positive in second place: precision 0 before it and 1/2 after.
        assert_eq!(average_precision(&[1], 1), 0.25);
        // First and fourth of two: (1 + 1)/2 and (1/3 + 2/4)/2, each a half.
        let expected = (1.0 + (1.0 / 3.0 + 0.5) / 2.0) / 2.0;
        assert!((average_precision(&[0, 3], 2) - expected).abs() < 1e-15);
        // The second is never found.
        assert_eq!(average_precision(&[0], 2), 0.5);
    }

    #[test]
    fn junk_moves_ranks_up() {
        let truth = Truth {
            positives: vec![5, 7],
            junk: vec![1, 9],
        };
        let empty = Truth::default();
        let ranking = vec![1, 5, 3, 9, 7, 2];
        let found =
            score_rankings(&[ranking.clone(), ranking], &[truth, empty], &[1, 2, 10]).unwrap();
        // Without junk: 5 3 7 2, so ranks 0 and 2; at 10, the last positive is third.
        let query = found.queries[0].as_ref().unwrap();
        assert_eq!(query.average_precision, average_precision(&[0, 2], 2));
        assert_eq!(query.precision, [1.0, 0.5, 2.0 / 3.0]);
        assert_eq!((found.counted, &found.queries[1]), (1, &None));
        assert_eq!(found.map, query.average_precision);
    }

    #[test]
    fn leave_one_out_equals_plain_sorting() {
        // More rows than one block of queries; similarities in f64.
        let (rows, dim) = (150, 8);
        let features = Features {
            dim,
            data: Init::Normal(2.0).fill(rows * dim, 4, "rows"),
        };
        let labels: Vec<u32> = (0..rows).map(|i| (i % 7 / 2) as u32 * 100).collect();
        let unit: Vec<Vec<f64>> = (features.data.chunks(dim))
            .map(|row| {
                let length = row
                    .iter()
                    .map(|x| f64::from(*x).powi(2))
                    .sum::<f64>()
                    .sqrt();
                row.iter().map(|x| f64::from(*x) / length).collect()
            })
            .collect();
        let cosine =
            |a: usize, b: usize| -> f64 { unit[a].iter().zip(&unit[b]).map(|(a, b)| a * b).sum() };
        let of_query = |query: usize| {
            let mut ranking: Vec<u32> = (0..rows as u32).collect();
            ranking
                .sort_by(|a, b| cosine(query, *b as usize).total_cmp(&cosine(query, *a as usize)));
            let same = |i: &u32| *i as usize != query && labels[*i as usize] == labels[query];
            let truth = Truth {
                positives: (0..rows as u32).filter(same).collect(),
                junk: vec![query as u32],
            };
            (ranking, truth)
        };
        let (rankings, truths): (Vec<_>, Vec<_>) = (0..rows).map(of_query).unzip();
        let found = leave_one_out(&features, &labels, &KS).unwrap();
        let expected = score_rankings(&rankings, &truths, &KS).unwrap();
        // Two neighbours that are equal in f32 may swap, which moves the mean by 1e-5.
        let off = (found.map - expected.map).abs();
        assert!(off < 5e-5, "{} {}", found.map, expected.map);
        assert_eq!(
            (found.counted, &found.precision),
            (rows, &expected.precision)
        );
    }

    #[test]
    fn rankings_fall_by_cosine() {
        let rows = |data: &[f32]| Features {
            dim: 2,
            data: data.to_vec(),
        };
        let database = rows(&[0.0, 1.0, 9.0, 1.0, 1.0, 0.0, -1.0, 0.0, 0.0, 2.0]);
        let found = rankings(&rows(&[1.0, 0.0, 0.0, 3.0]), &database).unwrap();
        assert_eq!(found, [vec![2, 1, 0, 4, 3], vec![0, 4, 1, 2, 3]]);
        let wider = Features {
            dim: 3,
            data: vec![1.0; 3],
        };
        assert!(rankings(&wider, &database).is_err());
    }

    #[test]
    fn perfect_classes_and_lonely_pictures() {
        let features = Features {
            dim: 2,
            data: vec![1.0, 0.0, 2.0, 0.1, 0.0, 1.0, -0.1, 1.0, -1.0, -1.0],
        };
        let found = leave_one_out(&features, &[4, 4, 8, 8, 1], &KS).unwrap();
        assert_eq!((found.map, found.counted), (1.0, 4));
        assert_eq!(found.precision, [1.0, 1.0, 1.0]);
        assert!(leave_one_out(&features, &[0, 1, 2, 3, 4], &KS).is_err());
        assert!(leave_one_out(&features, &[0; 4], &KS).is_err());
        assert!(leave_one_out(&features, &[0; 5], &[0]).is_err());
    }
}
