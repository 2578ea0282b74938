//! Fur: plain, patched, striped or spotted.
//!
//! A coat fills an outline, marks what it shows (stripes and spots are parts, wherever on the animal
//! they are) and draws its pattern inside the outline.

use super::canvas::{Canvas, Ink};
use super::colour::{INK, Rgb, WHITE, fur};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;

/// What covers an animal.
#[derive(Clone, Copy)]
pub(super) struct Coat {
    pub base: Rgb,
    /// Chest, muzzle, cheeks.
    pub pale: Rgb,
    /// Stripes, spots, patches, strokes.
    pub dark: Rgb,
    pub kind: Kind,
}

/// How a coat is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Patched,
    Tabby,
    Tiger,
    Zebra,
    Leopard,
}

/// The box a pattern has to cover, in the units of the outline.
pub(super) type Area = [f32; 4];

impl Coat {
    /// A dog's or a cat's coat; only a cat's may be tabby.
    pub(super) fn pet(dice: &mut Dice, cat: bool) -> Self {
        let base = fur(dice);
        let kind = match dice.count(0, 5) {
            0 | 1 => Kind::Patched,
            2 if cat => Kind::Tabby,
            _ => Kind::Plain,
        };
        let other = fur(dice);
        let dark = if kind == Kind::Patched {
            other
        } else {
            base.darker(0.4)
        };
        let pale = if dice.chance(0.5) {
            base.lighter(0.6)
        } else {
            base.lighter(0.25)
        };
        Self {
            base,
            pale,
            dark,
            kind,
        }
    }

    /// Orange, golden or white, under dark stripes.
    pub(super) fn tiger(dice: &mut Dice) -> Self {
        let orange = Rgb(0.96, 0.60, 0.20).mix(Rgb(0.86, 0.42, 0.12), dice.between(0.0, 1.0));
        let base = match dice.count(0, 5) {
            0 => Rgb(0.93, 0.92, 0.90),
            1 => Rgb(0.95, 0.80, 0.50),
            _ => orange,
        };
        Self {
            base,
            pale: Rgb(0.98, 0.95, 0.90),
            dark: INK.mix(Rgb(0.35, 0.2, 0.15), dice.between(0.0, 0.6)),
            kind: Kind::Tiger,
        }
    }

    /// White to sand, under black to brown stripes.
    pub(super) fn zebra(dice: &mut Dice) -> Self {
        let base = WHITE.mix(Rgb(0.90, 0.80, 0.66), dice.between(0.0, 0.7));
        Self {
            base,
            pale: base,
            dark: INK.mix(Rgb(0.38, 0.26, 0.20), dice.between(0.0, 0.7)),
            kind: Kind::Zebra,
        }
    }

    /// Golden, sandy or grey, under dark rings.
    pub(super) fn leopard(dice: &mut Dice) -> Self {
        let base = match dice.count(0, 4) {
            0 => Rgb(0.84, 0.85, 0.86),
            1 => Rgb(0.86, 0.62, 0.36),
            _ => Rgb(0.95, 0.78, 0.42).mix(Rgb(0.90, 0.68, 0.34), dice.between(0.0, 1.0)),
        };
        Self {
            base,
            pale: base.lighter(0.7),
            dark: INK.mix(Rgb(0.36, 0.22, 0.14), dice.between(0.0, 0.6)),
            kind: Kind::Leopard,
        }
    }

    /// The part the coat is, anywhere on the body.
    pub(super) fn part(&self) -> Part {
        match self.kind {
            Kind::Tiger | Kind::Zebra => Part::Stripe,
            Kind::Leopard => Part::Spots,
            Kind::Plain | Kind::Patched | Kind::Tabby => Part::None,
        }
    }

