//! A short line of text in a picture, with a font that is compiled in: sheets name what they show, on a
//! server without any font as well.

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, Glyph, PxScale, ScaleFont, point};

use super::draw::Rgb;
use crate::data::Picture;

/// Writes one line with its upper left corner at (`left`, `top`); `height` is that of a line in pixels, from
/// the highest to the lowest stroke. What lies outside the picture is left out.
pub fn write(
    picture: &mut Picture,
    text: &str,
    left: usize,
    top: usize,
    height: usize,
    colour: Rgb,
) {
    let Some(font) = font() else { return };
    for mut glyph in line(font, text, height).0 {
        glyph.position.x += left as f32;
        glyph.position.y += top as f32;
        let Some(outline) = font.outline_glyph(glyph) else {
            continue; // a space
        };
        let corner = outline.px_bounds().min;
        outline.draw(|x, y, share| {
            let (x, y) = (corner.x + x as f32, corner.y + y as f32);
            if x >= 0.0 && y >= 0.0 {
                picture.blend(x as usize, y as usize, colour, share.clamp(0.0, 1.0));
            }
        });
    }
}

/// Width in pixels of a line of `height` pixels.
pub fn width(text: &str, height: usize) -> usize {
    font().map_or(0, |font| line(font, text, height).1.ceil() as usize)
}

/// The glyphs of a line that starts at the origin, and where it ends.
fn line(font: &FontRef<'static>, text: &str, height: usize) -> (Vec<Glyph>, f32) {
    let font = font.as_scaled(PxScale::from(height as f32));
    let mut glyphs: Vec<Glyph> = Vec::new();
    let mut end = 0.0;
    for character in text.chars().filter(|c| !c.is_control()) {
        let mut glyph = font.scaled_glyph(character);
        if let Some(before) = glyphs.last() {
            end += font.kern(before.id, glyph.id);
        }
        glyph.position = point(end, font.ascent());
        end += font.h_advance(glyph.id);
        glyphs.push(glyph);
    }
    (glyphs, end)
}

fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    let read = || FontRef::try_from_slice(epaint_default_fonts::UBUNTU_LIGHT).ok();
    FONT.get_or_init(read).as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_in_its_box_and_out_of_bounds_is_left_out() {
        let (left, top, height) = (7, 5, 16);
        let mut picture = Picture::filled(120, 40, [255; 3]);
        write(&mut picture, "Agj 17", left, top, height, [0; 3]);
        let right = left + width("Agj 17", height);
        let mut inked = 0;
        for (i, pixel) in picture.rgb.as_chunks::<3>().0.iter().enumerate() {
            if *pixel != [255; 3] {
                let (x, y) = (i % 120, i / 120);
                assert!((left - 1..=right).contains(&x), "{x}");
                assert!((top..=top + height).contains(&y), "{y}");
                inked += 1;
            }
        }
        assert!(inked > 60, "{inked}");
        assert!(width("Agj 17", 32) > width("Agj", 32));
        assert_eq!(width("", 16), 0);
        write(&mut picture, "beyond\nthe edge", 100, 35, 30, [9; 3]);
    }
}
