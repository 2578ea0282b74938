//! What is in an archive: one pass over its entries that says which are pictures, where they lie,
//! and what had to be left out. Reading the pictures is the business of [`super::archive`].

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use zip::ZipArchive;
use zip::result::ZipError;

use super::LoadError;
use super::catalogue::{self, Catalogue};
use super::decode::MAX_FILE_BYTES;
use super::open::SourceError;
use super::shared_file::SharedFile;

/// Most bytes of picture files that are held for a `.tar.gz`.
pub const MAX_HELD_BYTES: u64 = 4 << 30;

/// What the directory of a zip says of one entry. It is kept because the header beside the data
/// may lack it (writers that stream fill it in only at the end).
pub struct ZipPlace {
    /// Byte of the entry's own header.
    pub header: u64,
    /// Bytes in the archive.
    pub packed: u64,
    /// Bytes of the file.
    pub size: u64,
    pub crc: u32,
}

/// Where a tar holds a file's bytes.
pub struct TarPlace {
    pub offset: u64,
    pub size: u64,
}

/// Pictures by name, each with what is needed to read it.
type Found<T> = Result<Vec<(String, T)>, SourceError>;

/// One pass over an archive's entries.
pub struct Scan<'a> {
    path: &'a Path,
    /// What had to be left out.
    pub warnings: Vec<LoadError>,
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
    pub fn new(path: &'a Path) -> Self {
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

    /// The archive, for reading the places found.
    pub fn shared_file(&self) -> Result<SharedFile, SourceError> {
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

    /// Places of the pictures in a zip, from the directory at its end.
    pub fn zip(&mut self) -> Found<ZipPlace> {
        self.zip_entries().map_err(|error| self.damaged(error))
    }

    fn zip_entries(&mut self) -> Result<Vec<(String, ZipPlace)>, ZipError> {
        let archive = ZipArchive::new(BufReader::new(File::open(self.path)?))?;
        let mut found = Vec::new();
        for number in 0..archive.len() {
            let entry = archive.by_index_data(number)?;
            // Some Windows tools write backslashes.
            let name = entry.name().map(|name| name.replace('\\', "/"));
            let plain = (!entry.is_dir()).then(|| !entry.is_symlink());
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

    /// Places of the pictures in a tar, found by jumping from header to header.
    pub fn tar(&mut self) -> Found<TarPlace> {
        let mut archive = tar::Archive::new(self.file()?);
        let listing = archive.entries_with_seek();
        self.tar_entries(listing, |entry| {
            Ok(TarPlace {
                offset: entry.raw_file_position(),
                size: entry.size(),
            })
        })
    }

    /// The picture files in a compressed tar, unpacked into memory.
    pub fn tar_gz(&mut self) -> Found<Box<[u8]>> {
        let unpacked = MultiGzDecoder::new(BufReader::new(self.file()?));
        let mut archive = tar::Archive::new(unpacked);
        let listing = archive.entries();
        let mut held = 0;
        self.tar_entries(listing, |entry| {
            held += entry.size();
            if held > MAX_HELD_BYTES {
                return Err(Stop::TooMuch);
            }
            hold(entry).map_err(Stop::Damage)
        })
    }

    /// `keep` makes of each picture's entry what is needed to read it later.
    fn tar_entries<R: Read, T>(
        &mut self,
        listing: io::Result<tar::Entries<'_, R>>,
        mut keep: impl FnMut(&mut tar::Entry<'_, R>) -> Result<T, Stop>,
    ) -> Found<T> {
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

    /// Sorts what was found; an archive without pictures is an error that says what is there.
    pub fn catalogue<T>(
        &self,
        entries: Vec<(String, T)>,
    ) -> Result<(Catalogue, Vec<T>), SourceError> {
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
