//! The built-in demo, `parts`: drawn pictures of things with parts, no files needed.
//!
//! Endless and deterministic: a picture is a function of (seed, index). One object a picture, in
//! any colour, light, pose and place, before any background, now and then behind something or cut
//! by the edge, so that neither a class nor a part is given away by colour or place. With every
//! picture comes the part map, laid down by the same outlines, which makes "has the model found
//! headlights and dog ears" a number. Everything is drawn in units of its own, so any size works.

mod beasts;
mod bicycle;
mod canvas;
mod car;
mod coat;
mod colour;
mod dice;
mod faces;
mod fittings;
mod garden;
mod heavy;
mod insects;
mod light;
mod part;
mod scene;
mod shape;
mod wild;
mod zebra;

use std::hash::{DefaultHasher, Hash, Hasher};

use super::{LoadError, PartMap, Picture, Source};
use canvas::{Canvas, Style};
use dice::Dice;
use tiny_skia::Transform;

/// How a class is drawn.
struct Class {
    name: &'static str,
    draw: fn(&mut Canvas, &mut Dice),
    /// Largest turn to either side, in degrees: things on the ground lean, things in the air roll.
    turn: f32,
    /// Where it touches the ground, in its own units.
    foot: f32,
}

const fn class(
    name: &'static str,
    draw: fn(&mut Canvas, &mut Dice),
    turn: f32,
    foot: f32,
) -> Class {
    Class {
        name,
        draw,
        turn,
        foot,
    }
}

/// Sorted by name.
const CLASSES: [Class; 16] = [
    class("bicycle", bicycle::bicycle, 10.0, 0.8),
    class("bird", wild::bird, 20.0, 0.86),
    class("bus", heavy::bus, 6.0, 0.66),
    class("butterfly", insects::butterfly, 50.0, 0.9),
    class("car", car::car, 12.0, 0.66),
    class("cat", beasts::cat, 10.0, 0.8),
    class("dog", beasts::dog, 10.0, 0.8),
    class("fish", wild::fish, 28.0, 0.9),
    class("flower", garden::flower, 18.0, 1.0),
    class("house", garden::house, 5.0, 0.85),
    class("ladybird", insects::ladybird, 180.0, 0.9),
    class("leopard", beasts::leopard, 10.0, 0.8),
    class("tiger", beasts::tiger, 10.0, 0.8),
    class("tree", garden::tree, 9.0, 0.92),
    class("truck", heavy::truck, 6.0, 0.68),
    class("zebra", zebra::zebra, 9.0, 0.85),
];

/// Sizes that can be drawn: below, nothing is recognisable; above, a part map is no longer cheap.
const SIZES: std::ops::RangeInclusive<usize> = 16..=2048;

/// Of the drawings: to be raised when any of them changes.
const VERSION: u32 = 1;

/// A generator of `count` pictures an epoch. Picture `i` shows class `i % 16`.
pub struct Parts {
    count: usize,
    size: usize,
    seed: u64,
    classes: Vec<String>,
}

impl Parts {
    /// `count` pictures of `size` x `size` pixels (made for 64 and 128; held within 16..=2048).
    /// Another `seed` is another set of pictures of the same kind: take one to train and one to test.
    pub fn new(count: usize, size: usize, seed: u64) -> Self {
        Self {
            count,
            size: size.clamp(*SIZES.start(), *SIZES.end()),
            seed,
            classes: CLASSES.iter().map(|class| class.name.to_owned()).collect(),
        }
    }

    fn class(&self, index: usize) -> &'static Class {
        &CLASSES[index % CLASSES.len()]
    }

    /// `None` only where memory cannot hold the sheet.
    fn draw(&self, index: usize) -> Option<(Picture, PartMap)> {
        let class = self.class(index);
        let mut dice = Dice::new(self.seed, index as u64);
        let direction = dice.between(0.6, 2.5);
        let style = Style {
            light: (direction.cos(), direction.sin()),
            depth: dice.between(0.1, 0.34),
            outline: if dice.chance(0.4) {
                dice.between(0.35, 0.8)
            } else {
                0.0
            },
        };
        let mut canvas = Canvas::new(self.size, style)?;
        let (pose, foot) = pose(&mut dice, class);
        scene::background(&mut canvas, &mut dice, foot);
        canvas.within(pose, |canvas| (class.draw)(canvas, &mut dice));
        if dice.chance(0.3) {
            scene::foreground(&mut canvas, &mut dice);
        }
        let (mut rgb, ids) = canvas.finish();
        light::expose(&mut rgb, self.size, &mut dice);
        let (width, height) = (self.size, self.size);
        let picture = Picture { width, height, rgb };
        Some((picture, PartMap { width, height, ids }))
    }
}

/// Where the object stands, how large, turned and mirrored; and the height of its foot.
fn pose(dice: &mut Dice, class: &Class) -> (Transform, f32) {
    let half = dice.between(0.33, 0.47);
    // A small object may stand anywhere; a large one reaches over the edge by up to a tenth.
    let room = 0.545 - half;
    let (x, y) = (0.5 + dice.about(room), 0.51 + dice.about(room * 0.9));
    let mirror = if dice.chance(0.5) { -1.0 } else { 1.0 };
    let stretch = dice.between(0.9, 1.1);
    let lean = Transform::from_row(1.0, 0.0, dice.about(0.14), 1.0, 0.0, 0.0);
    let pose = Transform::from_translate(x, y)
        .pre_concat(Transform::from_rotate(dice.about(class.turn)))
        .pre_concat(lean)
        .pre_scale(mirror * half * stretch, half / stretch);
    (pose, y + class.foot * half)
}

