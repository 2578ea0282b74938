//! What cars, buses and trucks have in common: lamps, wheels, panes and who looks out of them.
//!
//! The same drawing is used on every vehicle, so that a headlight is one part whatever carries it.
//! Lamps are larger than life: at 64 pixels one should fill a good share of a patch.

use super::canvas::{Canvas, Ink};
use super::colour::{INK, Rgb, WHITE, hsv, vivid};
use super::dice::Dice;
use super::part::Part;
use super::shape::Shape;

/// White, yellowish or bluish.
pub(super) fn headlight(dice: &mut Dice) -> Rgb {
    dice.pick([
        Rgb(1.0, 0.98, 0.82),
        Rgb(1.0, 0.93, 0.62),
        Rgb(0.93, 0.97, 1.0),
    ])
}

/// Red to orange.
pub(super) fn tail_light(dice: &mut Dice) -> Rgb {
    hsv(
        dice.between(-0.03, 0.06),
        dice.between(0.78, 0.95),
        dice.between(0.75, 1.0),
    )
}

/// A round lamp with a rim and a glint.
pub(super) fn lamp(
    canvas: &mut Canvas,
    at: (f32, f32),
    radii: (f32, f32),
    colour: Rgb,
    part: Part,
) {
    let ((x, y), (rx, ry)) = (at, radii);
    let rim = Shape::new().ellipse(x, y, rx * 1.22, ry * 1.22);
    canvas.glaze(&rim, Ink::Clear(INK, 0.6));
    canvas.fill(&Shape::new().ellipse(x, y, rx, ry), Ink::Flat(colour), part);
    let glint = Shape::new().ellipse(x - rx * 0.25, y - ry * 0.3, rx * 0.4, ry * 0.35);
    canvas.glaze(&glint, Ink::Clear(WHITE, 0.75));
}

/// A boxy tail-light in the box `area` (left, top, right, bottom).
pub(super) fn tail_lamp(canvas: &mut Canvas, area: [f32; 4], colour: Rgb) {
    let [left, top, right, bottom] = area;
    let lamp = Shape::new().block(left, top, right, bottom, 0.06);
    canvas.fill(&lamp, Ink::Flat(colour), Part::TailLight);
    let glint = Shape::new().block(left, top, right, top + (bottom - top) * 0.4, 0.06);
    canvas.glaze(&glint, Ink::Clear(WHITE, 0.28));
}

/// A tyre of radius `r` with its hub.
pub(super) fn wheel(canvas: &mut Canvas, x: f32, y: f32, r: f32, hub: Rgb) {
    let tyre = Shape::new().ellipse(x, y, r, r);
    canvas.fill(&tyre, Ink::Flat(Rgb(0.13, 0.13, 0.15)), Part::Wheel);
    canvas.glaze(
        &Shape::new().ellipse(x, y, r * 0.58, r * 0.58),
        Ink::Flat(hub),
    );
    canvas.glaze(
        &Shape::new().ellipse(x, y, r * 0.2, r * 0.2),
        Ink::Flat(hub.darker(0.5)),
    );
}

/// The dark gap above a wheel of radius `r`.
pub(super) fn arch(canvas: &mut Canvas, x: f32, y: f32, r: f32) {
    let gap = Shape::new().ellipse(x, y, r * 1.18, r * 1.18);
    canvas.glaze(&gap, Ink::Clear(INK, 0.75));
}

/// A pane with a slanting gleam.
pub(super) fn pane(canvas: &mut Canvas, shape: &Shape, colour: Rgb) {
    canvas.fill(shape, Ink::Flat(colour), Part::VehicleWindow);
    canvas.inside(shape, |canvas| {
        let mut gleam = Shape::new();
        for x in [-0.55, 0.0, 0.5] {
            gleam = gleam.polygon(&[
                (x, -1.0),
                (x + 0.14, -1.0),
                (x - 0.22, 0.4),
                (x - 0.36, 0.4),
            ]);
        }
        canvas.glaze(&gleam, Ink::Clear(WHITE, 0.3));
    });
}

/// Steel, lighter or darker.
pub(super) fn hub(dice: &mut Dice) -> Rgb {
    let tone = dice.between(0.65, 0.92);
    Rgb(tone, tone, tone + 0.03)
}

/// A person at the window, now and then.
pub(super) fn driver(canvas: &mut Canvas, dice: &mut Dice, x: f32, y: f32, r: f32) {
    if dice.chance(0.35) {
        let skin = Rgb(0.95, 0.78, 0.62).mix(Rgb(0.4, 0.25, 0.16), dice.between(0.0, 1.0));
        let shirt = vivid(dice);
        let body = Shape::new().ellipse(x, y + r * 1.7, r * 1.3, r);
        canvas.glaze(&body, Ink::Flat(shirt));
        canvas.glaze(&Shape::new().ellipse(x, y, r, r), Ink::Flat(skin));
    }
}
