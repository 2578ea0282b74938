//! Mixup and CutMix over a batch, and the soft targets that go with them.
//!
//! timm's batch mode: one draw decides for the whole batch, and a picture's partner is the one as
//! far from the end as it is from the start (Zhang et al. 2017, Yun et al. 2019).

use crate::data::draws::Draws;
use crate::data::pixels::Rect;

use super::distributions::symmetric_beta;

/// Probability of CutMix where both kinds are on.
const CUTMIX: f64 = 0.5;

/// What was drawn for a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mix {
    /// Nothing is mixed.
    None,
    /// Every value becomes `share` of itself and 1 − `share` of the partner's.
    Mixup { share: f64 },
    /// The region is the partner's.
    Cutmix { region: Rect },
}

/// Why a batch cannot be mixed; a mistake of the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MixError {
    #[error(
        "{values} values are not {rows} pictures of 3 planes of {side}x{side}: give one label for each picture"
    )]
    Shape {
        values: usize,
        rows: usize,
        side: usize,
    },
    #[error(
        "label {label} of row {row} is not one of {classes} classes: count the classes of the training set"
    )]
    Label {
        row: usize,
        label: usize,
        classes: usize,
    },
}

impl Mix {
    /// Draws how a batch of pictures of `side`×`side` pixels is mixed: λ ~ Beta(α, α) with α
    /// `mixup` or `cutmix`; 0 leaves that kind out.
    pub fn draw(mixup: f64, cutmix: f64, side: usize, draws: &mut impl Draws) -> Self {
        if cutmix > 0.0 && (mixup <= 0.0 || draws.chance(CUTMIX)) {
            let share = symmetric_beta(cutmix, draws);
            let region = random_box(share, side, draws);
            Mix::Cutmix { region }
        } else if mixup > 0.0 {
            let share = symmetric_beta(mixup, draws);
            Mix::Mixup { share }
        } else {
            Mix::None
        }
    }

    /// λ: how much of each picture is left; with CutMix counted in pixels of a picture of `side`.
    pub fn share(&self, side: usize) -> f64 {
        match self {
            Mix::None => 1.0,
            Mix::Mixup { share } => *share,
            Mix::Cutmix { region } => {
                1.0 - (region.width * region.height) as f64 / (side * side).max(1) as f64
            }
        }
    }

    /// Mixes `planes`, `[batch, 3, side, side]`, in place. Each pair is visited once; the middle
    /// picture of an odd batch is its own partner and stays.
    pub fn apply(&self, planes: &mut [f32], side: usize) {
        let picture = 3 * side * side;
        if picture == 0 {
            return;
        }
        let pairs = planes.len() / picture / 2;
        let (front, back) = planes.split_at_mut(pairs * picture);
        let partners = back.rchunks_exact_mut(picture);
        for (one, other) in front.chunks_exact_mut(picture).zip(partners) {
            match *self {
                Mix::None => {}
                Mix::Mixup { share } => blend(one, other, share),
                Mix::Cutmix { region } => exchange(one, other, side, region),
            }
        }
    }
}

/// CutMix's box: √(1 − `share`) of the side long, its middle anywhere, cut off at the border.
fn random_box(share: f64, side: usize, draws: &mut impl Draws) -> Rect {
    let half = (side as f64 * (1.0 - share).sqrt()) as usize / 2;
    let mut span = || {
        let middle = draws.below(side);
        let start = middle.saturating_sub(half);
        (start, (middle + half).min(side) - start)
    };
    let ((top, height), (left, width)) = (span(), span());
    Rect {
        left,
        top,
        width,
        height,
    }
}

fn blend(one: &mut [f32], other: &mut [f32], share: f64) {
    let (own, partners) = (share as f32, (1.0 - share) as f32);
    for (one, other) in one.iter_mut().zip(other) {
        (*one, *other) = (
            own * *one + partners * *other,
            own * *other + partners * *one,
        );
    }
}

fn exchange(one: &mut [f32], other: &mut [f32], side: usize, region: Rect) {
    let region = region.within(side, side);
    let rows = one.chunks_exact_mut(side).zip(other.chunks_exact_mut(side));
    for (row, (one, other)) in rows.enumerate() {
        if (region.top..region.top + region.height).contains(&(row % side)) {
            let columns = region.left..region.left + region.width;
            one[columns.clone()].swap_with_slice(&mut other[columns]);
        }
    }
}

