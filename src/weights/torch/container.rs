//! Where in a file the pickle and the storages are.
//!
//! Today's format is a zip whose entries are stored as they are: `NAME/data.pkl` and a file for every storage,
//! `NAME/data/KEY`. The one before is a row of pickles (a magic number, a version, facts on the system, the
//! object, the keys of its storages), then for each key a count and its numbers.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::pickle::{Item, Pickle};
use super::{Kind, TorchError, zip};

/// The magic number of the old format, `0x1950a86a20f9469cfc6c`, lowest byte first.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// Bytes of pickle that are read: that of a full checkpoint of the largest network has less than one MiB.
const MOST_PICKLE: u64 = 32 << 20;

/// Whether a file starts like one that PyTorch writes.
///
/// # Errors
/// A file that cannot be read.
pub fn is_torch(path: &Path) -> std::io::Result<bool> {
    let mut start = [0; 4];
    let read = File::open(path)?.take(4).read(&mut start)?;
    Ok(matches!(
        start.get(..read),
        Some([b'P', b'K', 3, 4] | [0x80, 2..=5, ..])
    ))
}

/// Numbers in a file.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// In bytes.
    pub start: u64,
    pub len: u64,
    pub kind: Kind,
}

/// An open file.
#[derive(Debug)]
pub struct Container {
    file: File,
    len: u64,
    /// The pickle of the object.
    pickle: Vec<u8>,
    /// Start and length of every storage.
    storages: HashMap<String, (u64, u64)>,
}

impl Container {
    pub fn open(path: &Path) -> Result<Self, TorchError> {
        let mut file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut start = [0; 2];
        let read = (&file).take(2).read(&mut start)?;
        file.seek(SeekFrom::Start(0))?;
        let (pickle, storages) = match start.get(..read) {
            Some(b"PK") => zipped(&mut file, len)?,
            _ => row_of_pickles(&mut file, len)?,
        };
        Ok(Container {
            file,
            len,
            pickle,
            storages,
        })
    }

    /// Length of the file.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The object.
    pub fn pickle(&mut self) -> Result<Pickle, TorchError> {
        let bytes = std::mem::take(&mut self.pickle);
        Ok(Pickle::read(&bytes)?.0)
    }

    /// The storage called `key`; its type is not known here.
    pub fn storage(&self, key: &str) -> Option<Region> {
        let &(start, len) = self.storages.get(key)?;
        let kind = Kind::U8;
        Some(Region { start, len, kind })
    }

    /// `len` bytes from `start`, all of which lie in the file.
    pub fn range(&mut self, start: u64, len: u64) -> Result<Vec<u8>, TorchError> {
        if start.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(TorchError::Container("it is cut short".into()));
        }
        self.file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; len as usize];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

type Parts = (Vec<u8>, HashMap<String, (u64, u64)>);

fn zipped(file: &mut File, len: u64) -> Result<Parts, TorchError> {
    let bad = |what: String| TorchError::Container(what);
    let (mut pickle, mut storages) = (None, HashMap::new());
    for entry in zip::entries(file, len)? {
        let name = &entry.name;
        let is_pickle = name == "data.pkl" || name.ends_with("/data.pkl");
        let is_order = name.ends_with("/byteorder");
        let storage = name.rsplit_once("data/").map(|(_, key)| key.to_owned());
        if !is_pickle && !is_order && storage.is_none() {
            continue;
        }
        if !entry.is_stored {
            let what = format!("{name:?} in it is compressed, which PyTorch never does");
            return Err(bad(what));
        }
        let start = entry.start(file)?;
        if let Some(key) = storage {
            storages.insert(key, (start, entry.size));
            continue;
        }
        if entry.size > MOST_PICKLE {
            return Err(TorchError::TooLarge(format!("{name:?} in it is too large")));
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(entry.size).read_to_end(&mut bytes)?;
        if is_order && bytes.starts_with(b"big") {
            return Err(bad(
                "its numbers were written by a big-endian machine".into()
            ));
        }
        if is_pickle {
            pickle = Some(bytes);
        }
    }
    let pickle = pickle.ok_or_else(|| bad("there is no data.pkl in the zip".into()))?;
    Ok((pickle, storages))
}

fn row_of_pickles(file: &mut File, len: u64) -> Result<Parts, TorchError> {
    let bad = |what: &str| TorchError::Container(what.into());
    // The pickles stand before the numbers; how long they are, they say themselves.
    let mut front = Vec::new();
    file.take(MOST_PICKLE).read_to_end(&mut front)?;
    if front.get(257..262) == Some(b"ustar") {
        return Err(bad(
            "the tar format of PyTorch before 0.1.10 is not read; load and save it with a newer one",
        ));
    }
    let mut at = 0;
    let mut next = || -> Result<(Pickle, std::ops::Range<usize>), TorchError> {
        let (pickle, length) = Pickle::read(front.get(at..).unwrap_or_default())?;
        let range = at..at + length;
        at += length;
        Ok((pickle, range))
    };
    let (magic, _) = next()?;
    if *magic.get(magic.root) != Item::Bytes(MAGIC.to_vec()) {
        return Err(bad("it starts with a pickle that is not PyTorch's"));
    }
    let (_version, _) = next()?;
    let (_system, _) = next()?;
    let (object, range) = next()?;
    let (keys, after) = next()?;
    let kinds = element_sizes(&object);
    let mut storages = HashMap::new();
    let mut start = after.end as u64;
    for &key in keys.list(keys.root).unwrap_or_default() {
        let key = keys.text(key).ok_or_else(|| bad("a storage has no name"))?;
        let Some(&bytes) = kinds.get(key) else {
            return Err(bad("a storage is of no known type"));
        };
        file.seek(SeekFrom::Start(start))?;
        let mut count = [0; 8];
        file.read_exact(&mut count)?;
        let size = u64::from_le_bytes(count).checked_mul(bytes);
        let size = size.filter(|size| size.checked_add(start + 8).is_some_and(|end| end <= len));
        let size = size.ok_or_else(|| bad("it is cut short: a storage should be larger"))?;
        storages.insert(key.to_owned(), (start + 8, size));
        start += 8 + size;
    }
    let pickle = front.get(range).unwrap_or_default().to_vec();
    Ok((pickle, storages))
}

/// Bytes of a number in every storage that a pickle speaks of.
fn element_sizes(pickle: &Pickle) -> HashMap<String, u64> {
    let of = |item: &Item| {
        let Item::Persistent(id) = item else {
            return None;
        };
        let &[_, class, key, ..] = pickle.list(*id)? else {
            return None;
        };
        match pickle.get(class) {
            Item::Global(class) => {
                Some((pickle.text(key)?.to_owned(), Kind::named(class)?.bytes()))
            }
            _ => None,
        }
    };
    pickle.items().filter_map(of).collect()
}
