//! Cluster maps: every patch of a picture coloured by its prototype, with a legend, and as a file of indices for
//! other programs.

use std::collections::BTreeMap;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};

use super::draw::{self, PAPER};
use super::{Encoder, text};
use crate::data::Picture;

/// How strongly a patch takes the colour of its prototype.
const TINT: f32 = 0.55;

/// Lines between prototypes.
const BORDER: [u8; 3] = [255, 255, 255];

const INK: [u8; 3] = [34, 38, 46];
const ROW: usize = 52;

/// A view with every patch tinted by the colour of its prototype, and a line wherever two meet. `ids` has
/// one for each patch.
pub fn overlay(encoder: &Encoder, view: &Picture, ids: &[u32]) -> Picture {
    let (side, grid) = (encoder.patch(), encoder.grid());
    let mut map = view.clone();
    let id = |x: usize, y: usize| ids.get(y / side * grid + x / side).copied();
    for y in 0..view.height {
        for x in 0..view.width {
            let Some(here) = id(x, y) else { continue };
            let meets = |other: Option<u32>| other.is_some_and(|other| other != here);
            let border = (x > 0 && meets(id(x - 1, y))) || (y > 0 && meets(id(x, y - 1)));
            match border {
                true => map.blend(x, y, BORDER, 0.8),
                false => map.blend(x, y, draw::kind(here as usize), TINT),
            }
        }
    }
    map
}

/// One line of a legend.
#[derive(Clone, Debug)]
pub struct LegendRow {
    pub id: u32,
    /// What it shows, in a few words; may be empty.
    pub name: String,
    /// Its best patches.
    pub thumbnails: Vec<Picture>,
}

/// Colour, number, name and thumbnails of prototypes, one below the other.
pub fn legend(rows: &[LegendRow]) -> Picture {
    let scaled = |thumbnail: &Picture| {
        let filter = crate::data::pixels::Filter::Bicubic;
        crate::data::pixels::resize(thumbnail, ROW - 8, ROW - 8, filter)
    };
    let most = rows.iter().map(|row| row.thumbnails.len()).max();
    let text_width = rows.iter().map(|row| text::width(&row.name, 15)).max();
    let from = 100 + text_width.unwrap_or_default() + 16;
    let width = from + most.unwrap_or_default() * ROW;
    let mut legend = Picture::filled(width, rows.len() * ROW, PAPER);
    for (i, row) in rows.iter().enumerate() {
        let top = i * ROW;
        let swatch = Picture::filled(36, 36, draw::kind(row.id as usize));
        legend.paste(&swatch, 4, top + 8);
        text::write(&mut legend, &row.id.to_string(), 50, top + 18, 15, INK);
        text::write(&mut legend, &row.name, 100, top + 18, 15, INK);
        for (j, thumbnail) in row.thumbnails.iter().enumerate() {
            legend.paste(&scaled(thumbnail), from + j * ROW, top + 4);
        }
    }
    legend
}

/// Writes the prototype of every pixel of a view as PNG: an indexed one whose palette holds the colours of
/// the overlay, or, with more than 256 prototypes in the picture, one of 16-bit grey levels that
/// are the numbers themselves. Returns which number each index stands for.
///
/// # Errors
/// A path that cannot be written to.
pub fn save_indices(encoder: &Encoder, ids: &[u32], path: &Path) -> Result<BTreeMap<u32, u32>> {
    let (side, patch, grid) = (encoder.side, encoder.patch(), encoder.grid());
    let mut kinds: Vec<u32> = ids.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    let indexed = kinds.len() <= 256;
    let index_of = |id: u32| match indexed {
        true => kinds.binary_search(&id).unwrap_or_default() as u32,
        false => id,
    };
    let pixels = (0..side * side).map(|i| {
        let (x, y) = (i % side / patch, i / side / patch);
        index_of(ids.get(y * grid + x).copied().unwrap_or_default())
    });
    let write = || -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let file = BufWriter::new(std::fs::File::create(path)?);
        let mut encoder = png::Encoder::new(file, side as u32, side as u32);
        let data: Vec<u8> = if indexed {
            encoder.set_color(png::ColorType::Indexed);
            let palette = kinds.iter().flat_map(|&id| draw::kind(id as usize));
            encoder.set_palette(palette.collect::<Vec<u8>>());
            pixels.map(|index| index as u8).collect()
        } else {
            encoder.set_color(png::ColorType::Grayscale);
            encoder.set_depth(png::BitDepth::Sixteen);
            pixels.flat_map(|id| (id as u16).to_be_bytes()).collect()
        };
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&data)?;
        writer.finish()?;
        Ok(())
    };
    write()
        .map_err(|error| anyhow::anyhow!(error))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(kinds.iter().map(|&id| (index_of(id), id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explore::tests::tiny_encoder;

    #[test]
    fn patches_are_tinted_and_borders_drawn_where_prototypes_meet() {
        let encoder = tiny_encoder();
        let view = Picture::filled(32, 32, [100; 3]);
        // Left half 3, right half 9.
        let ids: Vec<u32> = (0..16).map(|i| if i % 4 < 2 { 3 } else { 9 }).collect();
        let map = overlay(&encoder, &view, &ids);
        let at = |x: usize, y: usize| map.rgb[(y * 32 + x) * 3..][..3].to_vec();
        assert_eq!(at(2, 2), at(15, 31));
        assert_ne!(at(2, 2), at(20, 2));
        assert_eq!(at(16, 9), [224; 3]);
        let tinted = f32::from(draw::kind(9)[0]) * TINT + 100.0 * (1.0 - TINT);
        assert_eq!(f32::from(at(20, 2)[0]), tinted.round());
    }

    #[test]
    fn an_index_file_says_the_prototype_of_every_pixel() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("map.png");
        let read = || {
            let file = std::io::BufReader::new(std::fs::File::open(&path).unwrap());
            let mut decoder = png::Decoder::new(file);
            decoder.set_transformations(png::Transformations::IDENTITY);
            let mut reader = decoder.read_info().unwrap();
            let mut data = vec![0; reader.output_buffer_size().unwrap()];
            let about = reader.next_frame(&mut data).unwrap();
            let palette = reader.info().palette.clone().map(|p| p.to_vec());
            (about.color_type, data, palette)
        };
        let encoder = tiny_encoder();
        let ids: Vec<u32> = (0..16).map(|i| 1000 + i / 8).collect();
        let named = save_indices(&encoder, &ids, &path).unwrap();
        assert_eq!(named, BTreeMap::from([(0, 1000), (1, 1001)]));
        let (kind, data, palette) = read();
        assert_eq!(kind, png::ColorType::Indexed);
        assert_eq!(
            (data[0], data[32 * 15 + 31], data[32 * 16], data[1023]),
            (0, 0, 1, 1)
        );
        assert_eq!(
            palette.unwrap(),
            [draw::kind(1000), draw::kind(1001)].concat()
        );

        let fine = encoder.at(8 * 17).unwrap();
        let ids: Vec<u32> = (0..289).collect();
        let named = save_indices(&fine, &ids, &path).unwrap();
        assert_eq!(named[&288], 288);
        let (kind, data, _) = read();
        assert_eq!(kind, png::ColorType::Grayscale);
        assert_eq!(
            u16::from_be_bytes([data[data.len() - 2], data[data.len() - 1]]),
            288
        );
    }
}
