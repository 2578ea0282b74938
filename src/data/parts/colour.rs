//! Colours and the palettes they are drawn from.
//!
//! Palettes are shared between classes on purpose: what is red may be a car, a roof, a flower or a
//! fish, so that no class and no part is given away by its colour.

use super::dice::Dice;

/// A colour, red, green and blue in `0..=1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rgb(pub f32, pub f32, pub f32);

pub(super) const WHITE: Rgb = Rgb(1.0, 1.0, 1.0);
pub(super) const INK: Rgb = Rgb(0.12, 0.10, 0.13);

impl Rgb {
    /// `share` of `other`, the rest of `self`.
    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        let blend = |a: f32, b: f32| a + (b - a) * share;
        Self(
            blend(self.0, other.0),
            blend(self.1, other.1),
            blend(self.2, other.2),
        )
    }

    /// Towards white by `share`.
    pub(super) fn lighter(self, share: f32) -> Self {
        self.mix(WHITE, share)
    }

    /// Towards a cool black by `share`: shadows under the sky are bluish.
    pub(super) fn darker(self, share: f32) -> Self {
        self.mix(Rgb(0.05, 0.03, 0.12), share)
    }

    /// Brightness as the eye weighs it (Rec. 601).
    pub(super) fn luma(self) -> f32 {
        0.299 * self.0 + 0.587 * self.1 + 0.114 * self.2
    }
}

/// Colour of hue in turns, saturation and value.
pub(super) fn hsv(hue: f32, saturation: f32, value: f32) -> Rgb {
    let channel = |offset: f32| {
        let place = (offset + hue.rem_euclid(1.0) * 6.0).rem_euclid(6.0);
        value - value * saturation * place.min(4.0 - place).clamp(0.0, 1.0)
    };
    Rgb(channel(5.0), channel(3.0), channel(1.0))
}

/// Paint, petals, scales: any hue, lively.
pub(super) fn vivid(dice: &mut Dice) -> Rgb {
    let hue = dice.between(0.0, 1.0);
    // Yellows must be bright and blues may be dark, or both look dirty.
    let value = dice.between(0.72, 0.98);
    hsv(hue, dice.between(0.55, 0.88), value)
}

/// Car bodies and roofs: mostly lively, sometimes white, silver, black.
pub(super) fn lacquer(dice: &mut Dice) -> Rgb {
    if dice.chance(0.75) {
        return vivid(dice);
    }
    let value = dice.pick([0.2, 0.35, 0.72, 0.93]);
    hsv(dice.between(0.0, 1.0), dice.between(0.02, 0.14), value)
}

/// Walls and skies of any hue, pale.
pub(super) fn pastel(dice: &mut Dice) -> Rgb {
    let hue = dice.between(0.0, 1.0);
    hsv(hue, dice.between(0.10, 0.38), dice.between(0.78, 0.97))
}

/// Grounds, walls in shade: any hue, dull.
pub(super) fn muted(dice: &mut Dice) -> Rgb {
    let hue = dice.between(0.0, 1.0);
    hsv(hue, dice.between(0.18, 0.45), dice.between(0.5, 0.8))
}

/// Coats of dogs and cats: cream, golden, brown, chestnut, grey, black, white.
pub(super) fn fur(dice: &mut Dice) -> Rgb {
    let base = dice.pick([
        Rgb(0.93, 0.84, 0.68),
        Rgb(0.88, 0.66, 0.36),
        Rgb(0.62, 0.42, 0.26),
        Rgb(0.72, 0.38, 0.20),
        Rgb(0.60, 0.60, 0.64),
        Rgb(0.27, 0.25, 0.28),
        Rgb(0.95, 0.93, 0.90),
        Rgb(0.43, 0.36, 0.32),
    ]);
    base.mix(vivid(dice), dice.between(0.0, 0.10))
}

/// Leaves: green more often than not, but also yellow, red, blossom.
pub(super) fn leaf(dice: &mut Dice) -> Rgb {
    if dice.chance(0.62) {
        hsv(
            dice.between(0.22, 0.42),
            dice.between(0.4, 0.75),
            dice.between(0.42, 0.78),
        )
    } else {
        hsv(
            dice.pick([0.02, 0.06, 0.11, 0.15, 0.92]) + dice.about(0.02),
            dice.between(0.35, 0.75),
            dice.between(0.7, 0.95),
        )
    }
}

/// Bark, wood, earth.
pub(super) fn wood(dice: &mut Dice) -> Rgb {
    hsv(
        dice.between(0.04, 0.10),
        dice.between(0.25, 0.6),
        dice.between(0.3, 0.65),
    )
}

/// What glass shows: sky, dark rooms, evening light inside.
pub(super) fn glass(dice: &mut Dice) -> Rgb {
    dice.pick([
        Rgb(0.62, 0.82, 0.93),
        Rgb(0.75, 0.90, 0.95),
        Rgb(0.30, 0.42, 0.55),
        Rgb(0.22, 0.28, 0.38),
        Rgb(0.50, 0.66, 0.80),
    ])
    .mix(pastel(dice), 0.15)
}

/// Feathers, scales and wings: lively, or grey, brown, black.
pub(super) fn plumage(dice: &mut Dice) -> Rgb {
    if dice.chance(0.7) {
        vivid(dice)
    } else {
        hsv(
            dice.between(0.03, 0.12),
            dice.between(0.05, 0.5),
            dice.between(0.3, 0.9),
        )
    }
}
