//! Houses, trees and flowers.

use super::canvas::{Canvas, Ink};
use super::colour::{Rgb, WHITE, glass, hsv, lacquer, leaf, muted, pastel, vivid, wood};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;

pub(super) fn house(canvas: &mut Canvas, dice: &mut Dice) {
    let wall = match dice.count(0, 3) {
        0 => Rgb(0.78, 0.45, 0.36).mix(muted(dice), 0.3),
        1 => muted(dice),
        _ => pastel(dice),
    };
    let roof = lacquer(dice).mix(Rgb(0.55, 0.33, 0.28), 0.35);
    canvas.shadow(0.0, 0.86, 1.05);
    let (left, eaves) = (dice.between(-0.84, -0.64), dice.between(-0.18, 0.0));
    if dice.chance(0.7) {
        let x = dice.pick([-0.45, 0.4]);
        let chimney = Shape::new().block(x - 0.1, -0.85, x + 0.1, -0.3, 0.0);
        canvas.fill(&chimney, Ink::Lit(wood(dice)), Part::None);
        if dice.chance(0.4) {
            for (dx, dy, r) in [(0.03, -0.98, 0.08), (0.12, -1.12, 0.11)] {
                let puff = Shape::new().ellipse(x + dx, dy, r, r * 0.85);
                canvas.fill(&puff, Ink::Clear(WHITE, 0.6), Part::None);
            }
        }
    }
    let body = Shape::new().block(left, eaves - 0.1, -left, 0.85, 0.0);
    canvas.fill(&body, Ink::Lit(wall), Part::None);
    if dice.chance(0.35) {
        bricks(canvas, dice, &body, wall);
    }
    let over = left - 0.14;
    let top = dice.between(-0.98, -0.82);
    let cover = match dice.count(0, 2) {
        0 => Shape::new().polygon(&[(over, eaves), (0.0, top), (-over, eaves)]),
        1 => Shape::new().polygon(&[
            (over, eaves),
            (-0.5, top + 0.16),
            (0.5, top + 0.16),
            (-over, eaves),
        ]),
        _ => Shape::new().polygon(&[
            (over, eaves),
            (left + 0.1, -0.45),
            (0.0, top),
            (-left - 0.1, -0.45),
            (-over, eaves),
        ]),
    };
    canvas.fill(&cover, Ink::Lit(roof), Part::Roof);
    canvas.inside(&cover, |canvas| {
        let mut tiles = Shape::new();
        for row in 0..5 {
            let y = eaves - 0.12 - row as f32 * 0.16;
            tiles = tiles.lines(&[(-1.1, y), (1.1, y)]);
            for column in -5..=5 {
                let x = (column as f32 + 0.5 * (row % 2) as f32) * 0.24;
                tiles = tiles.lines(&[(x, y), (x, y + 0.14)]);
            }
        }
        canvas.sketch(&tiles, 0.022, Ink::Clear(roof.darker(0.5), 0.45));
    });
    let shade = Shape::new().block(left, eaves, -left, eaves + 0.07, 0.0);
    canvas.glaze(&shade, Ink::Clear(Rgb(0.05, 0.03, 0.1), 0.3));
    let lit = if dice.chance(0.3) {
        Rgb(1.0, 0.86, 0.45)
    } else {
        glass(dice)
    };
    let frame = if dice.chance(0.7) { WHITE } else { wood(dice) };
    let paint = if dice.chance(0.5) {
        wood(dice)
    } else {
        vivid(dice).darker(0.1)
    };
    match dice.count(0, 2) {
        0 => {
            door(canvas, 0.0, paint, dice.chance(0.5));
            for x in [-0.43, 0.43] {
                window(canvas, x, eaves + 0.34, 0.16, lit, frame);
            }
        }
        1 => {
            door(canvas, -0.34, paint, dice.chance(0.5));
            window(canvas, 0.26, eaves + 0.38, 0.22, lit, frame);
        }
        _ => {
            door(canvas, 0.36, paint, dice.chance(0.5));
            for x in [-0.44, -0.04] {
                window(canvas, x, eaves + 0.36, 0.165, lit, frame);
            }
        }
    }
    if dice.chance(0.5) {
        let y = eaves - 0.28;
        let pane = Shape::new().ellipse(0.0, y, 0.14, 0.14);
        canvas.fill(&pane, Ink::Flat(lit), Part::HouseWindow);
        canvas.sketch(&pane, 0.05, Ink::Flat(frame));
    }
    if dice.chance(0.4) {
        let tone = leaf(dice);
        for x in [left - 0.05, -left + 0.02] {
            let bush = Shape::new().ellipse(x, 0.76, 0.2, 0.16);
            canvas.fill(&bush, Ink::Lit(tone), Part::None);
        }
    }
}

