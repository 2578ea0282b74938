//! A zip or tar of pictures, read in place: nothing is unpacked to disk.
//!
//! A zip lists its entries at its end and a plain tar can be scanned by its headers, so of these
//! two only the places of the pictures are kept and any thread reads any picture from the file. A
//! `.tar.gz` has no places to jump to: it is read once from front to back, and the picture files in
//! it (compressed in themselves, so about as large as the archive) stay in memory, up to
//! 4 GiB.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use zip::read::{ZipReadOptions, read_zipfile_from_stream_with_options};
use zip::result::ZipError;

use super::archive_scan::{Scan, TarPlace, ZipPlace};
use super::catalogue::Catalogue;
use super::decode;
use super::open::SourceError;
use super::shared_file::SharedFile;
use super::{LoadError, Picture, Source, file_stamp};

/// How an archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    Zip,
    Tar,
    TarGz,
}

/// The pictures of one archive.
pub struct Archive {
    path: PathBuf,
    catalogue: Catalogue,
    store: Store,
}

enum Store {
    Zip(SharedFile, Vec<ZipPlace>),
    Tar(SharedFile, Vec<TarPlace>),
    Memory(Vec<Box<[u8]>>),
}

impl Archive {
    /// Lists the pictures of an archive and what in it could not be used.
    ///
    /// # Errors
    /// The file cannot be read as such an archive, or there is no picture file in it.
    pub fn open(path: &Path, packing: Packing) -> Result<(Self, Vec<LoadError>), SourceError> {
        let mut scan = Scan::new(path);
        let (catalogue, store) = match packing {
            Packing::Zip => {
                let entries = scan.zip()?;
                let (catalogue, places) = scan.catalogue(entries)?;
                (catalogue, Store::Zip(scan.shared_file()?, places))
            }
            Packing::Tar => {
                let entries = scan.tar()?;
                let (catalogue, places) = scan.catalogue(entries)?;
                (catalogue, Store::Tar(scan.shared_file()?, places))
            }
            Packing::TarGz => {
                let entries = scan.tar_gz()?;
                let (catalogue, files) = scan.catalogue(entries)?;
                (catalogue, Store::Memory(files))
            }
        };
        let path = path.to_owned();
        let archive = Self {
            path,
            catalogue,
            store,
        };
        Ok((archive, scan.warnings))
    }

    fn read(&self, index: usize) -> Result<Picture, String> {
        let gone = || "there is no such picture".to_owned();
        match &self.store {
            Store::Zip(file, places) => {
                let bytes = read_zip(file, places.get(index).ok_or_else(gone)?)?;
                decode::decode(&bytes)
            }
            Store::Tar(file, places) => {
                let place = places.get(index).ok_or_else(gone)?;
                let bytes = file.read_at(place.offset, place.size);
                decode::decode(&bytes.map_err(in_words)?)
            }
            Store::Memory(files) => decode::decode(files.get(index).ok_or_else(gone)?),
        }
    }
}

impl Source for Archive {
    fn len(&self) -> usize {
        self.catalogue.len()
    }

    fn name(&self, index: usize) -> String {
        let inside = self.catalogue.name(index);
        format!("{}/{inside}", self.path.display())
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.catalogue.label(index)
    }

    fn classes(&self) -> &[String] {
        self.catalogue.classes()
    }

    fn stamp(&self, _index: usize) -> u64 {
        file_stamp(&self.path)
    }

    fn load(&self, index: usize) -> Result<Picture, LoadError> {
        self.read(index).map_err(|reason| LoadError {
            name: self.name(index),
            reason,
        })
    }
}

fn read_zip(file: &SharedFile, place: &ZipPlace) -> Result<Vec<u8>, String> {
    let options = ZipReadOptions::default()
        .override_compressed_size(place.packed)
        .override_uncompressed_size(place.size)
        .override_crc(place.crc);
    let read = file.read_from(place.header, |file| {
        let mut reader = BufReader::new(file);
        let Some(entry) = read_zipfile_from_stream_with_options(&mut reader, options)? else {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        };
        // One byte more than the directory promised: the zip may lie about how large it becomes.
        let mut bytes = Vec::new();
        entry.take(place.size + 1).read_to_end(&mut bytes)?;
        Ok::<_, ZipError>(bytes)
    });
    match read {
        Ok(bytes) if bytes.len() as u64 == place.size => Ok(bytes),
        Ok(_) => Err("its size is not what the archive's directory says".to_owned()),
        Err(ZipError::Io(error)) => Err(in_words(error)),
        Err(error) => Err(format!("cannot be unpacked: {error}")),
    }
}

