//! Birds and fish, from the side, in any colours.

use super::canvas::{Canvas, Ink};
use super::colour::{INK, WHITE, hsv, plumage, vivid};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;

/// A round eye with pupil and glint.
fn eye(canvas: &mut Canvas, x: f32, y: f32, r: f32, part: Part) {
    canvas.fill(&Shape::new().ellipse(x, y, r, r), Ink::Flat(WHITE), part);
    canvas.glaze(
        &Shape::new().ellipse(x + r * 0.15, y, r * 0.62, r * 0.66),
        Ink::Flat(INK),
    );
    canvas.glaze(
        &Shape::new().ellipse(x - r * 0.1, y - r * 0.25, r * 0.24, r * 0.24),
        Ink::Flat(WHITE),
    );
}

pub(super) fn bird(canvas: &mut Canvas, dice: &mut Dice) {
    let (body, wing) = (plumage(dice), plumage(dice));
    let breast = if dice.chance(0.5) {
        body.lighter(0.6)
    } else {
        vivid(dice).lighter(0.3)
    };
    let bill = hsv(
        dice.between(0.04, 0.15),
        dice.between(0.6, 0.9),
        dice.between(0.75, 1.0),
    )
    .mix(INK, dice.pick([0.0, 0.0, 0.7]));
    let flying = dice.chance(0.4);
    let fan = Shape::new().polygon(&[
        (-0.42, 0.04),
        (-1.02, -0.02 + dice.about(0.12)),
        (-0.98, 0.32 + dice.about(0.1)),
        (-0.4, 0.28),
    ]);
    if flying {
        let far = Shape::new().blob(&[
            (-0.05, -0.1),
            (0.12, -0.62),
            (0.02, -0.98),
            (-0.3, -0.6),
            (-0.35, -0.15),
        ]);
        canvas.fill(&far, Ink::Lit(wing.darker(0.3)), Part::BirdWing);
    } else {
        canvas.shadow(0.0, 0.88, 0.6);
        let legs = Shape::new()
            .lines(&[(-0.05, 0.45), (-0.08, 0.84), (0.08, 0.86)])
            .lines(&[(0.14, 0.45), (0.12, 0.84), (0.28, 0.86)]);
        canvas.stroke(&legs, 0.06, Ink::Flat(bill.darker(0.2)), Part::None);
    }
    canvas.fill(&fan, Ink::Lit(wing.darker(0.12)), Part::BirdTail);
    let beak = Shape::new().polygon(&[
        (0.62, -0.56),
        (1.08, -0.32 + dice.about(0.05)),
        (0.62, -0.1),
    ]);
    canvas.fill(&beak, Ink::Flat(bill), Part::Beak);
    canvas.sketch(
        &Shape::new().lines(&[(0.7, -0.33), (0.98, -0.34)]),
        0.03,
        Ink::Clear(INK, 0.5),
    );
    let trunk = Shape::new().blob(&[
        (-0.62, 0.12),
        (-0.3, -0.2),
        (0.12, -0.42),
        (0.3, -0.7),
        (0.58, -0.72),
        (0.76, -0.45),
        (0.66, -0.1),
        (0.44, 0.38),
        (0.0, 0.58),
        (-0.4, 0.42),
    ]);
    canvas.fill(&trunk, Ink::Lit(body), Part::None);
    canvas.inside(&trunk, |canvas| {
        canvas.glaze(
            &Shape::new().turned(0.36, 0.24, 0.42, 0.26, -50.0),
            Ink::Clear(breast, 0.9),
        );
        if dice.chance(0.35) {
            canvas.glaze(
                &Shape::new().ellipse(0.5, -0.72, 0.34, 0.2),
                Ink::Clear(wing, 0.95),
            );
        }
    });
    let near = if flying {
        Shape::new().blob(&[
            (0.22, 0.02),
            (-0.02, -0.55),
            (-0.42, -0.98),
            (-0.62, -0.72),
            (-0.5, -0.2),
            (-0.16, 0.2),
        ])
    } else {
        Shape::new().blob(&[
            (0.2, -0.08),
            (0.12, 0.26),
            (-0.28, 0.38),
            (-0.7, 0.22),
            (-0.4, 0.02),
            (-0.08, -0.16),
        ])
    };
    canvas.fill(&near, Ink::Lit(wing), Part::BirdWing);
    canvas.inside(&near, |canvas| {
        let feathers = if flying {
            Shape::new()
                .curve(&[(-0.5, -0.8), (-0.2, -0.3), (0.1, 0.05)])
                .curve(&[(-0.55, -0.5), (-0.3, -0.15), (-0.02, 0.12)])
        } else {
            Shape::new()
                .curve(&[(0.1, 0.06), (-0.2, 0.16), (-0.6, 0.18)])
                .curve(&[(0.08, 0.2), (-0.15, 0.27), (-0.45, 0.28)])
        };
        canvas.sketch(&feathers, 0.05, Ink::Clear(wing.darker(0.5), 0.6));
    });
    eye(
        canvas,
        0.48,
        -0.43,
        dice.between(0.15, 0.175),
        Part::BirdEye,
    );
}

