//! CIFAR-10 in its official binary layout (Krizhevsky 2009, <https://www.cs.toronto.edu/~kriz/cifar.html>).
//!
//! A record is 3,073 bytes: the class (0–9), then 32x32 red, 32x32 green, 32x32 blue, row by row.
//! Records are read when they are asked for, since 60,000 of them (184 MB) are better left to the
//! system's file cache than held here; only the labels are read at the start.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::open::SourceError;
use super::shared_file::SharedFile;
use super::{LoadError, Picture, Source, file_stamp};

/// Which of the official parts to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// `data_batch_1.bin` to `data_batch_5.bin`: 50,000 pictures.
    #[default]
    Train,
    /// `test_batch.bin`: 10,000 pictures.
    Test,
    /// Both, the training pictures first.
    All,
}

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + 3 * PLANE;
const TRAIN_FILES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST_FILE: &str = "test_batch.bin";

/// Used where `batches.meta.txt` is not there; the official file holds the same.
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// One or more batch files as one source.
pub struct Cifar10 {
    /// Each file with the number of its first record.
    files: Vec<(usize, SharedFile)>,
    labels: Vec<u8>,
    classes: Vec<String>,
}

impl Cifar10 {
    /// The folder that holds the batch files: `folder` itself or the folder `cifar-10-batches-bin`
    /// in it, as the official archive unpacks.
    pub fn find(folder: &Path) -> Option<PathBuf> {
        [folder.to_owned(), folder.join("cifar-10-batches-bin")]
            .into_iter()
            .find(|place| {
                let mut files = TRAIN_FILES.iter().chain([&TEST_FILE]);
                files.any(|name| place.join(name).is_file())
            })
    }

    /// Opens a folder ([`Cifar10::find`]) or one batch file; for a file, `split` has no meaning.
    /// Comes with a warning for each batch of the split that is not there.
    ///
    /// # Errors
    /// No batch of the split is there, or a file does not consist of CIFAR-10 records.
    pub fn open(path: &Path, split: Split) -> Result<(Self, Vec<LoadError>), SourceError> {
        let (folder, names) = if path.is_file() {
            (
                path.parent().unwrap_or(Path::new("")).to_owned(),
                Vec::new(),
            )
        } else {
            let names = match split {
                Split::Train => TRAIN_FILES.to_vec(),
                Split::Test => vec![TEST_FILE],
                Split::All => [&TRAIN_FILES[..], &[TEST_FILE]].concat(),
            };
            (Self::find(path).unwrap_or(path.to_owned()), names)
        };
        let mut present = Vec::new();
        let mut warnings = Vec::new();
        for name in &names {
            let file = folder.join(name);
            if file.is_file() {
                present.push(file);
            } else {
                warnings.push(LoadError {
                    name: file.display().to_string(),
                    reason: "this part of CIFAR-10 is not there; the others are used".to_owned(),
                });
            }
        }
        if names.is_empty() {
            present.push(path.to_owned());
        } else if present.is_empty() {
            return Err(SourceError::Empty {
                path: folder,
                detail: format!("it holds none of CIFAR-10's {}", names.join(", ")),
            });
        }
        let mut source = Self {
            files: Vec::new(),
            labels: Vec::new(),
            classes: class_names(&folder),
        };
        for file in present {
            let first = source.labels.len();
            read_labels(&file, &mut source.labels, source.classes.len())?;
            let shared = SharedFile::open(&file).map_err(|error| unreadable(&file, &error))?;
            source.files.push((first, shared));
        }
        Ok((source, warnings))
    }

    /// The file of record `index` and the record's number in it.
    fn place(&self, index: usize) -> Option<(&SharedFile, usize)> {
        let after = self.files.partition_point(|(first, _)| *first <= index);
        let (first, file) = self.files.get(after.checked_sub(1)?)?;
        Some((file, index - first))
    }
}

impl Source for Cifar10 {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn name(&self, index: usize) -> String {
        match self.place(index) {
            Some((file, record)) => format!("{} record {record}", file.path().display()),
            None => format!("record {index}"),
        }
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.labels.get(index).map(|&label| usize::from(label))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn stamp(&self, index: usize) -> u64 {
        self.place(index)
            .map_or(0, |(file, _)| file_stamp(file.path()))
    }

