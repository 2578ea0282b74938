//! Which patch of one picture is which of another: sparse correspondence, and how often it is right between two
//! views of one picture.
//!
//! As in the reference: tokens after the final norm, compared by their plain product, the best match for
//! every patch of the first picture. The patches that are drawn are those the class token looks at
//! most, in this same network (the reference's script takes them from another).

use burn::tensor::Tensor;

use super::{Encoder, draw};
use crate::data::Picture;
use crate::data::pixels::Rect;
use crate::data::views::{CropParams, CropSpec, crop_params, render, view_rng};
use crate::model::kernels::matmul_transposed;

/// The best match in `to` of every patch of `from`, `[patches]`. With `cosine`, tokens are compared at
/// length 1 instead of as they are.
pub fn matches(encoder: &Encoder, from: &Picture, to: &Picture, cosine: bool) -> Vec<usize> {
    let block = encoder.last_block();
    let tokens = |view: &Picture| {
        let view = std::slice::from_ref(view);
        match cosine {
            true => encoder.directions(view, block),
            false => encoder.patch_tokens(view, block),
        }
    };
    best(tokens(from), tokens(to))
}

/// The row of `to` with the largest product, for every row of `from`.
fn best(from: Tensor<2>, to: Tensor<2>) -> Vec<usize> {
    let best = matmul_transposed(from, to).argmax(1).into_data();
    let best: Vec<u32> = best.convert::<u32>().try_into_vec().unwrap_or_default();
    best.into_iter().map(|patch| patch as usize).collect()
}

/// The `count` patches with most attention among those that `allowed` lets through, most first.
pub fn salient(attention: &[f32], count: usize, allowed: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut patches: Vec<usize> = (0..attention.len()).filter(|&p| allowed(p)).collect();
    patches.sort_by(|&a, &b| attention[b].total_cmp(&attention[a]).then(a.cmp(&b)));
    patches.truncate(count);
    patches
}

/// Two pictures side by side, with a line from each of `patches` of the first to its match.
pub fn lines(
    encoder: &Encoder,
    [from, to]: [&Picture; 2],
    patches: &[usize],
    matches: &[usize],
    times: usize,
) -> Picture {
    use tiny_skia::{Color, LineCap, Paint, PathBuilder, PixmapMut, Stroke, Transform};
    let mut both = draw::strip(&[from, to].map(|view| view.enlarged(times)));
    let right = (from.width * times + draw::GAP) as f32;
    let side = (encoder.patch() * times) as f32;
    let centre = |patch: usize| {
        let (x, y) = (patch % encoder.grid(), patch / encoder.grid());
        ((x as f32 + 0.5) * side, (y as f32 + 0.5) * side)
    };
    let (pixels, _) = both.rgb.as_chunks::<3>();
    let mut rgba: Vec<u8> = pixels
        .iter()
        .flat_map(|p| [p[0], p[1], p[2], 255])
        .collect();
    let size = (both.width as u32, both.height as u32);
    if let Some(mut canvas) = PixmapMut::from_bytes(&mut rgba, size.0, size.1) {
        for (i, &patch) in patches.iter().enumerate() {
            let Some(&target) = matches.get(patch) else {
                continue;
            };
            let ((x0, y0), (x1, y1)) = (centre(patch), centre(target));
            let mut path = PathBuilder::new();
            path.move_to(x0, y0);
            path.line_to(right + x1, y1);
            path.push_circle(x0, y0, 3.0);
            path.push_circle(right + x1, y1, 3.0);
            let Some(path) = path.finish() else { continue };
            // A dark line below keeps the colour visible on any ground.
            for (width, colour) in [(4.5, [0; 3]), (2.5, draw::kind(i))] {
                let [r, g, b] = colour;
                let mut paint = Paint::default();
                let alpha = if width > 4.0 { 120 } else { 255 };
                paint.set_color(Color::from_rgba8(r, g, b, alpha));
                paint.anti_alias = true;
                let stroke = Stroke {
                    width,
                    line_cap: LineCap::Round,
                    ..Stroke::default()
                };
                canvas.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
            }
        }
    }
    both.rgb = rgba
        .as_chunks::<4>()
        .0
        .iter()
        .flat_map(|p| [p[0], p[1], p[2]])
        .collect();
    both
}

/// How the reference draws two views of one picture: 40 to 100 % of it, mirrored, jittered and grey by
/// chance.
fn view_spec(side: usize) -> CropSpec {
    CropSpec {
        size: side,
        scale: [0.4, 1.0],
        aspect: [3.0 / 4.0, 4.0 / 3.0],
        flip: 0.5,
        jitter: 0.8,
        brightness: 0.4,
        contrast: 0.4,
        saturation: 0.2,
        hue: 0.1,
        grayscale: 0.2,
        blur: 0.0,
        blur_sigma: [0.1, 2.0],
        solarise: 0.0,
        solarise_threshold: 128,
    }
}

