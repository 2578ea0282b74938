//! Bicycles, from the side: two rings and a few tubes.

use super::canvas::{Canvas, Ink};
use super::colour::{INK, Rgb, WHITE, lacquer, vivid, wood};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;

pub(super) fn bicycle(canvas: &mut Canvas, dice: &mut Dice) {
    let paint = lacquer(dice);
    let tyre = if dice.chance(0.7) {
        Rgb(0.14, 0.14, 0.16)
    } else {
        vivid(dice).darker(0.4)
    };
    let r = dice.between(0.38, 0.44);
    canvas.shadow(0.0, 0.8, 1.0);
    let (back, front, crank) = ((-0.55, 0.36), (0.55, 0.36), (-0.06, 0.38));
    for (x, y) in [back, front] {
        let ring = Shape::new().ellipse(x, y, r, r);
        let mut spokes = Shape::new();
        for k in 0..4 {
            let (s, c) = (k as f32 * 0.785 + 0.3).sin_cos();
            spokes = spokes.lines(&[(x - c * r, y - s * r), (x + c * r, y + s * r)]);
        }
        canvas.sketch(&spokes, 0.018, Ink::Clear(WHITE.darker(0.2), 0.7));
        canvas.stroke(&ring, 0.12, Ink::Flat(tyre), Part::BicycleWheel);
    }
    let (seat, stem) = ((-0.2, -0.2), (0.4, -0.22));
    let bars = Shape::new()
        .lines(&[back, crank, seat, back])
        .lines(&[crank, stem, (seat.0 + 0.02, seat.1 + 0.08)])
        .lines(&[front, (0.36, -0.42)]);
    canvas.stroke(&bars, 0.085, Ink::Flat(paint), Part::None);
    canvas.sketch(
        &Shape::new().lines(&[crank, stem]),
        0.03,
        Ink::Clear(WHITE, 0.45),
    );
    let handle = if dice.chance(0.5) {
        Shape::new().curve(&[(0.36, -0.42), (0.2, -0.5), (0.12, -0.46)])
    } else {
        Shape::new().curve(&[(0.36, -0.42), (0.52, -0.46), (0.58, -0.34), (0.48, -0.26)])
    };
    canvas.stroke(&handle, 0.09, Ink::Flat(INK), Part::None);
    canvas.stroke(
        &Shape::new().lines(&[seat, (-0.24, -0.36)]),
        0.07,
        Ink::Flat(INK),
        Part::None,
    );
    let saddle = Shape::new().blob(&[
        (-0.46, -0.44),
        (-0.24, -0.48),
        (0.04, -0.42),
        (-0.1, -0.35),
        (-0.38, -0.32),
    ]);
    canvas.fill(&saddle, Ink::Flat(INK.mix(trim(dice), 0.6)), Part::Saddle);
    let pedal = Shape::new().lines(&[
        (crank.0 - 0.12, crank.1 - 0.1),
        (crank.0 + 0.12, crank.1 + 0.12),
    ]);
    canvas.stroke(&pedal, 0.05, Ink::Flat(INK), Part::None);
    canvas.fill(
        &Shape::new().ellipse(crank.0, crank.1, 0.1, 0.1),
        Ink::Flat(INK.lighter(0.3)),
        Part::None,
    );
    if dice.chance(0.4) {
        let basket = Shape::new().polygon(&[(0.5, -0.3), (0.92, -0.3), (0.84, 0.0), (0.56, 0.0)]);
        canvas.fill(&basket, Ink::Lit(Rgb(0.72, 0.54, 0.32)), Part::None);
    }
}

/// Leather or plastic.
fn trim(dice: &mut Dice) -> Rgb {
    if dice.chance(0.5) {
        wood(dice)
    } else {
        vivid(dice)
    }
}
