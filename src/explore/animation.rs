//! An animated GIF, written frame by frame, so that a long sequence needs no more memory than a short one.
//!
//! The file gets its name when the last frame is in it: what was stopped half-way leaves nothing behind.

use std::cell::RefCell;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, DynamicImage, Frame};

use crate::data::Picture;

/// 1 (best colours) to 30 (fastest): how thoroughly 256 colours are sought for a frame.
const HASTE: i32 = 10;

/// A file that is still held after the encoder has ended: the encoder writes its last bytes, and
/// swallows their errors, when it is dropped.
#[derive(Clone)]
struct Shared(Rc<RefCell<BufWriter<File>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// A GIF that is being written.
pub struct Animation {
    encoder: Option<GifEncoder<Shared>>,
    file: Shared,
    delay: Delay,
    partial: PathBuf,
    path: PathBuf,
}

impl Animation {
    /// Begins one at `path` that is shown over and over at `fps` frames a second. A GIF counts time in
    /// hundredths of a second.
    ///
    /// # Errors
    /// A rate outside 1 to 50, which players do not keep, or a path that cannot be written to.
    pub fn create(path: &Path, fps: u32) -> Result<Self> {
        ensure!(
            (1..=50).contains(&fps),
            "a GIF cannot show {fps} frames a second; take 1 to 50"
        );
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let file = File::create(&partial);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        let file = Shared(Rc::new(RefCell::new(BufWriter::new(file))));
        let mut encoder = GifEncoder::new_with_speed(file.clone(), HASTE);
        encoder.set_repeat(Repeat::Infinite)?;
        Ok(Animation {
            encoder: Some(encoder),
            file,
            delay: Delay::from_numer_denom_ms(1000, fps),
            partial,
            path: path.to_owned(),
        })
    }

    /// Adds a frame; all are as large as the first.
    ///
    /// # Errors
    /// A full disk.
    pub fn add(&mut self, picture: &Picture) -> Result<()> {
        let image = DynamicImage::ImageRgb8(picture.to_image()?).into_rgba8();
        let frame = Frame::from_parts(image, 0, 0, self.delay);
        if let Some(encoder) = &mut self.encoder {
            let added = encoder.encode_frame(frame);
            added.with_context(|| format!("cannot write {}", self.path.display()))?;
        }
        Ok(())
    }

    /// Ends it and gives the file its name.
    ///
    /// # Errors
    /// A full disk, or a name that is taken by a folder.
    pub fn finish(mut self) -> Result<()> {
        self.encoder = None;
        let written = self.file.flush();
        written
            .and_then(|()| std::fs::rename(&self.partial, &self.path))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Drop for Animation {
    fn drop(&mut self) {
        // Not there any more if the animation was finished.
        let _ = std::fs::remove_file(&self.partial);
    }
}

#[cfg(test)]
mod tests {
    use image::AnimationDecoder;
    use image::codecs::gif::GifDecoder;

    use super::*;

    #[test]
    fn frames_come_back_in_order_and_half_an_animation_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gif");
        let colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];
        let mut animation = Animation::create(&path, 20).unwrap();
        for colour in colours {
            animation.add(&Picture::filled(6, 4, colour)).unwrap();
        }
        assert!(!path.exists());
        animation.finish().unwrap();
        let file = std::io::BufReader::new(File::open(&path).unwrap());
        let frames = GifDecoder::new(file).unwrap().into_frames();
        let frames = frames.collect_frames().unwrap();
        assert_eq!(frames.len(), 3);
        for (frame, [r, g, b]) in frames.iter().zip(colours) {
            assert_eq!(frame.buffer().dimensions(), (6, 4));
            assert_eq!(frame.buffer().get_pixel(3, 2).0, [r, g, b, 255]);
            assert_eq!(frame.delay().numer_denom_ms(), (50, 1));
        }
        let other = folder.path().join("b.gif");
        let mut animation = Animation::create(&other, 20).unwrap();
        animation.add(&Picture::filled(6, 4, [1; 3])).unwrap();
        drop(animation);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Animation::create(&other, 0).is_err());
        assert!(Animation::create(&folder.path().join("no/where.gif"), 9).is_err());
    }
}
