//! Retrieval with a list of what every query should find: revisited Oxford and Paris (Radenović et al. 2018).
//!
//! The list is the benchmark's own `gnd_roxford5k.pkl`, which is read as data and never run, or the same
//! dictionary as JSON: `imlist` and `qimlist` name the pictures of the database and the queries, `gnd` holds for
//! every query the numbers of its `easy`, `hard` and `junk` pictures. Pictures lie in `jpg` beside the list, or
//! beside it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::rows::{Bench, Rows, What};
use super::{Measure, Measured, Row};
use crate::data::Source;
use crate::data::folder::Folder;
use crate::probe::retrieval::{KS, Truth, rankings, score_rankings};
use crate::weights::torch::pickle::{Item, Pickle};

/// Bytes a list may have; those of the benchmarks have less than one megabyte.
const LARGEST: u64 = 64 << 20;

/// Numbers that all queries together may list.
const MOST: usize = 10_000_000;

#[derive(Debug, Default, PartialEq, Deserialize)]
struct List {
    imlist: Vec<String>,
    qimlist: Vec<String>,
    gnd: Vec<Asked>,
}

/// What a query should find, as numbers of the database.
#[derive(Debug, Default, PartialEq, Deserialize)]
struct Asked {
    easy: Vec<u32>,
    hard: Vec<u32>,
    junk: Vec<u32>,
}

/// A benchmark that is open.
pub struct Landmarks {
    database: Arc<dyn Source>,
    queries: Arc<dyn Source>,
    asked: Vec<Asked>,
}

impl Landmarks {
    /// Whether `path` is meant as such a list.
    pub fn is_list(path: &Path) -> bool {
        let end = path.extension().map(|end| end.to_ascii_lowercase());
        path.is_file() && end.is_some_and(|end| end == "pkl" || end == "json")
    }

    /// Opens the list at `path`.
    ///
    /// # Errors
    /// A list that cannot be read, lacks something, or names pictures that are not there.
    pub fn open(path: &Path) -> Result<Self> {
        let list = List::read(path).with_context(|| format!("cannot use {}", path.display()))?;
        let beside = path.parent().unwrap_or(Path::new(""));
        let jpg = beside.join("jpg");
        let root = if jpg.is_dir() { jpg } else { beside.into() };
        let source = |names: &[String]| -> Result<Arc<dyn Source>> {
            let names: Vec<String> = names.iter().map(|name| file_name(&root, name)).collect();
            if let Some(missing) = names.iter().find(|name| !root.join(name).is_file()) {
                bail!(
                    "{} names {missing:?}, but there is no such file in {}",
                    path.display(),
                    root.display()
                );
            }
            Ok(Arc::new(Folder::named(&root, names)))
        };
        Ok(Landmarks {
            database: source(&list.imlist)?,
            queries: source(&list.qimlist)?,
            asked: list.gnd,
        })
    }

