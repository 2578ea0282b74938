//! A table of pictures: a CSV file of path and label.
//!
//! `path,label` a line, with or without that header; paths are relative to the table's folder or absolute. A
//! missing or empty label leaves a picture unlabelled.

use std::path::Path;

use super::catalogue::Catalogue;
use super::folder::Folder;
use super::open::SourceError;

/// Opens the table at `path`.
///
/// # Errors
/// A table that cannot be read, a line without a path, or no line at all; the message names the line.
pub fn open(path: &Path) -> Result<Folder, SourceError> {
    let damaged = |reason: String| SourceError::Damaged {
        path: path.to_owned(),
        reason,
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|error| damaged(error.to_string()))?;
    let mut entries = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record.map_err(|error| damaged(error.to_string()))?;
        let name = record.get(0).unwrap_or_default();
        let is_header = number == 0 && ["path", "file", "image"].contains(&name);
        if is_header {
            continue;
        }
        if name.is_empty() {
            let line = number + 1;
            return Err(damaged(format!(
                "line {line} has no path; write path,label"
            )));
        }
        let label = record.get(1).filter(|label| !label.is_empty());
        entries.push((name.to_owned(), label.map(str::to_owned)));
    }
    if entries.is_empty() {
        return Err(damaged(
            "it lists no picture; write path,label a line".into(),
        ));
    }
    let root = path.parent().unwrap_or(Path::new(""));
    Ok(Folder::of(root, Catalogue::labelled(entries)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;

    #[test]
    fn labels_come_from_the_table() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("table.csv");
        std::fs::write(
            &table,
            "path,label\nb/2.png,dog\n\"a, 1.png\",cat\nc.png,\n/d.png,dog\n",
        )
        .unwrap();
        let source = open(&table).unwrap();
        assert_eq!(source.classes(), ["cat", "dog"]);
        let labels: Vec<_> = (0..source.len()).map(|i| source.label(i)).collect();
        assert_eq!(labels, [Some(1), Some(0), None, Some(1)]);
        assert_eq!(source.name(3), "/d.png");
        assert!(source.name(1).ends_with("a, 1.png"));
        for (text, part) in [
            ("", "no picture"),
            ("path,label\n", "no picture"),
            (",x\n", "line 1"),
        ] {
            std::fs::write(&table, text).unwrap();
            let error = open(&table).err().unwrap().to_string();
            assert!(
                error.contains(part) && error.contains("table.csv"),
                "{error}"
            );
        }
    }
}
