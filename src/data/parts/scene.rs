//! What is behind the object: outdoors, a room, or plain paper with shapes.
//!
//! Every class gets every background with the same chance, so that a fish is not known by its
//! water. The horizon alone follows the object: what stands on the ground stands below it.

use super::canvas::{Canvas, Ink};
use super::colour::{Rgb, WHITE, hsv, leaf, muted, pastel, vivid, wood};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;

/// Fills the sheet (units `0..1`). `foot` is the height at which the object touches the ground.
pub(super) fn background(canvas: &mut Canvas, dice: &mut Dice, foot: f32) {
    let horizon = dice.between(0.34, foot.clamp(0.45, 0.9) - 0.06);
    match dice.count(0, 9) {
        0..=5 => outdoors(canvas, dice, horizon),
        6..=7 => room(canvas, dice, horizon.max(0.45)),
        _ => paper(canvas, dice),
    }
}

fn whole() -> Shape {
    Shape::new().block(-0.1, -0.1, 1.1, 1.1, 0.0)
}

fn outdoors(canvas: &mut Canvas, dice: &mut Dice, horizon: f32) {
    let (high, low) = match dice.count(0, 5) {
        0 => (Rgb(0.35, 0.62, 0.93), Rgb(0.80, 0.92, 0.98)),
        1 => (Rgb(0.55, 0.78, 0.95), Rgb(0.95, 0.96, 0.90)),
        2 => (Rgb(0.45, 0.38, 0.66), Rgb(0.99, 0.72, 0.52)),
        3 => (Rgb(0.74, 0.78, 0.83), Rgb(0.91, 0.92, 0.92)),
        4 => (Rgb(0.20, 0.26, 0.48), Rgb(0.66, 0.60, 0.74)),
        _ => {
            let sky = pastel(dice);
            (sky.darker(0.12), sky.lighter(0.45))
        }
    };
    canvas.glaze(&whole(), Ink::Fall(high, 0.0, low, horizon));
    if dice.chance(0.35) {
        let (x, y, r) = (
            dice.between(0.08, 0.92),
            dice.between(0.04, 0.3),
            dice.between(0.05, 0.1),
        );
        let sun = Rgb(1.0, 0.95, 0.75).mix(low, 0.2);
        let halo = Shape::new().ellipse(x, y, r * 3.0, r * 3.0);
        canvas.glaze(&halo, Ink::Glow(sun, 0.5, (x, y), r * 3.0));
        canvas.glaze(&Shape::new().ellipse(x, y, r, r), Ink::Flat(sun));
    }
    for _ in 0..dice.count(0, 2) {
        cloud(canvas, dice, low);
    }
    let ground = match dice.count(0, 5) {
        0..=2 => hsv(
            dice.between(0.2, 0.4),
            dice.between(0.3, 0.55),
            dice.between(0.5, 0.8),
        ),
        3 => hsv(dice.between(0.08, 0.13), 0.38, dice.between(0.7, 0.9)),
        4 => hsv(0.6, 0.08, dice.between(0.5, 0.95)),
        _ => muted(dice),
    };
    for layer in 0..dice.count(0, 2) {
        let tone = ground.darker(0.15).mix(low, 0.6 - 0.25 * layer as f32);
        hills(canvas, dice, horizon, tone);
    }
    for _ in 0..dice.count(0, 2) {
        far_thing(canvas, dice, horizon, low);
    }
    let land = Shape::new().blob(&[
        (-0.2, horizon + dice.about(0.02)),
        (0.3, horizon + dice.about(0.025)),
        (0.7, horizon + dice.about(0.025)),
        (1.2, horizon + dice.about(0.02)),
        (1.3, 1.3),
        (-0.3, 1.3),
    ]);
    let (near, far) = (ground.darker(0.18), ground.lighter(0.16));
    canvas.glaze(&land, Ink::Fall(far, horizon, near, 1.0));
    match dice.count(0, 3) {
        0 => road(canvas, dice, horizon),
        1 | 2 => grass(canvas, dice, horizon, ground),
        _ => pebbles(canvas, dice, horizon, ground),
    }
}

