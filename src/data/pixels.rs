//! Operations on 8-bit RGB pictures, equal to Pillow's to the last grey level.
//!
//! The reference augments with torchvision on Pillow images, which round to 8 bits after every
//! step; a training run reacts to that, so each function here repeats Pillow's arithmetic (the
//! order of roundings, truncation here and rounding there) rather than the formula behind it. The
//! parity tests compare with pictures that Pillow made. Loops are written so that the
//! compiler turns them into vector code (`lanes`).

mod blur;
mod hue;
mod lanes;
mod resize;

pub use blur::gaussian_blur;
pub use hue::shift_hue;
pub use resize::{Filter, Rect, resize, resize_shorter, resized_crop, thumbnail};

use super::Picture;
use lanes::{cut, for_each_group, widest};

/// The square of `side` pixels in the middle of `picture` (torchvision's `CenterCrop`: the margin
/// is halved and rounded half to even). A picture smaller than that is returned as far as it goes.
pub fn centre_crop(picture: &Picture, side: usize) -> Picture {
    let margin = |size: usize| (size.saturating_sub(side) as f64 / 2.0).round_ties_even() as usize;
    Rect {
        left: margin(picture.width),
        top: margin(picture.height),
        width: side.min(picture.width),
        height: side.min(picture.height),
    }
    .cut(picture)
}

/// Mirrors left to right.
pub fn flip_horizontal(picture: &mut Picture) {
    if picture.width == 0 {
        return;
    }
    for row in picture.rgb.chunks_exact_mut(picture.width * 3) {
        row.as_chunks_mut::<3>().0.reverse();
    }
}

/// Multiplies every value by `factor` (Pillow's `Brightness`: a blend with black).
pub fn adjust_brightness(picture: &mut Picture, factor: f32) {
    map_values(
        picture,
        #[inline(always)]
        |value| blend(0, value, factor),
    );
}

/// Moves every value away from the picture's mean grey (factor > 1) or towards it (Pillow's
/// `Contrast`: a blend with the mean of the grey picture, rounded).
pub fn adjust_contrast(picture: &mut Picture, factor: f32) {
    let mut sum = 0u64;
    widest(
        #[inline(always)]
        || {
            for_each_group(
                &mut picture.rgb,
                false,
                #[inline(always)]
                |r, g, b, count| {
                    let group = r.iter().zip(&*g).zip(&*b).take(count);
                    sum += u64::from(
                        group
                            .map(|((&r, &g), &b)| u32::from(grey(r, g, b)))
                            .sum::<u32>(),
                    );
                },
            );
        },
    );
    let pixels = (picture.rgb.len() / 3).max(1);
    let mean = (sum as f64 / pixels as f64 + 0.5) as u8;
    map_values(
        picture,
        #[inline(always)]
        |value| blend(mean, value, factor),
    );
}

/// Moves every pixel away from its own grey (factor > 1) or towards it (Pillow's `Color`).
pub fn adjust_saturation(picture: &mut Picture, factor: f32) {
    widest(
        #[inline(always)]
        || {
            for_each_group(
                &mut picture.rgb,
                true,
                #[inline(always)]
                |r, g, b, _| {
                    for ((r, g), b) in r.iter_mut().zip(g.iter_mut()).zip(b.iter_mut()) {
                        let grey = grey(*r, *g, *b);
                        *r = blend(grey, *r, factor);
                        *g = blend(grey, *g, factor);
                        *b = blend(grey, *b, factor);
                    }
                },
            );
        },
    );
}

/// Replaces every pixel by its grey.
pub fn make_grey(picture: &mut Picture) {
    widest(
        #[inline(always)]
        || {
            for_each_group(
                &mut picture.rgb,
                true,
                #[inline(always)]
                |r, g, b, _| {
                    for ((r, g), b) in r.iter_mut().zip(g.iter_mut()).zip(b.iter_mut()) {
                        let grey = grey(*r, *g, *b);
                        (*r, *g, *b) = (grey, grey, grey);
                    }
                },
            );
        },
    );
}

/// Inverts the values from `threshold` up; 256 leaves the picture as it is.
pub fn solarise(picture: &mut Picture, threshold: u16) {
    map_values(
        picture,
        #[inline(always)]
        |value| {
            if u16::from(value) < threshold {
                value
            } else {
                255 - value
            }
        },
    );
}

/// Writes the picture as `[3, height, width]`: `(value / 255 - mean) / std` per channel, in f32 in
/// that order, as torchvision's `ToTensor` and `Normalize` do.
///
/// As many pixels are written as both `picture` and `out` (`len / 3` of them) have.
pub fn write_normalised(picture: &Picture, mean: [f32; 3], std: [f32; 3], out: &mut [f32]) {
    let plane = out.len() / 3;
    if plane == 0 {
        return;
    }
    let table = |channel: usize| -> [f32; 256] {
        let (mean, std) = (mean[channel], std[channel]);
        std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std)
    };
    for (channel, plane) in out.chunks_exact_mut(plane).enumerate().take(3) {
        let table = table(channel);
        for (out, pixel) in plane.iter_mut().zip(picture.rgb.as_chunks::<3>().0) {
            *out = table[usize::from(pixel[channel])];
        }
    }
}

/// The square picture of `side` pixels that [`write_normalised`] made `planes` of.
pub fn from_normalised(planes: &[f32], side: usize, mean: [f32; 3], std: [f32; 3]) -> Picture {
    let plane = side * side;
    let mut rgb = vec![0; 3 * plane];
    for (i, pixel) in rgb.chunks_exact_mut(3).enumerate() {
        for (channel, value) in pixel.iter_mut().enumerate() {
            let x = planes.get(channel * plane + i).copied().unwrap_or_default();
            *value = (255.0 * (x * std[channel] + mean[channel])).round() as u8;
        }
    }
    Picture {
        width: side,
        height: side,
        rgb,
    }
}

