//! A zip or tar of pictures, read in place: nothing is unpacked to disk.
//!
//! A zip lists its entries at its end and a plain tar can be scanned by its headers, so of these
//! two only the places of the pictures are kept and any thread reads any picture from the file. A
//! `.tar.gz` has no places to jump to: it is read once from front to back, and the picture files in
//! it (compressed in themselves, so about as large as the archive) stay in memory, up to
//! [`MAX_HELD_BYTES`].

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;
use zip::read::{ZipReadOptions, read_zipfile_from_stream_with_options};
use zip::result::ZipError;

use super::catalogue::{self, Catalogue};
use super::decode::{self, MAX_FILE_BYTES};
use super::open::SourceError;
use super::shared_file::SharedFile;
use super::{LoadError, Picture, Source};

/// Most bytes of picture files that are held for a `.tar.gz`.
pub const MAX_HELD_BYTES: u64 = 4 << 30;

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

/// What the directory of a zip says of one entry. It is kept because the header beside the data
/// may lack it (writers that stream fill it in only at the end).
struct ZipPlace {
    header: u64,
    packed: u64,
    size: u64,
    crc: u32,
}

struct TarPlace {
    offset: u64,
    size: u64,
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
                let entries = scan.zip().map_err(|error| scan.damaged(error))?;
                let (catalogue, places) = scan.catalogue(entries)?;
                (catalogue, Store::Zip(scan.shared_file()?, places))
            }
            Packing::Tar => {
                let mut archive = tar::Archive::new(scan.file()?);
                let listing = archive.entries_with_seek();
                let entries = scan.tar(listing, |entry| {
                    Ok(TarPlace {
                        offset: entry.raw_file_position(),
                        size: entry.size(),
                    })
                })?;
                let (catalogue, places) = scan.catalogue(entries)?;
                (catalogue, Store::Tar(scan.shared_file()?, places))
            }
            Packing::TarGz => {
                let unpacked = MultiGzDecoder::new(BufReader::new(scan.file()?));
                let mut archive = tar::Archive::new(unpacked);
                let listing = archive.entries();
                let mut held = 0;
                let entries = scan.tar(listing, |entry| {
                    held += entry.size();
                    if held > MAX_HELD_BYTES {
                        return Err(Stop::TooMuch);
                    }
                    hold(entry).map_err(Stop::Damage)
                })?;
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

    fn load(&self, index: usize) -> Result<Picture, LoadError> {
        self.read(index).map_err(|reason| LoadError {
            name: self.name(index),
            reason,
        })
    }
}

/// One pass over an archive's entries.
struct Scan<'a> {
    path: &'a Path,
    warnings: Vec<LoadError>,
    /// Files that are no pictures.
    others: usize,
    /// One of them is a batch of CIFAR-10, whose official download is a `.tar.gz`.
    cifar: bool,
}

/// Why the scan of a tar ends before the tar does.
enum Stop {
    Damage(io::Error),
    TooMuch,
}

impl<'a> Scan<'a> {
    fn new(path: &'a Path) -> Self {
        Self {
            path,
            warnings: Vec::new(),
            others: 0,
            cifar: false,
        }
    }

    fn file(&self) -> Result<File, SourceError> {
        File::open(self.path).map_err(|error| self.unreadable(&error))
    }

    fn shared_file(&self) -> Result<SharedFile, SourceError> {
        SharedFile::open(self.path).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &io::Error) -> SourceError {
        SourceError::Unreadable {
            path: self.path.to_owned(),
            reason: error.to_string(),
        }
    }

    fn damaged(&self, error: impl ToString) -> SourceError {
        SourceError::Damaged {
            path: self.path.to_owned(),
            reason: error.to_string(),
        }
    }

