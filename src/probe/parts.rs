//! "Has the model found headlights and dog ears" as a number: prototypes against part maps.
//!
//! A patch carries a part when the part covers at least a threshold of its pixels (a quarter, unless
//! told otherwise) **or** more of them than anything else does, background included. A plain majority
//! would be the simpler rule, but eyes and lights are smaller than a patch and lie on something larger,
//! so under it they would hardly ever count; with a share they do, and one patch may carry several
//! parts. Each prototype is then read as a detector of each part: how many of its patches carry the
//! part (precision), how many of the part's patches it takes (recall).

use super::nearest::ProbeError;
use crate::data::PartMap;
use std::collections::{BTreeMap, HashMap};

/// The share of a patch's pixels that makes it carry a part.
pub const SHARE: f32 = 0.25;

/// Parts that count as one: "eye" pools the eyes of every animal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartGroup {
    pub name: String,
    /// Ids in the part map.
    pub parts: Vec<u8>,
}

/// A group for every part name but the first ("none"), then one for every word of `pools`, made of
/// all parts whose name ends with that word: "eye" pools "dog eye" and "cat eye", not "buckeye". A pool
/// that nothing falls into stays, empty, so that a misspelt one is seen.
pub fn part_groups<S: AsRef<str>>(names: &[S], pools: &[&str]) -> Vec<PartGroup> {
    let parts = || {
        (0u8..=255)
            .zip(names)
            .skip(1)
            .map(|(id, name)| (id, name.as_ref()))
    };
    let single = parts().map(|(id, name)| PartGroup {
        name: name.to_string(),
        parts: vec![id],
    });
    let pooled = pools.iter().map(|pool| PartGroup {
        name: pool.to_string(),
        parts: parts()
            .filter(|(_, name)| ends_with_word(name, pool))
            .map(|(id, _)| id)
            .collect(),
    });
    single.chain(pooled).collect()
}

fn ends_with_word(name: &str, word: &str) -> bool {
    let before = name.strip_suffix(word).filter(|_| !word.is_empty());
    before.is_some_and(|before| !before.ends_with(char::is_alphanumeric))
}

/// What one patch shows, as indices into the groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchParts {
    /// Every group the patch carries, rising.
    pub groups: Vec<u16>,
    /// The carried group with most pixels, the lower one where two are equal.
    pub dominant: Option<u16>,
}

/// The parts of every patch of `map`, row by row, for square patches of `patch` pixels; pixels right of
/// and below the last whole patch are left out, as the network leaves them out. `share` in `(0, 1]`.
pub fn patch_parts(
    map: &PartMap,
    patch: usize,
    groups: &[PartGroup],
    share: f32,
) -> Result<Vec<PatchParts>, ProbeError> {
    if patch == 0 || !(share > 0.0 && share <= 1.0) {
        let setting = if patch == 0 {
            "the patch size"
        } else {
            "the share of a part in a patch"
        };
        let (value, allowed) = if patch == 0 {
            (0.0, "1 or more")
        } else {
            (share.into(), "above 0, up to 1")
        };
        return Err(ProbeError::Setting {
            setting,
            value,
            allowed,
        });
    }
    if map.ids.len() != map.width * map.height {
        return Err(ProbeError::Length {
            what: "pixels of a part map",
            expected: map.width * map.height,
            found: map.ids.len(),
        });
    }
    let need = (share * (patch * patch) as f32).ceil() as u32;
    let mut all = Vec::with_capacity((map.width / patch) * (map.height / patch));
    for rows in map.ids.chunks_exact((map.width * patch).max(1)) {
        for column in 0..map.width / patch {
            let mut pixels = [0u32; 256];
            for row in rows.chunks_exact(map.width) {
                for id in row.iter().skip(column * patch).take(patch) {
                    pixels[usize::from(*id)] += 1;
                }
            }
            all.push(carried(&pixels, groups, need));
        }
    }
    Ok(all)
}

