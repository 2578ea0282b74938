//! Dogs, cats, tigers and leopards: four poses, one for any head and any coat.
//!
//! Standing, lying, sitting and a portrait share everything but head, coat and tail, so a class is
//! told by those parts and not by how the animal stands.

use super::canvas::{Canvas, Ink};
use super::coat::{Coat, Kind};
use super::colour::{INK, vivid};
use super::dice::Dice;
use super::faces;
use super::part::Part;
use super::shape::Shape;
use tiny_skia::Transform;

struct Beast {
    coat: Coat,
    head: fn(&mut Canvas, &mut Dice, &Coat),
    tail: Part,
    /// Tail width, and length against a cat's.
    tail_size: (f32, f32),
}

pub(super) fn dog(canvas: &mut Canvas, dice: &mut Dice) {
    let beast = Beast {
        coat: Coat::pet(dice, false),
        head: faces::dog,
        tail: Part::DogTail,
        tail_size: (dice.between(0.16, 0.22), 0.72),
    };
    beast.draw(canvas, dice);
}

pub(super) fn cat(canvas: &mut Canvas, dice: &mut Dice) {
    let beast = Beast {
        coat: Coat::pet(dice, true),
        head: faces::cat,
        tail: Part::CatTail,
        tail_size: (dice.between(0.12, 0.16), 1.0),
    };
    beast.draw(canvas, dice);
}

pub(super) fn tiger(canvas: &mut Canvas, dice: &mut Dice) {
    let beast = Beast {
        coat: Coat::tiger(dice),
        head: faces::tiger,
        tail: Part::Stripe,
        tail_size: (0.14, 1.0),
    };
    beast.draw(canvas, dice);
}

pub(super) fn leopard(canvas: &mut Canvas, dice: &mut Dice) {
    let beast = Beast {
        coat: Coat::leopard(dice),
        head: faces::leopard,
        tail: Part::Spots,
        tail_size: (0.14, 1.0),
    };
    beast.draw(canvas, dice);
}

/// Size of a pattern on the body, in body units.
const GRAIN: f32 = 0.24;

impl Beast {
    fn draw(&self, canvas: &mut Canvas, dice: &mut Dice) {
        match dice.count(0, 6) {
            0 | 1 => self.standing(canvas, dice),
            2 => self.lying(canvas, dice),
            3 | 4 => self.sitting(canvas, dice),
            _ => self.portrait(canvas, dice),
        }
    }

    fn head_at(&self, canvas: &mut Canvas, dice: &mut Dice, x: f32, y: f32, scale: f32) {
        let side = if dice.chance(0.5) { 1.0 } else { -1.0 };
        let pose = Transform::from_translate(x, y)
            .pre_concat(Transform::from_rotate(dice.about(13.0)))
            .pre_scale(scale * side * dice.between(0.94, 1.06), scale);
        canvas.within(pose, |canvas| (self.head)(canvas, dice, &self.coat));
    }

    /// A tail from `root` by way of `points` (steps from the root at a cat's length).
    fn tail(&self, canvas: &mut Canvas, dice: &mut Dice, root: (f32, f32), points: &[(f32, f32)]) {
        let (width, length) = self.tail_size;
        let sway = dice.between(0.85, 1.15);
        let path: Vec<(f32, f32)> = std::iter::once(root)
            .chain(
                points
                    .iter()
                    .map(|(x, y)| (root.0 + x * length * sway, root.1 + y * length)),
            )
            .collect();
        let line = Shape::new().curve(&path);
        canvas.stroke(
            &line,
            width,
            Ink::Lit(self.coat.base.darker(0.1)),
            self.tail,
        );
        let patterned = matches!(self.coat.kind, Kind::Tiger | Kind::Leopard | Kind::Tabby);
        if let Some(&(x, y)) = path.last()
            && (patterned || dice.chance(0.4))
        {
            let tip = Shape::new().ellipse(x, y, width * 0.5, width * 0.5);
            canvas.glaze(&tip, Ink::Flat(self.coat.dark));
        }
        if patterned {
            let mut rings = Shape::new();
            for pair in path.windows(2) {
                if let [a, b] = pair {
                    let middle = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
                    for (x, y) in [middle, *b] {
                        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
                        let n = dx.hypot(dy).max(1e-3) * 2.2 / width;
                        rings = rings.lines(&[(x - dy / n, y + dx / n), (x + dy / n, y - dx / n)]);
                    }
                }
            }
            canvas.sketch(&rings, width * 0.36, Ink::Flat(self.coat.dark));
        }
    }

    /// Legs with their paws on the ground.
    fn legs(&self, canvas: &mut Canvas, dice: &mut Dice, places: &[f32], top: f32, shade: f32) {
        let coat = Coat {
            base: self.coat.base.darker(shade),
            ..self.coat
        };
        for &x in places {
            let leg = Shape::new().block(x - 0.11, top, x + 0.11, 0.8, 0.1);
            coat.cover(
                canvas,
                dice,
                &leg,
                [x - 0.11, top, x + 0.11, 0.8],
                GRAIN * 0.85,
            );
            let paw = Shape::new().ellipse(x + 0.04, 0.76, 0.15, 0.075);
            canvas.fill(&paw, Ink::Flat(coat.pale.darker(shade)), Part::None);
        }
    }