/// The targets `[batch, classes]` of a batch of which `share` of each picture is left and the rest
/// is the partner's. `smoothing` of a label is spread evenly over all classes.
pub fn targets(
    labels: &[usize],
    classes: usize,
    share: f64,
    smoothing: f64,
) -> Result<Vec<f32>, MixError> {
    let wrong = labels
        .iter()
        .enumerate()
        .find(|&(_, &label)| label >= classes);
    if let Some((row, &label)) = wrong {
        return Err(MixError::Label {
            row,
            label,
            classes,
        });
    }
    let off = (smoothing / classes.max(1) as f64) as f32;
    let mut targets = vec![off; labels.len() * classes];
    let partners = labels.iter().rev();
    let rows = targets.chunks_exact_mut(classes.max(1));
    for ((row, &label), &partner) in rows.zip(labels).zip(partners) {
        row[label] += (share * (1.0 - smoothing)) as f32;
        row[partner] += ((1.0 - share) * (1.0 - smoothing)) as f32;
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::views::view_rng;

    #[test]
    fn kinds_and_shares_are_as_frequent_as_timms() {
        // Mean and deviation of λ under CutMix: timm's boxes in NumPy, 1,000,000 draws.
        for (side, mean, spread) in [(32, 0.700_85, 0.182_70), (224, 0.682_46, 0.187_88)] {
            let total = 40_000;
            let (mut mixups, mut cutmixes) = (Vec::new(), Vec::new());
            for step in 0..total {
                let mix = Mix::draw(0.8, 1.0, side, &mut view_rng(9, 0, step, 0));
                match mix {
                    Mix::None => panic!("timm mixes every batch"),
                    Mix::Mixup { .. } => mixups.push(mix.share(side)),
                    Mix::Cutmix { region } => {
                        assert_eq!(region, region.within(side, side));
                        cutmixes.push(mix.share(side));
                    }
                }
            }
            assert!((cutmixes.len() as f64 / total as f64 - 0.5).abs() < 0.0125);
            let moments = |shares: &[f64]| {
                let n = shares.len() as f64;
                let mean = shares.iter().sum::<f64>() / n;
                let square = shares
                    .iter()
                    .map(|share| (share - mean).powi(2))
                    .sum::<f64>();
                (mean, (square / n).sqrt())
            };
            let (m, s) = moments(&mixups);
            assert!((m - 0.5).abs() < 0.011 && (s - 0.310_09).abs() < 0.005);
            let (m, s) = moments(&cutmixes);
            assert!((m - mean).abs() < 0.0066 && (s - spread).abs() < 0.004);
        }
    }

    #[test]
    fn a_kind_of_alpha_0_never_comes() {
        for step in 0..200 {
            let draw = |mixup, cutmix| Mix::draw(mixup, cutmix, 16, &mut view_rng(1, 0, step, 0));
            assert!(matches!(draw(0.8, 0.0), Mix::Mixup { .. }));
            assert!(matches!(draw(0.0, 1.0), Mix::Cutmix { .. }));
            assert_eq!(draw(0.0, 0.0), Mix::None);
        }
    }

    #[test]
    fn shares_of_neighbouring_keys_are_unrelated() {
        let total = 20_000;
        let share = |seed, epoch, step| {
            Mix::draw(0.8, 0.0, 32, &mut view_rng(seed, epoch, step, 0)).share(32) - 0.5
        };
        let (mut steps, mut epochs, mut seeds) = (0.0, 0.0, 0.0);
        for step in 0..total {
            let here = share(0, 0, step);
            steps += here * share(0, 0, step + 1);
            epochs += here * share(0, 1, step);
            seeds += here * share(1, 0, step);
        }
        for product in [steps, epochs, seeds] {
            let correlation = product / total as f64 * 10.4;
            assert!(correlation.abs() < 0.036, "{correlation}");
        }
    }

    #[test]
    fn partners_are_mixed_as_by_hand() {
        // Three pictures of 2×2 pixels, 0.. , 100.. and 200..
        let batch = || -> Vec<f32> {
            let pictures = [0.0, 100.0, 200.0].into_iter();
            pictures
                .flat_map(|start| (0..12).map(move |i| start + i as f32))
                .collect()
        };
        let mut planes = batch();
        Mix::Mixup { share: 0.75 }.apply(&mut planes, 2);
        assert_eq!((planes[0], planes[11]), (50.0, 61.0));
        assert_eq!(planes[12..24], batch()[12..24]);
        assert_eq!((planes[24], planes[35]), (150.0, 161.0));

        let mut planes = batch();
        let region = Rect {
            left: 1,
            top: 0,
            width: 1,
            height: 2,
        };
        let mix = Mix::Cutmix { region };
        mix.apply(&mut planes, 2);
        assert_eq!(planes[..6], [0.0, 201.0, 2.0, 203.0, 4.0, 205.0]);
        assert_eq!(planes[24..30], [200.0, 1.0, 202.0, 3.0, 204.0, 5.0]);
        assert_eq!(mix.share(2), 0.5);
    }

    #[test]
    fn targets_are_those_by_hand() {
        // Off 0.1/4, on 0.9 + 0.1/4.
        let got = targets(&[1, 3, 3, 3], 4, 0.7, 0.1).expect("labels fit");
        let expected = [
            [0.025, 0.655, 0.025, 0.295],
            [0.025, 0.025, 0.025, 0.925],
            [0.025, 0.025, 0.025, 0.925],
            [0.025, 0.295, 0.025, 0.655],
        ];
        for (got, expected) in got.iter().zip(expected.as_flattened()) {
            assert!((got - expected).abs() < 1e-6, "{got} {expected}");
        }
        assert_eq!(targets(&[1], 2, 1.0, 0.0), Ok(vec![0.0, 1.0]));
    }
}
