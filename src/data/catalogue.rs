//! Which pictures a source holds: their names, their order and their labels.
//!
//! A folder, a zip and a tar of the same pictures must give the same numbers to the same pictures
//! on every machine, or a run could not be repeated elsewhere. So all three hand their relative
//! names to [`Catalogue::build`], the one place that sorts them and reads labels from them. A large
//! data set has a million names: they lie behind each other in one buffer, not in a million strings.

use std::mem;

/// Endings of the files that are taken for pictures, in lower case. What a file really holds is
/// recognised by its content later; the ending only spares the scan from opening every text file.
const EXTENSIONS: [&str; 11] = [
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "png", "tif", "tiff", "webp",
];

/// Stands for "no label" in the packed list.
const NO_LABEL: u32 = u32::MAX;

/// Names and labels of the pictures `0..len()` of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalogue {
    /// All names, one behind the other.
    text: String,
    /// Where name `i` ends in `text`.
    ends: Vec<usize>,
    labels: Vec<u32>,
    classes: Vec<String>,
}

impl Catalogue {
    /// Sorts pictures and reads their labels.
    ///
    /// `entries` are relative paths with `/` between their parts, each with whatever the source
    /// needs to find that picture again; these come back in the order of the catalogue. Where a
    /// path occurs twice, the later entry counts (so does `tar` when it unpacks).
    ///
    /// Order: part by part, by bytes. Labels: the first folder level, after stepping into the
    /// folder as long as it holds nothing but one folder (zips often have such a wrapper). A
    /// picture that lies beside the class folders has no label; without class folders there are no
    /// classes.
    pub fn build<T>(mut entries: Vec<(String, T)>) -> (Self, Vec<T>) {
        entries.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
        entries.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                mem::swap(later, kept);
            }
            same
        });
        let wrapper = match (entries.first(), entries.last()) {
            (Some((first, _)), Some((last, _))) => wrapper_length(first, last),
            _ => 0,
        };
        let mut catalogue = Self::default();
        let mut payloads = Vec::with_capacity(entries.len());
        for (name, payload) in entries {
            let inside = name.get(wrapper..).unwrap_or_default();
            let label = inside.split_once('/').map(|(class, _)| {
                // The order keeps a class together, so only the newest one can be meant.
                if catalogue.classes.last().is_none_or(|last| last != class) {
                    catalogue.classes.push(class.to_owned());
                }
                catalogue.classes.len() as u32 - 1
            });
            catalogue.labels.push(label.unwrap_or(NO_LABEL));
            catalogue.text.push_str(&name);
            catalogue.ends.push(catalogue.text.len());
            payloads.push(payload);
        }
        (catalogue, payloads)
    }

    /// Pictures whose labels are known otherwise, in the order given.
    pub fn labelled(entries: Vec<(String, Option<String>)>) -> Self {
        let labels = entries.iter().filter_map(|(_, label)| label.clone());
        let mut classes: Vec<String> = labels.collect();
        classes.sort_unstable();
        classes.dedup();
        let mut catalogue = Self::default();
        for (name, label) in entries {
            let place = label.and_then(|label| classes.binary_search(&label).ok());
            catalogue
                .labels
                .push(place.map_or(NO_LABEL, |place| place as u32));
            catalogue.text.push_str(&name);
            catalogue.ends.push(catalogue.text.len());
        }
        catalogue.classes = classes;
        catalogue
    }

    /// Number of pictures.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Relative path of picture `index`; empty where there is no such picture.
    pub fn name(&self, index: usize) -> &str {
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).copied(),
            None => Some(0),
        };
        let end = self.ends.get(index).copied();
        start
            .zip(end)
            .and_then(|(start, end)| self.text.get(start..end))
            .unwrap_or_default()
    }

    /// Class of picture `index`, an index into [`Catalogue::classes`].
    pub fn label(&self, index: usize) -> Option<usize> {
        self.labels
            .get(index)
            .filter(|&&label| label != NO_LABEL)
            .map(|&label| label as usize)
    }

    /// Class names, sorted by bytes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }
}

