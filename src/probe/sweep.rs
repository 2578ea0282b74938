//! The linear probe at many learning rates at once, and which of them counts.
//!
//! The reference trains 45 rates together and reports the best of all rates and epochs *on the
//! validation set*: the best of 4500 tries on the very pictures it is reported for. That number is
//! given, to stand beside published ones. The honest one comes with it: rate and epoch are chosen on a
//! tenth of the training set, held out of a second sweep, and the test score of the first sweep
//! at that rate and epoch is reported, so the classifier still learned from all training rows.

use super::labelled::Labelled;
use super::linear::{Epoch, LinearOptions, LinearResult, Rate, Rule, Score, train_together};
use super::nearest::{Features, ProbeError};
use super::splits;

/// Share of the training rows that the honest choice is made on.
const HELD_OUT: f64 = 0.1;

/// The reference's 45 rates, {1…9} × {1e-4, 1e-3, 1e-2, 1e-1, 1} for a batch of 256, each with every one of
/// `rules` and every weight decay of `weight_decays`; SGD and 0 are the reference's own.
pub fn rates(rules: &[Rule], weight_decays: &[f64]) -> Vec<Rate> {
    let mut rates = vec![];
    for lr in [1e-4, 1e-3, 1e-2, 1e-1, 1.0] {
        for times in 1..10 {
            for &rule in rules {
                rates.extend(weight_decays.iter().map(|&weight_decay| Rate {
                    lr: lr * f64::from(times),
                    weight_decay,
                    rule,
                }));
            }
        }
    }
    rates
}

/// One rate and epoch, and the test score there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    pub rate: Rate,
    /// Counted from 0.
    pub epoch: usize,
    pub test: Score,
}

/// What a sweep gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Every rate with its epochs, trained on all training rows.
    pub curves: Vec<(Rate, Vec<Epoch>)>,
    /// The best of all rates and epochs, **chosen on the test rows themselves** as in the reference.
    pub on_test: Choice,
    /// Chosen on training rows alone; `None` where no class has two of them to hold one out.
    pub honest: Option<Choice>,
}

/// Trains all `rates` on `train` and scores them on `test`; the better choice has more right answers, or as
/// many at a lower loss. Time is that of two runs of [`train_together`].
pub fn sweep(
    train: Labelled,
    test: Labelled,
    rates: &[Rate],
    options: &LinearOptions,
) -> Result<Sweep, ProbeError> {
    let curves = curves(train_together(train, test, rates, options)?);
    let chosen = best(&curves).ok_or(ProbeError::Empty("no learning rate"))?;
    let on_test = choice(&curves, chosen).ok_or(ProbeError::Empty("no epoch"))?;
    let honest = match splits::held_out(train.labels, HELD_OUT, options.seed) {
        Err(ProbeError::Empty(_)) => None,
        Err(other) => return Err(other),
        Ok(split) => {
            let (kept, held) = (take(train, &split.train), take(train, &split.held_out));
            let results = train_together(borrow(&kept), borrow(&held), rates, options)?;
            best(&self::curves(results)).and_then(|chosen| choice(&curves, chosen))
        }
    };
    Ok(Sweep {
        curves,
        on_test,
        honest,
    })
}

type Curves = Vec<(Rate, Vec<Epoch>)>;

fn curves(results: Vec<LinearResult>) -> Curves {
    let curve = |result: LinearResult| (result.rate, result.epochs);
    results.into_iter().map(curve).collect()
}

/// Number of the rate and of the epoch with the best score, the first of equal ones.
fn best(curves: &Curves) -> Option<(usize, usize)> {
    let mut best: Option<(Score, (usize, usize))> = None;
    for (rate, (_, epochs)) in curves.iter().enumerate() {
        for (epoch, Epoch { test, .. }) in epochs.iter().enumerate() {
            if best.is_none_or(|(score, _)| test.beats(&score)) {
                best = Some((*test, (rate, epoch)));
            }
        }
    }
    best.map(|(_, chosen)| chosen)
}

fn choice(curves: &Curves, (rate, epoch): (usize, usize)) -> Option<Choice> {
    let (rate, epochs) = curves.get(rate)?;
    Some(Choice {
        rate: *rate,
        epoch,
        test: epochs.get(epoch)?.test,
    })
}

