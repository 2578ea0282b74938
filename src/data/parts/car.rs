//! Cars in any body colour: from the side in four body shapes, from the front, from the back.
//!
//! Objects live in `-1..1` both ways, look to the right, y points down.

use super::canvas::{Canvas, Ink};
use super::colour::{INK, Rgb, WHITE, glass, lacquer};
use super::dice::Dice;
use super::fittings::{arch, driver, headlight, hub, lamp, pane, tail_lamp, tail_light, wheel};
use super::part::Part;
use super::shape::Shape;

pub(super) fn car(canvas: &mut Canvas, dice: &mut Dice) {
    match dice.count(0, 4) {
        0..=2 => car_side(canvas, dice),
        3 => car_end(canvas, dice, true),
        _ => car_end(canvas, dice, false),
    }
}

fn car_side(canvas: &mut Canvas, dice: &mut Dice) {
    let (paint, pane_colour, rim) = (lacquer(dice), glass(dice), hub(dice));
    let lift = dice.between(-0.08, 0.06);
    let wheels = (
        dice.between(-0.6, -0.5),
        dice.between(0.5, 0.58),
        dice.between(0.23, 0.28),
    );
    canvas.shadow(0.0, 0.68, 1.05);
    // Saloon, hatchback, estate, beetle: the cabin from back to front.
    let top = -0.52 + lift;
    let (tail, back, front, nose) = dice.pick([
        (-0.74, -0.42, 0.18, 0.55),
        (-0.88, -0.7, 0.12, 0.5),
        (-0.95, -0.86, 0.2, 0.52),
        (-0.82, -0.45, 0.25, 0.66),
    ]);
    let cabin = Shape::new().blob(&[
        (tail, 0.02),
        (back, top + 0.03),
        ((back + front) / 2.0, top - 0.04),
        (front, top + 0.03),
        (nose, 0.02),
        (0.0, 0.12),
    ]);
    let (boot, bonnet) = (dice.between(-0.1, 0.02), dice.between(-0.08, 0.06));
    let body = Shape::new().blob(&[
        (-0.98, 0.3),
        (-0.97, boot),
        (-0.6, -0.08),
        (0.3, -0.1),
        (0.9, bonnet + 0.02),
        (1.0, 0.25),
        (0.94, 0.47),
        (0.0, 0.5),
        (-0.94, 0.47),
    ]);
    canvas.fill(&cabin, Ink::Lit(paint), Part::None);
    canvas.fill(&body, Ink::Lit(paint), Part::None);
    let (sill, high) = (-0.04, top + 0.09);
    let pillar = (back + front) / 2.0 + dice.about(0.06);
    let rear = Shape::new().polygon(&[
        (tail + 0.13, sill),
        (back + 0.06, high),
        (pillar - 0.05, high - 0.02),
        (pillar - 0.05, sill),
    ]);
    let ahead = Shape::new().polygon(&[
        (pillar + 0.04, sill),
        (pillar + 0.04, high - 0.02),
        (front - 0.02, high),
        (nose - 0.12, sill),
    ]);
    pane(canvas, &rear, pane_colour);
    pane(canvas, &ahead, pane_colour);
    canvas.inside(&ahead, |canvas| {
        driver(canvas, dice, pillar + 0.2, -0.2, 0.1)
    });
    let skirt = Shape::new().block(-0.92, 0.36, 0.92, 0.47, 0.05);
    canvas.glaze(&skirt, Ink::Clear(INK, 0.35));
    let door = Shape::new()
        .lines(&[(pillar, -0.02), (pillar, 0.36)])
        .lines(&[(pillar - 0.16, 0.08), (pillar - 0.06, 0.08)]);
    canvas.sketch(&door, 0.025, Ink::Clear(INK, 0.45));
    if dice.chance(0.25) {
        let band = Shape::new().block(-0.96, 0.14, 0.96, 0.22, 0.0);
        canvas.inside(&body, |canvas| canvas.glaze(&band, Ink::Clear(WHITE, 0.6)));
    }
    for x in [wheels.0, wheels.1] {
        arch(canvas, x, 0.45, wheels.2);
        wheel(canvas, x, 0.45, wheels.2, rim);
    }
    let light = (dice.between(0.125, 0.155), dice.between(0.12, 0.15));
    lamp(
        canvas,
        (0.86, bonnet + 0.14),
        light,
        headlight(dice),
        Part::Headlight,
    );
    tail_lamp(
        canvas,
        [-1.02, boot + 0.01, -0.8, boot + 0.29],
        tail_light(dice),
    );
}

