//! The sheet a picture is drawn on, and the part map that grows with it.
//!
//! Colour and part are laid down by one call with one outline, so the map cannot drift from the
//! picture: colour with smooth edges, part numbers without, in a second sheet. What lies in front
//! of a part and belongs to none writes "none" over it.

use super::colour::Rgb;
use super::part::Part;
use super::shape::Shape;
use tiny_skia::{
    BlendMode, Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Mask, Paint, Path,
    Pixmap, Point, RadialGradient, Shader, SpreadMode, Stroke, Transform,
};

/// How a shape is coloured.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    /// One colour.
    Flat(Rgb),
    /// One colour, partly transparent: colour and opacity.
    Clear(Rgb, f32),
    /// A solid body in the picture's light: lighter towards it, darker away, outlined where the
    /// picture has outlines.
    Lit(Rgb),
    /// Colour and opacity in the middle (`x`, `y`), fading out at `radius`.
    Glow(Rgb, f32, (f32, f32), f32),
    /// From the first colour at the first height to the second colour at the second.
    Fall(Rgb, f32, Rgb, f32),
}

/// Style of a whole picture.
#[derive(Clone, Copy)]
pub(super) struct Style {
    /// Direction the light goes, of length 1, in picture axes.
    pub light: (f32, f32),
    /// How much bodies are shaded, 0 to about 0.4.
    pub depth: f32,
    /// Opacity of outlines; 0 for none.
    pub outline: f32,
}

/// A square sheet with its part map.
pub(super) struct Canvas {
    colour: Pixmap,
    /// Part numbers in the red channel.
    parts: Pixmap,
    size: f32,
    pose: Transform,
    clip: Option<Mask>,
    marked: bool,
    pub(super) style: Style,
}

impl Canvas {
    /// An empty sheet of `size` x `size` pixels whose units are `0..1` across; `None` where the size
    /// is 0 or too large for memory.
    pub(super) fn new(size: usize, style: Style) -> Option<Self> {
        let side = u32::try_from(size).ok()?;
        Some(Self {
            colour: Pixmap::new(side, side)?,
            parts: Pixmap::new(side, side)?,
            size: size as f32,
            pose: Transform::from_scale(size as f32, size as f32),
            clip: None,
            marked: false,
            style,
        })
    }

    /// Draws in units of its own: `pose` maps them to the units outside.
    pub(super) fn within(&mut self, pose: Transform, draw: impl FnOnce(&mut Self)) {
        let outside = self.pose;
        self.pose = outside.pre_concat(pose);
        draw(self);
        self.pose = outside;
    }

    /// Draws only what lies inside `shape`. Colour only: a soft edge cannot be cut into part numbers.
    pub(super) fn inside(&mut self, shape: &Shape, draw: impl FnOnce(&mut Self)) {
        let side = self.colour.width();
        let (Some(path), Some(mut mask)) = (shape.under(self.pose), Mask::new(side, side)) else {
            return;
        };
        mask.fill_path(&path, FillRule::Winding, true, Transform::identity());
        let outside = self.clip.replace(mask);
        draw(self);
        self.clip = outside;
    }

    /// Fills `shape` and marks it as `part`, over whatever was there.
    pub(super) fn fill(&mut self, shape: &Shape, ink: Ink, part: Part) {
        let Some(path) = shape.under(self.pose) else {
            return;
        };
        self.paint(&path, ink);
        self.mark(&path, part);
        if let Ink::Lit(colour) = ink
            && self.style.outline > 0.0
        {
            let ink = Ink::Clear(colour.darker(0.6), self.style.outline);
            self.paint_stroke(&path, self.size * 0.012, ink);
        }
    }

    /// Fills `shape` with colour and leaves the parts as they are: shadows, glints, fur.
    pub(super) fn glaze(&mut self, shape: &Shape, ink: Ink) {
        if let Some(path) = shape.under(self.pose) {
            self.paint(&path, ink);
        }
    }

    /// Draws along `shape` with round ends, `width` in own units, and marks it as `part`.
    pub(super) fn stroke(&mut self, shape: &Shape, width: f32, ink: Ink, part: Part) {
        let Some(path) = shape.under(self.pose) else {
            return;
        };
        let line = line(width * self.scale());
        // Outlining a stroke by a wider one beneath costs less than stroking its outline.
        if let Ink::Lit(colour) = ink
            && self.style.outline > 0.0
        {
            let ink = Ink::Clear(colour.darker(0.6), self.style.outline);
            self.paint_stroke(&path, line.width + self.size * 0.018, ink);
        }
        let area = path.stroke(&line, 1.0);
        self.paint_stroke(&path, line.width, ink);
        if let Some(area) = area {
            self.mark(&area, part);
        }
    }

    /// [`Canvas::stroke`] that leaves the parts as they are.
    pub(super) fn sketch(&mut self, shape: &Shape, width: f32, ink: Ink) {
        if let Some(path) = shape.under(self.pose) {
            self.paint_stroke(&path, width * self.scale(), ink);
        }
    }