/// Bytes of the folders that all names share, given the first and the last of the sorted names
/// (what these two share, all between them share).
fn wrapper_length(first: &str, last: &str) -> usize {
    let mut length = 0;
    for (part, other) in first.split('/').zip(last.split('/')) {
        let end = length + part.len() + 1;
        // The last part is the file itself, not a folder.
        if part != other || end > first.len() || end > last.len() {
            break;
        }
        length = end;
    }
    length
}

/// Whether a file of this name is taken for a picture: a known ending, and no part of the path
/// hidden or a leftover of macOS archives (`__MACOSX` holds a shadow `._name.jpg` for each file).
pub fn is_picture_name(path: &str) -> bool {
    let Some((_, extension)) = path.rsplit_once('.') else {
        return false;
    };
    EXTENSIONS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(extension))
        && !path.split('/').any(is_ignored_part)
}

/// Whether a file or folder of this name is passed over, with all below it.
pub fn is_ignored_part(part: &str) -> bool {
    part.starts_with('.') || part == "__MACOSX"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue(names: &[&str]) -> Catalogue {
        Catalogue::build(names.iter().map(|&n| (n.to_owned(), ())).collect()).0
    }

    fn labels(names: &[&str]) -> (Vec<String>, Vec<Option<usize>>) {
        let built = catalogue(names);
        let labels = (0..built.len()).map(|i| built.label(i)).collect();
        (built.classes().to_vec(), labels)
    }

    #[test]
    fn sorts_by_parts_and_keeps_the_later_of_equal_names() {
        // By whole strings "cat big/" would come before "cat/", since a space is below a slash.
        let entries = [
            "cat big/1.png",
            "cat/2.png",
            "cat/10.png",
            "Zoo/1.png",
            "cat/2.png",
        ];
        let entries = entries
            .iter()
            .zip(0..)
            .map(|(&n, i)| (n.to_owned(), i))
            .collect();
        let (built, payloads) = Catalogue::build(entries);
        let names: Vec<_> = (0..built.len()).map(|i| built.name(i)).collect();
        assert_eq!(
            names,
            ["Zoo/1.png", "cat/10.png", "cat/2.png", "cat big/1.png"]
        );
        assert_eq!(payloads, [3, 2, 4, 0]);
        assert_eq!(built.classes(), ["Zoo", "cat", "cat big"]);
        assert_eq!(built.name(4), "");
        assert_eq!(built.label(4), None);
    }

    #[test]
    fn labels_come_from_the_first_level_with_a_choice() {
        let own = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(
            labels(&["a/x.png", "b/deep/er/y.png", "z.png"]),
            (own(&["a", "b"]), vec![Some(0), Some(1), None])
        );
        assert_eq!(
            labels(&["photos/in/a/x.png", "photos/in/b/y.png"]),
            (own(&["a", "b"]), vec![Some(0), Some(1)])
        );
        assert_eq!(labels(&["x.png", "y.png"]), (vec![], vec![None, None]));
        assert_eq!(labels(&["a/x.png", "a/y.png"]), (vec![], vec![None, None]));
        assert_eq!(labels(&["a/x.png"]), (vec![], vec![None]));
        assert_eq!(labels(&[]), (vec![], vec![]));
    }

    #[test]
    fn picture_names() {
        for name in ["a.JPG", "b/ö ü.jpeg", "c.d/e.f.TiFF", "x.webp"] {
            assert!(is_picture_name(name), "{name}");
        }
        for name in [
            "jpg",
            "a.txt",
            "a.jpg.zip",
            ".a.jpg",
            ".git/a.jpg",
            "__MACOSX/a.jpg",
            "a.jpg/b",
        ] {
            assert!(!is_picture_name(name), "{name}");
        }
    }
}
