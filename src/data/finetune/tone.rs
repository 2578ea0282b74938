//! RandAugment's operations on values and neighbours, equal to Pillow's `ImageOps`/`ImageEnhance`.
//!
//! Brightness, contrast, saturation and solarisation are those of [`crate::data::pixels`].

use crate::data::Picture;

/// Stretches each channel so that its darkest value becomes 0 and its brightest 255 (Pillow's
/// `autocontrast` without cut-off). A channel of a single value stays.
pub fn stretch_contrast(picture: &mut Picture) {
    let tables = histograms(picture).map(|counts| {
        let low = counts.iter().position(|&count| count > 0).unwrap_or(0);
        let high = counts.iter().rposition(|&count| count > 0).unwrap_or(0);
        if high <= low {
            return identity();
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        // The cast cuts towards zero and clips.
        std::array::from_fn(|value| (value as f64 * scale + offset) as u8)
    });
    look_up(picture, &tables);
}

/// Spreads each channel's values evenly (Pillow's `equalize`). A channel whose values, the
/// brightest apart, fill fewer than 255 pixels stays.
pub fn equalise(picture: &mut Picture) {
    let tables = histograms(picture).map(|counts| {
        let total: usize = counts.iter().sum();
        let brightest = counts.iter().rfind(|&&count| count > 0).unwrap_or(&0);
        let step = (total - brightest) / 255;
        if step == 0 {
            return identity();
        }
        let mut reached = step / 2;
        counts.map(|count| {
            let value = reached / step;
            reached += count;
            value.min(255) as u8
        })
    });
    look_up(picture, &tables);
}

/// Replaces every value by its distance from 255.
pub fn invert(picture: &mut Picture) {
    for value in &mut picture.rgb {
        *value = 255 - *value;
    }
}

/// Keeps the `bits` highest bits of every value: 8 changes nothing, 0 leaves black (Pillow 13
/// refuses 0, which timm asks for at magnitude 10).
pub fn posterise(picture: &mut Picture, bits: u32) {
    let mask = !(255u32 >> bits.min(8)) as u8;
    for value in &mut picture.rgb {
        *value &= mask;
    }
}

/// Adds `amount` to the values below 128.
pub fn solarise_add(picture: &mut Picture, amount: u8) {
    for value in &mut picture.rgb {
        *value = if *value < 128 {
            value.saturating_add(amount)
        } else {
            *value
        };
    }
}

/// Moves every pixel away from a slightly blurred picture (factor > 1) or towards it (Pillow's
/// `Sharpness`). The blur weighs the middle of 3×3 pixels by 5/13 and the others by 1/13; the
/// outermost pixels have no such neighbourhood and stay.
pub fn adjust_sharpness(picture: &mut Picture, factor: f32) {
    let row = picture.width * 3;
    if picture.width < 3 || picture.height < 3 {
        return;
    }
    let before = picture.rgb.clone();
    let mut sums = vec![0u16; row];
    let lines = before.windows(3 * row).step_by(row);
    for (lines, out) in lines.zip(picture.rgb.chunks_exact_mut(row).skip(1)) {
        let (above, rest) = lines.split_at(row);
        let (here, below) = rest.split_at(row);
        for (((sum, &a), &b), &c) in sums.iter_mut().zip(above).zip(here).zip(below) {
            *sum = u16::from(a) + u16::from(b) + u16::from(c);
        }
        let neighbours = sums.iter().zip(&sums[3..]).zip(&sums[6..]);
        for ((out, &value), ((left, middle), right)) in
            out[3..].iter_mut().zip(&here[3..]).zip(neighbours)
        {
            let sum = left + middle + right + 4 * u16::from(value);
            // Rounded; a multiple of 1/13 never falls on a half.
            let smooth = f32::from((2 * sum + 13) / 26);
            *out = (smooth + factor * (f32::from(value) - smooth)) as u8;
        }
    }
}

/// How many pixels have each value, per channel.
fn histograms(picture: &Picture) -> [[usize; 256]; 3] {
    let mut counts = [[0; 256]; 3];
    for pixel in picture.rgb.as_chunks::<3>().0 {
        for (counts, &value) in counts.iter_mut().zip(pixel) {
            counts[usize::from(value)] += 1;
        }
    }
    counts
}

fn identity() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

/// Replaces every value by its channel's entry for it.
fn look_up(picture: &mut Picture, tables: &[[u8; 256]; 3]) {
    for pixel in picture.rgb.as_chunks_mut::<3>().0 {
        for (value, table) in pixel.iter_mut().zip(tables) {
            *value = table[usize::from(*value)];
        }
    }
}
