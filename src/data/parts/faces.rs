//! Faces of dogs, cats, tigers and leopards, seen from the front.
//!
//! A face lives in units of its own: the head about fills `-0.8..0.8`, ears reach to 1. Eyes, ears
//! and noses are drawn large, as in a picture book, so that each fills a patch.

use super::canvas::{Canvas, Ink};
use super::coat::Coat;
use super::colour::{INK, Rgb, WHITE, hsv};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;

/// Two of something, mirrored at the axis.
fn both(points: &[(f32, f32)]) -> Shape {
    let other: Vec<(f32, f32)> = points.iter().map(|(x, y)| (-x, *y)).collect();
    Shape::new().blob(points).blob(&other)
}

fn pair(x: f32, y: f32, rx: f32, ry: f32) -> Shape {
    Shape::new().ellipse(x, y, rx, ry).ellipse(-x, y, rx, ry)
}

fn smile(canvas: &mut Canvas, y: f32, wide: f32) {
    let mouth = Shape::new()
        .curve(&[
            (-wide, y + 0.08),
            (-wide * 0.55, y + 0.15),
            (-wide * 0.12, y + 0.1),
            (0.0, y),
        ])
        .curve(&[
            (0.0, y),
            (wide * 0.12, y + 0.1),
            (wide * 0.55, y + 0.15),
            (wide, y + 0.08),
        ]);
    canvas.sketch(&mouth, 0.048, Ink::Clear(INK, 0.8));
}

fn whiskers(canvas: &mut Canvas, y: f32, tone: Rgb) {
    let mut hairs = Shape::new();
    for (rise, drop) in [(-0.04, -0.14), (0.04, 0.02), (0.12, 0.16)] {
        for side in [-1.0, 1.0] {
            hairs = hairs.lines(&[(side * 0.3, y + rise), (side * 0.92, y + drop)]);
        }
    }
    canvas.sketch(&hairs, 0.025, Ink::Clear(tone, 0.7));
}

/// A pink inside of an ear, or a darker one.
fn lining(coat: &Coat, dice: &mut Dice) -> Rgb {
    if dice.chance(0.6) {
        Rgb(0.95, 0.68, 0.66).mix(coat.base, 0.2)
    } else {
        coat.base.darker(0.35)
    }
}