fn car_end(canvas: &mut Canvas, dice: &mut Dice, front: bool) {
    let (paint, pane_colour) = (lacquer(dice), glass(dice));
    let (roof, wide) = (dice.between(-0.68, -0.56), dice.between(0.5, 0.62));
    canvas.shadow(0.0, 0.68, 0.95);
    for side in [-1.0, 1.0] {
        let x = side * 0.6;
        let tyre = Shape::new().block(x - 0.16, 0.25, x + 0.16, 0.7, 0.08);
        canvas.fill(&tyre, Ink::Flat(Rgb(0.13, 0.13, 0.15)), Part::Wheel);
    }
    let cabin = Shape::new().mirrored(&[
        (0.0, roof - 0.03),
        (wide, roof + 0.05),
        (0.74, -0.05),
        (0.6, 0.1),
        (0.0, 0.15),
    ]);
    canvas.fill(&cabin, Ink::Lit(paint), Part::None);
    let screen = Shape::new().polygon(&[
        (-wide + 0.06, roof + 0.1),
        (wide - 0.06, roof + 0.1),
        (0.62, -0.1),
        (-0.62, -0.1),
    ]);
    pane(canvas, &screen, pane_colour);
    if front {
        canvas.inside(&screen, |canvas| driver(canvas, dice, 0.25, -0.28, 0.12));
    }
    let mirrors = Shape::new()
        .ellipse(-0.86, -0.1, 0.1, 0.07)
        .ellipse(0.86, -0.1, 0.1, 0.07);
    canvas.fill(&mirrors, Ink::Flat(paint.darker(0.25)), Part::None);
    let body = Shape::new().block(-0.86, -0.1, 0.86, 0.52, 0.2);
    canvas.fill(&body, Ink::Lit(paint), Part::None);
    let bumper = Shape::new().block(-0.88, 0.36, 0.88, 0.52, 0.08);
    canvas.glaze(&bumper, Ink::Clear(INK, 0.5));
    let plate = Shape::new().block(-0.2, 0.37, 0.2, 0.5, 0.02);
    canvas.glaze(&plate, Ink::Flat(Rgb(0.95, 0.94, 0.86)));
    if front {
        let grille = Shape::new().block(-0.3, 0.08, 0.3, 0.28, 0.06);
        canvas.glaze(&grille, Ink::Clear(INK, 0.8));
        let bars = Shape::new()
            .lines(&[(-0.24, 0.15), (0.24, 0.15)])
            .lines(&[(-0.24, 0.22), (0.24, 0.22)]);
        canvas.sketch(&bars, 0.025, Ink::Clear(WHITE, 0.6));
        let (light, size) = (
            headlight(dice),
            (dice.between(0.14, 0.19), dice.between(0.14, 0.17)),
        );
        for x in [-0.58, 0.58] {
            lamp(canvas, (x, 0.14), size, light, Part::Headlight);
        }
    } else {
        let colour = tail_light(dice);
        let (w, h) = (dice.between(0.2, 0.28), dice.between(0.2, 0.28));
        tail_lamp(canvas, [-0.84, 0.02, -0.84 + w, 0.02 + h], colour);
        tail_lamp(canvas, [0.84 - w, 0.02, 0.84, 0.02 + h], colour);
        let handle = Shape::new().lines(&[(-0.14, 0.1), (0.14, 0.1)]);
        canvas.sketch(&handle, 0.035, Ink::Clear(INK, 0.5));
    }
}
