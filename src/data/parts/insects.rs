//! Butterflies and ladybirds, seen from above and turned any way.

use super::canvas::{Canvas, Ink};
use super::colour::{INK, Rgb, WHITE, hsv, plumage, vivid};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;
use tiny_skia::Transform;

pub(super) fn butterfly(canvas: &mut Canvas, dice: &mut Dice) {
    let upper = plumage(dice);
    let lower = if dice.chance(0.5) {
        upper.darker(0.15)
    } else {
        vivid(dice)
    };
    let edge = if dice.chance(0.6) {
        INK
    } else {
        upper.darker(0.6)
    };
    let spot = if dice.chance(0.5) { WHITE } else { vivid(dice) };
    // Seen from the side a little, one pair of wings is narrower.
    let narrow = if dice.chance(0.4) {
        dice.between(0.5, 0.8)
    } else {
        1.0
    };
    let tip = dice.between(-0.92, -0.74);
    for (side, width) in [(-1.0, narrow), (1.0, 1.0)] {
        canvas.within(Transform::from_scale(side * width, 1.0), |canvas| {
            let hind = Shape::new().blob(&[
                (0.05, 0.05),
                (0.5, 0.08),
                (0.76, 0.34),
                (0.64, 0.72),
                (0.36, 0.78),
                (0.12, 0.4),
            ]);
            canvas.fill(&hind, Ink::Flat(edge), Part::ButterflyWing);
            let inner = Shape::new().blob(&[
                (0.08, 0.08),
                (0.48, 0.15),
                (0.66, 0.36),
                (0.57, 0.62),
                (0.37, 0.67),
                (0.15, 0.36),
            ]);
            canvas.glaze(&inner, Ink::Lit(lower));
            let fore = Shape::new().blob(&[
                (0.04, -0.14),
                (0.4, -0.6),
                (0.82, tip),
                (1.0, -0.6),
                (0.84, -0.12),
                (0.5, 0.12),
                (0.06, 0.08),
            ]);
            canvas.fill(&fore, Ink::Flat(edge), Part::ButterflyWing);
            let field = Shape::new().blob(&[
                (0.08, -0.12),
                (0.44, -0.5),
                (0.76, tip + 0.14),
                (0.88, -0.54),
                (0.74, -0.16),
                (0.48, 0.04),
                (0.1, 0.05),
            ]);
            canvas.glaze(&field, Ink::Lit(upper));
            let veins = Shape::new()
                .lines(&[(0.1, -0.04), (0.8, -0.55)])
                .lines(&[(0.1, 0.0), (0.76, -0.2)])
                .lines(&[(0.12, 0.12), (0.6, 0.5)]);
            canvas.sketch(&veins, 0.03, Ink::Clear(edge, 0.6));
            let dots = Shape::new()
                .ellipse(0.68, -0.5, 0.1, 0.1)
                .ellipse(0.48, 0.44, 0.1, 0.1);
            canvas.glaze(&dots, Ink::Flat(edge));
            let hearts = Shape::new()
                .ellipse(0.68, -0.5, 0.06, 0.06)
                .ellipse(0.48, 0.44, 0.06, 0.06);
            canvas.glaze(&hearts, Ink::Flat(spot));
        });
    }
    let feelers = Shape::new()
        .curve(&[(-0.02, -0.38), (-0.1, -0.68), (-0.28, -0.86)])
        .curve(&[(0.02, -0.38), (0.1, -0.68), (0.28, -0.86)]);
    canvas.stroke(&feelers, 0.05, Ink::Flat(INK), Part::Antenna);
    let knobs = Shape::new()
        .ellipse(-0.29, -0.87, 0.07, 0.07)
        .ellipse(0.29, -0.87, 0.07, 0.07);
    canvas.fill(&knobs, Ink::Flat(INK), Part::Antenna);
    let body = Shape::new()
        .mirrored(&[(0.0, -0.3), (0.09, -0.15), (0.085, 0.3), (0.0, 0.58)])
        .ellipse(0.0, -0.34, 0.1, 0.1);
    canvas.fill(&body, Ink::Lit(INK.lighter(0.12)), Part::None);
}

pub(super) fn ladybird(canvas: &mut Canvas, dice: &mut Dice) {
    let shell = if dice.chance(0.45) {
        hsv(
            dice.between(-0.02, 0.09),
            dice.between(0.75, 0.92),
            dice.between(0.8, 0.95),
        )
    } else {
        vivid(dice)
    };
    canvas.within(Transform::from_translate(0.06, 0.12), |canvas| {
        let ink = Ink::Glow(Rgb(0.04, 0.03, 0.1), 0.5, (0.0, 0.0), 1.05);
        canvas.glaze(&Shape::new().ellipse(0.0, 0.0, 1.05, 1.05), ink);
    });
    let mut legs = Shape::new();
    for (y, out, drop) in [(-0.22, 0.92, -0.36), (0.14, 1.0, 0.2), (0.46, 0.88, 0.74)] {
        for side in [-1.0, 1.0] {
            legs = legs.lines(&[
                (side * 0.4, y),
                (side * out * 0.85, (y + drop) / 2.0),
                (side * out, drop),
            ]);
        }
    }
    canvas.stroke(&legs, 0.085, Ink::Flat(INK), Part::None);
    let feelers = Shape::new()
        .curve(&[(-0.12, -0.76), (-0.2, -0.94), (-0.36, -1.0)])
        .curve(&[(0.12, -0.76), (0.2, -0.94), (0.36, -1.0)]);
    canvas.stroke(&feelers, 0.06, Ink::Flat(INK), Part::None);
    let head = Shape::new().ellipse(0.0, -0.6, 0.4, 0.3);
    canvas.fill(&head, Ink::Lit(INK.lighter(0.06)), Part::BeetleHead);
    let eyes = Shape::new()
        .ellipse(-0.24, -0.68, 0.11, 0.12)
        .ellipse(0.24, -0.68, 0.11, 0.12);
    canvas.glaze(&eyes, Ink::Flat(WHITE));
    let pupils = Shape::new()
        .ellipse(-0.24, -0.71, 0.05, 0.06)
        .ellipse(0.24, -0.71, 0.05, 0.06);
    canvas.glaze(&pupils, Ink::Flat(INK));
    let case = Shape::new().mirrored(&[
        (0.0, -0.48),
        (0.5, -0.38),
        (0.74, 0.1),
        (0.56, 0.62),
        (0.0, 0.86),
    ]);
    canvas.fill(&case, Ink::Lit(shell), Part::WingCase);
    let mut dots = Shape::new();
    let few = dice.chance(0.35);
    let places: &[(f32, f32)] = if few {
        &[(0.34, 0.14)]
    } else {
        &[(0.3, -0.16), (0.48, 0.2), (0.24, 0.48)]
    };
    for &(x, y) in places {
        let r = dice.between(0.12, 0.15) * if few { 1.3 } else { 1.0 };
        dots = dots.ellipse(x, y, r, r * 1.1).ellipse(-x, y, r, r * 1.1);
    }
    canvas.glaze(&dots, Ink::Clear(INK, 0.93));
    canvas.sketch(
        &Shape::new().lines(&[(0.0, -0.46), (0.0, 0.84)]),
        0.05,
        Ink::Clear(INK, 0.9),
    );
    let gleam = Shape::new().turned(-0.36, -0.16, 0.2, 0.09, -50.0);
    canvas.glaze(&gleam, Ink::Clear(WHITE, 0.4));
}
