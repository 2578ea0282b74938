//! Which labelled pictures are trained on and which are held out: by class, by seed, the same everywhere.
//!
//! Every class is brought into an order of its own, drawn from the seed, the repeat and the class number
//! alone, and the front of it is taken. So a new class moves no other, and with one seed the 1 %
//! subset lies within the 10 % subset.

use super::nearest::ProbeError;
use crate::data::draws::Draws;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Rows by number, each list rising.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    pub train: Vec<usize>,
    pub held_out: Vec<usize>,
}

/// Holds out `fraction` of every class, rounded, but at least one row where a class has two, and never
/// a whole class. An error where `fraction` is not between 0 and 1 or no class has two rows.
pub fn held_out(labels: &[u32], fraction: f64, seed: u64) -> Result<Split, ProbeError> {
    if labels.is_empty() {
        return Err(ProbeError::Empty("no labelled picture to split"));
    }
    let share = checked(fraction)?;
    let held_out = front(labels, seed, 0, |rows| {
        share(rows).max(1).min(rows.saturating_sub(1))
    });
    if held_out.is_empty() {
        return Err(ProbeError::Empty(
            "no class has two pictures, so that none can be held out",
        ));
    }
    let mut is_held_out = vec![false; labels.len()];
    for row in &held_out {
        if let Some(slot) = is_held_out.get_mut(*row) {
            *slot = true;
        }
    }
    let others = is_held_out.iter().enumerate().filter(|(_, held)| !**held);
    Ok(Split {
        train: others.map(|(row, _)| row).collect(),
        held_out,
    })
}

/// `fraction` of every class, rounded, at least one row each: the 1 % and 10 % subsets of few-label
/// protocols. An error where `fraction` is not between 0 and 1 or there is no label.
pub fn subset(labels: &[u32], fraction: f64, seed: u64) -> Result<Vec<usize>, ProbeError> {
    let mut repeats = subsets(labels, fraction, 1, seed)?;
    Ok(repeats.pop().unwrap_or_default())
}

/// `repeats` such subsets, each drawn anew; the first is [`subset`]'s.
pub fn subsets(
    labels: &[u32],
    fraction: f64,
    repeats: u32,
    seed: u64,
) -> Result<Vec<Vec<usize>>, ProbeError> {
    if labels.is_empty() {
        return Err(ProbeError::Empty("no labelled picture to take a subset of"));
    }
    if repeats == 0 {
        return Err(ProbeError::Setting {
            setting: "the number of subsets",
            value: 0.0,
            allowed: "1 or more",
        });
    }
    let share = checked(fraction)?;
    Ok((0..repeats)
        .map(|repeat| front(labels, seed, repeat, |rows| share(rows).max(1)))
        .collect())
}

/// How many of some rows a fraction is, rounded.
fn checked(fraction: f64) -> Result<impl Fn(usize) -> usize, ProbeError> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(ProbeError::Setting {
            setting: "the fraction of a split",
            value: fraction,
            allowed: "above 0 and below 1",
        });
    }
    Ok(move |rows: usize| (rows as f64 * fraction).round() as usize)
}

/// The first `count(rows of the class)` rows of every class in its drawn order.
fn front(labels: &[u32], seed: u64, repeat: u32, count: impl Fn(usize) -> usize) -> Vec<usize> {
    let mut classes: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (row, label) in labels.iter().enumerate() {
        classes.entry(*label).or_default().push(row);
    }
    let mut taken = vec![];
    for (class, mut rows) in classes {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(u64::from(repeat) << 32 | u64::from(class));
        rng.shuffle(&mut rows);
        taken.extend(rows.iter().take(count(rows.len())));
    }
    taken.sort_unstable();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 50 rows of class 9, 7 of class 2, 2 of class 4 and one of class 0, mixed.
    fn labels() -> Vec<u32> {
        let mut labels = [vec![9; 50], vec![2; 7], vec![4; 2], vec![0]].concat();
        ChaCha8Rng::seed_from_u64(5).shuffle(&mut labels);
        labels
    }

    fn counts(labels: &[u32], rows: &[usize]) -> [usize; 4] {
        [9, 2, 4, 0].map(|class| rows.iter().filter(|row| labels[**row] == class).count())
    }

    #[test]
    fn a_fifth_of_every_class_is_held_out() {
        let labels = labels();
        let split = held_out(&labels, 0.2, 1).unwrap();
        assert_eq!(counts(&labels, &split.held_out), [10, 1, 1, 0]);
        assert_eq!(counts(&labels, &split.train), [40, 6, 1, 1]);
        let mut all = [split.train.clone(), split.held_out.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..60).collect::<Vec<_>>());
        assert_eq!(split, held_out(&labels, 0.2, 1).unwrap());
        assert_ne!(split, held_out(&labels, 0.2, 2).unwrap());
        // Nearly everything still leaves one of each class to train on.
        let most = held_out(&labels, 0.99, 1).unwrap();
        assert_eq!(counts(&labels, &most.train), [1, 1, 1, 1]);
    }

    #[test]
    fn subsets_hold_every_class_and_are_nested() {
        let labels = labels();
        let (one, ten) = (
            subset(&labels, 0.01, 3).unwrap(),
            subset(&labels, 0.1, 3).unwrap(),
        );
        assert_eq!(counts(&labels, &one), [1, 1, 1, 1]);
        assert_eq!(counts(&labels, &ten), [5, 1, 1, 1]);
        assert!(one.iter().all(|row| ten.contains(row)));
        let repeats = subsets(&labels, 0.1, 4, 3).unwrap();
        assert_eq!((repeats.len(), &repeats[0]), (4, &ten));
        assert!(repeats[1] != repeats[2] && repeats[0] != repeats[1]);
    }

    #[test]
    fn a_new_class_moves_no_other() {
        let labels = labels();
        let more = [labels.clone(), vec![77; 30]].concat();
        let (before, after) = (
            held_out(&labels, 0.2, 8).unwrap().held_out,
            held_out(&more, 0.2, 8).unwrap().held_out,
        );
        assert_eq!(before, after[..before.len()]);
    }

    #[test]
    fn classes_of_one_size_have_orders_of_their_own() {
        let labels = [vec![0; 40], vec![1; 40]].concat();
        let taken = subset(&labels, 0.25, 1).unwrap();
        let (first, second) = taken.split_at(10);
        assert!(first.iter().zip(second).any(|(a, b)| a + 40 != *b));
    }

    #[test]
    fn every_row_is_held_out_equally_often() {
        let labels = [0; 10];
        let mut hits = [0; 10];
        for seed in 0..2000 {
            for row in held_out(&labels, 0.2, seed).unwrap().held_out {
                hits[row] += 1;
            }
        }
        // 400 expected with a deviation of 18.
        assert!(hits.iter().all(|h| (320..480).contains(h)), "{hits:?}");
    }

    #[test]
    fn impossible_asks_are_errors() {
        for fraction in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(held_out(&[1, 1], fraction, 0).is_err());
            assert!(subset(&[1, 1], fraction, 0).is_err());
        }
        assert!(held_out(&[], 0.2, 0).is_err() && subset(&[], 0.2, 0).is_err());
        assert!(held_out(&[1, 2, 3], 0.2, 0).is_err());
        assert!(subsets(&[1], 0.2, 0, 0).is_err());
    }
}