fn bricks(canvas: &mut Canvas, dice: &mut Dice, body: &Shape, wall: Rgb) {
    let mut some = Shape::new();
    for _ in 0..16 {
        let (x, y) = (dice.about(0.8), dice.between(0.0, 0.85));
        some = some.block(x, y, x + 0.13, y + 0.055, 0.0);
    }
    canvas.inside(body, |canvas| {
        canvas.glaze(&some, Ink::Clear(wall.darker(0.3), 0.6))
    });
}

fn door(canvas: &mut Canvas, x: f32, paint: Rgb, arched: bool) {
    let round = if arched { 0.17 } else { 0.02 };
    let edge = Shape::new().block(x - 0.2, 0.2, x + 0.2, 0.85, round);
    canvas.glaze(&edge, Ink::Flat(paint.darker(0.45)));
    let leaf = Shape::new().block(x - 0.16, 0.25, x + 0.16, 0.85, round);
    canvas.fill(&leaf, Ink::Flat(paint), Part::Door);
    let panel = Shape::new().block(x - 0.09, 0.56, x + 0.09, 0.78, 0.02);
    canvas.glaze(&panel, Ink::Clear(paint.darker(0.5), 0.5));
    canvas.glaze(
        &Shape::new().ellipse(x + 0.1, 0.53, 0.035, 0.035),
        Ink::Flat(Rgb(0.98, 0.85, 0.45)),
    );
}

fn window(canvas: &mut Canvas, x: f32, y: f32, r: f32, pane: Rgb, frame: Rgb) {
    let surround = Shape::new().block(x - r - 0.03, y - r - 0.03, x + r + 0.03, y + r + 0.03, 0.02);
    canvas.fill(&surround, Ink::Flat(frame), Part::HouseWindow);
    let inner = Shape::new().block(
        x - r + 0.015,
        y - r + 0.015,
        x + r - 0.015,
        y + r - 0.015,
        0.0,
    );
    canvas.glaze(&inner, Ink::Fall(pane, y - r, pane.lighter(0.35), y + r));
    let bars = Shape::new()
        .lines(&[(x, y - r), (x, y + r)])
        .lines(&[(x - r, y), (x + r, y)]);
    canvas.sketch(&bars, 0.045, Ink::Flat(frame));
    let sill = Shape::new().block(x - r - 0.06, y + r + 0.01, x + r + 0.06, y + r + 0.06, 0.0);
    canvas.glaze(&sill, Ink::Flat(frame.darker(0.3)));
}