impl Source for Parts {
    fn len(&self) -> usize {
        self.count
    }

    fn name(&self, index: usize) -> String {
        format!("parts/{}/{index:06}", self.class(index).name)
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(index % CLASSES.len())
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn load(&self, index: usize) -> Result<Picture, LoadError> {
        let drawn = self.draw(index).map(|(picture, _)| picture);
        drawn.ok_or_else(|| LoadError {
            name: self.name(index),
            reason: format!("no memory for {0} x {0} pixels", self.size),
        })
    }

    fn stamp(&self, _index: usize) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.size, VERSION).hash(&mut hasher);
        hasher.finish()
    }

    fn part_names(&self) -> &[&'static str] {
        part::NAMES
    }

    fn load_with_parts(&self, index: usize) -> Option<(Picture, PartMap)> {
        self.draw(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_picture_depends_on_seed_and_index_alone() {
        let one = Parts::new(64, 64, 5);
        let forwards: Vec<_> = (0..32).map(|i| one.load_with_parts(i)).collect();
        let two = Parts::new(9000, 64, 5);
        for i in (0..32).rev() {
            assert_eq!(two.load_with_parts(i), forwards[i], "picture {i}");
            assert_eq!(two.load(i).ok(), forwards[i].clone().map(|both| both.0));
        }
        let distinct: BTreeSet<_> = forwards
            .iter()
            .flatten()
            .map(|(p, _)| p.rgb.clone())
            .collect();
        assert_eq!(distinct.len(), 32);
        assert_ne!(Parts::new(64, 64, 6).load(3).ok(), one.load(3).ok());
    }

    #[test]
    fn every_size_is_filled() {
        for (asked, size) in [(0, 16), (64, 64), (97, 97), (128, 128)] {
            let parts = Parts::new(10, asked, 1);
            let (picture, map) = parts.load_with_parts(4).unwrap();
            assert_eq!(
                (picture.width, picture.height, map.width, map.height),
                (size, size, size, size)
            );
            assert_eq!(
                (picture.rgb.len(), map.ids.len()),
                (size * size * 3, size * size)
            );
        }
    }

    #[test]
    fn labels_are_balanced_and_classes_sorted() {
        let parts = Parts::new(1600, 64, 0);
        let mut tally = vec![0; parts.classes().len()];
        for index in 0..parts.len() {
            let label = parts.label(index).unwrap();
            tally[label] += 1;
            assert!(parts.name(index).contains(&parts.classes()[label]));
        }
        assert_eq!(tally, [100; 16]);
        assert!(parts.classes().is_sorted());
        assert_eq!(parts.name(20), "parts/car/000020");
    }

    /// Parts as large as a patch needs them: seen in most pictures, and on no class but their own.
    #[test]
    fn every_class_shows_its_parts() {
        let own: [&[&str]; 16] = [
            &["bicycle wheel", "saddle"],
            &["beak", "bird eye", "bird wing", "bird tail"],
            &["headlight", "tail-light", "wheel", "vehicle window"],
            &["butterfly wing", "antenna"],
            &["headlight", "tail-light", "wheel", "vehicle window"],
            &["cat ear", "cat eye", "cat nose", "cat tail"],
            &["dog ear", "dog eye", "dog nose", "dog tail"],
            &["fish eye", "fish fin", "fish tail", "scales"],
            &["petal", "flower centre"],
            &["roof", "door", "house window"],
            &["wing case", "ladybird head"],
            &["spots", "leopard ear", "leopard eye"],
            &["stripe", "tiger ear", "tiger eye"],
            &["trunk", "foliage"],
            &["headlight", "tail-light", "wheel", "vehicle window"],
            &["stripe", "zebra ear", "zebra eye", "mane", "zebra muzzle"],
        ];
        let parts = Parts::new(16 * 40, 64, 2);
        let names = parts.part_names();
        assert_eq!(names[0], "none");
        let mut named: BTreeSet<&str> = BTreeSet::from(["none"]);
        for (label, own) in own.iter().enumerate() {
            named.extend(own.iter());
            let mut shown = vec![0; names.len()];
            for i in 0..40 {
                let (_, map) = parts.load_with_parts(i * 16 + label).unwrap();
                let mut pixels = vec![0; names.len()];
                for id in map.ids {
                    pixels[usize::from(id)] += 1;
                }
                for (id, pixels) in pixels.into_iter().enumerate() {
                    if pixels > 0 {
                        shown[id] += 1;
                        let expected = id == 0 || own.contains(&names[id]);
                        assert!(expected, "{} on {}", names[id], CLASSES[label].name);
                    }
                }
            }
            for part in *own {
                let id = names.iter().position(|name| name == part).unwrap();
                let enough = if part.ends_with("tail") { 10 } else { 16 };
                assert!(shown[id] >= enough, "{part}: in {} of 40", shown[id]);
            }
        }
        assert_eq!(named.len(), names.len(), "a part is drawn by no class");
    }
}
