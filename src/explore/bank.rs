//! Which prototype every patch of a source belongs to: the table behind patterns, cluster maps and parts.
//!
//! Eight bytes a patch, whatever the network: 50,000 pictures of 196 patches take 80 MB. The prototypes
//! are those of the network's head or, for a network without one, clusters of its patch tokens.

use anyhow::{Result, bail};
use rayon::prelude::*;

use super::clusters::{self, ClusterSettings};
use super::{Cache, Encoder, Entry, Key, Of, Walk};
use crate::data::Source;
use crate::probe::parts::{PartGroup, PatchParts, SHARE, part_groups, patch_parts};

/// Raised when the meaning of an entry changes.
const KIND: &str = "bank-1";

/// Parts of several animals that also count as one.
const POOLS: [&str; 2] = ["eye", "ear"];

/// Where the prototypes come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grouping {
    /// The head's.
    Prototypes(Of),
    /// Clusters of the patch tokens.
    Clusters(ClusterSettings),
}

/// Every patch of a source (or every picture) with its prototype.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bank {
    /// Source index of each picture that could be read, rising.
    pub pictures: Vec<u32>,
    /// Patches of a picture; 1 where whole pictures have prototypes.
    pub each: usize,
    /// Prototype of each patch, `[pictures, each]`.
    pub ids: Vec<u32>,
    /// How well it fits: the cosine between the two, `[pictures, each]`.
    pub values: Vec<f32>,
    /// Number of prototypes.
    pub kinds: usize,
}

/// Who belongs to one prototype.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Population {
    /// Patches, or pictures where whole pictures have prototypes.
    pub members: usize,
    /// Pictures that they are in.
    pub pictures: usize,
    /// Mean cosine of members and prototype.
    pub confidence: f64,
}

impl Bank {
    /// Goes through the source of `walk`, or takes from `cache` what was found the last time.
    ///
    /// # Errors
    /// A network without a head where the head's prototypes are wanted, a stopped walk, nothing readable.
    pub fn build(walk: &mut Walk, grouping: Grouping, cache: &Cache) -> Result<Self> {
        let encoder = walk.encoder;
        let key = Key::new(KIND, encoder, &**walk.source).with("of", format!("{grouping:?}"));
        let (each, kinds) = match (grouping, &encoder.prototypes) {
            (Grouping::Clusters(settings), _) => (encoder.patches(), settings.count),
            (Grouping::Prototypes(_), None) => bail!(
                "{} has no projection head, so there are no prototypes; \
                 --clusters 256 groups its patch tokens instead",
                encoder.name
            ),
            (Grouping::Prototypes(Of::Pictures), Some(p)) => (1, p.head.out),
            (Grouping::Prototypes(Of::Patches), Some(p)) => {
                (encoder.patches(), p.head.patch_count())
            }
        };
        let mut bank = Bank {
            each,
            kinds,
            ..Bank::default()
        };
        if let Some(mut kept) = cache.get(&key) {
            bank.pictures = kept.integers.remove("pictures").unwrap_or_default();
            bank.ids = kept.integers.remove("ids").unwrap_or_default();
            bank.values = kept.floats.remove("values").unwrap_or_default();
            if bank.is_whole() {
                return Ok(bank);
            }
            bank = Bank {
                each,
                kinds,
                ..Bank::default()
            };
        }
        let clusters = match grouping {
            Grouping::Clusters(settings) => Some(clusters::Clusters::fit(walk, settings, cache)?),
            Grouping::Prototypes(_) => None,
        };
        walk.each("prototypes", false, |looks| {
            let views: Vec<_> = looks.iter().map(|look| look.view.clone()).collect();
            let (ids, values) = match (&clusters, grouping) {
                (Some(clusters), _) => clusters.assign(encoder, &views),
                (None, Grouping::Prototypes(of)) => encoder.assign(&views, of),
                (None, Grouping::Clusters(_)) => (Vec::new(), Vec::new()),
            };
            bank.pictures
                .extend(looks.iter().map(|look| look.index as u32));
            bank.ids.extend(ids);
            bank.values.extend(values);
            Ok(())
        })?;
        if walk.failures.is_empty() {
            let entry = Entry::default()
                .with_integers("pictures", &bank.pictures)
                .with_integers("ids", &bank.ids)
                .with_floats("values", &bank.values);
            cache.put(&key, &entry);
        }
        Ok(bank)
    }

    fn is_whole(&self) -> bool {
        let rows = self.pictures.len() * self.each;
        let known = self.ids.iter().all(|&id| (id as usize) < self.kinds);
        rows > 0 && self.ids.len() == rows && self.values.len() == rows && known
    }

    /// Who belongs to every prototype.
    pub fn populations(&self) -> Vec<Population> {
        let mut found = vec![Population::default(); self.kinds];
        let mut last = vec![usize::MAX; self.kinds];
        for (row, (&id, &value)) in self.ids.iter().zip(&self.values).enumerate() {
            let (picture, id) = (row / self.each, id as usize);
            if let Some(population) = found.get_mut(id) {
                population.members += 1;
                population.confidence += f64::from(value);
                population.pictures += usize::from(last[id] != picture);
                last[id] = picture;
            }
        }
        for population in &mut found {
            population.confidence /= population.members.max(1) as f64;
        }
        found
    }
}

/// What the patches of a source show, where that is known.
pub struct Shown {
    pub groups: Vec<PartGroup>,
    /// For every picture of a bank, `[pictures, patches]`.
    pub patches: Vec<PatchParts>,
}

impl Shown {
    /// Part by part, what `encoder` sees in the pictures of `bank`; `None` where the source does not know parts.
    ///
    /// # Errors
    /// Part maps that do not fit their pictures.
    pub fn of(encoder: &Encoder, source: &dyn Source, bank: &Bank) -> Result<Option<Self>> {
        if source.part_names().is_empty() || bank.each != encoder.patches() {
            return Ok(None);
        }
        let groups = part_groups(source.part_names(), &POOLS);
        let of_picture = |&index: &u32| {
            let Some((_, map)) = source.load_with_parts(index as usize) else {
                return Ok(vec![PatchParts::default(); bank.each]);
            };
            patch_parts(&map.scaled(encoder.side), encoder.patch(), &groups, SHARE)
        };
        let patches: Result<Vec<_>, _> = bank.pictures.par_iter().map(of_picture).collect();
        let patches = patches?.into_iter().flatten().collect();
        Ok(Some(Shown { groups, patches }))
    }
}