pub(super) fn tree(canvas: &mut Canvas, dice: &mut Dice) {
    let (bark, tone) = (wood(dice), leaf(dice));
    canvas.shadow(0.0, 0.92, 0.75);
    let w = dice.between(0.11, 0.17);
    let kind = dice.count(0, 3);
    let trunk = Shape::new().blob(&[
        (-w * 0.8, -0.2),
        (w * 0.8, -0.2),
        (w * 0.9, 0.5),
        (w * 1.7, 0.93),
        (-w * 1.7, 0.93),
        (-w * 0.9, 0.5),
    ]);
    canvas.fill(&trunk, Ink::Lit(bark), Part::Trunk);
    let grooves = Shape::new()
        .curve(&[(-w * 0.3, 0.2), (-w * 0.2, 0.5), (-w * 0.5, 0.8)])
        .curve(&[(w * 0.35, 0.3), (w * 0.3, 0.55), (w * 0.6, 0.85)]);
    canvas.sketch(&grooves, 0.03, Ink::Clear(bark.darker(0.5), 0.6));
    match kind {
        0 => {
            // A fir.
            for (top, bottom, wide) in
                [(-0.2, 0.52, 0.74), (-0.58, 0.14, 0.6), (-0.96, -0.26, 0.44)]
            {
                let wide = wide * dice.between(0.92, 1.08);
                let tier = Shape::new().polygon(&[
                    (0.0, top),
                    (wide, bottom),
                    (wide * 0.5, bottom - 0.06),
                    (0.0, bottom + 0.03),
                    (-wide * 0.5, bottom - 0.06),
                    (-wide, bottom),
                ]);
                canvas.fill(&tier, Ink::Lit(tone), Part::Foliage);
                let gloom = Shape::new().polygon(&[
                    (wide, bottom),
                    (0.0, bottom + 0.03),
                    (-wide, bottom),
                    (0.0, bottom - 0.12),
                ]);
                canvas.glaze(&gloom, Ink::Clear(tone.darker(0.5), 0.35));
            }
            if dice.chance(0.3) {
                speckle(canvas, dice, WHITE, 0.05, 10);
            }
        }
        1 => {
            // A poplar.
            let crown = Shape::new()
                .mirrored(&[
                    (0.0, -1.0),
                    (0.26, -0.72),
                    (0.44, -0.1),
                    (0.34, 0.32),
                    (0.0, 0.46),
                ])
                .ellipse(-0.3, 0.16, 0.2, 0.24)
                .ellipse(0.3, 0.1, 0.2, 0.26)
                .ellipse(-0.26, -0.3, 0.2, 0.28)
                .ellipse(0.24, -0.38, 0.2, 0.26);
            canvas.fill(&crown, Ink::Lit(tone), Part::Foliage);
            // Once more without outlines: those of the inner clumps go.
            canvas.glaze(&crown, Ink::Lit(tone));
            leaves(canvas, dice, &crown, tone);
        }
        _ => {
            let clumps = [
                (-0.44, -0.1, 0.36),
                (0.44, -0.12, 0.36),
                (-0.26, -0.5, 0.38),
                (0.28, -0.52, 0.36),
                (0.0, -0.2, 0.44),
            ];
            let mut crown = Shape::new();
            for (x, y, r) in clumps {
                let (x, y, r) = (
                    x + dice.about(0.06),
                    y + dice.about(0.06),
                    r * dice.between(0.88, 1.1),
                );
                crown = crown.ellipse(x, y, r, r);
                let back = Shape::new().ellipse(x, y, r, r);
                canvas.fill(
                    &back,
                    Ink::Lit(tone.darker(dice.between(0.0, 0.14))),
                    Part::Foliage,
                );
            }
            leaves(canvas, dice, &crown, tone);
            if dice.chance(0.4) {
                let fruit = vivid(dice);
                speckle(canvas, dice, fruit, 0.065, 7);
            }
        }
    }
}

/// Light and dark leaves inside a crown.
fn leaves(canvas: &mut Canvas, dice: &mut Dice, crown: &Shape, tone: Rgb) {
    canvas.inside(crown, |canvas| {
        for colour in [tone.darker(0.35), tone.lighter(0.35)] {
            let mut blades = Shape::new();
            for _ in 0..16 {
                let (x, y) = (dice.about(0.75), dice.between(-0.95, 0.35));
                blades = blades.turned(x, y, 0.065, 0.035, dice.about(90.0));
            }
            canvas.glaze(&blades, Ink::Clear(colour, 0.6));
        }
    });
}

/// Fruit, blossom or snow on the crown.
fn speckle(canvas: &mut Canvas, dice: &mut Dice, colour: Rgb, r: f32, n: usize) {
    let mut dots = Shape::new();
    for _ in 0..n {
        let (turn, far) = (
            dice.between(0.0, std::f32::consts::TAU),
            dice.between(0.1, 0.45),
        );
        dots = dots.ellipse(far * turn.cos(), -0.28 + far * turn.sin(), r, r);
    }
    canvas.glaze(&dots, Ink::Flat(colour));
}