pub(super) fn dog(canvas: &mut Canvas, dice: &mut Dice, coat: &Coat) {
    let ear = if dice.chance(0.5) {
        coat.dark
    } else {
        coat.base.darker(0.3)
    };
    let ears = match dice.count(0, 2) {
        // Long and hanging, hanging out to the sides, folded over.
        0 => both(&[
            (0.42, -0.62),
            (0.82, -0.6),
            (1.0, -0.05),
            (0.92, 0.42),
            (0.68, 0.36),
            (0.55, -0.1),
        ]),
        1 => both(&[
            (0.40, -0.66),
            (0.80, -0.78),
            (1.12, -0.4),
            (1.08, 0.12),
            (0.82, 0.14),
            (0.58, -0.2),
        ]),
        _ => both(&[
            (0.30, -0.70),
            (0.62, -0.96),
            (0.98, -0.62),
            (0.94, -0.18),
            (0.74, -0.28),
            (0.50, -0.48),
        ]),
    };
    let head = Shape::new().mirrored(&[
        (0.0, -0.78),
        (0.45, -0.7),
        (0.66, -0.25),
        (0.6, 0.2),
        (0.42, 0.62),
        (0.0, 0.8),
    ]);
    coat.cover(canvas, dice, &head, [-0.7, -0.8, 0.7, 0.8], 0.25);
    canvas.inside(&head, |canvas| {
        if dice.chance(0.4) {
            let blaze =
                Shape::new().mirrored(&[(0.0, -0.85), (0.12, -0.6), (0.14, 0.0), (0.0, 0.3)]);
            canvas.glaze(&blaze, Ink::Clear(coat.pale, 0.9));
        }
        if dice.chance(0.35) {
            let patch = Shape::new().ellipse(0.33, -0.16, 0.28, 0.32);
            canvas.glaze(&patch, Ink::Clear(coat.dark, 0.85));
        }
    });
    let tongue = dice.chance(0.4);
    if tongue {
        let shape = Shape::new().block(-0.14, 0.5, 0.14, 0.94, 0.14);
        canvas.fill(&shape, Ink::Flat(Rgb(0.93, 0.45, 0.48)), Part::None);
    }
    let muzzle = Shape::new()
        .ellipse(-0.19, 0.4, 0.27, 0.25)
        .ellipse(0.19, 0.4, 0.27, 0.25)
        .ellipse(0.0, 0.24, 0.27, 0.27);
    canvas.fill(&muzzle, Ink::Flat(coat.pale), Part::None);
    smile(canvas, 0.42, 0.36);
    canvas.fill(&ears, Ink::Lit(ear), Part::DogEar);
    let r = dice.between(0.15, 0.19);
    let x = dice.between(0.29, 0.34);
    canvas.fill(
        &pair(x, -0.17, r * 1.12, r * 1.22),
        Ink::Flat(WHITE.mix(coat.base, 0.15)),
        Part::DogEye,
    );
    let iris = hsv(dice.between(0.03, 0.1), 0.6, dice.between(0.2, 0.45));
    canvas.glaze(&pair(x - 0.01, -0.15, r * 0.88, r), Ink::Flat(iris));
    canvas.glaze(&pair(x - 0.01, -0.15, r * 0.5, r * 0.58), Ink::Flat(INK));
    let glint = Shape::new()
        .ellipse(x - 0.07, -0.23, r * 0.3, r * 0.3)
        .ellipse(-x - 0.05, -0.23, r * 0.3, r * 0.3);
    canvas.glaze(&glint, Ink::Flat(WHITE));
    let nose = Shape::new().mirrored(&[
        (0.0, 0.08),
        (0.18, 0.08),
        (0.25, 0.2),
        (0.1, 0.36),
        (0.0, 0.4),
    ]);
    let tone = if dice.chance(0.75) {
        INK
    } else {
        Rgb(0.45, 0.26, 0.24)
    };
    canvas.fill(&nose, Ink::Flat(tone), Part::DogNose);
    canvas.glaze(
        &Shape::new().ellipse(-0.05, 0.14, 0.09, 0.04),
        Ink::Clear(WHITE, 0.6),
    );
}

