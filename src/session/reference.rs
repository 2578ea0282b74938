//! The fixed set of pictures that every look is made of, so that looks can be compared.

use std::sync::{Arc, OnceLock};

use anyhow::{Result, ensure};

use super::pictures::Subset;
use crate::data::{LoadError, Picture, Source};
use crate::explore::Encoder;
use crate::explore::bank::Shown;

/// Patches of the fixed set, about: enough for patterns, few enough for a look in a second.
const PATCHES: usize = 16_384;

/// Bounds of the number of its pictures.
const PICTURES: (usize, usize) = (48, 256);

/// The pictures that every look is made of.
pub struct Reference {
    pub(super) source: Arc<dyn Source>,
    pub(super) pictures: Arc<Vec<ReferencePicture>>,
    /// What every patch shows, where the source knows parts: made once, since it does not change.
    pub(super) shown: OnceLock<Option<Shown>>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct ReferencePicture {
    pub name: String,
    pub class: Option<String>,
    /// As the network sees it.
    pub view: Picture,
}

impl Reference {
    /// Loads a set that is spread evenly over `source`, as `encoder` sees it.
    ///
    /// # Errors
    /// A source of which nothing can be read.
    pub fn load(source: &Arc<dyn Source>, encoder: &Encoder) -> Result<(Self, Vec<LoadError>)> {
        use rayon::prelude::*;
        let count = (PATCHES / encoder.patches()).clamp(PICTURES.0, PICTURES.1);
        let spread = Subset::spread(source, count);
        let loaded: Vec<_> = (0..spread.len())
            .into_par_iter()
            .map(|index| (index, spread.load(index)))
            .collect();
        let (mut indices, mut pictures, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (index, picture) in loaded {
            match picture {
                Ok(picture) => {
                    indices.push(index);
                    let label = spread.label(index);
                    pictures.push(ReferencePicture {
                        name: spread.name(index),
                        class: label.and_then(|label| spread.classes().get(label).cloned()),
                        view: encoder.view(&picture),
                    });
                }
                Err(failure) => failures.push(failure),
            }
        }
        ensure!(
            !pictures.is_empty(),
            "none of the pictures could be read; the first: {}",
            failures.first().map_or(String::new(), ToString::to_string)
        );
        let source = Subset::of(&spread, indices);
        let pictures = Arc::new(pictures);
        let shown = OnceLock::new();
        Ok((
            Reference {
                source,
                pictures,
                shown,
            },
            failures,
        ))
    }

    pub fn len(&self) -> usize {
        self.pictures.len()
    }

    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Picture `index` as the network sees it.
    pub fn view(&self, index: usize) -> Option<&Picture> {
        self.pictures.get(index).map(|picture| &picture.view)
    }

    pub(super) fn views(&self) -> impl Iterator<Item = &Picture> {
        self.pictures.iter().map(|picture| &picture.view)
    }
}