fn cloud(canvas: &mut Canvas, dice: &mut Dice, sky: Rgb) {
    let (x, y, s) = (
        dice.between(0.0, 1.0),
        dice.between(0.04, 0.32),
        dice.between(0.06, 0.12),
    );
    let shape = Shape::new()
        .ellipse(x - s, y, s * 0.9, s * 0.45)
        .ellipse(x, y - s * 0.3, s, s * 0.65)
        .ellipse(x + s, y, s * 1.1, s * 0.45);
    canvas.glaze(&shape, Ink::Clear(sky.lighter(0.7), 0.8));
}

fn hills(canvas: &mut Canvas, dice: &mut Dice, horizon: f32, tone: Rgb) {
    let mut points = vec![(-0.3, 1.2)];
    for step in 0..6 {
        let x = -0.2 + step as f32 * 0.28;
        points.push((x, horizon - dice.between(0.0, 0.2)));
    }
    points.push((1.3, 1.2));
    let shape = if dice.chance(0.7) {
        Shape::new().blob(&points)
    } else {
        Shape::new().polygon(&points)
    };
    canvas.glaze(&shape, Ink::Flat(tone));
}

/// A bush, a post, a fence or a block far away, pale with distance.
fn far_thing(canvas: &mut Canvas, dice: &mut Dice, horizon: f32, air: Rgb) {
    let (x, s) = (dice.between(0.0, 1.0), dice.between(0.04, 0.1));
    let y = horizon + 0.02;
    let (shape, colour) = match dice.count(0, 3) {
        0 => (
            Shape::new()
                .ellipse(x - s, y - s * 0.4, s, s * 0.7)
                .ellipse(x + s * 0.6, y - s * 0.6, s * 1.1, s),
            leaf(dice),
        ),
        1 => (
            Shape::new().block(x, y - s * 3.0, x + s * 0.25, y, 0.01),
            wood(dice),
        ),
        2 => (
            Shape::new()
                .block(x, y - s * 1.6, x + s * 1.4, y, 0.0)
                .block(x + s * 1.5, y - s * 2.4, x + s * 2.3, y, 0.0),
            muted(dice),
        ),
        _ => {
            let mut fence =
                Shape::new().block(x - s * 3.0, y - s * 0.6, x + s * 3.0, y - s * 0.45, 0.0);
            for post in -3..=3 {
                let left = x + post as f32 * s;
                fence = fence.block(left - 0.012, y - s, left + 0.012, y, 0.0);
            }
            (fence, wood(dice).lighter(0.3))
        }
    };
    canvas.glaze(&shape, Ink::Flat(colour.mix(air, dice.between(0.2, 0.55))));
}

fn road(canvas: &mut Canvas, dice: &mut Dice, horizon: f32) {
    let grey = hsv(dice.between(0.0, 1.0), 0.06, dice.between(0.38, 0.62));
    let top = horizon + dice.between(0.04, 0.1);
    let band = Shape::new().block(-0.1, top, 1.1, 1.1, 0.0);
    canvas.glaze(
        &band,
        Ink::Fall(grey.lighter(0.15), top, grey.darker(0.15), 1.0),
    );
    let y = top + (1.0 - top) * dice.between(0.45, 0.8);
    let mut dashes = Shape::new();
    let start = dice.between(-0.2, 0.0);
    for dash in 0..5 {
        let x = start + dash as f32 * 0.27;
        dashes = dashes.block(x, y, x + 0.14, y + 0.025, 0.01);
    }
    canvas.glaze(&dashes, Ink::Clear(WHITE, 0.55));
}

fn grass(canvas: &mut Canvas, dice: &mut Dice, horizon: f32, ground: Rgb) {
    for (tone, share) in [(ground.darker(0.3), 0.5), (ground.lighter(0.3), 0.5)] {
        let mut blades = Shape::new();
        for _ in 0..dice.count(8, 14) {
            let (x, y) = (dice.between(0.0, 1.0), dice.between(horizon + 0.05, 1.02));
            let h = 0.03 + 0.05 * (y - horizon);
            blades = blades.lines(&[(x, y), (x + dice.about(0.02), y - h)]);
        }
        canvas.sketch(&blades, 0.012, Ink::Clear(tone, share));
    }
}

fn pebbles(canvas: &mut Canvas, dice: &mut Dice, horizon: f32, ground: Rgb) {
    for tone in [ground.darker(0.22), ground.lighter(0.25)] {
        let mut stones = Shape::new();
        for _ in 0..dice.count(3, 7) {
            let (x, y) = (dice.between(0.0, 1.0), dice.between(horizon + 0.06, 1.0));
            let r = dice.between(0.008, 0.012) + 0.03 * (y - horizon);
            stones = stones.ellipse(x, y, r * 1.5, r);
        }
        canvas.glaze(&stones, Ink::Clear(tone, 0.8));
    }
}