pub(super) fn cat(canvas: &mut Canvas, dice: &mut Dice, coat: &Coat) {
    let (tip, out) = (dice.between(-1.08, -0.95), dice.between(0.62, 0.76));
    let ear = |s: f32, grow: f32| {
        let c = (0.47 * s, -0.6);
        let at = |x: f32, y: f32| (c.0 + (x * s - c.0) * grow, c.1 + (y - c.1) * grow);
        [at(0.12, -0.58), at(out, tip), at(0.8, -0.2)]
    };
    let ears = Shape::new()
        .polygon(&ear(1.0, 1.0))
        .polygon(&ear(-1.0, 1.0));
    canvas.fill(&ears, Ink::Lit(coat.base), Part::CatEar);
    let insides = Shape::new()
        .polygon(&ear(1.0, 0.6))
        .polygon(&ear(-1.0, 0.6));
    canvas.glaze(&insides, Ink::Flat(lining(coat, dice)));
    let head = Shape::new().mirrored(&[
        (0.0, -0.6),
        (0.45, -0.55),
        (0.78, -0.1),
        (0.74, 0.3),
        (0.42, 0.62),
        (0.0, 0.7),
    ]);
    coat.cover(canvas, dice, &head, [-0.8, -0.65, 0.8, 0.7], 0.22);
    let muzzle = pair(0.16, 0.36, 0.22, 0.17);
    canvas.glaze(&muzzle, Ink::Clear(coat.pale, 0.9));
    if dice.chance(0.5) {
        let brow = Shape::new()
            .lines(&[(0.0, -0.55), (0.0, -0.32)])
            .lines(&[(-0.14, -0.53), (-0.1, -0.34)])
            .lines(&[(0.14, -0.53), (0.1, -0.34)]);
        canvas.sketch(&brow, 0.06, Ink::Clear(coat.base.darker(0.5), 0.7));
    }
    let hue = dice.pick([0.13, 0.2, 0.3, 0.42, 0.55]);
    let iris = hsv(
        hue + dice.about(0.03),
        dice.between(0.45, 0.75),
        dice.between(0.75, 0.95),
    );
    let (x, r) = (dice.between(0.33, 0.37), dice.between(0.18, 0.21));
    let eyes = Shape::new()
        .turned(x, -0.06, r * 1.1, r, -12.0)
        .turned(-x, -0.06, r * 1.1, r, 12.0);
    canvas.sketch(&eyes, 0.07, Ink::Clear(INK, 0.8));
    canvas.fill(&eyes, Ink::Flat(iris), Part::CatEye);
    let open = dice.between(0.2, 0.55);
    canvas.glaze(&pair(x, -0.06, r * open, r * 0.92), Ink::Flat(INK));
    let glint =
        Shape::new()
            .ellipse(x - 0.06, -0.14, 0.055, 0.055)
            .ellipse(-x - 0.06, -0.14, 0.055, 0.055);
    canvas.glaze(&glint, Ink::Flat(WHITE));
    smile(canvas, 0.36, 0.28);
    let nose = Shape::new().mirrored(&[
        (0.0, 0.14),
        (0.19, 0.13),
        (0.22, 0.21),
        (0.06, 0.37),
        (0.0, 0.4),
    ]);
    let pink = Rgb(0.93, 0.55, 0.55).mix(INK, dice.pick([0.0, 0.1, 0.6]));
    canvas.fill(&nose, Ink::Flat(pink), Part::CatNose);
    let tone = if coat.base.luma() > 0.55 { INK } else { WHITE };
    whiskers(canvas, 0.32, tone);
}

pub(super) fn tiger(canvas: &mut Canvas, dice: &mut Dice, coat: &Coat) {
    big_cat(canvas, dice, coat, Part::TigerEar, Part::TigerEye);
}

pub(super) fn leopard(canvas: &mut Canvas, dice: &mut Dice, coat: &Coat) {
    big_cat(canvas, dice, coat, Part::LeopardEar, Part::LeopardEye);
}

