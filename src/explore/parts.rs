//! Parts as numbers: how well prototypes stand for the parts that a source knows, the instrument by which
//! runs are compared.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;

use super::bank::{Bank, Shown};
use crate::probe::parts::{Detector, part_scores};

/// Most prototypes that may together stand for a part.
const UNION: usize = 4;

/// Pictures that a prototype must be found in to count as the purest of a part.
const ENOUGH: usize = 10;

/// Prototypes read as a detector of a part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    pub prototypes: Vec<u32>,
    /// Of their patches, the share that carries the part.
    pub precision: f64,
    /// Of the part's patches, the share that they hold.
    pub recall: f64,
}

impl From<Detector> for Found {
    fn from(detector: Detector) -> Self {
        Found {
            prototypes: detector.prototypes,
            precision: detector.precision,
            recall: detector.recall,
        }
    }
}

/// One part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartRow {
    pub part: String,
    /// Patches that carry it.
    pub patches: usize,
    /// Of all patches: the precision of chance.
    pub share: f64,
    /// The prototype with the best F1.
    pub best: Option<Found>,
    /// Up to four together.
    pub union: Option<Found>,
    /// The prototype with the highest precision among those met in ten pictures or more.
    pub purest: Option<Found>,
}

/// All parts, and one number for them together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartTable {
    pub pictures: usize,
    pub patches: usize,
    /// Prototypes that have patches.
    pub prototypes: usize,
    /// Of the patches that show a part, the share whose part is the most common one of their
    /// prototype.
    pub purity: f64,
    pub parts: Vec<PartRow>,
}

/// Scores `bank` against what its patches show.
///
/// # Errors
/// A bank and parts of different pictures.
pub fn table(bank: &Bank, shown: &Shown) -> Result<PartTable> {
    let scores = part_scores(&bank.ids, &shown.patches, &shown.groups, UNION)
        .context("parts and prototypes do not fit together")?;
    let populations = bank.populations();
    // Patches by (prototype, part): all that carry it, and those that it dominates.
    let mut carried: BTreeMap<(u32, u16), usize> = BTreeMap::new();
    let mut dominated: BTreeMap<u32, BTreeMap<u16, usize>> = BTreeMap::new();
    for (&id, patch) in bank.ids.iter().zip(&shown.patches) {
        for &group in &patch.groups {
            *carried.entry((id, group)).or_default() += 1;
        }
        if let Some(group) = patch.dominant {
            *dominated.entry(id).or_default().entry(group).or_default() += 1;
        }
    }
    let (mut agreeing, mut showing) = (0, 0);
    for groups in dominated.values() {
        agreeing += groups.values().max().copied().unwrap_or_default();
        showing += groups.values().sum::<usize>();
    }
    let purest = |part: usize, patches: usize| {
        let of_part = carried
            .iter()
            .filter(|((_, group), _)| usize::from(*group) == part);
        let candidates = of_part.filter_map(|(&(id, _), &hits)| {
            let population = populations.get(id as usize)?;
            (population.pictures >= ENOUGH).then(|| Found {
                prototypes: vec![id],
                precision: hits as f64 / population.members as f64,
                recall: hits as f64 / patches as f64,
            })
        });
        candidates.max_by(|a, b| a.precision.total_cmp(&b.precision))
    };
    let rows = scores.into_iter().enumerate().map(|(part, score)| PartRow {
        share: score.population as f64 / bank.ids.len().max(1) as f64,
        patches: score.population,
        best: score.best.map(Found::from),
        union: score.union.map(Found::from),
        purest: purest(part, score.population),
        part: score.name,
    });
    Ok(PartTable {
        pictures: bank.pictures.len(),
        patches: bank.ids.len(),
        prototypes: populations.iter().filter(|p| p.members > 0).count(),
        purity: agreeing as f64 / showing.max(1) as f64,
        parts: rows.filter(|row| row.patches > 0).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::parts::{PartGroup, PatchParts};

    #[test]
    fn a_part_is_scored_by_its_best_and_its_purest_prototype() {
        // Twelve pictures of two patches. Prototype 0 is the wheel in all of them, 1 is half a wheel,
        // 2 is a wheel too, in one picture: too few to count as pure.
        let groups = ["wheel", "light"].map(|name| PartGroup {
            name: name.into(),
            parts: vec![1],
        });
        let show = |group: Option<u16>| PatchParts {
            groups: group.into_iter().collect(),
            dominant: group,
        };
        let (mut ids, mut patches) = (Vec::new(), Vec::new());
        for picture in 0..12 {
            ids.extend([0, if picture == 0 { 2 } else { 1 }]);
            patches.push(show(if picture < 9 { Some(0) } else { Some(1) }));
            patches.push(show((picture < 6).then_some(0)));
        }
        let bank = Bank {
            pictures: (0..12).collect(),
            each: 2,
            values: vec![1.0; ids.len()],
            ids,
            kinds: 4,
        };
        let shown = Shown {
            groups: groups.to_vec(),
            patches,
        };
        let table = table(&bank, &shown).unwrap();
        assert_eq!(
            (table.pictures, table.patches, table.prototypes),
            (12, 24, 3)
        );
        // 9 + 3 of prototype 0, 5 of 1, 1 of 2: 15 of 18 agree.
        assert!((table.purity - 15.0 / 18.0).abs() < 1e-12);
        let wheel = &table.parts[0];
        assert_eq!(wheel.patches, 15);
        let best = wheel.best.as_ref().unwrap();
        assert_eq!(
            (best.prototypes[0], best.precision, best.recall),
            (0, 0.75, 0.6)
        );
        let purest = wheel.purest.as_ref().unwrap();
        assert_eq!((purest.prototypes[0], purest.precision), (0, 0.75));
        assert_eq!(table.parts[1].part, "light");
    }
}