    /// Ranks the database for every query and scores the lists as the benchmark does: Medium has the easy and the
    /// hard pictures to find, Hard the hard ones alone, and the easy ones then count neither way.
    pub(super) fn measure(&self, bench: &mut Bench) -> Result<(Row, Measured)> {
        let longest = bench.plan.long_side.unwrap_or(super::LONG_SIDE);
        let what = What::Whole(longest);
        let Rows {
            features: database,
            labels: pictures,
        } = bench.rows_by_number(&self.database, what)?;
        let queries = bench.rows_by_number(&self.queries, what)?;
        let ranked: Vec<Vec<u32>> = rankings(&queries.features, &database)?
            .into_iter()
            .map(|ranking| ranking.iter().map(|&i| pictures[i as usize]).collect())
            .collect();
        let asked = queries.labels.iter().map(|&i| &self.asked[i as usize]);
        let mut measures = Vec::new();
        for (name, is_hard) in [("Medium", false), ("Hard", true)] {
            let truth = |asked: &Asked| match is_hard {
                false => Truth {
                    positives: [&asked.easy[..], &asked.hard].concat(),
                    junk: asked.junk.clone(),
                },
                true => Truth {
                    positives: asked.hard.clone(),
                    junk: [&asked.easy[..], &asked.junk].concat(),
                },
            };
            let truths: Vec<Truth> = asked.clone().map(truth).collect();
            if truths.iter().all(|truth| truth.positives.is_empty()) {
                continue;
            }
            let found = score_rankings(&ranked, &truths, &KS)?;
            let precision = KS.iter().zip(&found.precision);
            let precision = precision.map(|(k, value)| (format!("{name} mP@{k}"), *value));
            let all = std::iter::once((format!("{name} mAP"), found.map)).chain(precision);
            measures.extend(all.map(Measure::bare));
        }
        let lost = self.queries.len() - queries.labels.len();
        let row = Row {
            features: bench.eyes.name(),
            measures,
            notes: match lost {
                0 => Vec::new(),
                lost => vec![format!("{lost} queries cannot be read and are left out")],
            },
        };
        let measured = Measured {
            train: pictures.len(),
            test: queries.labels.len(),
            words: format!("queries of the list; whole pictures of up to {longest} px"),
            intervals: String::new(),
        };
        Ok((row, measured))
    }
}

/// The benchmark names pictures without an ending.
fn file_name(root: &Path, name: &str) -> String {
    match root.join(name).is_file() {
        true => name.to_owned(),
        false => format!("{name}.jpg"),
    }
}

impl List {
    fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::metadata(path)?.len();
        ensure!(
            bytes <= LARGEST,
            "it has {bytes} bytes, too many for a list of queries"
        );
        Self::parse(&std::fs::read(path)?)
    }

    fn parse(bytes: &[u8]) -> Result<Self> {
        let is_json = bytes.trim_ascii_start().first() == Some(&b'{');
        let list: List = match is_json {
            true => serde_json::from_slice(bytes)?,
            false => of_pickle(&Pickle::read(bytes)?.0)?,
        };
        ensure!(
            !list.imlist.is_empty() && !list.qimlist.is_empty(),
            "it lists no pictures, or no queries"
        );
        ensure!(
            list.gnd.len() == list.qimlist.len(),
            "it names {} queries (qimlist) but says of {} what they should find (gnd)",
            list.qimlist.len(),
            list.gnd.len()
        );
        for (query, asked) in list.qimlist.iter().zip(&list.gnd) {
            let all = [&asked.easy, &asked.hard, &asked.junk];
            let beyond = |i: &&u32| **i as usize >= list.imlist.len();
            if let Some(i) = all.into_iter().flatten().find(beyond) {
                bail!(
                    "query {query:?} should find picture {i}, but the list ends at {}",
                    list.imlist.len() - 1
                );
            }
        }
        Ok(list)
    }
}

fn of_pickle(pickle: &Pickle) -> Result<List> {
    let root = pickle.root;
    let queries = pickle.list(field(pickle, root, "gnd")?);
    let queries = queries.context("its gnd is no list")?;
    let mut left = MOST;
    let mut numbers = |query, name: &str| -> Result<Vec<u32>> {
        let found = pickle.list(field(pickle, query, name)?).with_context(|| {
            format!(
                "its {name:?} are no plain list; write the dictionary as JSON, with list(...) around every array"
            )
        })?;
        // One list may stand in many places.
        left = left
            .checked_sub(found.len())
            .context("it lists too many pictures to be meant")?;
        let number = |&id: &usize| u32::try_from(pickle.int(id)?).ok();
        let all: Option<Vec<u32>> = found.iter().map(number).collect();
        all.with_context(|| format!("its {name:?} are not all numbers"))
    };
    let mut gnd = Vec::new();
    for &query in queries {
        gnd.push(Asked {
            easy: numbers(query, "easy")?,
            hard: numbers(query, "hard")?,
            junk: numbers(query, "junk")?,
        });
    }
    let names = |name: &str| -> Result<Vec<String>> {
        let list = pickle.list(field(pickle, root, name)?);
        let list = list.with_context(|| format!("its {name} is no list"))?;
        let text = |&id: &usize| pickle.text(id).map(str::to_owned);
        let all: Option<Vec<String>> = list.iter().map(text).collect();
        all.with_context(|| format!("its {name} are not all names"))
    };
    Ok(List {
        imlist: names("imlist")?,
        qimlist: names("qimlist")?,
        gnd,
    })
}

