//! Where the class token looks: heat maps of each head, the patches that hold most of its attention, and all
//! heads in one picture by colour.
//!
//! As in the reference's script, with any number of heads where that knows six.

use super::Encoder;
use super::draw::{self, Rgb};
use crate::data::Picture;

/// The reference's colours: blue, red, yellow, navy, green, purple.
const HEADS: [Rgb; 6] = [
    [0, 160, 215],
    [220, 55, 60],
    [245, 180, 0],
    [10, 120, 190],
    [40, 150, 100],
    [135, 75, 145],
];

/// Attention, scaled to [0, 1], above which a pixel takes its head's colour.
const VISIBLE: f32 = 0.2;

/// Attention of one picture in one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Attention {
    pub heads: usize,
    /// Of the class token to every patch, `[heads, patches]`.
    pub weights: Vec<f32>,
}

impl Attention {
    /// Of each of `views` in block `block`.
    pub fn of(encoder: &Encoder, views: &[Picture], block: usize) -> Vec<Self> {
        let (heads, patches) = (encoder.backbone.heads(block), encoder.patches());
        let all = encoder.attention(views, block);
        let pictures = all.chunks_exact(heads * patches);
        pictures
            .map(|weights| Attention {
                heads,
                weights: weights.to_vec(),
            })
            .collect()
    }

    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        self.weights.len() / self.heads.max(1)
    }

    /// The weights of head `head`, `[patches]`.
    pub fn head(&self, head: usize) -> &[f32] {
        &self.weights[head * self.patches()..][..self.patches()]
    }

    /// The mean over heads, `[patches]`.
    pub fn mean(&self) -> Vec<f32> {
        let patches = self.patches();
        let of = |p: usize| self.weights.iter().skip(p).step_by(patches).sum::<f32>();
        (0..patches).map(|p| of(p) / self.heads as f32).collect()
    }
}

/// Keeps the patches that together hold the share `mass` of all attention, largest first, and sets the
/// others to 0. The one that crosses the mark is kept, as in the reference.
pub fn threshold(weights: &[f32], mass: f32) -> Vec<f32> {
    let total: f64 = weights.iter().map(|&w| f64::from(w)).sum();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&a, &b| weights[a].total_cmp(&weights[b]).then(b.cmp(&a)));
    let mut kept = vec![0.0; weights.len()];
    let mut below = 0.0;
    for patch in order {
        below += f64::from(weights[patch]) / total.max(f64::MIN_POSITIVE);
        // Rounding must not let a patch in that stands exactly on the mark.
        if below > 1.0 - f64::from(mass) + 1e-6 {
            kept[patch] = weights[patch];
        }
    }
    kept
}

/// The colour of head `head`.
pub fn head_colour(head: usize) -> Rgb {
    HEADS.get(head).copied().unwrap_or_else(|| draw::kind(head))
}

/// A heat map of one head, as large as the view.
pub fn heat(encoder: &Encoder, weights: &[f32], colour: fn(f32) -> Rgb) -> Picture {
    let range = draw::range(weights);
    draw::heat_map(weights, encoder.grid(), encoder.patch(), range, colour)
}

