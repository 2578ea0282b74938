//! Distortions that turn a picture into a copy of itself, as copy detection is tested with.
//!
//! After Copydays: nine qualities of JPEG, nine sizes of crop, and strong changes. Its strong ones are photographs
//! of prints and screens; here they are made: dark, washed out, blurred, turned grey, tilted in colour, solarised.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::pixels::{self, Filter};
use super::{Picture, decode};

/// JPEG qualities of Copydays.
const QUALITIES: [u8; 9] = [75, 50, 30, 20, 15, 10, 8, 5, 3];

/// Shares of the area that Copydays' crops remove, in per cent.
const CROPS: [u32; 9] = [10, 15, 20, 30, 40, 50, 60, 70, 80];

type Distort = Box<dyn Fn(&Picture) -> Picture + Send + Sync>;

/// A way to distort.
pub struct Attack {
    pub name: String,
    pub distort: Distort,
}

fn attack(name: String, distort: impl Fn(&Picture) -> Picture + Send + Sync + 'static) -> Attack {
    let distort = Box::new(distort);
    Attack { name, distort }
}

/// All of them; the first changes nothing.
pub fn attacks() -> Vec<Attack> {
    let mut attacks = vec![attack("original".into(), Picture::clone)];
    let jpegs = QUALITIES.map(|quality| {
        attack(format!("jpeg {quality}"), move |picture| {
            jpeg(picture, quality)
        })
    });
    let crops = CROPS.map(|percent| {
        attack(format!("crop {percent} %"), move |picture| {
            crop(picture, f64::from(percent) / 100.0)
        })
    });
    attacks.extend(jpegs);
    attacks.extend(crops);
    attacks.push(attack("strong: dark and blurred".into(), |picture| {
        changed(picture, |p| {
            pixels::adjust_brightness(p, 0.4);
            pixels::gaussian_blur(p, p.width.min(p.height) as f32 / 80.0);
        })
    }));
    attacks.push(attack("strong: washed-out crop".into(), |picture| {
        changed(&crop(picture, 0.4), |p| {
            pixels::adjust_contrast(p, 0.4);
            pixels::adjust_brightness(p, 1.5);
        })
    }));
    attacks.push(attack(
        "strong: grey, mirrored, jpeg 10".into(),
        |picture| {
            let changed = changed(picture, |p| {
                pixels::make_grey(p);
                pixels::flip_horizontal(p);
            });
            jpeg(&changed, 10)
        },
    ));
    attacks.push(attack("strong: false colours".into(), |picture| {
        changed(picture, |p| {
            pixels::shift_hue(p, 0.3);
            pixels::solarise(p, 160);
        })
    }));
    attacks
}

fn changed(picture: &Picture, change: impl Fn(&mut Picture)) -> Picture {
    let mut copy = picture.clone();
    change(&mut copy);
    copy
}

/// Written and read again; what the coder does not take stays as it is.
fn jpeg(picture: &Picture, quality: u8) -> Picture {
    let mut bytes = Cursor::new(Vec::new());
    let (width, height) = (picture.width as u32, picture.height as u32);
    let coder = JpegEncoder::new_with_quality(&mut bytes, quality);
    let written = coder.write_image(&picture.rgb, width, height, ExtendedColorType::Rgb8);
    let read = written
        .ok()
        .and_then(|()| decode::decode(bytes.get_ref()).ok());
    read.unwrap_or_else(|| picture.clone())
}

/// The middle that is left when `removed` of the area is cut away, at the picture's own size.
fn crop(picture: &Picture, removed: f64) -> Picture {
    let side = (1.0 - removed).sqrt();
    let kept = |length: usize| ((length as f64 * side).round() as usize).clamp(1, length);
    let (width, height) = (kept(picture.width), kept(picture.height));
    let (left, top) = ((picture.width - width) / 2, (picture.height - height) / 2);
    let mut rgb = Vec::with_capacity(3 * width * height);
    for y in top..top + height {
        let start = 3 * (y * picture.width + left);
        rgb.extend(&picture.rgb[start..start + 3 * width]);
    }
    let cut = Picture { width, height, rgb };
    pixels::resize(&cut, picture.width, picture.height, Filter::Bilinear)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use crate::data::parts::Parts;

    #[test]
    fn copies_keep_their_size_and_differ_more_and_more() {
        let picture = Parts::new(1, 64, 3).load(0).unwrap();
        let distance = |attack: &Attack| -> f64 {
            let copy = (attack.distort)(&picture);
            assert_eq!((copy.width, copy.height), (64, 64), "{}", attack.name);
            let pairs = copy.rgb.iter().zip(&picture.rgb);
            let squares = pairs.map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
            squares.sum::<f64>() / copy.rgb.len() as f64
        };
        let all = attacks();
        let distances: Vec<f64> = all.iter().map(distance).collect();
        assert_eq!((all.len(), distances[0]), (23, 0.0));
        assert!(distances[1..].iter().all(|&d| d > 0.0), "{distances:?}");
        assert!(
            distances[1] < distances[5] && distances[5] < distances[9],
            "{distances:?}"
        );
        assert!(distances[10] < distances[18], "{distances:?}");
    }
}
