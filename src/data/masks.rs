//! Masks: which patches of a global crop the student must guess (specification §2.3).
//!
//! The order of the draws is the reference's, so that its recorded traces can be replayed through
//! [`Draws`] and rebuild its masks cell by cell. Every crop draws a share of its own; before
//! `start_epoch` nothing is masked and nothing is drawn.

use crate::settings::{MaskSettings, MaskShape};

use super::draws::Draws;

/// Tries to place one block before the mask stays as it is.
const ATTEMPTS: usize = 10;

/// How masks are drawn. The default is the settings' default: the reference's values.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskSpec {
    pub shape: MaskShape,
    /// Share of the patches. Of several, each crop draws one with even odds.
    pub ratio: Vec<f64>,
    /// The share is drawn evenly from ratio ± this; a missing one is 0.
    pub variance: Vec<f64>,
    /// First epoch (from 0) in which anything is masked.
    pub start_epoch: usize,
    /// Height over width of a block, drawn log-evenly between the two.
    pub aspect: [f64; 2],
}

impl Default for MaskSpec {
    fn default() -> Self {
        (&MaskSettings::default()).into()
    }
}

impl From<&MaskSettings> for MaskSpec {
    fn from(mask: &MaskSettings) -> Self {
        MaskSpec {
            shape: mask.shape,
            ratio: mask.ratio.clone(),
            variance: mask.variance.clone(),
            start_epoch: mask.start_epoch,
            aspect: [mask.aspect, 1.0 / mask.aspect],
        }
    }
}

impl MaskSpec {
    /// Pairs of ratio and variance.
    fn candidates(&self) -> impl Iterator<Item = (f64, f64)> {
        let variance = self.variance.iter().copied().chain(std::iter::repeat(0.0));
        self.ratio.iter().copied().zip(variance)
    }
}

/// The mask of one crop: a cell a patch, rows top to bottom, true = masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    pub height: usize,
    pub width: usize,
    /// `height * width` cells.
    pub cells: Vec<bool>,
}

impl Mask {
    /// Number of masked cells.
    pub fn count(&self) -> usize {
        self.cells.iter().filter(|&&cell| cell).count()
    }
}

/// Draws the mask of one crop of `grid` = (rows, columns) patches.
pub fn sample(spec: &MaskSpec, grid: (usize, usize), epoch: usize, draws: &mut impl Draws) -> Mask {
    let (height, width) = grid;
    let mut mask = Mask {
        height,
        width,
        cells: vec![false; height * width],
    };
    let wanted = draw_ratio(spec, epoch, draws) * (height * width) as f64;
    match spec.shape {
        MaskShape::Block => place_blocks(&mut mask, wanted, spec.aspect, draws),
        MaskShape::Rand => {
            for cell in mask.cells.iter_mut().take(wanted as usize) {
                *cell = true;
            }
            draws.shuffle(&mut mask.cells);
        }
    }
    mask
}

/// The largest number of cells that [`sample`] can mask in one crop, whatever is drawn. The
/// training step pads to this bound.
pub fn max_masked(spec: &MaskSpec, grid: (usize, usize)) -> usize {
    let cells = grid.0 * grid.1;
    let most = spec
        .candidates()
        .map(|(ratio, variance)| (ratio + variance) * cells as f64)
        .fold(0.0, f64::max);
    (most as usize).min(cells)
}

/// One candidate for every ratio, then the choice; a single ratio leaves nothing to choose.
fn draw_ratio(spec: &MaskSpec, epoch: usize, draws: &mut impl Draws) -> f64 {
    if epoch < spec.start_epoch {
        return 0.0;
    }
    let candidates: Vec<f64> = spec
        .candidates()
        .map(|(ratio, variance)| {
            if variance > 0.0 {
                draws.uniform(ratio - variance, ratio + variance)
            } else {
                ratio
            }
        })
        .collect();
    let chosen = match candidates.len() {
        0 | 1 => 0,
        count => draws.below(count),
    };
    candidates.get(chosen).copied().unwrap_or(0.0)
}

/// Adds blocks until `wanted` (a real number, never exceeded) is reached or no block fits.
fn place_blocks(mask: &mut Mask, wanted: f64, aspect: [f64; 2], draws: &mut impl Draws) {
    let mut count = 0;
    while (count as f64) < wanted {
        match place_block(mask, wanted - count as f64, aspect, draws) {
            0 => break,
            added => count += added,
        }
    }
}