/// One of two views of a picture, and where it was cut out.
#[derive(Clone, Debug)]
pub struct View {
    pub picture: Picture,
    pub params: CropParams,
}

/// Two views of picture `index`, the same for the same seed.
pub fn two_views(encoder: &Encoder, picture: &Picture, index: usize, seed: u64) -> [View; 2] {
    let spec = view_spec(encoder.side);
    [0, 1].map(|view| {
        let mut draws = view_rng(seed, 0, index, view);
        let params = crop_params(&spec, picture.width, picture.height, &mut draws);
        View {
            picture: render(picture, &params),
            params,
        }
    })
}

/// The centre of patch `patch` of a view of `grid` patches a side, in pixels of the picture it was cut
/// from.
fn centre(params: &CropParams, grid: usize, patch: usize) -> (f64, f64) {
    let Rect {
        left,
        top,
        width,
        height,
    } = params.region;
    let along = |cell: usize| (cell as f64 + 0.5) / grid as f64;
    let x = match params.flip {
        true => 1.0 - along(patch % grid),
        false => along(patch % grid),
    };
    let y = along(patch / grid);
    (
        left as f64 + x * width as f64,
        top as f64 + y * height as f64,
    )
}

/// For every patch of view `a` the patch of view `b` that shows the same place of the picture; `None`
/// where `b` does not show it.
pub fn truth(a: &CropParams, b: &CropParams, grid: usize) -> Vec<Option<usize>> {
    let region = b.region;
    let of = |patch: usize| {
        let (x, y) = centre(a, grid, patch);
        let along = |at: f64, from: usize, size: usize| (at - from as f64) / size as f64;
        let mut x = along(x, region.left, region.width);
        let y = along(y, region.top, region.height);
        if b.flip {
            x = 1.0 - x;
        }
        let inside = (0.0..1.0).contains(&x) && (0.0..1.0).contains(&y);
        let cell = |share: f64| ((share * grid as f64) as usize).min(grid - 1);
        inside.then(|| cell(y) * grid + cell(x))
    };
    (0..grid * grid).map(of).collect()
}

/// How often matches are right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Accuracy {
    /// Patches of the first view that the second shows too.
    pub overlapping: usize,
    /// Of those, the share whose match is at most `radius` cells from the right one.
    pub accuracy: f64,
    /// The share that guessing would have right.
    pub chance: f64,
}