/// All heads over a view that is nearly black: every patch takes the colour of the head that looks at it
/// most (the first of equal ones), the stronger the more it does. `kept` is what
/// [`threshold`] left of each head, `[heads][patches]`.
pub fn composite(encoder: &Encoder, view: &Picture, kept: &[Vec<f32>]) -> Picture {
    let (side, grid) = (encoder.patch(), encoder.grid());
    let ranges: Vec<(f32, f32)> = kept.iter().map(|head| draw::range(head)).collect();
    let mut picture = view.clone();
    for (i, pixel) in picture.rgb.chunks_exact_mut(3).enumerate() {
        let (x, y) = (i % view.width, i / view.width);
        let patch = y / side * grid + x / side;
        let grey =
            0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2]);
        let ground = (192.0 + grey / 4.0) * 0.1;
        let best = |best: Option<(usize, f32)>, head: usize| {
            let value = kept[head].get(patch).copied().unwrap_or_default();
            match best {
                Some((_, most)) if most >= value => best,
                _ => Some((head, value)),
            }
        };
        let shown = (0..kept.len()).fold(None, best).and_then(|(head, value)| {
            let (low, high) = ranges[head];
            let scaled = (value - low) / (high - low).max(f32::MIN_POSITIVE);
            (scaled > VISIBLE).then(|| (head_colour(head), scaled.sqrt()))
        });
        for (channel, value) in pixel.iter_mut().enumerate() {
            let (colour, weight) = match shown {
                Some((colour, weight)) => (f32::from(colour[channel]), weight),
                None => (0.0, 0.0),
            };
            *value = (ground * (1.0 - weight) + colour * weight).round() as u8;
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::tests::tiny_encoder;

    #[test]
    fn the_smallest_set_of_patches_that_holds_the_mass_is_kept() {
        let kept = |weights: &[f32], mass| -> Vec<usize> {
            let kept = threshold(weights, mass);
            (0..kept.len()).filter(|&i| kept[i] > 0.0).collect()
        };
        assert_eq!(kept(&[0.1, 0.5, 0.1, 0.3], 0.6), [1, 3]);
        assert_eq!(kept(&[0.1, 0.5, 0.1, 0.3], 0.45), [1]);
        assert_eq!(kept(&[0.0, 9.0, 0.0], 0.6), [1]);
        // Equal ones: as many as are needed, the first of them.
        assert_eq!(kept(&[0.25; 4], 0.6), [0, 1, 2]);
        assert_eq!(kept(&[0.25; 4], 0.5), [0, 1]);
        assert_eq!(threshold(&[0.2, 0.8], 0.7), [0.0, 0.8]);
    }

    #[test]
    fn every_patch_takes_the_colour_of_the_head_that_looks_at_it_most() {
        let encoder = tiny_encoder();
        let view = Picture::filled(32, 32, [0; 3]);
        let mut heads = vec![vec![0.0; 16]; 8];
        heads[1][0] = 1.0;
        heads[2][0] = 0.5;
        heads[2][1] = 1.0;
        heads[7][5] = 1.0;
        heads[7][6] = 0.1;
        // Equal: the first head wins.
        heads[0][9] = 1.0;
        heads[3][9] = 1.0;
        let picture = composite(&encoder, &view, &heads);
        let at = |patch: usize| {
            let (x, y) = (patch % 4 * 8 + 3, patch / 4 * 8 + 3);
            let from = (y * 32 + x) * 3;
            [
                picture.rgb[from],
                picture.rgb[from + 1],
                picture.rgb[from + 2],
            ]
        };
        assert_eq!(at(0), HEADS[1]);
        assert_eq!(at(1), HEADS[2]);
        assert_eq!(at(5), head_colour(7));
        assert_eq!(at(9), HEADS[0]);
        assert_eq!((at(6), at(15)), ([19; 3], [19; 3]), "too weak, and none");
    }

    #[test]
    fn it_is_the_class_tokens_row_of_the_whole_map() {
        let encoder = tiny_encoder();
        let mut view = Picture::filled(32, 32, [0; 3]);
        view.rgb
            .iter_mut()
            .enumerate()
            .for_each(|(i, v)| *v = (i * 37 % 251) as u8);
        let both = Attention::of(&encoder, &[view.clone(), view], 1);
        assert_eq!(both[0], both[1]);
        assert_eq!((both[0].heads, both[0].patches()), (2, 16));
        let sum: f32 = both[0].head(1).iter().sum();
        assert!(sum > 0.5 && sum < 1.0, "{sum}");
        let mean = both[0].mean();
        assert!((mean[3] - (both[0].head(0)[3] + both[0].head(1)[3]) / 2.0).abs() < 1e-7);
    }
}
