//! RandAugment as timm's `rand-m9-mstd0.5-inc1` does it.
//!
//! Cubuk et al. 2019 with timm's choices: two of fifteen operations (the same one may come twice),
//! each carried out with probability ½ and at a magnitude of its own; all operations grow stronger
//! with it. As in [`crate::data::views`], drawing is apart from doing: an [`Operation`] is a plain
//! value.

use crate::data::Picture;
use crate::data::draws::Draws;
use crate::data::pixels::{adjust_brightness, adjust_contrast, adjust_saturation, solarise};

use super::{affine, distributions, tone};

/// Operations chosen for a picture.
const CHOSEN: usize = 2;
/// Probability that a chosen operation is carried out.
const CARRIED_OUT: f64 = 0.5;
/// The magnitude at which every operation is strongest.
const STRONGEST: f64 = 10.0;
/// Number of operations to choose from.
const KINDS: usize = 15;

/// How strongly pictures are altered: magnitudes are drawn from a normal distribution and clipped
/// to 0..=10.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandAugment {
    /// Mean of the magnitude.
    pub magnitude: f64,
    /// Its standard deviation.
    pub deviation: f64,
}

impl Default for RandAugment {
    /// The fine-tuning recipe's: m9-mstd0.5.
    fn default() -> Self {
        RandAugment {
            magnitude: 9.0,
            deviation: 0.5,
        }
    }
}

/// One alteration with what was drawn for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Stretches each channel to 0..=255.
    AutoContrast,
    /// Spreads each channel's values evenly.
    Equalise,
    Invert,
    /// In degrees, counter-clockwise.
    Rotate(f64),
    /// The number of bits kept.
    Posterise(u32),
    /// Values from this threshold up are inverted.
    Solarise(u16),
    /// This is added to values below 128.
    SolariseAdd(u8),
    /// Factors: 1 changes nothing.
    Saturation(f32),
    Contrast(f32),
    Brightness(f32),
    Sharpness(f32),
    /// Pixels a row is moved by for every pixel below the top.
    ShearX(f64),
    /// Pixels a column is moved by for every pixel right of the left border.
    ShearY(f64),
    /// A share of the width.
    TranslateX(f64),
    /// A share of the height.
    TranslateY(f64),
}

impl RandAugment {
    /// Draws the operations to carry out, in order: none, one or two.
    pub fn draw(&self, draws: &mut impl Draws) -> Vec<Operation> {
        let kinds: [usize; CHOSEN] = std::array::from_fn(|_| draws.below(KINDS));
        let mut operations = Vec::with_capacity(CHOSEN);
        for kind in kinds {
            if draws.chance(CARRIED_OUT) {
                let [normal, _] = distributions::normal_pair(draws);
                let magnitude = self.magnitude + self.deviation * normal;
                let strength = magnitude.clamp(0.0, STRONGEST) / STRONGEST;
                operations.push(Operation::of_strength(kind, strength, draws));
            }
        }
        operations
    }
}

impl Operation {
    /// The operation of number `kind` at a strength from 0 to 1; some draw their direction.
    fn of_strength(kind: usize, strength: f64, draws: &mut impl Draws) -> Self {
        let signed = |most: f64, draws: &mut _| {
            let direction = if Draws::chance(draws, 0.5) { -1.0 } else { 1.0 };
            direction * strength * most
        };
        let factor = |draws: &mut _| (1.0 + signed(0.9, draws)).max(0.1) as f32;
        // Casts to whole numbers cut, as in timm.
        match kind {
            0 => Operation::AutoContrast,
            1 => Operation::Equalise,
            2 => Operation::Invert,
            3 => Operation::Rotate(signed(30.0, draws)),
            4 => Operation::Posterise(4 - (strength * 4.0) as u32),
            5 => Operation::Solarise(256 - (strength * 256.0) as u16),
            6 => Operation::SolariseAdd((strength * 110.0) as u8),
            7 => Operation::Saturation(factor(draws)),
            8 => Operation::Contrast(factor(draws)),
            9 => Operation::Brightness(factor(draws)),
            10 => Operation::Sharpness(factor(draws)),
            11 => Operation::ShearX(signed(0.3, draws)),
            12 => Operation::ShearY(signed(0.3, draws)),
            13 => Operation::TranslateX(signed(0.45, draws)),
            _ => Operation::TranslateY(signed(0.45, draws)),
        }
    }