fn room(canvas: &mut Canvas, dice: &mut Dice, horizon: f32) {
    let wall = if dice.chance(0.7) {
        pastel(dice)
    } else {
        muted(dice)
    };
    canvas.glaze(
        &whole(),
        Ink::Fall(wall.lighter(0.15), 0.0, wall.darker(0.12), 1.0),
    );
    pattern(canvas, dice, wall);
    let mut picture = |canvas: &mut Canvas| {
        let (x, y) = (dice.between(0.0, 0.8), dice.between(0.02, 0.2));
        let (w, h) = (dice.between(0.14, 0.26), dice.between(0.12, 0.24));
        let frame = Shape::new().block(x, y, x + w, y + h, 0.01);
        canvas.glaze(&frame, Ink::Flat(wood(dice)));
        let inner = Shape::new().block(x + 0.025, y + 0.025, x + w - 0.025, y + h - 0.025, 0.0);
        let (sky, land) = (pastel(dice), muted(dice));
        canvas.glaze(&inner, Ink::Fall(sky, y, land, y + h));
    };
    picture(canvas);
    let floor = if dice.chance(0.6) {
        wood(dice).lighter(0.25)
    } else {
        muted(dice)
    };
    let top = horizon;
    let area = Shape::new().block(-0.1, top, 1.1, 1.1, 0.0);
    canvas.glaze(
        &area,
        Ink::Fall(floor.lighter(0.1), top, floor.darker(0.15), 1.0),
    );
    let skirting = Shape::new().block(-0.1, top - 0.025, 1.1, top + 0.01, 0.0);
    canvas.glaze(&skirting, Ink::Flat(wall.lighter(0.5)));
    match dice.count(0, 2) {
        0 => {
            let mut boards = Shape::new();
            for board in -4..=4 {
                let x = 0.5 + board as f32 * 0.16;
                boards = boards.lines(&[(x, top), (0.5 + (x - 0.5) * 2.2, 1.0)]);
            }
            canvas.sketch(&boards, 0.01, Ink::Clear(floor.darker(0.4), 0.5));
        }
        1 => {
            let (x, y) = (dice.between(0.3, 0.7), (top + 1.05) / 2.0);
            let rug = vivid(dice).mix(floor, 0.4);
            for (r, tone) in [(0.42, rug), (0.34, rug.lighter(0.3)), (0.27, rug)] {
                let oval = Shape::new().ellipse(x, y, r, r * (1.0 - top) * 0.85);
                canvas.glaze(&oval, Ink::Flat(tone));
            }
        }
        _ => {}
    }
}

/// Wallpaper: faint, so that it never passes for an animal's stripes or spots.
fn pattern(canvas: &mut Canvas, dice: &mut Dice, wall: Rgb) {
    let tone = if dice.chance(0.5) {
        wall.lighter(0.3)
    } else {
        wall.darker(0.18)
    };
    let step = dice.between(0.13, 0.22);
    let places = || (0..9).map(|i| i as f32 * step);
    let mut shape = Shape::new();
    match dice.count(0, 4) {
        0 => {
            for x in places() {
                shape = shape.block(x, -0.1, x + step * 0.45, 1.1, 0.0);
            }
        }
        1 => {
            for x in places() {
                for y in places().take(5) {
                    shape = shape.ellipse(x, y, step * 0.18, step * 0.18);
                }
            }
        }
        2 => {
            for x in places() {
                shape = shape.lines(&[(x, 0.0), (x, 1.0)]);
                shape = shape.lines(&[(0.0, x), (1.0, x)]);
            }
            canvas.sketch(&shape, 0.012, Ink::Clear(tone, 0.8));
            return;
        }
        _ => return,
    }
    canvas.glaze(&shape, Ink::Clear(tone, 0.8));
}

