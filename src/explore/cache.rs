//! Keeps what long walks have found, so that the next look at it takes no time.
//!
//! An entry's key is a hash of everything it depends on: the weights, every picture's name and stamp,
//! and the settings. Whatever changes, the key changes, and the old entry is simply never asked for
//! again. Entries are whole safetensors files or none (written aside, synced, renamed); the oldest go
//! when the folder grows beyond its bound.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use sha2::{Digest, Sha256};

use super::Encoder;
use crate::data::Source;
use crate::weights::file::write_atomically;

/// Bytes that all entries together may take.
const BOUND: u64 = 4 << 30;

/// Set to another folder, or to nothing for no cache at all.
const VARIABLE: &str = "PATCHLIGHT_CACHE";

/// What an entry depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// A key for something that `encoder` finds in `source`. `kind` names the thing and the version
    /// of its meaning.
    pub fn new(kind: &str, encoder: &Encoder, source: &dyn Source) -> Self {
        let mut hash = Sha256::new();
        for index in 0..source.len() {
            hash.update(source.name(index));
            hash.update([0]);
            hash.update(source.stamp(index).to_le_bytes());
        }
        let key = Key(format!("{kind}-{:x}", hash.finalize()));
        key.with("weights", encoder.fingerprint())
            .with("side", format!("{} {:?}", encoder.side, encoder.framing))
            .with("mean", format!("{:?}{:?}", encoder.mean, encoder.std))
    }

    /// The same, also depending on a setting.
    pub fn with(self, name: &str, value: impl Display) -> Self {
        Key(hex(&format!("{}\n{name}={value}", self.0)))
    }
}

fn hex(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

/// Named lists of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    pub floats: HashMap<String, Vec<f32>>,
    pub integers: HashMap<String, Vec<u32>>,
}

impl Entry {
    pub fn with_floats(mut self, name: &str, values: &[f32]) -> Self {
        self.floats.insert(name.into(), values.to_vec());
        self
    }

    pub fn with_integers(mut self, name: &str, values: &[u32]) -> Self {
        self.integers.insert(name.into(), values.to_vec());
        self
    }

    fn to_bytes(&self) -> Option<Vec<u8>> {
        let floats = self.floats.iter().map(|(name, values)| {
            let bytes: &[u8] = bytemuck::cast_slice(values);
            (name, Dtype::F32, values.len(), bytes)
        });
        let integers = self.integers.iter().map(|(name, values)| {
            let bytes: &[u8] = bytemuck::cast_slice(values);
            (name, Dtype::U32, values.len(), bytes)
        });
        let views: Option<Vec<_>> = floats
            .chain(integers)
            .map(|(name, dtype, len, bytes)| {
                Some((name, TensorView::new(dtype, vec![len], bytes).ok()?))
            })
            .collect();
        safetensors::serialize(views?, None).ok()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut entry = Entry::default();
        for (name, view) in SafeTensors::deserialize(bytes).ok()?.tensors() {
            let (chunks, _) = view.data().as_chunks::<4>();
            match view.dtype() {
                Dtype::F32 => {
                    let values = chunks.iter().map(|&c| f32::from_le_bytes(c)).collect();
                    entry.floats.insert(name, values);
                }
                Dtype::U32 => {
                    let values = chunks.iter().map(|&c| u32::from_le_bytes(c)).collect();
                    entry.integers.insert(name, values);
                }
                _ => return None,
            }
        }
        Some(entry)
    }
}

/// A folder of entries. A cache never fails: what cannot be read is not there, what cannot be
/// written is found again next time.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: Option<PathBuf>,
}

impl Cache {
    /// The user's: the folder that `PATCHLIGHT_CACHE` names, else one in the system's place for caches.
    pub fn of_user() -> Self {
        let folder = match std::env::var_os(VARIABLE) {
            Some(folder) if folder.is_empty() => None,
            Some(folder) => Some(PathBuf::from(folder)),
            None => dirs::cache_dir().map(|caches| caches.join("patchlight").join("explore")),
        };
        Cache { folder }
    }

    /// In a folder of its own.
    pub fn at(folder: &Path) -> Self {
        Cache {
            folder: Some(folder.to_owned()),
        }
    }

    /// One that keeps nothing.
    pub fn none() -> Self {
        Cache { folder: None }
    }

    /// What was kept under `key`.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        let bytes = std::fs::read(self.path(key)?).ok()?;
        Entry::from_bytes(&bytes)
    }

    /// Keeps `entry` under `key`.
    pub fn put(&self, key: &Key, entry: &Entry) {
        let (Some(path), Some(folder), Some(bytes)) =
            (self.path(key), &self.folder, entry.to_bytes())
        else {
            return;
        };
        let written =
            std::fs::create_dir_all(folder).and_then(|()| write_atomically(&path, &bytes));
        if let Err(error) = written {
            log::warn!("nothing is kept in {}: {error}", folder.display());
        }
        make_room(folder, BOUND);
    }

    fn path(&self, key: &Key) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(format!("{}.safetensors", key.0)))
    }
}

/// Deletes the oldest files of `folder` until it holds at most `bound` bytes.
fn make_room(folder: &Path, bound: u64) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
        .flatten()
        .filter_map(|file| {
            let about = file.metadata().ok()?;
            let modified = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            about
                .is_file()
                .then(|| (modified, about.len(), file.path()))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|(_, len, _)| len).sum();
    for (_, len, path) in files {
        if total <= bound {
            return;
        }
        if std::fs::remove_file(path).is_ok() {
            total -= len;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(n: u32) -> Entry {
        Entry::default()
            .with_floats("values", &[0.5, -1.0, n as f32])
            .with_integers("ids", &[n, u32::MAX])
    }

    #[test]
    fn an_entry_comes_back_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(&folder.path().join("new"));
        let key = Key("a".into());
        assert_eq!(cache.get(&key), None);
        cache.put(&key, &entry(7));
        assert_eq!(cache.get(&key), Some(entry(7)));
        assert_eq!(cache.get(&key.clone().with("blocks", 3)), None);
        // Half a file, as a full disk might leave it.
        let path = cache.path(&key).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert_eq!(cache.get(&key), None);
        cache.put(&key, &entry(8));
        assert_eq!(cache.get(&key), Some(entry(8)));
        assert_eq!(Cache::none().get(&key), None);
    }

    #[test]
    fn the_oldest_entries_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let keys: Vec<Key> = (0..3).map(|i| Key(format!("{i}"))).collect();
        for (i, key) in keys.iter().enumerate() {
            cache.put(key, &entry(i as u32));
            let path = cache.path(key).unwrap();
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(i as u64);
            std::fs::File::open(path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }
        let one = std::fs::metadata(cache.path(&keys[0]).unwrap())
            .unwrap()
            .len();
        make_room(folder.path(), 2 * one);
        let kept: Vec<bool> = keys.iter().map(|key| cache.get(key).is_some()).collect();
        assert_eq!(kept, [false, true, true]);
    }
}
