//! Bytes of a picture file → [`Picture`].
//!
//! The format is read from the content, never from the file's name. Everything ends as 8-bit RGB,
//! upright. Colours follow what `convert("RGB")` of Pillow gives, because the reference and most
//! published features saw their pictures through it: alpha is dropped (the stored colour stays,
//! nothing is blended with a background), grey is repeated, palettes are looked up, CMYK in JPEG is
//! read as Adobe writes it (inverted) and multiplied out without a colour profile. The one
//! difference is on purpose: 16-bit grey is scaled to 8 bits, where Pillow clips it to white.

use std::io::{self, Cursor};

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::Picture;

/// Pictures with a shorter side than this many pixels are refused: no crop of them shows anything.
pub const MIN_SIDE: u32 = 8;

/// Most memory one decoded picture may take, in bytes (a 178-megapixel RGB picture). A small file
/// can claim to be huge; this stops it before the memory is asked for.
pub const MAX_DECODED_BYTES: u64 = 512 << 20;

/// Largest file that is read as one picture, in bytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;

/// Decodes a whole picture file; of an animation, the first frame.
///
/// JPEG, PNG, WebP, BMP, TIFF and GIF. EXIF orientation is applied. The error says in words what
/// is wrong with the file (without its name, which only the caller knows).
pub fn decode(bytes: &[u8]) -> Result<Picture, String> {
    if bytes.is_empty() {
        return Err("the file is empty".to_owned());
    }
    let format = image::guess_format(bytes).map_err(|_| {
        "not a picture (the content is none of JPEG, PNG, WebP, BMP, TIFF, GIF)".to_owned()
    })?;
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        return Err("the JPEG is cut short".to_owned());
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(in_words)?;

    let (width, height) = decoder.dimensions();
    if width.min(height) < MIN_SIDE {
        return Err(format!(
            "{width}x{height} pixels is too small (each side needs {MIN_SIDE})"
        ));
    }
    limits.reserve(decoder.total_bytes()).map_err(|_| {
        format!(
            "{width}x{height} pixels would take more than {} MiB",
            MAX_DECODED_BYTES >> 20
        )
    })?;
    // Damaged EXIF data says nothing about the pixels: such a picture stays as it is stored.
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(in_words)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    let rgb = image.into_rgb8();
    Ok(Picture {
        width: rgb.width() as usize,
        height: rgb.height() as usize,
        rgb: rgb.into_raw(),
    })
}