/// Copies of some rows.
fn take(from: Labelled, rows: &[usize]) -> (Features, Vec<u32>) {
    let dim = from.features.dim;
    let row = |row: &usize| from.features.data.iter().skip(row * dim).take(dim).copied();
    let features = Features {
        dim,
        data: rows.iter().flat_map(row).collect(),
    };
    let labels = rows.iter().filter_map(|row| from.labels.get(*row).copied());
    (features, labels.collect())
}

fn borrow((features, labels): &(Features, Vec<u32>)) -> Labelled<'_> {
    Labelled { features, labels }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Init;

    /// Rows of which `told` in ten have a value that tells the class; the others have a random class.
    fn rows(count: usize, told: usize, seed: u64) -> (Features, Vec<u32>) {
        let mut data = Init::Normal(1.0).fill(count * 8, seed, "rows");
        let labels: Vec<u32> = (0..count as u32).map(|i| i * 7 % 13 % 3).collect();
        for (i, (row, label)) in data.chunks_mut(8).zip(&labels).enumerate() {
            if i % 10 < told {
                row[*label as usize] += 3.0;
            }
        }
        (Features { dim: 8, data }, labels)
    }

    fn options() -> LinearOptions {
        LinearOptions {
            epochs: 10,
            batch: 50,
            ..LinearOptions::new(3)
        }
    }

    #[test]
    fn the_rates_of_the_reference() {
        let all = rates(&[Rule::Sgd], &[0.0]);
        assert_eq!(all.len(), 45);
        let lr = |i: usize| all[i].lr;
        assert_eq!((lr(0), lr(9), lr(44)), (1e-4, 1e-3, 9.0));
        assert!(all.windows(2).all(|pair| pair[0].lr < pair[1].lr));
        assert_eq!(rates(&[Rule::Sgd, Rule::Lars], &[0.0, 1e-6]).len(), 180);
    }

    #[test]
    fn the_honest_choice_never_sees_the_test_rows() {
        let train = rows(300, 8, 1);
        let (test, other) = (rows(200, 8, 2), rows(200, 0, 3));
        let of = |test| {
            sweep(
                borrow(&train),
                borrow(test),
                &rates(&[Rule::Sgd], &[0.0]),
                &options(),
            )
            .unwrap()
        };
        let (found, elsewhere) = (of(&test), of(&other));
        let (honest, there) = (found.honest.unwrap(), elsewhere.honest.unwrap());
        assert_eq!((honest.rate, honest.epoch), (there.rate, there.epoch));
        assert!(honest.test != there.test);
        // It is the best of a sweep on nine tenths of the training rows, scored on the tenth.
        let split = splits::held_out(&train.1, 0.1, 0).unwrap();
        assert_eq!((split.train.len(), split.held_out.len()), (270, 30));
        let [kept, held] = [&split.train, &split.held_out].map(|rows| take(borrow(&train), rows));
        let again = train_together(
            borrow(&kept),
            borrow(&held),
            &rates(&[Rule::Sgd], &[0.0]),
            &options(),
        );
        let (rate, epoch) = best(&curves(again.unwrap())).unwrap();
        assert_eq!((honest.rate, honest.epoch), (found.curves[rate].0, epoch));
        // The flattering choice is the maximum over all curves; on rows without any signal it still
        // lies above chance, the honest one need not.
        let every = |sweep: &Sweep| {
            let epochs = sweep.curves.iter().flat_map(|(_, epochs)| epochs);
            epochs.map(|epoch| epoch.test.top1).fold(0.0, f64::max)
        };
        assert_eq!(found.on_test.test.top1, every(&found));
        assert_eq!(elsewhere.on_test.test.top1, every(&elsewhere));
        assert!(honest.test.top1 > 0.75, "{honest:?}");
        assert!(elsewhere.on_test.test.top1 > there.test.top1);
        // The score is that of a run on all training rows at the chosen rate.
        let rate = honest.rate;
        let single =
            super::super::linear::train_linear(borrow(&train), borrow(&test), rate, &options())
                .unwrap();
        let same = single.epochs[honest.epoch].test;
        let off = (same.loss - honest.test.loss).abs();
        assert!(off < 1e-4 * same.loss, "{same:?} {honest:?}");
    }

    #[test]
    fn single_rows_leave_no_honest_choice() {
        let train = Features {
            dim: 2,
            data: vec![1.0, 0.0, 0.0, 1.0],
        };
        let train = (train, vec![0, 1]);
        let found = sweep(
            borrow(&train),
            borrow(&train),
            &rates(&[Rule::Sgd], &[0.0]),
            &options(),
        );
        assert_eq!(found.unwrap().honest, None);
    }
}