pub(super) fn fish(canvas: &mut Canvas, dice: &mut Dice) {
    let body = plumage(dice);
    let fin = if dice.chance(0.5) {
        body.darker(0.2)
    } else {
        vivid(dice)
    };
    let (high, fork) = (dice.between(0.36, 0.52), dice.between(0.02, 0.14));
    let tail = Shape::new().blob(&[
        (-0.5, 0.0),
        (-0.78, -0.36),
        (-1.04, -0.44),
        (-0.92 + fork, 0.0),
        (-1.04, 0.44),
        (-0.78, 0.36),
    ]);
    canvas.fill(&tail, Ink::Lit(fin), Part::FishTail);
    let back = Shape::new().blob(&[
        (-0.35, -high * 0.7),
        (-0.3, -high - 0.24),
        (0.05, -high - 0.32),
        (0.3, -high * 0.7),
    ]);
    let belly = Shape::new().blob(&[
        (-0.25, high * 0.75),
        (-0.32, high + 0.22),
        (-0.02, high + 0.12),
        (0.12, high * 0.8),
    ]);
    canvas.fill(&back, Ink::Lit(fin), Part::FishFin);
    canvas.fill(&belly, Ink::Lit(fin), Part::FishFin);
    let mut rays = Shape::new();
    for k in -2..=2 {
        let y = k as f32;
        rays = rays.lines(&[(-0.66, y * 0.06), (-0.92, y * 0.15)]);
        rays = rays.lines(&[(y * 0.1, -high * 0.9), (y * 0.1 - 0.06, -high - 0.2)]);
    }
    canvas.sketch(&rays, 0.025, Ink::Clear(fin.darker(0.5), 0.5));
    let trunk = Shape::new().blob(&[
        (-0.62, 0.0),
        (-0.2, -high * 0.9),
        (0.3, -high),
        (0.8, -high * 0.5),
        (0.98, 0.02),
        (0.78, high * 0.55),
        (0.3, high),
        (-0.2, high * 0.9),
    ]);
    canvas.fill(&trunk, Ink::Lit(body), Part::Scales);
    canvas.inside(&trunk, |canvas| {
        let pale = Shape::new().ellipse(0.15, high * 1.05, 0.75, high * 0.5);
        canvas.glaze(&pale, Ink::Clear(body.lighter(0.6), 0.6));
        if dice.chance(0.3) {
            let mut bands = Shape::new();
            for x in [-0.35, 0.0] {
                bands = bands.blob(&[
                    (x - 0.07, -0.6),
                    (x + 0.08, -0.6),
                    (x + 0.13, 0.0),
                    (x + 0.05, 0.6),
                    (x - 0.08, 0.6),
                    (x - 0.02, 0.0),
                ]);
            }
            canvas.glaze(&bands, Ink::Clear(fin.lighter(0.4), 0.85));
        }
        let mut scales = Shape::new();
        for row in -2..=2 {
            for column in 0..5 {
                let x = -0.5 + column as f32 * 0.19 + 0.095 * (row as f32).rem_euclid(2.0);
                let y = row as f32 * 0.17;
                scales = scales.curve(&[(x, y - 0.075), (x + 0.07, y), (x, y + 0.075)]);
            }
        }
        canvas.sketch(&scales, 0.03, Ink::Clear(body.darker(0.45), 0.6));
    });
    // The head is plain: scales end at the gill.
    let head = Shape::new().blob(&[
        (0.44, -high * 0.95),
        (0.8, -high * 0.52),
        (1.0, 0.02),
        (0.78, high * 0.57),
        (0.44, high * 0.97),
        (0.52, 0.0),
    ]);
    canvas.inside(&trunk, |canvas| {
        canvas.glaze(&head, Ink::Clear(body.lighter(0.2), 1.0))
    });
    let gill = Shape::new().curve(&[(0.42, -high * 0.7), (0.5, 0.0), (0.4, high * 0.7)]);
    canvas.sketch(&gill, 0.04, Ink::Clear(body.darker(0.5), 0.7));
    let side = Shape::new().blob(&[
        (0.3, 0.06),
        (0.05, 0.02),
        (-0.12, 0.2),
        (0.06, 0.3),
        (0.26, 0.2),
    ]);
    canvas.fill(&side, Ink::Lit(fin), Part::FishFin);
    let mouth = Shape::new().curve(&[(0.96, 0.12), (0.86, 0.17), (0.78, 0.14)]);
    canvas.sketch(&mouth, 0.045, Ink::Clear(INK, 0.75));
    eye(canvas, 0.7, -0.1, dice.between(0.155, 0.18), Part::FishEye);
    if dice.chance(0.5) {
        let mut bubbles = Shape::new();
        for (x, y, r) in [(1.1, -0.1, 0.06), (1.2, -0.3, 0.045), (1.12, -0.46, 0.07)] {
            bubbles = bubbles.ellipse(x, y, r, r);
        }
        canvas.sketch(&bubbles, 0.03, Ink::Clear(WHITE, 0.8));
    }
}