/// Compares matches with the truth. `None` where the views do not overlap.
pub fn accuracy(
    matches: &[usize],
    truth: &[Option<usize>],
    grid: usize,
    radius: usize,
) -> Option<Accuracy> {
    let (mut overlapping, mut right, mut lucky) = (0usize, 0usize, 0usize);
    for (&found, truth) in matches.iter().zip(truth) {
        let Some(truth) = *truth else { continue };
        let apart = |a: usize, b: usize| {
            (a % grid)
                .abs_diff(b % grid)
                .max((a / grid).abs_diff(b / grid))
        };
        overlapping += 1;
        right += usize::from(apart(found, truth) <= radius);
        let reach =
            |at: usize| at.saturating_add(radius).min(grid - 1) + 1 - at.saturating_sub(radius);
        lucky += reach(truth % grid) * reach(truth / grid);
    }
    (overlapping > 0).then(|| Accuracy {
        overlapping,
        accuracy: right as f64 / overlapping as f64,
        chance: lucky as f64 / (overlapping * grid * grid) as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use crate::data::parts::Parts;
    use crate::explore::attention::Attention;
    use crate::explore::tests::tiny_encoder;
    use crate::model::kernels::l2_normalise;

    fn params(left: usize, top: usize, side: usize, flip: bool) -> CropParams {
        CropParams {
            region: Rect {
                left,
                top,
                width: side,
                height: side,
            },
            size: 32,
            flip,
            colour: Vec::new(),
            grayscale: false,
            blur: None,
            solarise: None,
        }
    }

    #[test]
    fn patches_are_found_again_through_crop_and_mirror() {
        // The second view shows the right half of the first at the same scale, mirrored.
        let (a, b) = (params(0, 0, 40, false), params(20, 0, 40, true));
        let truth = truth(&a, &b, 4);
        assert_eq!(truth[..4], [None, None, Some(3), Some(2)]);
        assert_eq!(truth[12..], [None, None, Some(15), Some(14)]);
        let back = super::truth(&b, &a, 4);
        assert_eq!(back[..4], [None, None, Some(3), Some(2)]);
        let matches: Vec<usize> = truth.iter().map(|t| t.unwrap_or(0)).collect();
        let perfect = accuracy(&matches, &truth, 4, 0).unwrap();
        assert_eq!((perfect.overlapping, perfect.accuracy), (8, 1.0));
        assert!((perfect.chance - 1.0 / 16.0).abs() < 1e-12);
        // One column off: wrong, unless a cell of tolerance is given.
        let off: Vec<usize> = matches
            .iter()
            .map(|m| m / 4 * 4 + (m % 4).saturating_sub(1))
            .collect();
        assert_eq!(accuracy(&off, &truth, 4, 0).unwrap().accuracy, 0.0);
        assert_eq!(accuracy(&off, &truth, 4, 1).unwrap().accuracy, 1.0);
        assert_eq!(accuracy(&off, &[None; 16], 4, 0), None);
        // Whatever is within reach of a corner, an edge and the middle; then everything.
        let places = [Some(0), Some(1), Some(5)];
        let near = accuracy(&[0, 0, 0], &places, 4, 1).unwrap();
        assert!((near.chance - (4.0 + 6.0 + 9.0) / 48.0).abs() < 1e-12);
        let all = accuracy(&[15, 15, 15], &places, 4, usize::MAX).unwrap();
        assert_eq!((all.accuracy, all.chance), (1.0, 1.0));
    }

    #[test]
    fn centres_go_through_crop_and_mirror_as_by_hand() {
        // Of 40 x 20 pixels from (10, 6) on, cells are 10 x 5.
        let mut cut = params(10, 6, 40, false);
        cut.region.height = 20;
        assert_eq!(centre(&cut, 4, 0), (15.0, 8.5));
        assert_eq!(centre(&cut, 4, 7), (45.0, 13.5));
        cut.flip = true;
        assert_eq!(centre(&cut, 4, 0), (45.0, 8.5));
        assert_eq!(centre(&cut, 4, 7), (15.0, 13.5));
        // Seen from a view of 20 x 20 from (30, 6) on, cells of 5: (45, 8.5) lies in cell (3, 0), and
        // (35, 8.5) in cell (1, 0); (25, 8.5) and (15, 8.5) are not seen.
        let seen = truth(&cut, &params(30, 6, 20, false), 4);
        assert_eq!(seen[..4], [Some(3), Some(1), None, None]);
    }

    #[test]
    fn a_token_is_matched_with_the_largest_product() {
        let device = burn::tensor::Device::flex();
        let from = Tensor::<2>::from_floats([[1.0, 0.0], [0.6, 0.8], [-1.0, 0.2]], &device);
        let to = Tensor::<2>::from_floats([[-2.0, 1.0], [0.0, 3.0], [0.9, 0.1]], &device);
        assert_eq!(best(from.clone(), to.clone()), [2, 1, 0]);
        // At length 1 the second is nearer by its direction than the first by its size.
        let long = Tensor::<2>::from_floats([[9.0, 9.0], [0.1, 0.0]], &device);
        assert_eq!(best(from.clone(), long.clone())[0], 0);
        assert_eq!(best(from, l2_normalise(long, 1e-12))[0], 1);
    }

    #[test]
    fn between_equal_views_every_match_is_right() {
        let encoder = tiny_encoder();
        let picture = Parts::new(4, 64, 2).load(1).unwrap();
        let [view, _] = two_views(&encoder, &picture, 1, 5);
        let truth = truth(&view.params, &view.params, 4);
        // Fresh weights: the final norm leaves all tokens equally long, so both ways find themselves.
        for cosine in [false, true] {
            let found = matches(&encoder, &view.picture, &view.picture, cosine);
            let accuracy = accuracy(&found, &truth, 4, 0).unwrap();
            assert_eq!((accuracy.overlapping, accuracy.accuracy), (16, 1.0));
        }
    }

    #[test]
    fn a_picture_matches_itself_and_lines_are_drawn() {
        let encoder = tiny_encoder();
        let view = Parts::new(4, 32, 2).load(3).unwrap();
        let found = matches(&encoder, &view, &view, true);
        assert_eq!(found, (0..16).collect::<Vec<_>>());
        let attention = Attention::of(&encoder, std::slice::from_ref(&view), 1)[0].mean();
        let chosen = salient(&attention, 3, |patch| patch > 3);
        assert!(chosen.iter().all(|&patch| patch > 3));
        assert!(attention[chosen[0]] >= attention[chosen[1]]);
        let plain = lines(&encoder, [&view, &view], &[], &found, 2);
        let drawn = lines(&encoder, [&view, &view], &chosen, &found, 2);
        assert_eq!((drawn.width, drawn.height), (128 + draw::GAP, 64));
        assert_ne!(plain, drawn);
        let [a, b] = two_views(&encoder, &view, 3, 9);
        assert_eq!(a.picture, two_views(&encoder, &view, 3, 9)[0].picture);
        assert_ne!(a.params, b.params);
    }
}