    /// A soft shadow on the ground about (`x`, `y`), `rx` wide to each side.
    pub(super) fn shadow(&mut self, x: f32, y: f32, rx: f32) {
        let flat = Transform::from_translate(x, y).pre_scale(rx, rx * 0.22);
        self.within(flat, |canvas| {
            let ink = Ink::Glow(Rgb(0.04, 0.03, 0.1), 0.55, (0.0, 0.0), 1.0);
            canvas.glaze(&Shape::new().ellipse(0.0, 0.0, 1.0, 1.0), ink);
        });
    }

    /// The finished bytes: RGB, and part numbers.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<u8>) {
        let rgb = self.colour.data().chunks_exact(4);
        let rgb = rgb.flat_map(|p| [p[0], p[1], p[2]]).collect();
        let ids = self.parts.data().chunks_exact(4).map(|p| p[0]).collect();
        (rgb, ids)
    }

    /// Pixels per own unit.
    fn scale(&self) -> f32 {
        let t = self.pose;
        (t.sx * t.sy - t.kx * t.ky).abs().sqrt()
    }

    fn mark(&mut self, path: &Path, part: Part) {
        // While nothing is marked, "none" changes nothing: the whole background is spared.
        if self.clip.is_some() || (part == Part::None && !self.marked) {
            return;
        }
        self.marked = true;
        let paint = Paint {
            shader: Shader::SolidColor(Color::from_rgba8(part as u8, 0, 0, 255)),
            anti_alias: false,
            blend_mode: BlendMode::Source,
            ..Paint::default()
        };
        let still = Transform::identity();
        self.parts
            .fill_path(path, &paint, FillRule::Winding, still, None);
    }

    fn paint(&mut self, path: &Path, ink: Ink) {
        let paint = self.mixed(ink);
        let (still, clip) = (Transform::identity(), self.clip.as_ref());
        self.colour
            .fill_path(path, &paint, FillRule::Winding, still, clip);
    }

    fn paint_stroke(&mut self, path: &Path, pixels: f32, ink: Ink) {
        let paint = self.mixed(ink);
        let (still, clip) = (Transform::identity(), self.clip.as_ref());
        self.colour
            .stroke_path(path, &paint, &line(pixels), still, clip);
    }

    /// Paths are in pixels when they are painted, so gradients are put there, too.
    fn mixed(&self, ink: Ink) -> Paint<'static> {
        let place = |x: f32, y: f32| {
            let mut point = Point::from_xy(x, y);
            self.pose.map_point(&mut point);
            point
        };
        let linear = |from: Point, to: Point, first: Rgb, last: Rgb| {
            let stops = vec![
                GradientStop::new(0.0, solid(first, 1.0)),
                GradientStop::new(1.0, solid(last, 1.0)),
            ];
            LinearGradient::new(from, to, stops, SpreadMode::Pad, Transform::identity())
        };
        let (shader, fallback) = match ink {
            Ink::Flat(colour) => (None, solid(colour, 1.0)),
            Ink::Clear(colour, opacity) => (None, solid(colour, opacity)),
            Ink::Lit(colour) => {
                let (middle, reach) = (place(0.0, 0.0), 0.85 * self.scale());
                let Style { light, depth, .. } = self.style;
                let step = Point::from_xy(light.0 * reach, light.1 * reach);
                let (bright, dark) = (colour.lighter(depth * 0.7), colour.darker(depth));
                (
                    linear(middle - step, middle + step, bright, dark),
                    solid(colour, 1.0),
                )
            }
            Ink::Fall(top, from, bottom, to) => (
                linear(place(0.0, from), place(0.0, to), top, bottom),
                solid(top, 1.0),
            ),
            Ink::Glow(colour, opacity, (x, y), radius) => {
                let stops = vec![
                    GradientStop::new(0.0, solid(colour, opacity)),
                    GradientStop::new(0.55, solid(colour, opacity * 0.7)),
                    GradientStop::new(1.0, solid(colour, 0.0)),
                ];
                let origin = Point::from_xy(x, y);
                let shader = RadialGradient::new(
                    origin,
                    0.0,
                    origin,
                    radius,
                    stops,
                    SpreadMode::Pad,
                    self.pose,
                );
                (shader, solid(colour, opacity * 0.5))
            }
        };
        Paint {
            shader: shader.unwrap_or(Shader::SolidColor(fallback)),
            ..Paint::default()
        }
    }
}

fn line(pixels: f32) -> Stroke {
    Stroke {
        width: pixels,
        line_cap: LineCap::Round,
        line_join: LineJoin::Round,
        ..Stroke::default()
    }
}

fn solid(colour: Rgb, opacity: f32) -> Color {
    let unit = |value: f32| value.clamp(0.0, 1.0);
    Color::from_rgba(
        unit(colour.0),
        unit(colour.1),
        unit(colour.2),
        unit(opacity),
    )
    .unwrap_or(Color::BLACK)
}
