//! The light and the film: what is done to every pixel after the drawing.
//!
//! Gain, tint, a gradient over the picture, darker corners and grain. It is the same for all
//! classes and makes colours alone a poor guide.

use super::dice::Dice;

/// Lights `rgb` (rows of `size` pixels) in place.
pub(super) fn expose(rgb: &mut [u8], size: usize, dice: &mut Dice) {
    let gain = dice.between(0.92, 1.16);
    let tint = match dice.count(0, 7) {
        0 => [1.10, 0.98, 0.84], // evening
        1 => [0.86, 0.95, 1.10], // shade
        2 => [0.84, 0.85, 1.06], // dusk
        3 => [1.04, 1.02, 0.92], // sun
        _ => [1.0, 1.0, 1.0],
    };
    let (slope_x, slope_y) = (dice.about(0.13), dice.about(0.13));
    let corners = dice.between(0.0, 0.16);
    let grain = if dice.chance(0.6) {
        dice.between(1.0, 3.5)
    } else {
        0.0
    };
    // Xorshift (Marsaglia 2003), never 0: good enough for grain, and a few operations a pixel.
    let mut state = dice.seed() | 1;
    let step = 2.0 / size.max(1) as f32;
    for (row, line) in rgb.chunks_exact_mut(size.max(1) * 3).enumerate() {
        let y = row as f32 * step - 1.0;
        for (column, pixel) in line.as_chunks_mut::<3>().0.iter_mut().enumerate() {
            let x = column as f32 * step - 1.0;
            let fall = 1.0 - corners * (x * x + y * y) * 0.5;
            let level = gain * (1.0 + slope_x * x + slope_y * y) * fall;
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            // The sum of four uniform bytes is near enough to a normal; its deviation is 147.8.
            let sum: u32 = state.to_le_bytes().into_iter().map(u32::from).sum();
            let noise = (sum as f32 - 510.0) / 147.8 * grain;
            for (value, tint) in pixel.iter_mut().zip(tint) {
                *value = (f32::from(*value) * level * tint + noise + 0.5) as u8;
            }
        }
    }
}
