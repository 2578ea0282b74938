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
