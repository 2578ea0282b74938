//! The pictures of a run: what is trained on, and what k-NN is tested with.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use crate::data::cifar::Split;
use crate::data::open::{self, Kind};
use crate::data::parts::Parts;
use crate::data::{LoadError, PartMap, Picture, Source};
use crate::settings::{DataSettings, Settings};

/// Name of the built-in demo as a source.
pub const DEMO: &str = "parts";

/// Seed of the demo's test pictures: never the same as a run's.
const TEST_SEED: u64 = 0x7465_7374;

/// An opened source in two parts.
pub struct Pictures {
    pub train: Arc<dyn Source>,
    /// Labelled pictures that are never trained on; `None` where nothing is labelled.
    pub test: Option<Arc<dyn Source>>,
    /// What was left out while looking.
    pub warnings: Vec<LoadError>,
}

/// Opens `spec`: `parts`, or a folder, an archive, a file, CIFAR-10.
///
/// Test pictures are the official ones where there are any, fresh ones of the demo, else the share
/// `data.held_out` of the labelled pictures, chosen by the hash of their names so that the choice is
/// the same in every run.
///
/// # Errors
/// A path that is missing or holds no readable picture.
pub fn open(spec: &str, settings: &Settings) -> Result<Pictures> {
    let mut opened = open_official(spec, settings)?;
    if opened.test.is_none() {
        (opened.train, opened.test) = hold_out(opened.train, &settings.data);
    }
    Ok(opened)
}

/// The same, but nothing is held out: test pictures are the official ones or none.
///
/// # Errors
/// A path that is missing or holds no readable picture.
pub fn open_official(spec: &str, settings: &Settings) -> Result<Pictures> {
    let data = &settings.data;
    if spec == DEMO {
        let train = Parts::new(data.images, data.size, settings.run.seed);
        let test = Parts::new(data.knn_test, data.size, settings.run.seed ^ TEST_SEED);
        return Ok(Pictures {
            train: Arc::new(train),
            test: Some(Arc::new(test)),
            warnings: Vec::new(),
        });
    }
    let opened = open::open(spec, Split::Train)?;
    let mut warnings = opened.warnings;
    let test = match opened.kind {
        // A folder with training files only is trained on without a test.
        Kind::Cifar10 => open::open(spec, Split::Test).ok().map(|test| {
            warnings.extend(test.warnings);
            test.source
        }),
        _ => None,
    };
    Ok(Pictures {
        train: opened.source,
        test,
        warnings,
    })
}

/// Opens `spec` as a whole, to look at: nothing is held out. The demo gives pictures that no run has
/// been trained on, `data.knn_test` of them; CIFAR-10 its training pictures.
///
/// # Errors
/// A path that is missing or holds no readable picture.
pub fn open_whole(spec: &str, settings: &Settings) -> Result<(Arc<dyn Source>, Vec<LoadError>)> {
    if spec == DEMO {
        let demo = open(spec, settings)?;
        return Ok((demo.test.unwrap_or(demo.train), demo.warnings));
    }
    let opened = open::open(spec, Split::Train)?;
    Ok((opened.source, opened.warnings))
}

/// An absolute form of a source that a run can be resumed with from any folder.
pub fn absolute(spec: &str) -> String {
    match spec {
        DEMO => spec.to_owned(),
        path => std::path::absolute(Path::new(path))
            .map(|path| path.display().to_string())
            .unwrap_or_else(|_| spec.to_owned()),
    }
}

fn hold_out(
    source: Arc<dyn Source>,
    data: &DataSettings,
) -> (Arc<dyn Source>, Option<Arc<dyn Source>>) {
    if source.classes().len() < 2 || data.held_out <= 0.0 {
        return (source, None);
    }
    let is_test = |&index: &usize| {
        let mut hasher = DefaultHasher::new();
        source.name(index).hash(&mut hasher);
        let share = hasher.finish() as f64 / u64::MAX as f64;
        source.label(index).is_some() && share < data.held_out
    };
    let (test, train): (Vec<usize>, Vec<usize>) = (0..source.len()).partition(is_test);
    if test.is_empty() || train.is_empty() {
        return (source, None);
    }
    let part = |indices| Subset::of(&source, indices);
    (part(train), Some(part(test)))
}

/// Some of a source's pictures.
pub struct Subset {
    whole: Arc<dyn Source>,
    indices: Vec<usize>,
}

impl Subset {
    /// The pictures of `source` with these numbers.
    pub fn of(source: &Arc<dyn Source>, indices: Vec<usize>) -> Arc<dyn Source> {
        Arc::new(Subset {
            whole: source.clone(),
            indices,
        })
    }

    /// At most `count` pictures of `source`, evenly spread over it.
    pub fn spread(source: &Arc<dyn Source>, count: usize) -> Arc<dyn Source> {
        let len = source.len();
        if count >= len {
            return source.clone();
        }
        Self::of(source, (0..count).map(|i| i * len / count).collect())
    }
}

impl Source for Subset {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn name(&self, index: usize) -> String {
        self.whole.name(self.indices[index])
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.whole.label(self.indices[index])
    }

    fn classes(&self) -> &[String] {
        self.whole.classes()
    }

    fn load(&self, index: usize) -> Result<Picture, LoadError> {
        self.whole.load(self.indices[index])
    }

    fn stamp(&self, index: usize) -> u64 {
        self.whole.stamp(self.indices[index])
    }

    fn part_names(&self) -> &[&'static str] {
        self.whole.part_names()
    }

    fn load_with_parts(&self, index: usize) -> Option<(Picture, PartMap)> {
        self.whole.load_with_parts(self.indices[index])
    }
}
