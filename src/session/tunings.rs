//! The fine-tunings that lie in a run's folder, read again while they go on.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use walkdir::WalkDir;

use super::tuning::Epoch;

/// Time between two looks into the folder.
pub const EVERY: Duration = Duration::from_secs(2);

/// Folders between the run's and that of a fine-tuning: learning from few labels has one for each share.
const DEEP: usize = 2;

/// All of them by name, as far as they have come.
#[derive(Clone, Debug, Default)]
pub struct Tunings {
    pub found: Vec<(String, Vec<Epoch>)>,
    /// The files that were read, and their lengths then.
    files: Vec<(PathBuf, u64)>,
    looked: Option<Instant>,
}

impl Tunings {
    /// Reads what is new in `folder`, at most once in [`EVERY`].
    pub fn refresh(&mut self, folder: &Path) {
        if self.looked.is_some_and(|looked| looked.elapsed() < EVERY) {
            return;
        }
        self.looked = Some(Instant::now());
        let walk = WalkDir::new(folder)
            .min_depth(2)
            .max_depth(DEEP + 1)
            .sort_by_file_name();
        let files: Vec<(PathBuf, u64)> = walk
            .into_iter()
            .flatten()
            .filter(|entry| entry.file_name() == "metrics.jsonl")
            .filter_map(|entry| Some((entry.path().to_owned(), entry.metadata().ok()?.len())))
            .collect();
        if files == self.files {
            return;
        }
        let read = |(path, _): &(PathBuf, u64)| {
            let text = std::fs::read_to_string(path).ok()?;
            // A last line may be half written; other runs' metrics are of another form.
            let epochs = text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            let epochs: Vec<Epoch> = epochs.collect();
            let name = path.parent()?.strip_prefix(folder).ok()?;
            (!epochs.is_empty()).then(|| (name.display().to_string(), epochs))
        };
        self.found = files.iter().filter_map(read).collect();
        self.files = files;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_read_as_they_come() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).join("metrics.jsonl");
        let epoch = |n: usize| {
            format!("{{\"epoch\":{n},\"loss\":2.0,\"lr\":0.1,\"top1\":0.5,\"top5\":0.9}}\n")
        };
        for name in ["tuned", "few/share-0.1", "far/too/deep", "other"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
            std::fs::write(path(name), epoch(1) + "{\"ep").unwrap();
        }
        std::fs::write(path("other"), "{\"kind\":\"step\",\"step\":3}\n").unwrap();
        std::fs::write(folder.path().join("metrics.jsonl"), epoch(7)).unwrap();
        let mut tunings = Tunings::default();
        tunings.refresh(folder.path());
        let names = |tunings: &Tunings| -> Vec<(String, usize)> {
            let each = tunings
                .found
                .iter()
                .map(|(name, epochs)| (name.replace('\\', "/"), epochs.len()));
            each.collect()
        };
        let expected = [("few/share-0.1".to_owned(), 1), ("tuned".to_owned(), 1)];
        assert_eq!(names(&tunings), expected);
        std::fs::write(path("tuned"), epoch(1) + &epoch(2)).unwrap();
        tunings.refresh(folder.path());
        assert_eq!(names(&tunings), expected, "not looked at that soon");
        tunings.looked = None;
        tunings.refresh(folder.path());
        assert_eq!(names(&tunings)[1].1, 2);
    }
}
