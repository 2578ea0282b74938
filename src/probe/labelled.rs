//! Features with their classes, and how a classifier's answers for them are scored.

use super::nearest::{Features, ProbeError, same_length};
use std::cmp::Ordering;

/// Feature rows and the class of each.
#[derive(Clone, Copy, Debug)]
pub struct Labelled<'a> {
    /// `[rows, dim]`.
    pub features: &'a Features,
    /// One a row, below the number of classes.
    pub labels: &'a [u32],
}

impl Labelled<'_> {
    /// An error where there is no row, a value is not finite, or a label is missing or too large.
    pub(super) fn check(&self, what: &'static str, classes: usize) -> Result<(), ProbeError> {
        self.features.check(what)?;
        same_length("labels", self.features.rows(), self.labels.len())?;
        if self.labels.is_empty() {
            return Err(ProbeError::Empty("no labelled row"));
        }
        match self.labels.iter().find(|l| **l as usize >= classes) {
            Some(label) => Err(ProbeError::Setting {
                setting: "a class label",
                value: f64::from(*label),
                allowed: "below the number of classes",
            }),
            None => Ok(()),
        }
    }
}

/// Fractions of right answers, `[0, 1]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    pub top1: f64,
    /// `None` with fewer than five classes, where the reference has none either.
    pub top5: Option<f64>,
}

impl Accuracy {
    /// From the rank of the right class in every row, where it has one.
    pub(super) fn from_ranks(ranks: impl Iterator<Item = Option<usize>>, classes: usize) -> Self {
        let (mut rows, mut first, mut five) = (0usize, 0usize, 0usize);
        for rank in ranks {
            rows += 1;
            first += usize::from(rank == Some(0));
            five += usize::from(rank.is_some_and(|r| r < 5));
        }
        let of = |n: usize| n as f64 / rows.max(1) as f64;
        Self {
            top1: of(first),
            top5: (classes >= 5).then(|| of(five)),
        }
    }
}

/// How many classes stand before the right one; of equal ones the lower stands first. `None` where
/// the right class has no finite value: a classifier that has diverged is right about nothing.
pub(super) fn rank<T: PartialOrd + Copy + Into<f64>>(logits: &[T], label: u32) -> Option<usize> {
    let own = *logits.get(label as usize)?;
    if !own.into().is_finite() {
        return None;
    }
    let before = |(class, value): (usize, &T)| match value.partial_cmp(&own) {
        Some(Ordering::Less) => false,
        Some(Ordering::Equal) => class < label as usize,
        Some(Ordering::Greater) | None => true,
    };
    Some(logits.iter().enumerate().filter(|v| before(*v)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_and_accuracy_by_hand() {
        let logits = [1f32, 3.0, 3.0, f32::NAN, -2.0];
        let ranks: Vec<_> = (0..6).map(|class| rank(&logits, class)).collect();
        // NaN stands before everything and is itself never right; class 5 does not exist.
        assert_eq!(ranks, [Some(3), Some(1), Some(2), None, Some(4), None]);
        let accuracy = Accuracy::from_ranks([Some(0), Some(4), Some(5), None].into_iter(), 6);
        assert_eq!((accuracy.top1, accuracy.top5), (0.25, Some(0.5)));
        assert_eq!(Accuracy::from_ranks([Some(0)].into_iter(), 4).top5, None);
    }
}