fn in_words(error: ImageError) -> String {
    match error {
        ImageError::Limits(_) => format!(
            "decoding it would take more than {} MiB",
            MAX_DECODED_BYTES >> 20
        ),
        ImageError::IoError(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => {
            "the file is cut short".to_owned()
        }
        other => other.to_string(),
    }
}

/// Whether an end marker follows the start of the pixel data.
///
/// The JPEG decoder fills what is missing with grey and reports success, so a download that broke
/// off would be trained on. In pixel data every 0xFF is followed by something else than 0xD9
/// except in the end marker itself; an EXIF thumbnail with an end marker of its own lies before
/// the pixel data and is skipped with its segment.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        match *rest {
            // Start of scan: from here on, only the end marker reads FF D9.
            [0xFF, 0xDA, ..] => return rest.windows(2).rev().any(|pair| pair == [0xFF, 0xD9]),
            // Any byte 0xFF may be repeated before a marker.
            [0xFF, 0xFF, ..] => rest = rest.get(1..).unwrap_or_default(),
            [0xFF, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                match rest.get(2 + length..) {
                    Some(after) => rest = after,
                    None => return false,
                }
            }
            // Cut within a marker or its length, or before a marker.
            [] | [0xFF, ..] => return false,
            // Not a marker: leave the verdict to the decoder, which knows how to resynchronise.
            [_, ..] => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::jpeg::JpegEncoder;
    use image::{GrayAlphaImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage};

    /// Smooth, so that JPEG stays close, and of 240 colours, so that a GIF holds it exactly.
    fn gradient() -> RgbImage {
        RgbImage::from_fn(20, 12, |x, y| Rgb([x as u8 * 10, y as u8 * 15, 90]))
    }

    fn encode(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn jpeg(quality: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
        gradient().write_with_encoder(encoder).unwrap();
        bytes
    }

    fn largest_difference(picture: &Picture, expected: &RgbImage) -> u8 {
        let size = (expected.width() as usize, expected.height() as usize);
        assert_eq!((picture.width, picture.height), size);
        assert_eq!(picture.rgb.len(), size.0 * size.1 * 3);
        let pairs = picture.rgb.iter().zip(expected.as_raw());
        pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap()
    }

    #[test]
    fn every_format() {
        for format in [
            ImageFormat::Png,
            ImageFormat::WebP,
            ImageFormat::Bmp,
            ImageFormat::Tiff,
            ImageFormat::Gif,
        ] {
            let picture = decode(&encode(gradient(), format)).unwrap();
            assert_eq!(largest_difference(&picture, &gradient()), 0, "{format:?}");
        }
        let difference = largest_difference(&decode(&jpeg(100)).unwrap(), &gradient());
        assert!(difference <= 6, "JPEG: {difference}");
    }

    #[test]
    fn grey_sixteen_bit_and_alpha() {
        let first = |image: DynamicImage| decode(&encode(image, ImageFormat::Png)).unwrap().rgb;
        let grey16 = ImageBuffer::from_pixel(8, 8, Luma([0x8080u16]));
        assert_eq!(first(grey16.into())[..3], [0x80; 3]);
        let rgb16 = ImageBuffer::from_pixel(8, 8, Rgb([0u16, 0x4040, 0xFFFF]));
        assert_eq!(first(rgb16.into())[..3], [0, 0x40, 0xFF]);
        let grey_alpha = GrayAlphaImage::from_pixel(8, 8, LumaA([70, 9]));
        assert_eq!(first(grey_alpha.into())[..3], [70; 3]);
        // Alpha is dropped, even where it hides the colour.
        let clear = RgbaImage::from_pixel(8, 8, Rgba([1, 2, 3, 0]));
        assert_eq!(first(clear.into())[..3], [1, 2, 3]);
    }

    /// An indexed PNG, which `image` reads but does not write.
    #[test]
    fn palette() {
        let chunk = |kind: &[u8; 4], data: &[u8]| {
            let mut crc = flate2::Crc::new();
            crc.update(kind);
            crc.update(data);
            let length = (data.len() as u32).to_be_bytes();
            [&length[..], kind, data, &crc.sum().to_be_bytes()].concat()
        };
        let header = [
            &8u32.to_be_bytes()[..],
            &8u32.to_be_bytes(),
            &[8, 3, 0, 0, 0],
        ]
        .concat();
        let rows = [0u8, 0, 1, 0, 1, 0, 1, 0, 1].repeat(8);
        let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
        io::Write::write_all(&mut packed, &rows).unwrap();
        let bytes = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &header),
            chunk(b"PLTE", &[200, 10, 20, 30, 40, 250]),
            chunk(b"tRNS", &[0]),
            chunk(b"IDAT", &packed.finish().unwrap()),
            chunk(b"IEND", &[]),
        ];
        let picture = decode(&bytes.concat()).unwrap();
        assert_eq!(picture.rgb[..6], [200, 10, 20, 30, 40, 250]);
    }

    /// A CMYK JPEG as Adobe writes it (inverted), made by hand: 8x8 pixels, of each component one
    /// block of one value. Stored are 255, 128, 0 and 128.
    fn adobe_jpeg(transform: u8) -> Vec<u8> {
        let mut bytes = b"\xFF\xD8\xFF\xEE\x00\x0EAdobe\x00\x64\x00\x00\x00\x00".to_vec();
        bytes.push(transform);
        // Quantisation 8 everywhere: one step of the mean coefficient is one level.
        bytes.extend(b"\xFF\xDB\x00\x43\x00");
        bytes.extend([8; 64]);
        bytes.extend(b"\xFF\xC0\x00\x14\x08\x00\x08\x00\x08\x04");
        bytes.extend([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0]);
        // Codes of the mean's bits: 0 → seven, 10 → none, 110 → eight. Then 0 → end of block.
        bytes.extend(b"\xFF\xC4\x00\x16\x00\x01\x01\x01");
        bytes.extend([0; 13]);
        bytes.extend([7, 0, 8]);
        bytes.extend(b"\xFF\xC4\x00\x14\x10\x01");
        bytes.extend([0; 16]);
        bytes.extend(b"\xFF\xDA\x00\x0E\x04\x01\x00\x02\x00\x03\x00\x04\x00\x00\x3F\x00");
        // +127: 0 1111111 0, 0: 10 0, -128: 110 01111111 0, 0: 10 0, and ones to the full byte.
        bytes.extend([0x7F, 0x4C, 0xFE, 0x9F, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn adobe_cmyk_and_ycck() {
        // 255, 128, 0 times 128 / 255.
        let cmyk = decode(&adobe_jpeg(0)).unwrap();
        assert_eq!(cmyk.rgb[..3], [128, 64, 0]);
        // Y 255, Cb 128, Cr 0 → RGB 76, 255, 255 → inks 179, 0, 0, times 128 / 255.
        let ycck = decode(&adobe_jpeg(2)).unwrap();
        assert_eq!(ycck.rgb[..3], [90, 0, 0]);
    }

    /// A JPEG with an EXIF segment of one entry: orientation.
    fn with_orientation(orientation: u8) -> Vec<u8> {
        let mut exif = b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let plain = jpeg(100);
        let length = (exif.len() as u16 + 2).to_be_bytes();
        [&plain[..2], &[0xFF, 0xE1], &length, &exif, &plain[2..]].concat()
    }

    #[test]
    fn exif_orientation() {
        let upright = DynamicImage::from(gradient());
        for (orientation, expected) in [
            (1, upright.clone()),
            (2, upright.fliph()),
            (3, upright.rotate180()),
            (6, upright.rotate90()),
            (8, upright.rotate270()),
            (77, upright.clone()),
        ] {
            let picture = decode(&with_orientation(orientation)).unwrap();
            let difference = largest_difference(&picture, &expected.into_rgb8());
            assert!(difference <= 6, "orientation {orientation}: {difference}");
        }
    }

    #[test]
    fn broken_files_are_errors_in_words() {
        let reason = |bytes: &[u8]| decode(bytes).unwrap_err();
        assert_eq!(reason(b""), "the file is empty");
        assert!(reason(b"just words").contains("not a picture"));
        for format in [
            ImageFormat::Png,
            ImageFormat::Gif,
            ImageFormat::WebP,
            ImageFormat::Bmp,
        ] {
            let bytes = encode(gradient(), format);
            for end in [12, bytes.len() / 2, bytes.len() - 20] {
                assert!(decode(&bytes[..end]).is_err(), "{format:?} cut at {end}");
            }
        }
        // Cut within the headers, in the pixel data, and before the end marker.
        let bytes = with_orientation(6);
        for end in [3, 30, bytes.len() - 100, bytes.len() - 1] {
            assert_eq!(
                reason(&bytes[..end]),
                "the JPEG is cut short",
                "cut at {end}"
            );
        }
        let sliver = encode(RgbImage::new(300, 7), ImageFormat::Png);
        assert!(reason(&sliver).contains("300x7 pixels is too small"));
        // The width and height of a BMP are at byte 18 and 22.
        let mut bomb = encode(gradient(), ImageFormat::Bmp);
        bomb[18..26].copy_from_slice(&[0x00, 0x40, 0, 0, 0x00, 0x40, 0, 0]);
        assert!(
            reason(&bomb).contains("more than 512 MiB"),
            "{}",
            reason(&bomb)
        );
    }
}