    fn collar(&self, canvas: &mut Canvas, dice: &mut Dice, x: f32, y: f32, rx: f32) {
        let pet = self.coat.part() == Part::None;
        if pet && dice.chance(0.35) {
            let band = Shape::new().curve(&[(x - rx, y - 0.04), (x, y + 0.06), (x + rx, y - 0.04)]);
            canvas.stroke(&band, 0.11, Ink::Flat(vivid(dice)), Part::None);
        }
    }

    fn standing(&self, canvas: &mut Canvas, dice: &mut Dice) {
        canvas.shadow(0.0, 0.8, 0.9);
        self.tail(
            canvas,
            dice,
            (-0.64, -0.02),
            &[(-0.2, -0.06), (-0.32, -0.34), (-0.2, -0.58), (-0.3, -0.78)],
        );
        self.legs(canvas, dice, &[-0.34, 0.24], 0.1, 0.22);
        let body = Shape::new().blob(&[
            (-0.74, 0.0),
            (-0.62, -0.22),
            (-0.1, -0.2),
            (0.4, -0.28),
            (0.64, -0.05),
            (0.5, 0.28),
            (0.0, 0.28),
            (-0.55, 0.34),
        ]);
        self.coat
            .cover(canvas, dice, &body, [-0.76, -0.3, 0.66, 0.34], GRAIN);
        self.legs(canvas, dice, &[-0.55, 0.42], 0.12, 0.0);
        let x = dice.between(0.46, 0.56);
        self.collar(canvas, dice, x, 0.02, 0.25);
        let y = dice.between(-0.46, -0.34);
        self.head_at(canvas, dice, x, y, 0.55);
    }

    fn lying(&self, canvas: &mut Canvas, dice: &mut Dice) {
        canvas.shadow(0.0, 0.72, 1.0);
        self.tail(
            canvas,
            dice,
            (-0.72, 0.52),
            &[(-0.22, -0.02), (-0.3, -0.28), (-0.12, -0.48), (-0.2, -0.7)],
        );
        let body = Shape::new().blob(&[
            (-0.84, 0.5),
            (-0.76, 0.12),
            (-0.3, -0.06),
            (0.3, -0.08),
            (0.62, 0.2),
            (0.62, 0.6),
            (0.0, 0.72),
            (-0.7, 0.72),
        ]);
        self.coat
            .cover(canvas, dice, &body, [-0.86, -0.1, 0.66, 0.74], GRAIN);
        let thigh = Shape::new().ellipse(-0.5, 0.44, 0.27, 0.25);
        self.coat
            .cover(canvas, dice, &thigh, [-0.77, 0.19, -0.23, 0.69], GRAIN);
        let paws = Shape::new()
            .block(0.2, 0.56, 0.72, 0.76, 0.1)
            .block(-0.5, 0.62, -0.12, 0.78, 0.08);
        canvas.fill(&paws, Ink::Lit(self.coat.pale), Part::None);
        self.collar(canvas, dice, 0.42, 0.34, 0.26);
        let x = dice.between(0.36, 0.48);
        self.head_at(canvas, dice, x, -0.1, 0.58);
    }

    fn sitting(&self, canvas: &mut Canvas, dice: &mut Dice) {
        canvas.shadow(0.0, 0.84, 0.75);
        self.tail(
            canvas,
            dice,
            (0.34, 0.66),
            &[(0.24, 0.04), (0.42, -0.16), (0.4, -0.46), (0.52, -0.66)],
        );
        let body = Shape::new().mirrored(&[
            (0.0, -0.2),
            (0.3, -0.05),
            (0.42, 0.4),
            (0.46, 0.74),
            (0.0, 0.86),
        ]);
        self.coat
            .cover(canvas, dice, &body, [-0.5, -0.2, 0.5, 0.86], GRAIN);
        let chest = Shape::new().ellipse(0.0, 0.26, 0.17, 0.26);
        canvas.glaze(&chest, Ink::Clear(self.coat.pale, 0.9));
        for side in [-1.0, 1.0] {
            let x = side * 0.15;
            let leg = Shape::new().block(x - 0.11, 0.32, x + 0.11, 0.86, 0.1);
            self.coat.cover(
                canvas,
                dice,
                &leg,
                [x - 0.11, 0.32, x + 0.11, 0.86],
                GRAIN * 0.85,
            );
        }
        let paws = Shape::new()
            .ellipse(-0.17, 0.82, 0.15, 0.09)
            .ellipse(0.17, 0.82, 0.15, 0.09)
            .ellipse(-0.42, 0.8, 0.15, 0.09)
            .ellipse(0.42, 0.8, 0.15, 0.09);
        canvas.fill(&paws, Ink::Flat(self.coat.pale), Part::None);
        let toes = Shape::new()
            .lines(&[(-0.17, 0.79), (-0.17, 0.86)])
            .lines(&[(0.17, 0.79), (0.17, 0.86)]);
        canvas.sketch(&toes, 0.025, Ink::Clear(INK, 0.5));
        self.collar(canvas, dice, 0.0, 0.02, 0.3);
        self.head_at(canvas, dice, 0.0, -0.36, 0.66);
    }

    fn portrait(&self, canvas: &mut Canvas, dice: &mut Dice) {
        let chest = Shape::new().mirrored(&[
            (0.0, 0.25),
            (0.5, 0.4),
            (0.78, 0.85),
            (0.8, 2.3),
            (0.0, 2.4),
        ]);
        self.coat
            .cover(canvas, dice, &chest, [-0.85, 0.2, 0.85, 2.3], GRAIN * 1.5);
        self.collar(canvas, dice, 0.0, 0.72, 0.5);
        self.head_at(canvas, dice, 0.0, -0.05, 0.92);
    }
}