fn in_words(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the archive is cut short in this picture".to_owned(),
        _ => format!("cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::folder::Folder;
    use flate2::{Compression, write::GzEncoder};
    use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
    use std::fs::{self, File};
    use std::io::{Cursor, Write};
    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    /// The same files for a folder and all archives; the BMP compresses well, the text is ignored.
    fn files() -> Vec<(&'static str, Vec<u8>)> {
        let picture = |shade, format| {
            let image = RgbImage::from_fn(30, 20, |x, y| Rgb([x as u8, y as u8, shade]));
            let mut bytes = Cursor::new(Vec::new());
            DynamicImage::from(image)
                .write_to(&mut bytes, format)
                .unwrap();
            bytes.into_inner()
        };
        vec![
            ("photos/zebras/b ö.PNG", picture(1, ImageFormat::Png)),
            ("photos/cats/deep/a.bmp", picture(2, ImageFormat::Bmp)),
            ("photos/cats/broken.jpg", b"just words".to_vec()),
            ("photos/cats/a.png", picture(3, ImageFormat::Png)),
            ("photos/notes.txt", b"just words".to_vec()),
            ("photos/cats/.hidden.png", picture(4, ImageFormat::Png)),
        ]
    }

    fn write_zip(path: &Path, separator: &str) {
        let mut zip = ZipWriter::new(File::create(path).unwrap());
        for (number, (name, bytes)) in files().into_iter().enumerate() {
            let method = [CompressionMethod::Stored, CompressionMethod::Deflated][number % 2];
            let options = SimpleFileOptions::default().compression_method(method);
            zip.start_file(name.replace('/', separator), options)
                .unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap();
    }

    fn tar_bytes() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files() {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let name = format!("./{name}");
            tar.append_data(&mut header, name, &bytes[..]).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    #[test]
    fn archives_hold_what_the_folder_holds() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("root");
        for (name, bytes) in files() {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let (folder, _) = Folder::open(&root).unwrap();
        assert_eq!(folder.classes(), ["cats", "zebras"]);

        let at = |name| temporary.path().join(name);
        write_zip(&at("a.zip"), "/");
        write_zip(&at("windows.zip"), "\\");
        fs::write(at("a.tar"), tar_bytes()).unwrap();
        fs::write(at("a.tar.gz"), gzip(&tar_bytes())).unwrap();
        for (name, packing) in [
            ("a.zip", Packing::Zip),
            ("windows.zip", Packing::Zip),
            ("a.tar", Packing::Tar),
            ("a.tar.gz", Packing::TarGz),
        ] {
            let (archive, warnings) = Archive::open(&at(name), packing).unwrap();
            assert!(warnings.is_empty(), "{name}");
            assert_eq!(archive.len(), folder.len(), "{name}");
            assert_eq!(archive.classes(), folder.classes(), "{name}");
            for i in 0..folder.len() {
                assert_eq!(archive.label(i), folder.label(i), "{name}");
                let inside = archive.name(i).split_once("/photos/").unwrap().1.to_owned();
                assert!(folder.name(i).ends_with(&inside), "{name}: {inside}");
                let (ours, theirs) = (archive.load(i), folder.load(i));
                assert_eq!(ours.as_ref().ok(), theirs.as_ref().ok(), "{name}: {inside}");
                if let (Err(ours), Err(theirs)) = (ours, theirs) {
                    assert_eq!(ours.reason, theirs.reason);
                    assert!(ours.name.ends_with("broken.jpg"), "{ours}");
                }
            }
            assert!(archive.load(folder.len()).is_err());
        }
    }

    #[test]
    fn cut_archives_keep_what_is_whole() {
        let temporary = tempfile::tempdir().unwrap();
        let tar = tar_bytes();
        // The second file's content starts after the first file (one header, its content in whole
        // blocks of 512 bytes) and its own header.
        let first = files()[0].1.len().next_multiple_of(512);
        let cut = 512 + first + 512 + 100;
        let path = temporary.path().join("cut");

        fs::write(&path, &tar[..cut]).unwrap();
        let (archive, _) = Archive::open(&path, Packing::Tar).unwrap();
        let loaded: Vec<_> = (0..archive.len()).map(|i| archive.load(i)).collect();
        assert_eq!(loaded.iter().filter(|picture| picture.is_ok()).count(), 1);
        let error = loaded.into_iter().find_map(Result::err).unwrap();
        assert!(
            error.reason.contains("cut short in this picture"),
            "{error}"
        );

        fs::write(&path, gzip(&tar[..cut])).unwrap();
        let (archive, warnings) = Archive::open(&path, Packing::TarGz).unwrap();
        assert_eq!((archive.len(), warnings.len()), (1, 1));
        assert!(
            warnings[0].reason.contains("cut short after 1"),
            "{}",
            warnings[0]
        );
        assert!(archive.load(0).is_ok());
    }

    #[test]
    fn damaged_content_and_no_archive_at_all() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("a.zip");
        write_zip(&path, "/");
        let mut bytes = fs::read(&path).unwrap();
        // The first entry is stored: its content starts after 30 bytes of header and its name.
        let inside = 30 + files()[0].0.len() + 60;
        bytes[inside] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let (archive, _) = Archive::open(&path, Packing::Zip).unwrap();
        let last = archive.load(archive.len() - 1).unwrap_err();
        assert!(last.reason.to_lowercase().contains("checksum"), "{last}");

        fs::write(
            &path,
            "just words, but more than a few of them, again ".repeat(40),
        )
        .unwrap();
        for packing in [Packing::Zip, Packing::Tar, Packing::TarGz] {
            let refused = Archive::open(&path, packing).err().unwrap();
            assert!(matches!(refused, SourceError::Damaged { .. }), "{refused}");
        }
    }
}