/// Tries to add one block of at most `budget` new cells; returns how many it added.
fn place_block(mask: &mut Mask, budget: f64, aspect: [f64; 2], draws: &mut impl Draws) -> usize {
    let smallest = (mask.height.min(mask.width) / 3).pow(2) as f64;
    for _ in 0..ATTEMPTS {
        // Near the end the budget is below the smallest area, and the draw runs downwards.
        let area = draws.uniform(smallest, budget);
        let aspect = draws.uniform(aspect[0].ln(), aspect[1].ln()).exp();
        let height = (area * aspect).sqrt().round_ties_even() as usize;
        let width = (area / aspect).sqrt().round_ties_even() as usize;
        if width >= mask.width || height >= mask.height {
            continue;
        }
        let top = draws.below(mask.height - height + 1);
        let left = draws.below(mask.width - width + 1);
        let mut block: Vec<&mut bool> = mask
            .cells
            .chunks_exact_mut(mask.width)
            .skip(top)
            .take(height)
            .flat_map(|row| row.iter_mut().skip(left).take(width))
            .filter(|cell| !**cell)
            .collect();
        if !block.is_empty() && block.len() as f64 <= budget {
            block.iter_mut().for_each(|cell| **cell = true);
            return block.len();
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::super::views::view_rng;
    use super::*;

    /// The specification's scripted stream: u_k = frac(0.1 + 0.618… · k).
    struct Scripted(usize);

    impl Draws for Scripted {
        fn uniform(&mut self, low: f64, high: f64) -> f64 {
            let share = (0.1 + 0.618_033_988_749_894_9 * self.0 as f64).fract();
            self.0 += 1;
            low + (high - low) * share
        }

        fn below(&mut self, count: usize) -> usize {
            (self.uniform(0.0, 1.0) * count as f64) as usize
        }
    }

    #[test]
    fn scripted_masks_are_the_official_ones() {
        for (side, ratio, count, draws) in [(14, 0.3, 57, 52), (14, 0.5, 97, 84), (7, 0.3, 14, 48)]
        {
            let spec = MaskSpec {
                ratio: vec![ratio],
                ..MaskSpec::default()
            };
            let mut script = Scripted(0);
            let mask = sample(&spec, (side, side), 0, &mut script);
            assert_eq!((mask.count(), script.0), (count, draws), "{side} {ratio}");
        }
        let half = MaskSpec {
            ratio: vec![0.5],
            ..MaskSpec::default()
        };
        let mask = sample(&half, (4, 4), 0, &mut Scripted(0));
        let picture: String = mask
            .cells
            .iter()
            .map(|&c| if c { '#' } else { '.' })
            .collect();
        assert_eq!(picture, "..##..##...####.");
        let mut script = Scripted(0);
        let counts = [0; 4].map(|_| sample(&published(), (14, 14), 0, &mut script).count());
        assert_eq!((counts, script.0), ([24, 0, 0, 18], 96));
    }

    fn published() -> MaskSpec {
        MaskSpec {
            ratio: vec![0.0, 0.3],
            variance: vec![0.0, 0.2],
            ..MaskSpec::default()
        }
    }

    /// The table of specification §2.3: mean realised share, its deviation, share of empty masks.
    #[test]
    fn statistics_are_the_official_ones() {
        let rand = |ratio: &[f64], variance: &[f64]| MaskSpec {
            shape: MaskShape::Rand,
            ratio: ratio.to_vec(),
            variance: variance.to_vec(),
            ..MaskSpec::default()
        };
        let cases = [
            (14, MaskSpec::default(), 0.2921, 0.0062, 0.0),
            (14, published(), 0.1486, 0.169, 0.5),
            (7, MaskSpec::default(), 0.2843, 0.0055, 0.0),
            (7, published(), 0.1446, 0.166, 0.5),
            (14, rand(&[0.3], &[0.0]), 0.2959, 0.0, 0.0),
            (14, rand(&[0.0, 0.7], &[0.0, 0.05]), 0.3455, 0.349, 0.5),
        ];
        let samples = 6000;
        for (case, (side, spec, mean, deviation, empty)) in cases.into_iter().enumerate() {
            // The table's own cells, and 58 of 196 for the fifth row: int(0.3 · 196) = 58.
            let cells = (side * side) as f64;
            let bound = max_masked(&spec, (side, side));
            let shares: Vec<f64> = (0..samples)
                .map(|image| {
                    let mut draws = view_rng(3, case, image, 0);
                    let count = sample(&spec, (side, side), 0, &mut draws).count();
                    assert!(count <= bound);
                    count as f64 / cells
                })
                .collect();
            let got = shares.iter().sum::<f64>() / samples as f64;
            let spread = shares.iter().map(|s| (s - got).powi(2)).sum::<f64>() / samples as f64;
            let zeros = shares.iter().filter(|&&s| s == 0.0).count() as f64 / samples as f64;
            // Both sides are samples of 6000: five standard errors of a difference, and rounding.
            let error = 5.0 * deviation * (2.0 / samples as f64).sqrt() + 1e-4;
            assert!((got - mean).abs() < error, "case {case}: mean {got}");
            assert!(
                (spread.sqrt() - deviation).abs() < error,
                "case {case}: {}",
                spread.sqrt()
            );
            assert!(
                (zeros - empty).abs() < 0.046 * empty.min(1.0) * 2.0 + 1e-9,
                "{zeros}"
            );
        }
    }

    #[test]
    fn nothing_is_masked_early_and_the_bound_holds_for_any_grid() {
        let spec = MaskSpec {
            ratio: vec![0.9],
            variance: vec![0.1],
            start_epoch: 3,
            ..MaskSpec::default()
        };
        for (epoch, any) in [(2, false), (3, true)] {
            let mask = sample(&spec, (6, 6), epoch, &mut view_rng(0, 0, 0, 0));
            assert_eq!(mask.count() > 0, any);
        }
        for grid in [(0, 0), (1, 1), (2, 9), (3, 3)] {
            let mask = sample(&spec, grid, 3, &mut view_rng(0, 0, 0, 0));
            assert!(mask.count() <= max_masked(&spec, grid));
        }
    }
}