    fn load(&self, index: usize) -> Result<Picture, LoadError> {
        let record = match self.place(index) {
            Some((file, record)) => {
                let offset = record as u64 * RECORD as u64 + 1;
                file.read_at(offset, 3 * PLANE as u64)
            }
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let planes = record.map_err(|error| LoadError {
            name: self.name(index),
            reason: format!("cannot be read: {error}"),
        })?;
        let (red, others) = planes.split_at(PLANE);
        let (green, blue) = others.split_at(PLANE);
        let pixels = red.iter().zip(green).zip(blue);
        Ok(Picture {
            width: SIDE,
            height: SIDE,
            rgb: pixels.flat_map(|((&r, &g), &b)| [r, g, b]).collect(),
        })
    }
}

fn class_names(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("batches.meta.txt")).unwrap_or_default();
    let named: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if named.len() == CLASSES.len() {
        named
    } else {
        CLASSES.map(str::to_owned).to_vec()
    }
}

/// Appends the labels of a batch file, which is checked on the way.
fn read_labels(path: &Path, labels: &mut Vec<u8>, classes: usize) -> Result<(), SourceError> {
    let damaged = |reason: String| SourceError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let length = file
        .metadata()
        .map_err(|error| unreadable(path, &error))?
        .len();
    if length == 0 || length % RECORD as u64 != 0 {
        return Err(damaged(format!(
            "its {length} bytes are no whole number of CIFAR-10 records ({RECORD} bytes each); \
             download it again"
        )));
    }
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut record = [0; RECORD];
    for number in 0..length / RECORD as u64 {
        reader
            .read_exact(&mut record)
            .map_err(|error| unreadable(path, &error))?;
        let [label, ..] = record;
        if usize::from(label) >= classes {
            return Err(damaged(format!(
                "record {number} has class {label}, but CIFAR-10 has classes 0 to {}; \
                 this is another data set",
                classes - 1
            )));
        }
        labels.push(label);
    }
    Ok(())
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
    use std::fs;

    /// Record whose pixel (x, y) is (start + x, y, 255 - x).
    fn record(label: u8, start: u8) -> Vec<u8> {
        let xs = || (0..PLANE).map(|i| (i % SIDE) as u8);
        let mut bytes = vec![label];
        bytes.extend(xs().map(|x| start + x));
        bytes.extend((0..PLANE).map(|i| (i / SIDE) as u8));
        bytes.extend(xs().map(|x| 255 - x));
        bytes
    }

    #[test]
    fn splits_records_and_names() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = temporary.path().join("cifar-10-batches-bin");
        fs::create_dir(&folder).unwrap();
        fs::write(
            folder.join("data_batch_1.bin"),
            [record(3, 1), record(9, 2)].concat(),
        )
        .unwrap();
        fs::write(folder.join("data_batch_4.bin"), record(0, 3)).unwrap();
        fs::write(folder.join("test_batch.bin"), record(5, 4)).unwrap();

        let (all, warnings) = Cifar10::open(temporary.path(), Split::All).unwrap();
        assert_eq!(warnings.len(), 3);
        let labels: Vec<_> = (0..5).map(|i| all.label(i)).collect();
        assert_eq!(labels, [Some(3), Some(9), Some(0), Some(5), None]);
        let picture = all.load(2).unwrap();
        assert_eq!((picture.width, picture.height), (32, 32));
        let pixel = 3 * (5 * 32 + 7);
        assert_eq!(picture.rgb[pixel..pixel + 3], [3 + 7, 5, 255 - 7]);
        assert!(all.name(2).ends_with("data_batch_4.bin record 0"));
        assert_eq!(all.classes()[9], "truck");
        assert!(all.load(4).is_err());

        let (test, warnings) = Cifar10::open(&folder, Split::Test).unwrap();
        assert_eq!((test.len(), warnings.len()), (1, 0));
        assert_eq!(Cifar10::open(&folder, Split::Train).unwrap().0.len(), 3);
        let file = folder.join("data_batch_1.bin");
        assert_eq!(Cifar10::open(&file, Split::Test).unwrap().0.len(), 2);
    }

    #[test]
    fn what_is_not_cifar_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let file = temporary.path().join("data_batch_1.bin");
        let message = |split| match Cifar10::open(temporary.path(), split) {
            Ok(_) => String::new(),
            Err(error) => error.to_string(),
        };
        assert!(message(Split::Train).contains("none of CIFAR-10's"));
        fs::write(&file, vec![0; RECORD + 1]).unwrap();
        assert!(message(Split::Train).contains("no whole number"));
        fs::write(&file, record(10, 0)).unwrap();
        assert!(message(Split::Train).contains("class 10"));
        fs::write(&file, record(9, 0)).unwrap();
        assert_eq!(message(Split::Train), "");
        assert!(message(Split::Test).contains("test_batch.bin"));
    }
}
