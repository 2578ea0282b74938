//! One row of numbers for a whole picture of any shape, to find it again by.
//!
//! As the reference does it for retrieval: the class token at three scales, averaged and put back to length 1.

use super::Encoder;
use crate::data::{Picture, pixels};
use crate::model::resample;

/// Of the picture's own size.
const SCALES: [f64; 3] = [1.0, std::f64::consts::FRAC_1_SQRT_2, 0.5];

impl Encoder {
    /// The descriptor of `picture` in its own shape, `dim` numbers; nothing is cut out of it. A picture of less
    /// than one token is enlarged to one.
    pub fn descriptor(&self, picture: &Picture) -> Vec<f32> {
        let (height, width) = (picture.height, picture.width);
        let mut whole = vec![0.0; 3 * height * width];
        let [mean, std] = [self.mean, self.std].map(|v| v.map(|x| x as f32));
        pixels::write_normalised(picture, mean, std, &mut whole);
        let mut sum = vec![0.0; self.backbone.dim()];
        for scale in SCALES {
            let least = self.backbone.cell();
            let (planes, size) = resample::planes(&whole, [height, width], scale, least);
            let token = self.class_token(&planes, size);
            sum.iter_mut().zip(token).for_each(|(s, x)| *s += x);
        }
        let length = sum.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
        sum.iter_mut().for_each(|x| *x /= length);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::tests::tiny_encoder;

    #[test]
    fn a_descriptor_is_the_mean_over_three_scales() {
        let encoder = tiny_encoder();
        // Of one colour: what is resampled stays as it is.
        let plain = |width: usize, height: usize| Picture {
            width,
            height,
            rgb: [90, 160, 30].repeat(width * height),
        };
        // 32 px are 4 x 4 patches, 22 and 16 px are 2 x 2.
        let [whole, half] = [32, 16].map(|side| {
            let encoder = encoder.clone().at(side).unwrap();
            let view = [plain(side, side)];
            encoder
                .last_blocks(&view, 1)
                .remove(0)
                .slice([0..1, 0..1, 0..64])
        });
        let mean: Vec<f32> = crate::model::download(whole + half * 2.0);
        let length = mean.iter().map(|x| x * x).sum::<f32>().sqrt();
        let found = encoder.descriptor(&plain(32, 32));
        assert_eq!(found.len(), mean.len());
        for (found, want) in found.iter().zip(mean) {
            assert!((found - want / length).abs() < 1e-5);
        }
    }

    #[test]
    fn pictures_of_any_shape_have_one() {
        let encoder = tiny_encoder();
        for (width, height) in [(1, 1), (3, 90), (50, 33)] {
            let rgb = (0..width * height * 3).map(|i| (i * 37 % 251) as u8);
            let picture = Picture {
                width,
                height,
                rgb: rgb.collect(),
            };
            let found = encoder.descriptor(&picture);
            let length = found.iter().map(|x| x * x).sum::<f32>();
            assert!((length - 1.0).abs() < 1e-4, "{width} x {height}");
        }
    }
}