fn big_cat(canvas: &mut Canvas, dice: &mut Dice, coat: &Coat, ear: Part, eye: Part) {
    let striped = ear == Part::TigerEar;
    let (x, r) = (dice.between(0.54, 0.6), dice.between(0.26, 0.3));
    let rim = if striped { coat.base } else { coat.dark };
    canvas.fill(&pair(x, -0.62, r, r), Ink::Lit(rim), ear);
    let inner = if striped { coat.dark } else { coat.pale };
    canvas.glaze(&pair(x * 0.97, -0.58, r * 0.58, r * 0.6), Ink::Flat(inner));
    let head = Shape::new().mirrored(&[
        (0.0, -0.7),
        (0.42, -0.66),
        (0.74, -0.25),
        (0.82, 0.25),
        (0.5, 0.68),
        (0.0, 0.78),
    ]);
    canvas.fill(&head, Ink::Lit(coat.base), coat.part());
    canvas.inside(&head, |canvas| {
        let cheeks = pair(0.62, 0.36, 0.34, 0.3);
        canvas.glaze(&cheeks, Ink::Clear(coat.pale, 0.9));
        canvas.glaze(&pair(0.3, -0.36, 0.16, 0.11), Ink::Clear(coat.pale, 0.9));
        if striped {
            canvas.glaze(&face_stripes(dice), Ink::Clear(coat.dark, 0.95));
        } else {
            let mut spots = Shape::new();
            for (x, y, r) in [
                (0.0, -0.58, 0.07),
                (0.15, -0.5, 0.07),
                (0.34, -0.54, 0.075),
                (0.1, -0.36, 0.065),
                (0.5, -0.32, 0.07),
                (0.6, -0.06, 0.075),
                (0.66, 0.2, 0.075),
                (0.5, 0.38, 0.065),
                (0.62, 0.5, 0.06),
            ] {
                let r = r * dice.between(0.9, 1.25);
                spots = spots.ellipse(x, y, r, r).ellipse(-x - 0.02, y, r, r);
            }
            canvas.glaze(&spots, Ink::Clear(coat.dark, 0.92));
        }
    });
    let muzzle = pair(0.19, 0.4, 0.27, 0.23);
    canvas.fill(&muzzle, Ink::Flat(coat.pale), Part::None);
    let bridge = Shape::new().mirrored(&[(0.0, -0.2), (0.12, -0.15), (0.2, 0.22), (0.0, 0.3)]);
    canvas.glaze(&bridge, Ink::Flat(coat.base));
    smile(canvas, 0.42, 0.36);
    let nose = Shape::new().mirrored(&[
        (0.0, 0.16),
        (0.18, 0.16),
        (0.21, 0.24),
        (0.05, 0.4),
        (0.0, 0.42),
    ]);
    let pink = Rgb(0.85, 0.48, 0.44).mix(INK, dice.pick([0.0, 0.2, 0.75]));
    canvas.fill(&nose, Ink::Flat(pink), Part::None);
    let (x, r) = (dice.between(0.34, 0.38), dice.between(0.14, 0.17));
    let eyes = Shape::new()
        .turned(x, -0.1, r * 1.2, r, -14.0)
        .turned(-x, -0.1, r * 1.2, r, 14.0);
    canvas.sketch(&eyes, 0.09, Ink::Flat(INK));
    let hue = dice.pick([0.12, 0.15, 0.22, 0.48]);
    let iris = hsv(hue, dice.between(0.5, 0.8), 0.95);
    canvas.fill(&eyes, Ink::Flat(iris), eye);
    canvas.glaze(&pair(x, -0.1, r * 0.5, r * 0.55), Ink::Flat(INK));
    let glint =
        Shape::new()
            .ellipse(x - 0.05, -0.15, 0.045, 0.045)
            .ellipse(-x - 0.05, -0.15, 0.045, 0.045);
    canvas.glaze(&glint, Ink::Flat(WHITE));
    if dice.chance(0.5) {
        whiskers(canvas, 0.42, WHITE);
    }
}

fn face_stripes(dice: &mut Dice) -> Shape {
    let mut shape = Shape::new();
    let mut wedge = |from: (f32, f32), to: (f32, f32), w: f32| {
        let w = w * dice.between(0.85, 1.2);
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let n = dx.hypot(dy).max(1e-3);
        let (nx, ny) = (-dy / n * w, dx / n * w);
        for s in [1.0, -1.0] {
            shape = std::mem::take(&mut shape).polygon(&[
                (s * (from.0 + nx), from.1 + ny),
                (s * to.0, to.1),
                (s * (from.0 - nx), from.1 - ny),
            ]);
        }
    };
    wedge((0.05, -0.75), (0.03, -0.4), 0.075);
    wedge((0.26, -0.74), (0.1, -0.46), 0.07);
    wedge((0.5, -0.6), (0.26, -0.52), 0.06);
    wedge((0.78, -0.22), (0.54, -0.16), 0.085);
    wedge((0.86, 0.08), (0.54, 0.1), 0.09);
    wedge((0.84, 0.36), (0.52, 0.3), 0.085);
    wedge((0.66, 0.64), (0.46, 0.46), 0.08);
    shape
}