    /// Fills `shape`, whose outline lies in `area`. `grain` is the size of the pattern in own units.
    pub(super) fn cover(
        &self,
        canvas: &mut Canvas,
        dice: &mut Dice,
        shape: &Shape,
        area: Area,
        grain: f32,
    ) {
        canvas.fill(shape, Ink::Lit(self.base), self.part());
        let [left, top, right, bottom] = area;
        let dark = Ink::Clear(self.dark, 0.94);
        canvas.inside(shape, |canvas| match self.kind {
            Kind::Plain => strokes(canvas, dice, area, grain, self.dark),
            Kind::Patched => {
                let mut patches = Shape::new();
                for _ in 0..2 {
                    let (x, y) = (dice.between(left, right), dice.between(top, bottom));
                    let r = dice.between(1.3, 2.2) * grain;
                    patches = patches.turned(x, y, r * 1.3, r, dice.about(50.0));
                }
                canvas.glaze(&patches, Ink::Clear(self.dark, 0.9));
            }
            Kind::Tabby => {
                let stripes = bands(dice, area, grain * 1.1, 0.22, false);
                canvas.glaze(&stripes, Ink::Clear(self.dark, 0.5));
            }
            Kind::Tiger => {
                let belly = Shape::new().ellipse(
                    (left + right) / 2.0,
                    bottom,
                    (right - left) * 0.42,
                    (bottom - top) * 0.2,
                );
                canvas.glaze(&belly, Ink::Clear(self.pale, 0.85));
                canvas.glaze(&bands(dice, area, grain * 0.85, 0.27, true), dark);
            }
            Kind::Zebra => canvas.glaze(&bands(dice, area, grain, 0.27, false), dark),
            Kind::Leopard => rosettes(
                canvas,
                dice,
                area,
                grain * 1.15,
                self.dark,
                self.base.darker(0.28),
            ),
        });
    }
}

/// Wavy, tapering bands across `area`, upright on a body and level on a leg; `thick` is half their
/// width in steps. Bands of a tiger are `broken`: from one side and from the other by turns.
fn bands(dice: &mut Dice, area: Area, step: f32, thick: f32, broken: bool) -> Shape {
    let [left, top, right, bottom] = area;
    let level = bottom - top > 1.35 * (right - left);
    let [left, top, right, bottom] = if level {
        [top, left, bottom, right]
    } else {
        area
    };
    let high = bottom - top;
    let n = ((right - left) / step).ceil() as usize;
    let lean = dice.about(0.2) * high;
    let mut shape = Shape::new();
    for i in 0..=n {
        let x = left + (i as f32 + dice.about(0.12)) * step;
        let bend = dice.about(0.25) * step;
        let w = step * thick * dice.between(0.85, 1.2);
        let (from, to) = match (broken, i % 2) {
            (false, _) => (top - 0.05 * high, bottom + 0.05 * high),
            (true, 0) => (top - 0.1 * high, top + high * dice.between(0.55, 0.75)),
            (true, _) => (
                bottom + 0.1 * high,
                bottom - high * dice.between(0.45, 0.65),
            ),
        };
        let middle = (from + to) / 2.0;
        let at = |y: f32| lean * ((y - top) / high - 0.5);
        let tip = if broken { 0.1 } else { 0.75 };
        let outline = [
            (x - w + at(from), from),
            (x + w + at(from), from),
            (x + w * 0.9 + bend + at(middle), middle),
            (x + w * tip + at(to), to),
            (x - w * tip + at(to), to),
            (x - w * 0.9 + bend + at(middle), middle),
        ];
        shape = shape.blob(&outline.map(|(x, y)| if level { (y, x) } else { (x, y) }));
    }
    shape
}

/// Dark rings with a warm middle, on a jittered lattice.
fn rosettes(canvas: &mut Canvas, dice: &mut Dice, area: Area, step: f32, dark: Rgb, middle: Rgb) {
    let [left, top, right, bottom] = area;
    let (mut rings, mut hearts) = (Shape::new(), Shape::new());
    let rows = ((bottom - top) / (step * 0.8)).ceil() as usize;
    let columns = ((right - left) / step).ceil() as usize;
    for row in 0..=rows {
        for column in 0..=columns {
            let shift = if row % 2 == 0 { 0.0 } else { 0.5 };
            let x = left + (column as f32 + shift + dice.about(0.16)) * step;
            let y = top + (row as f32 + dice.about(0.16)) * step * 0.8;
            let (rx, ry) = (
                step * dice.between(0.3, 0.38),
                step * dice.between(0.25, 0.32),
            );
            rings = rings.ellipse(x, y, rx, ry);
            if dice.chance(0.7) {
                hearts = hearts.ellipse(x + 0.03 * step, y, rx * 0.45, ry * 0.45);
            }
        }
    }
    canvas.glaze(&rings, Ink::Clear(dark, 0.92));
    canvas.glaze(&hearts, Ink::Flat(middle));
}

/// Short hairs.
fn strokes(canvas: &mut Canvas, dice: &mut Dice, area: Area, grain: f32, tone: Rgb) {
    let [left, top, right, bottom] = area;
    let mut hairs = Shape::new();
    for _ in 0..26 {
        let (x, y) = (dice.between(left, right), dice.between(top, bottom));
        let (dx, dy) = (dice.about(0.25) * grain, grain * dice.between(0.25, 0.5));
        hairs = hairs.lines(&[(x, y), (x + dx, y + dy)]);
    }
    canvas.sketch(&hairs, grain * 0.09, Ink::Clear(tone, 0.38));
}
