//! Zebras: standing in profile with a long striped neck, grazing, or a long face from the front.

use super::canvas::{Canvas, Ink};
use super::coat::Coat;
use super::colour::{INK, Rgb, WHITE};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;
use tiny_skia::Transform;

pub(super) fn zebra(canvas: &mut Canvas, dice: &mut Dice) {
    let coat = Coat::zebra(dice);
    if dice.chance(0.25) {
        face(canvas, dice, &coat);
    } else {
        // The head reaches far ahead: the whole is moved back to lie in -1..1.
        let back = Transform::from_translate(-0.14, 0.0).pre_scale(0.9, 1.0);
        canvas.within(back, |canvas| standing(canvas, dice, &coat));
    }
}

fn eye(canvas: &mut Canvas, x: f32, y: f32, r: f32) {
    let ball = Shape::new().ellipse(x, y, r, r);
    canvas.fill(&ball, Ink::Flat(WHITE), Part::ZebraEye);
    let pupil = Shape::new().ellipse(x + r * 0.12, y + r * 0.08, r * 0.72, r * 0.76);
    canvas.glaze(&pupil, Ink::Flat(INK));
    let glint = Shape::new().ellipse(x - r * 0.2, y - r * 0.3, r * 0.26, r * 0.26);
    canvas.glaze(&glint, Ink::Flat(WHITE));
}

fn standing(canvas: &mut Canvas, dice: &mut Dice, coat: &Coat) {
    canvas.shadow(-0.05, 0.86, 0.9);
    let tail = Shape::new().curve(&[(-0.7, -0.08), (-0.86, 0.08), (-0.86, 0.36)]);
    canvas.stroke(&tail, 0.07, Ink::Lit(coat.base), Part::None);
    canvas.fill(
        &Shape::new().ellipse(-0.86, 0.44, 0.07, 0.13),
        Ink::Flat(coat.dark),
        Part::None,
    );
    let step = dice.about(0.06);
    legs(
        canvas,
        dice,
        &[(-0.46 + step, -0.42), (0.2 - step, 0.16)],
        coat,
        0.2,
    );
    let body = Shape::new().blob(&[
        (-0.76, 0.0),
        (-0.6, -0.26),
        (0.0, -0.2),
        (0.36, -0.26),
        (0.5, 0.0),
        (0.34, 0.27),
        (-0.1, 0.3),
        (-0.58, 0.28),
    ]);
    coat.cover(canvas, dice, &body, [-0.78, -0.3, 0.52, 0.32], 0.21);
    legs(
        canvas,
        dice,
        &[(-0.6 - step, -0.64), (0.34 + step, 0.36)],
        coat,
        0.0,
    );
    // The neck turns about the shoulder: head up, or down to graze.
    let turn = if dice.chance(0.25) {
        dice.between(50.0, 72.0)
    } else {
        dice.between(-8.0, 14.0)
    };
    let neck = Transform::from_translate(0.34, -0.08).pre_concat(Transform::from_rotate(turn));
    canvas.within(neck, |canvas| {
        neck_and_head(canvas, dice, coat, -turn * 0.55)
    });
}

fn legs(canvas: &mut Canvas, dice: &mut Dice, places: &[(f32, f32)], coat: &Coat, shade: f32) {
    let coat = Coat {
        base: coat.base.darker(shade),
        ..*coat
    };
    for &(hip, hoof) in places {
        let leg = Shape::new().polygon(&[
            (hip - 0.12, 0.1),
            (hip + 0.12, 0.1),
            (hoof + 0.065, 0.84),
            (hoof - 0.065, 0.84),
        ]);
        canvas.fill(&leg, Ink::Lit(coat.base), coat.part());
        canvas.inside(&leg, |canvas| {
            let mut bars = Shape::new();
            for y in [0.3, 0.46, 0.62] {
                let y = y + dice.about(0.02);
                bars = bars.lines(&[(hip.min(hoof) - 0.2, y), (hip.max(hoof) + 0.2, y + 0.03)]);
            }
            canvas.sketch(&bars, 0.075, Ink::Clear(coat.dark, 0.94));
        });
        let foot = Shape::new().block(hoof - 0.08, 0.76, hoof + 0.08, 0.87, 0.03);
        canvas.fill(&foot, Ink::Flat(coat.dark), Part::None);
    }
}

