//! A folder of pictures, any depth, or a single picture file.
//!
//! The scan looks at names only, so that a million files are listed in seconds; what a file holds
//! is found out when it is loaded. What the scan cannot enter (no permission, a loop of links)
//! becomes a warning beside the source, never an end.

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::catalogue::{self, Catalogue};
use super::decode::{self, MAX_FILE_BYTES};
use super::open::SourceError;
use super::{LoadError, Picture, Source, file_stamp};

/// Picture files below one folder.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    catalogue: Catalogue,
}

impl Folder {
    /// Lists the pictures below `root` and what could not be listed. Links are followed. Hidden
    /// files and folders are passed over.
    ///
    /// # Errors
    /// The folder itself cannot be read, or there is no picture file in it.
    pub fn open(root: &Path) -> Result<(Self, Vec<LoadError>), SourceError> {
        let mut names = Vec::new();
        let mut warnings = Vec::new();
        let mut others = 0;
        let walk = WalkDir::new(root).follow_links(true).into_iter();
        for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_ignored(entry)) {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    match relative_name(root, entry.path()) {
                        Some(name) if catalogue::is_picture_name(&name) => names.push((name, ())),
                        Some(_) => others += 1,
                        None => warnings.push(LoadError {
                            name: entry.path().display().to_string(),
                            reason: "its name is not valid Unicode: rename it".to_owned(),
                        }),
                    }
                }
                Ok(_) => {}
                Err(error) if error.depth() == 0 => {
                    return Err(SourceError::Unreadable {
                        path: root.to_owned(),
                        reason: in_words(&error),
                    });
                }
                Err(error) => warnings.push(LoadError {
                    name: error.path().unwrap_or(root).display().to_string(),
                    reason: in_words(&error),
                }),
            }
        }
        if names.is_empty() {
            return Err(SourceError::Empty {
                path: root.to_owned(),
                detail: match (others, warnings.first()) {
                    (0, None) => "it is empty".to_owned(),
                    (_, Some(warning)) => format!("it could not all be read: {warning}"),
                    (others, None) => format!("it holds {others} other files"),
                },
            });
        }
        let (catalogue, _) = Catalogue::build(names);
        let root = root.to_owned();
        Ok((Self { root, catalogue }, warnings))
    }

    /// The single picture file `path`, whatever its ending.
    pub fn single(path: &Path) -> Result<Self, SourceError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let Some(name) = name else {
            return Err(SourceError::Unreadable {
                path: path.to_owned(),
                reason: "its name is not valid Unicode: rename it".to_owned(),
            });
        };
        let (catalogue, _) = Catalogue::build(vec![(name.to_owned(), ())]);
        let root = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Self { root, catalogue })
    }

    /// The pictures with these names, which are relative to `root`, or absolute; none is labelled.
    pub fn named(root: &Path, names: Vec<String>) -> Self {
        let bare = names.into_iter().map(|name| (name, None));
        Self::of(root, Catalogue::labelled(bare.collect()))
    }

    /// The pictures of a catalogue whose names are relative to `root`, or absolute.
    pub(super) fn of(root: &Path, catalogue: Catalogue) -> Self {
        let root = root.to_owned();
        Self { root, catalogue }
    }

    fn path(&self, index: usize) -> PathBuf {
        self.root.join(self.catalogue.name(index))
    }
}

impl Source for Folder {
    fn len(&self) -> usize {
        self.catalogue.len()
    }

    fn name(&self, index: usize) -> String {
        self.path(index).display().to_string()
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.catalogue.label(index)
    }

    fn classes(&self) -> &[String] {
        self.catalogue.classes()
    }

    fn stamp(&self, index: usize) -> u64 {
        file_stamp(&self.path(index))
    }

    fn load(&self, index: usize) -> Result<Picture, LoadError> {
        read_whole(&self.path(index))
            .and_then(|bytes| decode::decode(&bytes))
            .map_err(|reason| LoadError {
                name: self.name(index),
                reason,
            })
    }
}

fn read_whole(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error| format!("cannot be read: {error}");
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_FILE_BYTES {
        return Err(format!(
            "{} MiB is too large for one picture (at most {} MiB)",
            length >> 20,
            MAX_FILE_BYTES >> 20
        ));
    }
    fs::read(path).map_err(unreadable)
}

fn is_ignored(entry: &DirEntry) -> bool {
    catalogue::is_ignored_part(&entry.file_name().to_string_lossy())
}

/// Path below `root` with `/` between its parts on every system; `None` where it is not Unicode.
fn relative_name(root: &Path, path: &Path) -> Option<String> {
    let inside = path.strip_prefix(root).ok()?;
    let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}

fn in_words(error: &walkdir::Error) -> String {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => format!("a link back to {}, not followed", ancestor.display()),
        (None, Some(cause)) => format!("cannot be read: {cause}"),
        (None, None) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage};

    fn put(root: &Path, name: &str, shade: u8) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(9, 8, Rgb([shade, 7, 200]))
            .save_with_format(path, ImageFormat::Png)
            .unwrap();
    }

    #[test]
    fn nested_folders_odd_names_and_broken_files() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path();
        put(root, "Größe und Maß/é è.png", 1);
        put(root, "dogs/far/down/below/wrong ending.JPG", 2);
        put(root, "dogs/.hidden/no.png", 3);
        put(root, "__MACOSX/dogs/no.png", 4);
        put(root, "beside.png", 5);
        fs::write(root.join("dogs/text.jpg"), "just words").unwrap();
        fs::write(root.join("dogs/nothing.webp"), "").unwrap();
        fs::write(root.join("dogs/readme.txt"), "just words").unwrap();

        let (folder, warnings) = Folder::open(root).unwrap();
        assert!(warnings.is_empty());
        assert_eq!(folder.classes(), ["Größe und Maß", "dogs"]);
        let seen: Vec<_> = (0..folder.len())
            .map(|i| {
                let loaded = folder.load(i).map(|picture| picture.rgb[0]);
                (folder.label(i), loaded.map_err(|error| error.to_string()))
            })
            .collect();
        assert_eq!(seen[0], (Some(0), Ok(1)));
        assert_eq!(seen[1], (None, Ok(5)));
        assert_eq!(seen[2], (Some(1), Ok(2)));
        for (entry, name, reason) in [
            (3, "nothing.webp", "empty"),
            (4, "text.jpg", "not a picture"),
        ] {
            let message = seen[entry].1.as_ref().unwrap_err();
            assert!(
                message.contains(name) && message.contains(reason),
                "{message}"
            );
        }
        assert_eq!(seen.len(), 5);

        fs::remove_file(root.join("beside.png")).unwrap();
        let gone = folder.load(1).unwrap_err();
        assert!(gone.reason.contains("cannot be read"), "{gone}");
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_is_a_warning_and_a_good_link_is_followed() {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().join("in");
        put(&root, "a/x.png", 1);
        put(temporary.path(), "out/y.png", 2);
        std::os::unix::fs::symlink(temporary.path().join("out"), root.join("b")).unwrap();
        std::os::unix::fs::symlink(&root, root.join("a/back")).unwrap();
        let (folder, warnings) = Folder::open(&root).unwrap();
        assert_eq!(folder.classes(), ["a", "b"]);
        assert_eq!(folder.load(1).unwrap().rgb[0], 2);
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].reason.contains("a link back to"),
            "{}",
            warnings[0]
        );
    }
}