/// Groups of one patch from its pixel count per id.
fn carried(pixels: &[u32; 256], groups: &[PartGroup], need: u32) -> PatchParts {
    let mut found = PatchParts::default();
    let mut most = 0;
    for (number, group) in (0u16..).zip(groups) {
        let area: u32 = group.parts.iter().map(|id| pixels[usize::from(*id)]).sum();
        let others = (0u8..=255)
            .zip(pixels)
            .filter(|(id, _)| !group.parts.contains(id));
        if area > 0 && (area >= need || others.map(|(_, n)| *n).max().is_none_or(|n| area > n)) {
            found.groups.push(number);
            if area > most {
                (most, found.dominant) = (area, Some(number));
            }
        }
    }
    found
}

/// One or more prototypes read together as a detector of a part.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    /// Prototypes in the order they were taken.
    pub prototypes: Vec<u32>,
    /// Patches assigned to them.
    pub patches: usize,
    /// Of those, the fraction that carries the part.
    pub precision: f64,
    /// Of the part's patches, the fraction assigned to them.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// How well a part was found.
#[derive(Clone, Debug, PartialEq)]
pub struct PartScore {
    pub name: String,
    /// Patches that carry the part.
    pub population: usize,
    /// The single prototype with the highest F1; `None` where no patch carries the part.
    pub best: Option<Detector>,
    /// Up to `most` prototypes, taken one by one as long as F1 rises: a part may be split over several.
    pub union: Option<Detector>,
}

/// Scores every group: `assignments` is the prototype of each patch, `parts` what each shows (from
/// [`patch_parts`], same groups, same order of patches), `most` the bound of the union.
pub fn part_scores(
    assignments: &[u32],
    parts: &[PatchParts],
    groups: &[PartGroup],
    most: usize,
) -> Result<Vec<PartScore>, ProbeError> {
    if assignments.len() != parts.len() {
        return Err(ProbeError::Length {
            what: "patches with a prototype",
            expected: parts.len(),
            found: assignments.len(),
        });
    }
    let mut sizes: HashMap<u32, usize> = HashMap::new();
    // Per group, patches that carry it by prototype; sorted, so that ties go to the lower prototype.
    let mut hits: Vec<BTreeMap<u32, usize>> = vec![BTreeMap::new(); groups.len()];
    for (prototype, parts) in assignments.iter().zip(parts) {
        *sizes.entry(*prototype).or_default() += 1;
        for group in &parts.groups {
            if let Some(hits) = hits.get_mut(usize::from(*group)) {
                *hits.entry(*prototype).or_default() += 1;
            }
        }
    }
    let score = |(group, hits): (&PartGroup, &BTreeMap<u32, usize>)| {
        let population: usize = hits.values().sum();
        let candidates: Vec<Candidate> = hits
            .iter()
            .map(|(&prototype, &hits)| Candidate {
                prototype,
                hits,
                size: sizes.get(&prototype).copied().unwrap_or(hits),
            })
            .collect();
        PartScore {
            name: group.name.clone(),
            population,
            best: grow(&candidates, population, 1),
            union: grow(&candidates, population, most),
        }
    };
    Ok(groups.iter().zip(&hits).map(score).collect())
}

/// A prototype that takes `hits` of a part's patches and `size` patches in all.
struct Candidate {
    prototype: u32,
    hits: usize,
    size: usize,
}