/// Pillow's luma "L", `0.299 R + 0.587 G + 0.114 B` in 16-bit fixed point, rounded.
#[inline(always)]
fn grey(r: u8, g: u8, b: u8) -> u8 {
    let sum = 19595 * u32::from(r) + 38470 * u32::from(g) + 7471 * u32::from(b);
    ((sum + 0x8000) >> 16) as u8
}

/// Pillow's `Image.blend` of two values: f32, clipped, cut.
#[inline(always)]
fn blend(from: u8, to: u8, factor: f32) -> u8 {
    cut(f32::from(from) + factor * (f32::from(to) - f32::from(from)))
}

/// Replaces every value by `f` of it.
#[inline(always)]
fn map_values(picture: &mut Picture, f: impl Fn(u8) -> u8) {
    widest(
        #[inline(always)]
        || {
            for value in &mut picture.rgb {
                *value = f(*value);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The 8×8 picture of the specification's golden values: `(37y + 59x + 83c + 11xy) mod 256`.
    fn golden() -> Picture {
        let rgb = (0..8 * 8 * 3).map(|i| {
            let (y, x, c) = (i / 24, i / 3 % 8, i % 3);
            ((37 * y + 59 * x + 83 * c + 11 * x * y) % 256) as u8
        });
        Picture {
            width: 8,
            height: 8,
            rgb: rgb.collect(),
        }
    }

    #[test]
    fn golden_values() {
        type Operation = Box<dyn Fn(&Picture) -> Picture>;
        fn edit(f: impl Fn(&mut Picture) + 'static) -> Operation {
            Box::new(move |picture| {
                let mut picture = picture.clone();
                f(&mut picture);
                picture
            })
        }
        let region = Rect {
            top: 1,
            left: 2,
            height: 5,
            width: 4,
        };
        let whole = |size, filter| -> Operation {
            Box::new(move |picture| resize(picture, size, size, filter))
        };
        let cases: Vec<(&str, Operation, u32, [u8; 6])> = vec![
            (
                "blur 0.1",
                edit(|p| gaussian_blur(p, 0.1)),
                24656,
                [0, 83, 166, 59, 142, 225],
            ),
            (
                "blur 0.5",
                edit(|p| gaussian_blur(p, 0.5)),
                24664,
                [12, 94, 173, 65, 144, 180],
            ),
            (
                "blur 1",
                edit(|p| gaussian_blur(p, 1.0)),
                24566,
                [43, 118, 163, 82, 129, 135],
            ),
            (
                "blur 2",
                edit(|p| gaussian_blur(p, 2.0)),
                24561,
                [92, 126, 140, 105, 122, 136],
            ),
            (
                "solarise",
                edit(|p| solarise(p, 128)),
                12271,
                [0, 83, 89, 59, 113, 30],
            ),
            (
                "brightness",
                edit(|p| adjust_brightness(p, 1.3)),
                30213,
                [0, 107, 215, 76, 184, 255],
            ),
            (
                "contrast",
                edit(|p| adjust_contrast(p, 0.7)),
                24607,
                [38, 96, 154, 80, 138, 196],
            ),
            (
                "saturation",
                edit(|p| adjust_saturation(p, 1.2)),
                24578,
                [0, 86, 185, 45, 145, 244],
            ),
            (
                "hue 0.1",
                edit(|p| shift_hue(p, 0.1)),
                19922,
                [12, 0, 166, 71, 59, 225],
            ),
            (
                "hue -0.05",
                edit(|p| shift_hue(p, -0.05)),
                27966,
                [0, 133, 166, 59, 192, 225],
            ),
            ("grey", edit(make_grey), 24840, [68, 68, 68, 127, 127, 127]),
            (
                "flip",
                edit(flip_horizontal),
                24656,
                [157, 240, 67, 98, 181, 8],
            ),
            (
                "crop",
                Box::new(move |p| resized_crop(p, region, 6, 6, Filter::Bicubic)),
                14259,
                [169, 0, 80, 224, 31, 113],
            ),
            (
                "8 to 3",
                whole(3, Filter::Bicubic),
                3489,
                [102, 132, 128, 159, 106, 134],
            ),
            (
                "8 to 5",
                whole(5, Filter::Bilinear),
                9641,
                [41, 124, 164, 138, 115, 87],
            ),
        ];
        for (name, operation, sum, start) in cases {
            let got = operation(&golden());
            assert_eq!(got.rgb[..6], start, "{name}");
            let got: u32 = got.rgb.iter().map(|&value| u32::from(value)).sum();
            assert_eq!(got, sum, "{name}");
        }
    }

    #[test]
    fn odd_sizes_and_thin_pictures_keep_their_shape() {
        for (width, height) in [(1, 1), (1, 37), (37, 1), (33, 5)] {
            let rgb = (0..width * height * 3).map(|i| (i * 7) as u8).collect();
            let mut picture = Picture { width, height, rgb };
            gaussian_blur(&mut picture, 9.0);
            shift_hue(&mut picture, 0.3);
            adjust_saturation(&mut picture, 1.2);
            let small = resize(&picture, 3, 50, Filter::Bicubic);
            assert_eq!((small.width, small.height, small.rgb.len()), (3, 50, 450));
            let mut out = vec![f32::NAN; 450];
            write_normalised(&small, [0.5; 3], [0.5; 3], &mut out);
            assert!(out.iter().all(|value| (-1.0..=1.0).contains(value)));
        }
    }
}