    fn zip(&mut self) -> Result<Vec<(String, ZipPlace)>, ZipError> {
        let archive = ZipArchive::new(BufReader::new(File::open(self.path)?))?;
        let mut found = Vec::new();
        for number in 0..archive.len() {
            let entry = archive.by_index_data(number)?;
            // Some Windows tools write backslashes.
            let name = entry.name().map(|name| name.replace('\\', "/"));
            let plain = if entry.is_dir() {
                None
            } else {
                Some(!entry.is_symlink())
            };
            if let Some(name) = self.wanted(name.ok(), plain, entry.size()) {
                let place = ZipPlace {
                    header: entry.header_start(),
                    packed: entry.compressed_size(),
                    size: entry.size(),
                    crc: entry.crc32(),
                };
                found.push((name, place));
            }
        }
        Ok(found)
    }

    /// `keep` makes of each picture's entry what is needed to read it later.
    fn tar<R: Read, T>(
        &mut self,
        listing: io::Result<tar::Entries<'_, R>>,
        mut keep: impl FnMut(&mut tar::Entry<'_, R>) -> Result<T, Stop>,
    ) -> Result<Vec<(String, T)>, SourceError> {
        let mut found = Vec::new();
        for entry in listing.map_err(|error| self.damaged(error))? {
            let kept = entry.map_err(Stop::Damage).and_then(|mut entry| {
                let name = String::from_utf8(entry.path_bytes().into_owned());
                let kind = entry.header().entry_type();
                let plain = match kind {
                    kind if kind.is_dir() || kind.is_pax_global_extensions() => None,
                    kind => Some(kind.is_file() || kind.is_contiguous()),
                };
                let wanted = self.wanted(name.ok(), plain, entry.size());
                wanted
                    .map(|name| keep(&mut entry).map(|kept| (name, kept)))
                    .transpose()
            });
            match kept {
                Ok(kept) => found.extend(kept),
                Err(Stop::TooMuch) => {
                    return Err(self.damaged(format!(
                        "its pictures take more than {} GiB of memory, and a .tar.gz cannot be \
                         read in any other way: unpack it with gunzip and name the .tar",
                        MAX_HELD_BYTES >> 30
                    )));
                }
                Err(Stop::Damage(error)) if found.is_empty() => return Err(self.damaged(error)),
                Err(Stop::Damage(error)) => {
                    let used = found.len();
                    self.warn(
                        None,
                        &format!("damaged or cut short after {used} pictures: {error}"),
                    );
                    break;
                }
            }
        }
        Ok(found)
    }

    /// The name under which an entry enters the catalogue, if it is a picture. `plain` is `None`
    /// for a folder, false for a link or another thing without content of its own.
    fn wanted(&mut self, name: Option<String>, plain: Option<bool>, size: u64) -> Option<String> {
        let plain = plain?;
        let Some(name) = name else {
            self.warn(None, "an entry's name is not valid Unicode; it is left out");
            return None;
        };
        let parts = name
            .split('/')
            .filter(|&part| !part.is_empty() && part != ".");
        let name = parts.collect::<Vec<_>>().join("/");
        if !catalogue::is_picture_name(&name) {
            self.others += 1;
            self.cifar |= name.ends_with("_batch.bin") || name.ends_with("data_batch_1.bin");
        } else if !plain {
            self.warn(Some(&name), "a link in the archive; pack the file itself");
        } else if size > MAX_FILE_BYTES {
            self.warn(Some(&name), "too large for one picture");
        } else {
            return Some(name);
        }
        None
    }

    fn warn(&mut self, inside: Option<&str>, reason: &str) {
        let path = self.path.display();
        self.warnings.push(LoadError {
            name: inside.map_or(path.to_string(), |inside| format!("{path}/{inside}")),
            reason: reason.to_owned(),
        });
    }

    fn catalogue<T>(&self, entries: Vec<(String, T)>) -> Result<(Catalogue, Vec<T>), SourceError> {
        if entries.is_empty() {
            return Err(SourceError::Empty {
                path: self.path.to_owned(),
                detail: match (self.cifar, self.warnings.first()) {
                    (true, _) => "it is CIFAR-10: unpack it and name its folder".to_owned(),
                    (false, Some(warning)) => format!("none of it could be used: {warning}"),
                    (false, None) => format!("it holds {} other files", self.others),
                },
            });
        }
        Ok(Catalogue::build(entries))
    }
}

fn hold<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<Box<[u8]>> {
    let size = entry.size();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into_boxed_slice())
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
