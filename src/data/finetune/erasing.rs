//! Random erasing (Zhong et al. 2017) in timm's pixel mode: a rectangle of noise.

use crate::data::draws::Draws;
use crate::data::pixels::Rect;

use super::distributions::normal_pair;

/// Share of the picture that a rectangle covers, drawn evenly between the two.
const AREA: [f64; 2] = [0.02, 1.0 / 3.0];
/// Height over width, drawn log-evenly between the two.
const ASPECT: [f64; 2] = [0.3, 1.0 / 0.3];
/// Tries at a rectangle that fits.
const TRIES: usize = 10;

/// Draws the rectangle to erase from a square picture of `side` pixels; `None` with probability
/// 1 − `probability`, or where no try fits (a rectangle never spans the picture).
pub fn draw(probability: f64, side: usize, draws: &mut impl Draws) -> Option<Rect> {
    if !draws.chance(probability) {
        return None;
    }
    (0..TRIES).find_map(|_| {
        let area = draws.uniform(AREA[0], AREA[1]) * (side * side) as f64;
        let aspect = libm::exp(draws.uniform(libm::log(ASPECT[0]), libm::log(ASPECT[1])));
        let height = (area * aspect).sqrt().round_ties_even() as usize;
        let width = (area / aspect).sqrt().round_ties_even() as usize;
        (height < side && width < side).then(|| Rect {
            top: draws.below(side - height + 1),
            left: draws.below(side - width + 1),
            width,
            height,
        })
    })
}

/// Replaces `region` of the normalised `planes`, `[3, side, side]`, by standard normal noise, a
/// number of its own for each value.
pub fn erase(planes: &mut [f32], side: usize, region: Rect, draws: &mut impl Draws) {
    let region = region.within(side, side);
    if region.width == 0 {
        return;
    }
    for row in planes.chunks_exact_mut(side * side).flat_map(|plane| {
        let rows = plane.chunks_exact_mut(side);
        rows.skip(region.top).take(region.height)
    }) {
        for pair in row[region.left..][..region.width].chunks_mut(2) {
            for (value, normal) in pair.iter_mut().zip(normal_pair(draws)) {
                *value = normal as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::views::view_rng;

    #[test]
    fn rectangles_are_as_frequent_large_and_long_as_timms() {
        // Mean and deviation of the area and deviation of the logarithm of the shape: timm's
        // procedure in Python, 200,000 draws.
        for (side, mean, spread, shape_spread) in [
            (224, 0.176_13, 0.090_05, 0.691_5),
            (32, 0.175_84, 0.090_03, 0.692_2),
        ] {
            let total = 80_000;
            let (mut n, mut area, mut area2, mut shape, mut shape2) = (0.0, 0.0, 0.0, 0.0, 0.0);
            let (mut low, mut left) = (1.0f64, 0.0);
            for image in 0..total {
                let Some(region) = draw(0.25, side, &mut view_rng(4, 0, image, 0)) else {
                    continue;
                };
                assert_eq!(region, region.within(side, side));
                assert!(region.width < side && region.height < side);
                let share = (region.width * region.height) as f64 / (side * side) as f64;
                let long = (region.height as f64 / region.width as f64).ln();
                n += 1.0;
                area += share;
                area2 += (share - mean).powi(2);
                shape += long;
                shape2 += long * long;
                low = low.min(share);
                left += region.left as f64 / (side - region.width) as f64;
            }
            let (area, spread_seen) = (area / n, (area2 / n).sqrt());
            let (shape, shape_seen) = (shape / n, (shape2 / n).sqrt());
            assert!((n / total as f64 - 0.25).abs() < 0.008);
            assert!((area - mean).abs() < 0.0032);
            assert!((spread_seen - spread).abs() < 0.002);
            assert!(shape.abs() < 0.025);
            assert!((shape_seen - shape_spread).abs() < 0.012);
            assert!((0.015..0.023).contains(&low));
            assert!((left / n - 0.5).abs() < 0.011);
        }
    }

    #[test]
    fn noise_is_normal_different_everywhere_and_stays_inside() {
        let (side, region) = (
            64,
            Rect {
                left: 3,
                top: 5,
                width: 41,
                height: 50,
            },
        );
        let mut planes = vec![9.0; 3 * side * side];
        erase(&mut planes, side, region, &mut view_rng(5, 0, 0, 0));
        let inside = |i: usize| {
            let (x, y) = (i % side, i / side % side);
            (3..44).contains(&x) && (5..55).contains(&y)
        };
        let (noise, rest): (Vec<_>, Vec<_>) =
            planes.iter().enumerate().partition(|&(i, _)| inside(i));
        assert!(rest.iter().all(|&(_, &value)| value == 9.0));
        let n = noise.len() as f32;
        assert_eq!(noise.len(), 3 * 41 * 50);
        let mean = noise.iter().map(|(_, value)| **value).sum::<f32>() / n;
        let square = noise.iter().map(|(_, value)| value.powi(2)).sum::<f32>() / n;
        assert!(mean.abs() < 5.0 / n.sqrt() && (square - 1.0).abs() < 5.0 * (2.0 / n).sqrt());
        let mut values: Vec<u32> = noise.iter().map(|(_, value)| value.to_bits()).collect();
        values.sort_unstable();
        values.dedup();
        assert!(values.len() > 6140);
        // No rectangle is smaller than a picture of one pixel.
        assert_eq!(
            draw(1.0, 1, &mut view_rng(5, 0, 0, 0)).filter(|region| region.width > 0),
            None
        );
    }
}
