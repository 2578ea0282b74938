//! Hue shift through Pillow's 8-bit HSV: a lossy round trip, even for a shift of nothing.
//!
//! Written without branches, so that the compiler makes vector code of it: six hue sectors become
//! selections. Everything is f32 except where Pillow's own f64 steps decide a hue that falls
//! exactly between two of the 256 values. Equal to Pillow for all 2^24 colours in both directions.

use crate::data::Picture;

use super::lanes::{cut, for_each_group, widest};

/// Turns every pixel's hue by `turns` of the colour circle (torchvision's `adjust_hue` on a Pillow
/// image: the shift is cut, not rounded, to 1/255 of a turn and added modulo 256).
pub fn shift_hue(picture: &mut Picture, turns: f64) {
    let shift = (turns * 255.0) as i32 as u8;
    widest(
        #[inline(always)]
        || {
            for_each_group(
                &mut picture.rgb,
                true,
                #[inline(always)]
                |r, g, b, _| {
                    for ((r, g), b) in r.iter_mut().zip(g.iter_mut()).zip(b.iter_mut()) {
                        let (h, s, v) = to_hsv(*r, *g, *b);
                        (*r, *g, *b) = to_rgb(h.wrapping_add(shift), s, v);
                    }
                },
            );
        },
    );
}

/// Pillow's `rgb2hsv`: hue and saturation are cut to 8 bits, not rounded.
#[inline(always)]
fn to_hsv(r: u8, g: u8, b: u8) -> (u8, u8, u8) {
    let value = r.max(g).max(b);
    let range = f32::from(value - r.min(g).min(b));
    // A grey has no range; any divisor does, since its hue and saturation come out as 0.
    let divisor = range.max(1.0);
    let share = |channel: u8| f64::from(f32::from(value - channel) / divisor);
    let (r_share, g_share, b_share) = (share(r), share(g), share(b));
    let sixths = if r == value {
        b_share - g_share
    } else if g == value {
        2.0 + r_share - b_share
    } else {
        4.0 + g_share - r_share
    };
    let turns = f64::from(sixths as f32) / 6.0 + 1.0;
    let turns = if turns >= 1.0 { turns - 1.0 } else { turns };
    // As `cut` does it, in f64: 2^52 + n has n as its lowest bits.
    let hue = (f64::from(turns as f32) * 255.0).floor() + 4_503_599_627_370_496.0;
    let hue = hue.to_bits() as u8;
    let saturation = cut(range / f32::from(value.max(1)) * 255.0);
    (hue, saturation, value)
}

/// Pillow's `hsv2rgb`: rounds. 1/255 as a factor instead of Pillow's division gives the same bytes.
#[inline(always)]
fn to_rgb(h: u8, s: u8, v: u8) -> (u8, u8, u8) {
    let sixths = i32::from(h) * 6;
    let sector = sixths / 255;
    let part = (sixths - sector * 255) as f32 * (1.0 / 255.0);
    let saturation = f32::from(s) * (1.0 / 255.0);
    let dimmed = |share: f32| cut(f32::from(v) * (1.0 - share) + 0.5);
    let low = dimmed(saturation);
    let falling = dimmed(saturation * part);
    let rising = dimmed(saturation * (1.0 - part));
    match sector {
        1 => (falling, v, low),
        2 => (low, v, rising),
        3 => (low, falling, v),
        4 => (rising, low, v),
        5 => (v, low, falling),
        _ => (v, rising, low),
    }
}