    /// Carries the operation out. What a move uncovers gets the colour `fill`.
    pub fn apply(self, picture: &mut Picture, fill: [u8; 3]) {
        match self {
            Operation::AutoContrast => tone::stretch_contrast(picture),
            Operation::Equalise => tone::equalise(picture),
            Operation::Invert => tone::invert(picture),
            Operation::Rotate(degrees) => *picture = affine::rotate(picture, degrees, fill),
            Operation::Posterise(bits) => tone::posterise(picture, bits),
            Operation::Solarise(threshold) => solarise(picture, threshold),
            Operation::SolariseAdd(amount) => tone::solarise_add(picture, amount),
            Operation::Saturation(factor) => adjust_saturation(picture, factor),
            Operation::Contrast(factor) => adjust_contrast(picture, factor),
            Operation::Brightness(factor) => adjust_brightness(picture, factor),
            Operation::Sharpness(factor) => tone::adjust_sharpness(picture, factor),
            Operation::ShearX(factor) => *picture = affine::shear_x(picture, factor, fill),
            Operation::ShearY(factor) => *picture = affine::shear_y(picture, factor, fill),
            Operation::TranslateX(share) => *picture = affine::translate_x(picture, share, fill),
            Operation::TranslateY(share) => *picture = affine::translate_y(picture, share, fill),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::views::view_rng;

    /// Number of the operation, its argument and the argument of no change.
    fn parts(operation: Operation) -> (usize, f64, f64) {
        match operation {
            Operation::AutoContrast => (0, 0.0, 0.0),
            Operation::Equalise => (1, 0.0, 0.0),
            Operation::Invert => (2, 0.0, 0.0),
            Operation::Rotate(degrees) => (3, degrees, 0.0),
            Operation::Posterise(bits) => (4, bits.into(), 0.0),
            Operation::Solarise(threshold) => (5, threshold.into(), 0.0),
            Operation::SolariseAdd(amount) => (6, amount.into(), 0.0),
            Operation::Saturation(factor) => (7, factor.into(), 1.0),
            Operation::Contrast(factor) => (8, factor.into(), 1.0),
            Operation::Brightness(factor) => (9, factor.into(), 1.0),
            Operation::Sharpness(factor) => (10, factor.into(), 1.0),
            Operation::ShearX(factor) => (11, factor, 0.0),
            Operation::ShearY(factor) => (12, factor, 0.0),
            Operation::TranslateX(share) => (13, share, 0.0),
            Operation::TranslateY(share) => (14, share, 0.0),
        }
    }

    #[test]
    fn operations_are_as_frequent_and_strong_as_timms() {
        let total = 120_000;
        let mut carried_out = [0; 3];
        let mut kinds: [Vec<(f64, f64)>; KINDS] = Default::default();
        for image in 0..total {
            let operations = RandAugment::default().draw(&mut view_rng(6, 0, image, 0));
            carried_out[operations.len()] += 1;
            for (kind, argument, none) in operations.into_iter().map(parts) {
                kinds[kind].push((argument, argument - none));
            }
        }
        for (count, expected) in carried_out.into_iter().zip([0.25, 0.5, 0.25]) {
            assert!((f64::from(count) / total as f64 - expected).abs() < 0.008);
        }
        // A clipped magnitude is 8.9958 on average. Where arguments are cut to whole numbers:
        // timm's functions, 20,000 draws of each.
        let strength = 0.899_58;
        for (kind, seen) in kinds.iter().enumerate() {
            let n = seen.len() as f64;
            assert!((n / total as f64 - 1.0 / 15.0).abs() < 0.0037, "{kind}");
            let distance = seen.iter().map(|(_, distance)| distance.abs()).sum::<f64>() / n;
            let upwards = seen.iter().filter(|(_, distance)| *distance > 0.0).count() as f64 / n;
            let (expected, tolerance) = match kind {
                0..3 => (0.0, 1e-9),
                3 => (30.0 * strength, 0.1),
                // One bit is kept but for 2.3 % of the draws with none and 0.1 % with two.
                4 => (0.9786, 0.008),
                5 => (26.13, 0.75),
                6 => (98.48, 0.35),
                7..11 => (0.9 * strength, 0.003),
                11 | 12 => (0.3 * strength, 0.001),
                _ => (0.45 * strength, 0.0015),
            };
            assert!(
                (distance - expected).abs() < tolerance,
                "{kind}: {distance}"
            );
            if kind == 3 || kind > 6 {
                assert!((upwards - 0.5).abs() < 0.028, "{kind}: {upwards}");
            }
        }
    }

    #[test]
    fn whole_arguments_are_cut_as_by_hand() {
        let mut draws = view_rng(0, 0, 0, 0);
        // Magnitudes 9, 10, 7.4 and 0; of 256 levels 230.4, 256, 189.4 and 0.
        for (strength, bits, threshold, amount) in [
            (0.9, 1, 26, 99),
            (1.0, 0, 0, 110),
            (0.74, 2, 67, 81),
            (0.0, 4, 256, 0),
        ] {
            let expected = [
                Operation::Posterise(bits),
                Operation::Solarise(threshold),
                Operation::SolariseAdd(amount),
            ];
            let got = [4, 5, 6].map(|kind| Operation::of_strength(kind, strength, &mut draws));
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn magnitudes_spread_and_are_clipped() {
        let arguments = |magnitude, deviation| -> Vec<f64> {
            let setting = RandAugment {
                magnitude,
                deviation,
            };
            let drawn = (0..20_000).flat_map(|image| setting.draw(&mut view_rng(8, 0, image, 0)));
            let kinds = drawn.map(parts).filter(|(kind, ..)| *kind == 11);
            kinds.map(|(_, factor, _)| factor.abs()).collect()
        };
        // A shear of 0.3 at magnitude 10.
        let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(arguments(4.0, 0.0).iter().all(|&factor| near(factor, 0.12)));
        assert!(arguments(30.0, 0.5).iter().all(|&factor| near(factor, 0.3)));
        assert!(arguments(-9.0, 0.5).iter().all(|&factor| factor == 0.0));
        let spread = arguments(5.0, 0.5);
        let square: f64 = spread.iter().map(|factor| (factor - 0.15).powi(2)).sum();
        let deviation = (square / spread.len() as f64).sqrt();
        assert!((deviation - 0.015).abs() < 0.0015, "{deviation}");
    }
}