/// Plain paper with large soft shapes: bubbles, tiles, confetti.
fn paper(canvas: &mut Canvas, dice: &mut Dice) {
    let base = if dice.chance(0.6) {
        pastel(dice)
    } else {
        muted(dice).lighter(0.25)
    };
    canvas.glaze(
        &whole(),
        Ink::Fall(base.lighter(0.2), 0.0, base.darker(0.15), 1.0),
    );
    let kind = dice.count(0, 2);
    for _ in 0..dice.count(4, 9) {
        let (x, y) = (dice.between(0.0, 1.0), dice.between(0.0, 1.0));
        let r = dice.between(0.04, 0.17);
        let turn = dice.between(0.0, std::f32::consts::TAU);
        let polygon = |n: usize| {
            let corner = |k: usize| {
                let angle = turn + std::f32::consts::TAU * k as f32 / n as f32;
                (x + r * angle.cos(), y + r * angle.sin())
            };
            let corners: Vec<(f32, f32)> = (0..n).map(corner).collect();
            Shape::new().polygon(&corners)
        };
        let shape = match kind {
            0 => Shape::new().ellipse(x, y, r, r),
            1 => polygon(3),
            _ => polygon(4),
        };
        let tone = base.mix(vivid(dice), dice.between(0.15, 0.4));
        canvas.glaze(&shape, Ink::Clear(tone, 0.7));
    }
}

/// Something in front of the object, over at most about a quarter of it. It belongs to no part.
pub(super) fn foreground(canvas: &mut Canvas, dice: &mut Dice) {
    let x = if dice.chance(0.5) {
        dice.between(0.0, 0.3)
    } else {
        dice.between(0.7, 1.0)
    };
    match dice.count(0, 4) {
        0 | 1 => {
            let (tone, y) = (leaf(dice), dice.between(0.92, 1.04));
            for (dx, dy, r) in [(-0.13, 0.04, 0.12), (0.12, 0.05, 0.11), (0.0, -0.02, 0.13)] {
                let clump = Shape::new().ellipse(x + dx, y + dy, r, r * 0.9);
                canvas.fill(&clump, Ink::Flat(tone.darker(0.1 + dy * 4.0)), Part::None);
            }
            let mut specks = Shape::new();
            for _ in 0..9 {
                let (dx, dy) = (dice.about(0.17), dice.between(-0.1, 0.1));
                specks = specks.turned(x + dx, y + dy, 0.022, 0.012, dice.about(60.0));
            }
            canvas.glaze(&specks, Ink::Clear(tone.lighter(0.3), 0.6));
        }
        2 => {
            let w = dice.between(0.025, 0.05);
            let tone = if dice.chance(0.5) {
                wood(dice)
            } else {
                muted(dice)
            };
            let pole = Shape::new().block(x - w, -0.1, x + w, 1.1, 0.0);
            canvas.fill(&pole, Ink::Flat(tone), Part::None);
            let edge = Shape::new().block(x - w, -0.1, x - w * 0.3, 1.1, 0.0);
            canvas.glaze(&edge, Ink::Clear(WHITE, 0.18));
        }
        3 => {
            let (tone, top) = (leaf(dice), dice.chance(0.5));
            let y = if top { -0.02 } else { dice.between(0.2, 0.8) };
            let side = if x < 0.5 { 1.0 } else { -1.0 };
            let edge = if x < 0.5 { 0.0 } else { 1.0 };
            for (along, turn) in [(0.06, 50.0), (0.14, -35.0), (0.2, 15.0)] {
                let at = (edge + side * along, y + along * 0.5);
                let blade = Shape::new().turned(at.0, at.1, 0.1, 0.042, turn * side);
                canvas.fill(&blade, Ink::Flat(tone.darker(along)), Part::None);
            }
        }
        _ => {
            let (tone, r, y) = (
                vivid(dice),
                dice.between(0.09, 0.15),
                dice.between(0.88, 1.0),
            );
            if dice.chance(0.5) {
                let ball = Shape::new().ellipse(x, y, r, r);
                canvas.fill(&ball, Ink::Flat(tone), Part::None);
                let glint = Shape::new().ellipse(x - r * 0.3, y - r * 0.35, r * 0.35, r * 0.25);
                canvas.glaze(&glint, Ink::Clear(WHITE, 0.5));
            } else {
                let carton = Shape::new().block(x - r, y - r, x + r, 1.1, 0.0);
                canvas.fill(&carton, Ink::Flat(tone.mix(wood(dice), 0.5)), Part::None);
                let lid = Shape::new().block(x - r * 1.1, y - r, x + r * 1.1, y - r * 0.65, 0.0);
                canvas.glaze(&lid, Ink::Clear(WHITE, 0.25));
            }
        }
    }
}