/// Takes up to `most` candidates greedily by the F1 of the whole, `2 hits / (size + population)`.
fn grow(candidates: &[Candidate], population: usize, most: usize) -> Option<Detector> {
    let f1 = |hits: usize, size: usize| 2.0 * hits as f64 / (size + population) as f64;
    let (mut prototypes, mut hits, mut size): (Vec<u32>, usize, usize) = (vec![], 0, 0);
    while prototypes.len() < most {
        let gain = |c: &Candidate| f1(hits + c.hits, size + c.size);
        let left = candidates
            .iter()
            .filter(|c| !prototypes.contains(&c.prototype));
        // `rev`, since of equal ones `max_by` returns the last.
        let next = left.rev().max_by(|a, b| gain(a).total_cmp(&gain(b)));
        let Some(next) = next.filter(|c| gain(c) > f1(hits, size)) else {
            break;
        };
        prototypes.push(next.prototype);
        (hits, size) = (hits + next.hits, size + next.size);
    }
    (!prototypes.is_empty()).then(|| Detector {
        prototypes,
        patches: size,
        precision: hits as f64 / size as f64,
        recall: hits as f64 / population as f64,
        f1: f1(hits, size),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 4] = ["none", "dog eye", "cat eye", "buckeye"];

    #[test]
    fn pools_take_whole_words() {
        let groups = part_groups(&NAMES, &["eye", "wheel"]);
        let named = |name: &str| {
            groups
                .iter()
                .find(|g| g.name == name)
                .map(|g| g.parts.clone())
        };
        assert_eq!(named("eye"), Some(vec![1, 2]));
        assert_eq!(named("buckeye"), Some(vec![3]));
        assert_eq!(named("wheel"), Some(vec![]));
        assert_eq!(groups.len(), 5);
    }

    #[test]
    fn a_quarter_or_the_most_pixels_make_a_part() {
        // Two patches of 4x4 and a strip of one pixel to the right and below that belongs to none.
        let mut map = PartMap {
            width: 9,
            height: 5,
            ids: vec![0; 45],
        };
        for (x, y) in [(0, 0), (1, 0), (2, 0), (0, 1)] {
            map.ids[y * 9 + x] = 1; // exactly a quarter of patch 0
        }
        for x in 4..7 {
            map.ids[x] = 2; // 3 of 16 pixels of patch 1: too few
        }
        map.ids[8] = 3;
        let groups = part_groups(&NAMES, &["eye"]);
        let parts = patch_parts(&map, 4, &groups, SHARE).unwrap();
        let expected = PatchParts {
            groups: vec![0, 3],
            dominant: Some(0),
        };
        assert_eq!(parts, [expected, PatchParts::default()]);
        // Six of sixteen pixels are less than a share of a half, but more than any other id has.
        map.ids = vec![0; 45];
        for (i, id) in [1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2]
            .into_iter()
            .enumerate()
        {
            map.ids[i / 4 * 9 + i % 4] = id;
        }
        let first = &patch_parts(&map, 4, &groups, 0.5).unwrap()[0];
        assert_eq!(
            (first.groups.as_slice(), first.dominant),
            ([0u16, 3].as_slice(), Some(3))
        );
        assert!(
            patch_parts(&map, 0, &groups, 0.5).is_err()
                && patch_parts(&map, 4, &groups, 0.0).is_err()
        );
        map.ids.pop();
        assert!(patch_parts(&map, 4, &groups, 0.5).is_err());
        let empty = PartMap {
            width: 0,
            height: 0,
            ids: vec![],
        };
        assert_eq!(patch_parts(&empty, 4, &groups, 0.5).unwrap(), []);
    }

    #[test]
    fn best_prototype_and_union_by_hand() {
        let groups = part_groups(&NAMES[..3], &[]);
        let eye = PatchParts {
            groups: vec![0],
            dominant: Some(0),
        };
        let none = PatchParts::default();
        // Prototype 7: 3 of 4 patches are eyes; 2: 2 of 2; 9: 1 of 4. The part has 6 patches.
        let assignments = [7, 7, 7, 7, 2, 2, 9, 9, 9, 9];
        let parts: Vec<PatchParts> = [1, 1, 1, 0, 1, 1, 1, 0, 0, 0]
            .iter()
            .map(|&carried| {
                if carried == 1 {
                    eye.clone()
                } else {
                    none.clone()
                }
            })
            .collect();
        let scores = part_scores(&assignments, &parts, &groups, 4).unwrap();
        let best = scores[0].best.as_ref().unwrap();
        assert_eq!(
            (
                scores[0].population,
                best.prototypes.as_slice(),
                best.patches
            ),
            (6, [7].as_slice(), 4)
        );
        assert_eq!((best.precision, best.recall, best.f1), (0.75, 0.5, 0.6));
        let union = scores[0].union.as_ref().unwrap();
        assert_eq!(union.prototypes, [7, 2]); // 9 would lower F1 from 10/12 to 12/16
        assert!((union.f1 - 10.0 / 12.0).abs() < 1e-12);
        assert_eq!((scores[1].population, scores[1].best.clone()), (0, None));
        assert!(part_scores(&assignments[1..], &parts, &groups, 4).is_err());
    }
}
