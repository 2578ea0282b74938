//! What the window remembers from one start to the next: recent runs, theme, size of type.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::theme::Mode;
use crate::weights::file::write_atomically;

/// Runs that are remembered.
const RUNS: usize = 8;

/// A small JSON file in the user's configuration folder. Where it cannot be read or written, nothing is
/// remembered and nothing else is lost.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    pub mode: Mode,
    pub large: bool,
    /// Newest first.
    pub runs: Vec<PathBuf>,
}

impl Memory {
    /// Where it is kept: `PATCHLIGHT_CONFIG`, else the user's configuration folder.
    pub fn path() -> Option<PathBuf> {
        let folder = match std::env::var_os("PATCHLIGHT_CONFIG") {
            Some(folder) => PathBuf::from(folder),
            None => dirs::config_dir()?.join("patchlight"),
        };
        Some(folder.join("window.json"))
    }

    pub fn read(path: Option<&Path>) -> Self {
        let text = path.and_then(|path| std::fs::read(path).ok());
        let memory = text.and_then(|text| serde_json::from_slice::<Memory>(&text).ok());
        let mut memory = memory.unwrap_or_default();
        memory.runs.retain(|run| run.join("run.json").exists());
        memory
    }

    pub fn write(&self, path: Option<&Path>) {
        let (Some(path), Ok(text)) = (path, serde_json::to_vec_pretty(self)) else {
            return;
        };
        if let Some(folder) = path.parent()
            && std::fs::create_dir_all(folder).is_ok()
        {
            let _ = write_atomically(path, &text);
        }
    }

    /// Puts `run` first.
    pub fn visit(&mut self, run: &Path) {
        self.runs.retain(|old| old != run);
        self.runs.insert(0, run.to_owned());
        self.runs.truncate(RUNS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_without_what_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/window.json");
        let mut memory = Memory::read(Some(&path));
        assert_eq!(memory, Memory::default());
        memory.large = true;
        let run = folder.path().join("run");
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join("run.json"), "{}").unwrap();
        memory.visit(&folder.path().join("gone"));
        memory.visit(&run);
        memory.visit(&run);
        assert_eq!(memory.runs.len(), 2);
        memory.write(Some(&path));
        let back = Memory::read(Some(&path));
        assert_eq!((back.large, back.runs), (true, vec![run]));
        std::fs::write(&path, "{ torn").unwrap();
        assert_eq!(Memory::read(Some(&path)), Memory::default());
    }
}
