//! What a path is, and the source it opens as.
//!
//! A person names a folder, an archive, a data set or a picture and should not have to say which.
//! Files are told apart by their first bytes; endings decide only what bytes cannot. Everything
//! that would make a run pointless (nothing there, nothing readable) is found here, before a model
//! is built; what only makes it smaller comes back as warnings.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{Archive, Packing};
use super::cifar::{Cifar10, Split};
use super::folder::Folder;
use super::listed;
use super::{LoadError, Source};

/// Why a source cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("there is no file or folder {}; check the path, or use the built-in pictures: parts", path.display())]
    Missing { path: PathBuf },
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error(
        "{} is neither a folder, a zip, tar or tar.gz, a CIFAR-10 batch (.bin), a table of paths and labels (.csv) nor a picture{hint}",
        path.display()
    )]
    Unknown { path: PathBuf, hint: &'static str },
    #[error("{} cannot be used: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error(
        "no pictures in {}: {detail}. Pictures are files that end in \
         .jpg, .jpeg, .png, .webp, .bmp, .tif, .tiff or .gif",
        path.display()
    )]
    Empty { path: PathBuf, detail: String },
    #[error("none of the {count} pictures in {} can be read:\n  {}", path.display(), reasons.join("\n  "))]
    NoneReadable {
        path: PathBuf,
        count: usize,
        /// The first few failures.
        reasons: Vec<String>,
    },
}

/// What a path turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Folder,
    Archive,
    /// Has official training and test pictures: open it again with the other [`Split`].
    Cifar10,
    Picture,
    /// A CSV of paths and labels.
    Table,
}

/// A source that holds at least one readable picture.
pub struct Opened {
    pub source: Arc<dyn Source>,
    pub kind: Kind,
    /// What was left out while looking, and what looks like a mistake. None of it ends a run.
    pub warnings: Vec<LoadError>,
}

/// Failures that are shown when nothing can be read.
const SHOWN_REASONS: usize = 5;

/// Opens whatever `spec` names. `split` chooses among the parts of CIFAR-10; nothing else has parts.
///
/// # Errors
/// Nothing is there, it is of no known kind, it holds no picture, or none that can be decoded.
pub fn open(spec: &str, split: Split) -> Result<Opened, SourceError> {
    let path = Path::new(spec);
    let about = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SourceError::Missing {
            path: path.to_owned(),
        },
        _ => unreadable(path, &error),
    })?;
    let kind = if about.is_dir() {
        folder_kind(path)?
    } else {
        file_kind(path)?
    };
    let (source, mut warnings): (Arc<dyn Source>, _) = match kind {
        Recognised::Folder => shared(Folder::open(path)?),
        Recognised::Archive(packing) => shared(Archive::open(path, packing)?),
        Recognised::Cifar10 => shared(Cifar10::open(path, split)?),
        Recognised::Picture => shared((Folder::single(path)?, Vec::new())),
        Recognised::Table => shared((listed::open(path)?, Vec::new())),
    };
    if let (Recognised::Picture, Err(error)) = (kind, source.load(0)) {
        return Err(SourceError::Damaged {
            path: path.to_owned(),
            reason: error.reason,
        });
    }
    check_readable(path, source.as_ref())?;
    warnings.extend(split_folders(path, source.classes()));
    let kind = match kind {
        Recognised::Folder => Kind::Folder,
        Recognised::Archive(_) => Kind::Archive,
        Recognised::Cifar10 => Kind::Cifar10,
        Recognised::Picture => Kind::Picture,
        Recognised::Table => Kind::Table,
    };
    Ok(Opened {
        source,
        kind,
        warnings,
    })
}

#[derive(Clone, Copy)]
enum Recognised {
    Folder,
    Archive(Packing),
    Cifar10,
    Picture,
    Table,
}

fn shared<S: Source + 'static>(
    (source, warnings): (S, Vec<LoadError>),
) -> (Arc<dyn Source>, Vec<LoadError>) {
    (Arc::new(source), warnings)
}

fn folder_kind(path: &Path) -> Result<Recognised, SourceError> {
    if Cifar10::find(path).is_some() {
        return Ok(Recognised::Cifar10);
    }
    let pickled = |place: &Path| place.join("data_batch_1").is_file();
    if pickled(path) || pickled(&path.join("cifar-10-batches-py")) {
        return Err(SourceError::Damaged {
            path: path.to_owned(),
            reason: "it is CIFAR-10 in its Python version; get the binary version \
                     (cifar-10-binary.tar.gz) and name its folder"
                .to_owned(),
        });
    }
    Ok(Recognised::Folder)
}

fn file_kind(path: &Path) -> Result<Recognised, SourceError> {
    // A tar says so only from byte 257 on.
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(512).read_to_end(&mut start))
        .map_err(|error| unreadable(path, &error))?;
    let name = path.to_string_lossy().to_ascii_lowercase();
    if start.is_empty() {
        return Err(SourceError::Damaged {
            path: path.to_owned(),
            reason: "the file is empty".to_owned(),
        });
    }
    // An empty zip begins with the end of its directory.
    if start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        return Ok(Recognised::Archive(Packing::Zip));
    }
    if start.starts_with(b"\x1f\x8b") {
        return Ok(Recognised::Archive(Packing::TarGz));
    }
    // Tars from before 1988 have no mark.
    if start.get(257..262) == Some(b"ustar") || name.ends_with(".tar") {
        return Ok(Recognised::Archive(Packing::Tar));
    }
    // Before pictures: a batch may begin with any bytes.
    if name.ends_with(".bin") {
        return Ok(Recognised::Cifar10);
    }
    if name.ends_with(".csv") {
        return Ok(Recognised::Table);
    }
    if image::guess_format(&start).is_ok() {
        return Ok(Recognised::Picture);
    }
    let packed = [".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar"];
    Err(SourceError::Unknown {
        path: path.to_owned(),
        hint: if packed.iter().any(|ending| name.ends_with(ending)) {
            "; unpack this archive, or pack it again as zip or tar"
        } else {
            ""
        },
    })
}

