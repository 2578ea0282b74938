//! Outlines in the object's own units, before any pose.
//!
//! Everything that is drawn is an ellipse, a rounded box, a polygon or a smooth curve through a few
//! points; several may be joined into one shape, which then costs one fill.

use tiny_skia::{Path, PathBuilder, Rect, Transform};

/// One or more outlines, filled or stroked together.
#[derive(Clone, Default)]
pub(super) struct Shape(PathBuilder);

impl Shape {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// The outline under a pose; `None` where nothing was drawn.
    pub(super) fn under(&self, pose: Transform) -> Option<Path> {
        self.0.clone().finish()?.transform(pose)
    }

    /// An ellipse about (`x`, `y`) with radii `rx`, `ry`.
    pub(super) fn ellipse(self, x: f32, y: f32, rx: f32, ry: f32) -> Self {
        self.turned(x, y, rx, ry, 0.0)
    }

    /// An ellipse that is turned by `degrees`.
    pub(super) fn turned(mut self, x: f32, y: f32, rx: f32, ry: f32, degrees: f32) -> Self {
        let oval = Rect::from_ltrb(-rx, -ry, rx, ry).and_then(PathBuilder::from_oval);
        let pose = Transform::from_translate(x, y).pre_concat(Transform::from_rotate(degrees));
        if let Some(oval) = oval.and_then(|oval| oval.transform(pose)) {
            self.0.push_path(&oval);
        }
        self
    }

    /// A box with corners of radius `round`.
    pub(super) fn block(
        mut self,
        left: f32,
        top: f32,
        right: f32,
        bottom: f32,
        round: f32,
    ) -> Self {
        let r = round.min((right - left) / 2.0).min((bottom - top) / 2.0);
        let path = &mut self.0;
        path.move_to(left + r, top);
        path.line_to(right - r, top);
        path.quad_to(right, top, right, top + r);
        path.line_to(right, bottom - r);
        path.quad_to(right, bottom, right - r, bottom);
        path.line_to(left + r, bottom);
        path.quad_to(left, bottom, left, bottom - r);
        path.line_to(left, top + r);
        path.quad_to(left, top, left + r, top);
        path.close();
        self
    }

    /// Straight edges through `points`, closed.
    pub(super) fn polygon(mut self, points: &[(f32, f32)]) -> Self {
        self.straight(points);
        self.0.close();
        self
    }

    /// Straight lines through `points`, left open: for strokes.
    pub(super) fn lines(mut self, points: &[(f32, f32)]) -> Self {
        self.straight(points);
        self
    }

    fn straight(&mut self, points: &[(f32, f32)]) {
        for (number, &(x, y)) in points.iter().enumerate() {
            if number == 0 {
                self.0.move_to(x, y);
            } else {
                self.0.line_to(x, y);
            }
        }
    }

    /// A smooth closed curve through `points` (Catmull–Rom).
    pub(super) fn blob(mut self, points: &[(f32, f32)]) -> Self {
        let n = points.len() as isize;
        let at = |i: isize| points[i.rem_euclid(n) as usize];
        self.spline(n, at);
        self.0.close();
        self
    }

    /// A smooth open curve through `points`: for strokes.
    pub(super) fn curve(mut self, points: &[(f32, f32)]) -> Self {
        let last = points.len() as isize - 1;
        let at = |i: isize| points[i.clamp(0, last) as usize];
        self.spline(last, at);
        self
    }

    /// `points`, each given once for the right half, closed with their mirror images at `-x`.
    /// The first and the last should lie on the axis or near it.
    pub(super) fn mirrored(self, points: &[(f32, f32)]) -> Self {
        let left = points.iter().rev().filter(|(x, _)| *x != 0.0);
        let all: Vec<(f32, f32)> = points
            .iter()
            .copied()
            .chain(left.map(|(x, y)| (-x, *y)))
            .collect();
        self.blob(&all)
    }

    fn spline(&mut self, pieces: isize, at: impl Fn(isize) -> (f32, f32)) {
        let (x, y) = at(0);
        self.0.move_to(x, y);
        for i in 0..pieces {
            let (before, from, to, after) = (at(i - 1), at(i), at(i + 1), at(i + 2));
            self.0.cubic_to(
                from.0 + (to.0 - before.0) / 6.0,
                from.1 + (to.1 - before.1) / 6.0,
                to.0 - (after.0 - from.0) / 6.0,
                to.1 - (after.1 - from.1) / 6.0,
                to.0,
                to.1,
            );
        }
    }
}
