//! One big file that many threads read in different places at once.
//!
//! A handle has one position, so two threads cannot share it; a lock around it would make the
//! readers of a slow disk wait for each other. So each reader borrows a handle of its own from a
//! small pool, which grows to the number of threads and no further.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A file open for reading at any place from any thread.
pub struct SharedFile {
    path: PathBuf,
    idle: Mutex<Vec<File>>,
}

impl SharedFile {
    /// Opens the file, so that a missing one is noticed here and not at the first read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            idle: Mutex::new(vec![File::open(path)?]),
        })
    }

    /// Path the file was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `read` on a handle that stands at byte `offset`.
    pub fn read_from<T, E: From<io::Error>>(
        &self,
        offset: u64,
        read: impl FnOnce(&mut File) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.pool().pop();
        let mut file = match idle {
            Some(file) => file,
            None => File::open(&self.path)?,
        };
        file.seek(SeekFrom::Start(offset))?;
        let result = read(&mut file);
        self.pool().push(file);
        result
    }

    /// The `length` bytes from byte `offset`; an error of kind `UnexpectedEof` where the file ends
    /// before. The buffer grows with what is really there, whatever `length` claims.
    pub fn read_at(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        self.read_from(offset, |file| {
            let mut bytes = Vec::new();
            file.take(length).read_to_end(&mut bytes)?;
            if (bytes.len() as u64) < length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Ok(bytes)
        })
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<File>> {
        // A reader that panicked cannot have left the list half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_read_their_own_places() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers");
        let bytes: Vec<u8> = (0..1000u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &bytes).unwrap();
        let file = SharedFile::open(&path).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let file = &file;
                scope.spawn(move || {
                    for i in (thread..1000).step_by(4) {
                        let read = file.read_at(u64::from(i) * 4, 4).unwrap();
                        assert_eq!(read, i.to_le_bytes());
                    }
                });
            }
        });
        assert!(file.pool().len() <= 4);
        let beyond = file.read_at(3998, u64::MAX).unwrap_err();
        assert_eq!(beyond.kind(), io::ErrorKind::UnexpectedEof);
        assert!(SharedFile::open(&folder.path().join("none")).is_err());
    }
}