/// Decodes pictures until one succeeds. In a sound source that is the first.
fn check_readable(path: &Path, source: &dyn Source) -> Result<(), SourceError> {
    let mut reasons = Vec::new();
    for index in 0..source.len() {
        match source.load(index) {
            Ok(_) => return Ok(()),
            Err(error) if reasons.len() < SHOWN_REASONS => reasons.push(error.to_string()),
            Err(_) => {}
        }
    }
    Err(SourceError::NoneReadable {
        path: path.to_owned(),
        count: source.len(),
        reasons,
    })
}

/// A warning where the classes are the parts of a data set, not things that can be seen.
fn split_folders(path: &Path, classes: &[String]) -> Option<LoadError> {
    let parts = ["test", "train", "training", "val", "valid", "validation"];
    let all = classes
        .iter()
        .all(|class| parts.iter().any(|part| part.eq_ignore_ascii_case(class)));
    (!classes.is_empty() && all).then(|| LoadError {
        name: path.display().to_string(),
        reason: format!(
            "its classes are {}; if these are parts of a data set, name one of them as the source",
            classes.join(", ")
        ),
    })
}

fn unreadable(path: &Path, error: &io::Error) -> SourceError {
    SourceError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, RgbImage};

    fn refusal(path: &Path) -> String {
        match open(&path.display().to_string(), Split::Train) {
            Ok(opened) => panic!("opened as {:?}", opened.kind),
            Err(error) => error.to_string(),
        }
    }

    fn put(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::new(8, 8)
            .save_with_format(path, ImageFormat::Png)
            .unwrap();
    }

    #[test]
    fn recognises_by_content() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        let opened = |path: &Path| open(&path.display().to_string(), Split::Test).unwrap();

        put(&at("folder/train/x.png"));
        put(&at("folder/val/y.png"));
        let folder = opened(&at("folder"));
        assert_eq!((folder.kind, folder.source.len()), (Kind::Folder, 2));
        assert!(folder.warnings[0].reason.contains("train, val"));

        put(&at("picture without ending"));
        let picture = opened(&at("picture without ending"));
        assert_eq!((picture.kind, picture.source.len()), (Kind::Picture, 1));

        let mut tar = tar::Builder::new(File::create(at("tar without ending")).unwrap());
        tar.append_dir_all("top", at("folder")).unwrap();
        tar.finish().unwrap();
        let tar = opened(&at("tar without ending"));
        assert_eq!((tar.kind, tar.source.classes().len()), (Kind::Archive, 2));

        fs::create_dir(at("cifar")).unwrap();
        fs::write(at("cifar/data_batch_2.bin"), [7; 2 * 3073]).unwrap();
        fs::write(at("cifar/test_batch.bin"), [7; 3073]).unwrap();
        let cifar = opened(&at("cifar"));
        assert_eq!((cifar.kind, cifar.source.len()), (Kind::Cifar10, 1));
        assert_eq!(opened(&at("cifar/data_batch_2.bin")).source.len(), 2);
    }

    #[test]
    fn refusals_name_the_path_and_the_cause() {
        let temporary = tempfile::tempdir().unwrap();
        let at = |name: &str| temporary.path().join(name);
        assert!(refusal(&at("nowhere")).contains("no file or folder"));

        fs::create_dir(at("folder")).unwrap();
        assert!(refusal(&at("folder")).contains("it is empty"));
        fs::write(at("folder/a.txt"), "just words").unwrap();
        assert!(refusal(&at("folder")).contains("1 other files"));
        for name in ["folder/a.jpg", "folder/b.jpg"] {
            fs::write(at(name), "just words").unwrap();
        }
        let message = refusal(&at("folder"));
        assert!(message.contains("none of the 2 pictures"), "{message}");
        assert!(message.contains("b.jpg: not a picture"), "{message}");
        put(&at("folder/c.jpg"));
        assert!(open(&at("folder").display().to_string(), Split::Train).is_ok());

        fs::write(at("cut.jpg"), [0xFF, 0xD8, 0xFF, 0xE0]).unwrap();
        assert!(refusal(&at("cut.jpg")).contains("cut.jpg cannot be used: the JPEG is cut short"));
        assert!(refusal(&at("folder/a.txt")).contains("neither a folder"));
        fs::write(at("a.rar"), "Rar!").unwrap();
        assert!(refusal(&at("a.rar")).contains("pack it again"));
        fs::write(at("empty.zip"), "").unwrap();
        assert!(refusal(&at("empty.zip")).contains("the file is empty"));
        fs::write(at("data_batch_1"), "pickled").unwrap();
        assert!(refusal(temporary.path()).contains("binary version"));
    }
}
