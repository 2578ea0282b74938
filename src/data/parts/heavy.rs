//! Buses and trucks.
//!
//! They carry the cars' lamps, wheels and panes on other bodies: what tells the three apart is the
//! outline and the number of parts, not the parts.

use super::canvas::{Canvas, Ink};
use super::colour::{INK, Rgb, WHITE, glass, hsv, lacquer, vivid};
use super::dice::Dice;
use super::fittings::{arch, driver, headlight, hub, lamp, pane, tail_lamp, tail_light, wheel};
use super::part::Part;
use super::shape::Shape;

pub(super) fn bus(canvas: &mut Canvas, dice: &mut Dice) {
    if dice.chance(0.7) {
        bus_side(canvas, dice);
    } else {
        bus_front(canvas, dice);
    }
}

fn bus_side(canvas: &mut Canvas, dice: &mut Dice) {
    let (paint, pane_colour, rim) = (lacquer(dice), glass(dice), hub(dice));
    let double = dice.chance(0.3);
    let top = if double {
        -0.9
    } else {
        dice.between(-0.62, -0.5)
    };
    canvas.shadow(0.0, 0.68, 1.08);
    let body = Shape::new().block(-1.0, top, 1.0, 0.5, 0.16);
    canvas.fill(&body, Ink::Lit(paint), Part::None);
    let stripe = if dice.chance(0.5) { WHITE } else { vivid(dice) };
    canvas.inside(&body, |canvas| {
        let band = Shape::new().block(-1.1, 0.12, 1.1, 0.24, 0.0);
        canvas.glaze(&band, Ink::Clear(stripe, 0.75));
    });
    let n = dice.count(4, 5);
    let width = 1.42 / n as f32;
    let rows: &[f32] = if double { &[-0.8, -0.3] } else { &[top + 0.12] };
    for &row in rows {
        let mut row_of = Shape::new();
        for i in 0..n {
            let x = -0.92 + i as f32 * width;
            row_of = row_of.block(x, row, x + width - 0.06, row + 0.34, 0.05);
        }
        pane(canvas, &row_of, pane_colour);
    }
    let low = if double { -0.3 } else { top + 0.12 };
    let door = Shape::new().block(0.56, low, 0.92, 0.42, 0.05);
    pane(canvas, &door, pane_colour);
    canvas.inside(&door, |canvas| driver(canvas, dice, 0.78, low + 0.2, 0.1));
    canvas.sketch(
        &Shape::new().lines(&[(0.74, low), (0.74, 0.42)]),
        0.03,
        Ink::Clear(INK, 0.5),
    );
    for x in [-0.56, 0.3] {
        arch(canvas, x, 0.46, 0.22);
        wheel(canvas, x, 0.46, 0.22, rim);
    }
    lamp(
        canvas,
        (0.91, 0.32),
        (0.135, 0.13),
        headlight(dice),
        Part::Headlight,
    );
    tail_lamp(canvas, [-1.02, 0.12, -0.82, 0.42], tail_light(dice));
}

fn bus_front(canvas: &mut Canvas, dice: &mut Dice) {
    let (paint, pane_colour) = (lacquer(dice), glass(dice));
    canvas.shadow(0.0, 0.82, 0.85);
    for side in [-1.0, 1.0] {
        let x = side * 0.48;
        let tyre = Shape::new().block(x - 0.15, 0.5, x + 0.15, 0.86, 0.06);
        canvas.fill(&tyre, Ink::Flat(Rgb(0.13, 0.13, 0.15)), Part::Wheel);
    }
    let mirrors = Shape::new()
        .block(-0.9, -0.5, -0.74, -0.12, 0.05)
        .block(0.74, -0.5, 0.9, -0.12, 0.05);
    canvas.fill(&mirrors, Ink::Flat(INK.lighter(0.1)), Part::None);
    let body = Shape::new().block(-0.74, -0.95, 0.74, 0.7, 0.18);
    canvas.fill(&body, Ink::Lit(paint), Part::None);
    let sign = Shape::new().block(-0.45, -0.86, 0.45, -0.68, 0.04);
    canvas.glaze(&sign, Ink::Flat(INK));
    let text = Shape::new()
        .lines(&[(-0.32, -0.77), (-0.05, -0.77)])
        .lines(&[(0.08, -0.77), (0.3, -0.77)]);
    canvas.sketch(&text, 0.06, Ink::Clear(Rgb(1.0, 0.8, 0.3), 0.9));
    let screen = Shape::new().block(-0.64, -0.6, 0.64, 0.12, 0.08);
    pane(canvas, &screen, pane_colour);
    canvas.inside(&screen, |canvas| driver(canvas, dice, 0.3, -0.14, 0.14));
    canvas.sketch(
        &Shape::new().lines(&[(0.0, -0.6), (0.0, 0.12)]),
        0.035,
        Ink::Clear(INK, 0.5),
    );
    let bumper = Shape::new().block(-0.76, 0.54, 0.76, 0.72, 0.06);
    canvas.glaze(&bumper, Ink::Clear(INK, 0.55));
    let light = headlight(dice);
    let size = dice.between(0.14, 0.17);
    for x in [-0.5, 0.5] {
        lamp(canvas, (x, 0.34), (size, size), light, Part::Headlight);
    }
}

