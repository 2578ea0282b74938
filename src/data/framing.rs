//! How whole pictures become squares when nothing is random.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::Picture;
use super::pixels::{self, Filter};

/// Squares smaller than this are never cut out of a larger picture: small pictures fill their frame.
const CUT_FROM: usize = 96;

/// Squares from this size on show as much of a picture as they can.
const WHOLE_FROM: usize = 384;

/// What of a picture a square shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// The largest square in the middle
    #[default]
    Middle,
    /// A little less of it, as evaluations on ImageNet do: 224 of 256 pixels
    Evaluation,
    /// All of it, squeezed to a square
    Squeezed,
}

impl Framing {
    /// `picture` as a square of `side` pixels.
    pub fn square(self, picture: &Picture, side: usize, filter: Filter) -> Picture {
        let shorter = match self {
            Framing::Middle => side,
            // 256 for 224, as torchvision's transforms and timm's crop fraction of 0.875.
            Framing::Evaluation if (CUT_FROM..WHOLE_FROM).contains(&side) => side * 256 / 224,
            Framing::Evaluation => side,
            Framing::Squeezed => return pixels::resize(picture, side, side, filter),
        };
        if (picture.width, picture.height, shorter) == (side, side, side) {
            return picture.clone();
        }
        pixels::centre_crop(&pixels::resize_shorter(picture, shorter, filter), side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red grows to the right and green downwards, by a level a pixel.
    fn slopes(width: usize, height: usize) -> Picture {
        let rgb = (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, 200]);
        Picture {
            width,
            height,
            rgb: rgb.collect(),
        }
    }

    /// Red at the left and at the right end of the middle row, green at both ends of the middle column.
    fn ends(framing: Framing, picture: &Picture, side: usize) -> [u8; 4] {
        let view = framing.square(picture, side, Filter::Bicubic);
        assert_eq!((view.width, view.height), (side, side));
        let at = |x: usize, y: usize, channel: usize| view.rgb[(y * side + x) * 3 + channel];
        let (middle, last) = (side / 2, side - 1);
        [
            at(0, middle, 0),
            at(last, middle, 0),
            at(middle, 0, 1),
            at(middle, last, 1),
        ]
    }

    #[test]
    fn each_shows_its_part() {
        let picture = slopes(160, 128);
        assert_eq!(ends(Framing::Middle, &picture, 128), [16, 143, 0, 127]);
        // 128 of 146 pixels: a sixteenth is lost at each side.
        let [left, right, top, bottom] = ends(Framing::Evaluation, &picture, 128);
        assert!(left.abs_diff(24) <= 1 && right.abs_diff(135) <= 1);
        assert!(top.abs_diff(8) <= 1 && bottom.abs_diff(119) <= 1);
        assert_eq!(
            ends(Framing::Squeezed, &picture, 128)[2..],
            [0, 127],
            "every row is there"
        );
        assert_eq!(ends(Framing::Squeezed, &picture, 128)[..2], [0, 159]);
    }

    #[test]
    fn small_and_large_squares_lose_nothing() {
        for side in [32, 384] {
            let picture = slopes(side, side);
            assert_eq!(
                Framing::Evaluation.square(&picture, side, Filter::Bilinear),
                picture
            );
        }
        // Never smaller than asked for.
        let view = Framing::Evaluation.square(&slopes(9, 5), 100, Filter::Bilinear);
        assert_eq!(view.rgb.len(), 100 * 100 * 3);
    }
}