pub(super) fn flower(canvas: &mut Canvas, dice: &mut Dice) {
    let (petal, green) = (
        if dice.chance(0.75) {
            vivid(dice)
        } else {
            pastel(dice).lighter(0.4)
        },
        hsv(dice.between(0.22, 0.42), 0.55, dice.between(0.4, 0.7)),
    );
    let (x, y) = (dice.about(0.12), dice.between(-0.36, -0.2));
    canvas.shadow(0.0, 1.0, 0.42);
    let stem = Shape::new().curve(&[(x, y), (x * 0.2 + 0.08, 0.4), (0.0, 1.02)]);
    canvas.stroke(&stem, 0.1, Ink::Lit(green), Part::None);
    for side in [-1.0, 1.0] {
        if dice.chance(0.8) {
            let h = dice.between(0.45, 0.7);
            let blade = Shape::new().turned(
                side * 0.27 + 0.04,
                h,
                0.27,
                0.11,
                -side * dice.between(15.0, 40.0),
            );
            canvas.fill(&blade, Ink::Lit(green), Part::None);
        }
    }
    if dice.chance(0.35) {
        let clay = lacquer(dice).mix(Rgb(0.75, 0.42, 0.28), 0.5);
        let pot = Shape::new().polygon(&[(-0.3, 0.66), (0.3, 0.66), (0.2, 1.02), (-0.2, 1.02)]);
        canvas.fill(&pot, Ink::Lit(clay), Part::None);
        let rim = Shape::new().block(-0.35, 0.6, 0.35, 0.72, 0.03);
        canvas.fill(&rim, Ink::Lit(clay.lighter(0.12)), Part::None);
    } else {
        let mut tuft = Shape::new();
        for k in -3..=3 {
            let x = k as f32;
            tuft = tuft.lines(&[(x * 0.05, 1.03), (x * 0.11, 0.86 + 0.03 * x.abs())]);
        }
        canvas.sketch(&tuft, 0.05, Ink::Flat(green.darker(0.15)));
    }
    let n = dice.count(5, 9);
    let long = dice.between(0.31, 0.38);
    let wide = (1.15 / n as f32).clamp(0.14, 0.21);
    let start = dice.between(0.0, 360.0);
    let centre = if dice.chance(0.5) {
        hsv(0.12, 0.75, 0.95)
    } else {
        petal.darker(0.55).mix(wood(dice), 0.5)
    };
    let two = dice.chance(0.3);
    let rings: &[(f32, f32, f32)] = if two {
        &[(1.0, 0.0, 0.18), (0.68, 0.5, 0.0)]
    } else {
        &[(1.0, 0.0, 0.0)]
    };
    for &(size, shift, shade) in rings {
        for k in 0..n {
            let turn = start + (k as f32 + shift) * 360.0 / n as f32;
            let (s, c) = turn.to_radians().sin_cos();
            let (at, tone) = (long * size, petal.darker(shade + 0.07 * (k % 2) as f32));
            let outline = Shape::new().turned(
                x + c * at,
                y + s * at,
                long * size,
                wide * (0.5 + size / 2.0),
                turn,
            );
            canvas.fill(&outline, Ink::Lit(tone), Part::Petal);
            let vein = Shape::new().lines(&[
                (x + c * at * 0.8, y + s * at * 0.8),
                (x + c * at * 1.6, y + s * at * 1.6),
            ]);
            canvas.sketch(&vein, 0.03, Ink::Clear(petal.darker(0.5), 0.35));
        }
    }
    let r = dice.between(0.17, 0.23);
    let disc = Shape::new().ellipse(x, y, r, r);
    canvas.fill(&disc, Ink::Lit(centre), Part::FlowerCentre);
    let mut seeds = Shape::new();
    for k in 0..8 {
        let (s, c) = (k as f32 * 2.4).sin_cos();
        let far = r * 0.28 * (k as f32).sqrt();
        seeds = seeds.ellipse(x + c * far, y + s * far, 0.026, 0.026);
    }
    canvas.glaze(&seeds, Ink::Clear(centre.darker(0.5), 0.6));
}