/// An entry of a dictionary.
fn field(pickle: &Pickle, of: usize, name: &str) -> Result<usize> {
    let Item::Dict(entries) = pickle.get(of) else {
        bail!("there is no dictionary where {name:?} should be looked up");
    };
    let found = entries
        .iter()
        .rev()
        .find(|(key, _)| pickle.text(*key) == Some(name));
    let (_, value) = found.with_context(|| format!("it has no {name:?}"))?;
    Ok(*value)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// `pickle.dumps({"gnd": [{"bbx": [1.0], "easy": [0], "hard": [2], "junk": []}], "imlist": ["a", "b", "c"],
    /// "qimlist": ["q"]}, 2)`, which Python wrote.
    const PICKLED: &[u8] =
        b"\x80\x02}q\x00(X\x03\x00\x00\x00gndq\x01]q\x02}q\x03(X\x03\x00\x00\x00bbxq\x04]q\x05G?\
        \xf0\x00\x00\x00\x00\x00\x00aX\x04\x00\x00\x00easyq\x06]q\x07K\x00aX\x04\x00\x00\x00hard\
        q\x08]q\x09K\x02aX\x04\x00\x00\x00junkq\x0a]q\x0buaX\x06\x00\x00\x00imlistq\x0c]q\x0d(X\
        \x01\x00\x00\x00aq\x0eX\x01\x00\x00\x00bq\x0fX\x01\x00\x00\x00cq\x10eX\x07\x00\x00\x00qi\
        mlistq\x11]q\x12X\x01\x00\x00\x00qq\x13au.";

    const JSON: &str = r#"{"gnd": [{"bbx": [1.0], "easy": [0], "hard": [2], "junk": []}],
        "imlist": ["a", "b", "c"], "qimlist": ["q"]}"#;

    fn written(folder: &Path, bytes: &[u8]) -> PathBuf {
        let path = folder.join("gnd_small.pkl");
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[test]
    fn a_pickled_list_is_the_same_as_json() {
        let folder = tempfile::tempdir().unwrap();
        let json = List::read(&written(folder.path(), JSON.as_bytes())).unwrap();
        let pickled = List::read(&written(folder.path(), PICKLED)).unwrap();
        assert_eq!(json, pickled);
        assert_eq!((json.gnd[0].hard[0], json.imlist.len()), (2, 3));
    }

    #[test]
    fn lists_that_cannot_be_meant_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let swapped = |from: &str, to: &str| JSON.replace(from, to);
        for (text, part) in [
            (swapped("[2]", "[3]"), "picture 3"),
            (swapped("\"q\"", "\"q\", \"r\""), "2 queries"),
            (swapped("\"hard\"", "\"h\""), "hard"),
            (swapped("[\"q\"]", "[]"), "no queries"),
            (String::new(), "byte"),
        ] {
            let path = written(folder.path(), text.as_bytes());
            let error = Landmarks::open(&path).err().unwrap();
            let error = format!("{error:#}");
            assert!(
                error.contains(part) && error.contains("gnd_small"),
                "{error}"
            );
        }
        for cut in 0..PICKLED.len() {
            assert!(List::parse(&PICKLED[..cut]).is_err());
            // Any other byte there is an error or another list, never a panic.
            for byte in 0..=255 {
                let mut bytes = PICKLED.to_vec();
                bytes[cut] = byte;
                let _ = List::parse(&bytes);
            }
        }
        // Pictures that are not there are named.
        let path = written(folder.path(), PICKLED);
        let error = Landmarks::open(&path).err().unwrap().to_string();
        assert!(error.contains("a.jpg"), "{error}");
    }
}