/// The neck rises from the origin to the right; `nod` turns the head against it.
fn neck_and_head(canvas: &mut Canvas, dice: &mut Dice, coat: &Coat, nod: f32) {
    let mane = Shape::new().blob(&[
        (-0.24, -0.1),
        (-0.1, -0.46),
        (0.06, -0.78),
        (0.2, -0.72),
        (0.1, -0.4),
        (0.0, -0.1),
    ]);
    canvas.fill(&mane, Ink::Flat(coat.dark), Part::Mane);
    let neck = Shape::new().blob(&[
        (-0.16, 0.02),
        (-0.03, -0.3),
        (0.12, -0.62),
        (0.38, -0.52),
        (0.28, -0.2),
        (0.2, 0.14),
        (0.0, 0.2),
    ]);
    canvas.fill(&neck, Ink::Lit(coat.base), coat.part());
    canvas.inside(&neck, |canvas| {
        let mut bars = Shape::new();
        for k in 0..5 {
            let y = 0.12 - k as f32 * 0.17 + dice.about(0.015);
            bars = bars.curve(&[(-0.3, y - 0.1), (0.1, y), (0.5, y + 0.02)]);
        }
        canvas.sketch(&bars, 0.085, Ink::Clear(coat.dark, 0.94));
    });
    let head = Transform::from_translate(0.24, -0.55).pre_concat(Transform::from_rotate(nod));
    canvas.within(head, |canvas| {
        let ears = Shape::new()
            .turned(-0.06, -0.26, 0.075, 0.17, -14.0)
            .turned(0.1, -0.25, 0.07, 0.16, 12.0);
        canvas.fill(&ears, Ink::Lit(coat.base), Part::ZebraEar);
        let inner = Shape::new().turned(-0.055, -0.25, 0.035, 0.1, -14.0);
        canvas.glaze(&inner, Ink::Flat(coat.dark));
        let skull = Shape::new().blob(&[
            (-0.14, -0.1),
            (0.06, -0.18),
            (0.36, 0.02),
            (0.58, 0.2),
            (0.52, 0.36),
            (0.26, 0.3),
            (0.02, 0.22),
        ]);
        canvas.fill(&skull, Ink::Lit(coat.base), coat.part());
        canvas.inside(&skull, |canvas| {
            let mut bars = Shape::new();
            for x in [-0.04, 0.26, 0.38] {
                bars = bars.curve(&[(x + 0.1, -0.2), (x + 0.02, 0.08), (x - 0.08, 0.4)]);
            }
            canvas.sketch(&bars, 0.055, Ink::Clear(coat.dark, 0.94));
        });
        let muzzle = Shape::new().blob(&[
            (0.44, 0.1),
            (0.6, 0.18),
            (0.61, 0.34),
            (0.46, 0.38),
            (0.38, 0.3),
        ]);
        canvas.fill(&muzzle, Ink::Flat(coat.dark.lighter(0.12)), Part::Muzzle);
        eye(canvas, 0.13, -0.01, 0.105);
    });
}

fn face(canvas: &mut Canvas, dice: &mut Dice, coat: &Coat) {
    let neck = Shape::new().mirrored(&[
        (0.0, -0.2),
        (0.42, 0.1),
        (0.56, 0.8),
        (0.6, 2.3),
        (0.0, 2.4),
    ]);
    coat.cover(canvas, dice, &neck, [-0.62, -0.2, 0.62, 2.3], 0.26);
    let ears = Shape::new()
        .turned(-0.42, -0.72, 0.14, 0.27, -24.0)
        .turned(0.42, -0.72, 0.14, 0.27, 24.0);
    canvas.fill(&ears, Ink::Lit(coat.base), Part::ZebraEar);
    let inner = Shape::new()
        .turned(-0.42, -0.7, 0.07, 0.17, -24.0)
        .turned(0.42, -0.7, 0.07, 0.17, 24.0);
    canvas.glaze(&inner, Ink::Flat(coat.dark));
    let head = Shape::new().mirrored(&[
        (0.0, -0.72),
        (0.34, -0.62),
        (0.46, -0.25),
        (0.32, 0.3),
        (0.3, 0.7),
        (0.0, 0.86),
    ]);
    canvas.fill(&head, Ink::Lit(coat.base), coat.part());
    canvas.inside(&head, |canvas| {
        let mut bars = Shape::new();
        for side in [-1.0, 1.0] {
            for (x, y) in [(0.14, -0.45), (0.28, -0.5)] {
                bars = bars.curve(&[
                    (side * x, y - 0.25),
                    (side * x * 0.9, y),
                    (side * 0.07, y + 0.42),
                ]);
            }
            for k in 0..3 {
                let y = 0.0 + k as f32 * 0.15 + dice.about(0.02);
                bars = bars.curve(&[
                    (side * 0.5, y - 0.04),
                    (side * 0.24, y),
                    (side * 0.1, y + 0.1),
                ]);
            }
        }
        bars = bars.lines(&[(0.0, -0.75), (0.0, -0.3)]);
        canvas.sketch(&bars, 0.075, Ink::Clear(coat.dark, 0.94));
    });
    let tuft = Shape::new().mirrored(&[(0.0, -1.0), (0.13, -0.9), (0.12, -0.66), (0.0, -0.5)]);
    canvas.fill(&tuft, Ink::Flat(coat.dark), Part::Mane);
    let muzzle = Shape::new().mirrored(&[
        (0.0, 0.4),
        (0.28, 0.44),
        (0.34, 0.66),
        (0.22, 0.86),
        (0.0, 0.92),
    ]);
    canvas.fill(&muzzle, Ink::Flat(coat.dark.lighter(0.12)), Part::Muzzle);
    let nostrils = Shape::new()
        .ellipse(-0.14, 0.6, 0.05, 0.065)
        .ellipse(0.14, 0.6, 0.05, 0.065);
    canvas.glaze(&nostrils, Ink::Flat(Rgb(0.05, 0.04, 0.05)));
    eye(canvas, -0.33, -0.2, 0.13);
    eye(canvas, 0.33, -0.2, 0.13);
}