pub(super) fn truck(canvas: &mut Canvas, dice: &mut Dice) {
    let (paint, pane_colour, rim) = (lacquer(dice), glass(dice), hub(dice));
    canvas.shadow(0.0, 0.7, 1.08);
    let chassis = Shape::new().block(-0.98, 0.34, 0.9, 0.46, 0.03);
    canvas.fill(&chassis, Ink::Flat(INK.lighter(0.12)), Part::None);
    let load = lacquer(dice).lighter(0.15);
    match dice.count(0, 2) {
        0 => {
            let cargo = Shape::new().block(-1.0, dice.between(-0.85, -0.7), 0.28, 0.34, 0.04);
            canvas.fill(&cargo, Ink::Lit(load), Part::None);
            let mut seams = Shape::new();
            for x in [-0.7, -0.36, -0.02] {
                seams = seams.lines(&[(x, -0.62), (x, 0.26)]);
            }
            canvas.sketch(&seams, 0.025, Ink::Clear(load.darker(0.5), 0.5));
        }
        1 => {
            let tank = Shape::new().block(-1.0, -0.52, 0.28, 0.3, 0.36);
            canvas.fill(&tank, Ink::Lit(load), Part::None);
            let gleam = Shape::new().block(-0.85, -0.38, 0.12, -0.26, 0.06);
            canvas.glaze(&gleam, Ink::Clear(WHITE, 0.5));
        }
        _ => {
            let heap = Shape::new().blob(&[
                (-0.85, -0.1),
                (-0.6, -0.42),
                (-0.3, -0.5),
                (0.02, -0.36),
                (0.18, -0.1),
            ]);
            let earth = hsv(dice.between(0.06, 0.13), 0.5, dice.between(0.45, 0.75));
            canvas.fill(&heap, Ink::Lit(earth), Part::None);
            let tub =
                Shape::new().polygon(&[(-1.0, -0.18), (0.28, -0.18), (0.2, 0.34), (-0.88, 0.34)]);
            canvas.fill(&tub, Ink::Lit(load), Part::None);
            let ribs = Shape::new()
                .lines(&[(-0.6, -0.12), (-0.56, 0.28)])
                .lines(&[(-0.14, -0.12), (-0.14, 0.28)]);
            canvas.sketch(&ribs, 0.04, Ink::Clear(load.darker(0.5), 0.5));
        }
    }
    let top = dice.between(-0.5, -0.4);
    let cab = Shape::new().polygon(&[
        (0.34, top),
        (0.74, top),
        (0.9, -0.02),
        (1.0, 0.04),
        (1.0, 0.46),
        (0.34, 0.46),
    ]);
    canvas.fill(&cab, Ink::Lit(paint), Part::None);
    let window = Shape::new().polygon(&[
        (0.42, top + 0.1),
        (0.69, top + 0.1),
        (0.82, 0.0),
        (0.42, 0.0),
    ]);
    pane(canvas, &window, pane_colour);
    canvas.inside(&window, |canvas| driver(canvas, dice, 0.58, -0.15, 0.1));
    let handle = Shape::new().lines(&[(0.44, 0.12), (0.54, 0.12)]);
    canvas.sketch(&handle, 0.03, Ink::Clear(INK, 0.6));
    for x in [-0.74, -0.24, 0.6] {
        wheel(canvas, x, 0.46, 0.235, rim);
    }
    lamp(
        canvas,
        (0.91, 0.22),
        (0.125, 0.135),
        headlight(dice),
        Part::Headlight,
    );
    tail_lamp(canvas, [-1.06, 0.18, -0.86, 0.46], tail_light(dice));
}
