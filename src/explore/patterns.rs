//! Patterns: for every prototype the patches that fit it best, the picture by which one sees what a prototype
//! stands for.
//!
//! The selection is the reference's (`analysis/extract_pattern`): prototypes with most patches first, of
//! each picture the best patch only, best fitting pictures first. The reference gives pictures
//! without any member the value 0 and lets them compete, so they turn up where members are few or their
//! values negative; here only members are ever chosen.

use std::collections::HashMap;

use super::bank::{Bank, Population, Shown};
use crate::data::Source;

/// Who may be chosen for a prototype.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidates {
    /// Its members.
    Members,
    /// Every patch, those of other prototypes at the value 0: what the reference does, to compare with
    /// it.
    All,
}

/// One chosen patch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Source index of the picture.
    pub picture: usize,
    /// Patch in it, row-major; 0 where whole pictures have prototypes.
    pub patch: usize,
    /// How well it fits.
    pub value: f32,
}

/// A prototype and its best patches.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    pub id: u32,
    /// Who belongs to it.
    pub population: Population,
    /// What its patches show most, where that is known.
    pub shows: Option<Shows>,
    /// Best first.
    pub choices: Vec<Choice>,
}

/// The part or class that most patches of a prototype show.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Shows {
    pub name: String,
    /// The share of the prototype's patches that show it.
    pub purity: f64,
}

/// Which prototypes come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those with most members, as in the reference.
    Population,
    /// Those whose members fit best.
    Confidence,
    /// Those of whose members most show one part, or one class.
    Purity,
}

/// Pictures that a prototype must be found in for its purity or confidence to mean anything: some stand
/// for the wall behind one dog.
const ENOUGH: usize = 10;

/// Prototypes with the most members, most first, equal ones by lower id: at most `count` of those
/// that have any.
pub fn most_populated(bank: &Bank, count: usize) -> Vec<u32> {
    let populations = bank.populations();
    let mut ids: Vec<u32> = (0..bank.kinds as u32).collect();
    ids.retain(|&id| populations[id as usize].members > 0);
    ids.sort_by_key(|&id| (std::cmp::Reverse(populations[id as usize].members), id));
    ids.truncate(count);
    ids
}

/// The best patches of each prototype of `ids`: one a picture, best first, equal ones in the order of
/// the source, at most `count`.
pub fn choose(bank: &Bank, ids: &[u32], count: usize, candidates: Candidates) -> Vec<Vec<Choice>> {
    let place: HashMap<u32, usize> = ids.iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let mut chosen: Vec<Vec<Choice>> = vec![Vec::new(); ids.len()];
    let of_picture = bank.ids.chunks(bank.each.max(1));
    let of_picture = of_picture.zip(bank.values.chunks(bank.each.max(1)));
    for (&picture, (ids, values)) in bank.pictures.iter().zip(of_picture) {
        let mut best: Vec<Option<Choice>> = vec![None; chosen.len()];
        let mut members = vec![0; chosen.len()];
        for (patch, (id, &value)) in ids.iter().zip(values).enumerate() {
            let Some(&i) = place.get(id) else { continue };
            members[i] += 1;
            if best[i].is_none_or(|best| value > best.value) {
                best[i] = Some(Choice {
                    picture: picture as usize,
                    patch,
                    value,
                });
            }
        }
        for ((chosen, mut best), members) in chosen.iter_mut().zip(best).zip(members) {
            let stranger = candidates == Candidates::All && members < ids.len();
            if stranger && best.is_none_or(|best| best.value < 0.0) {
                best = Some(Choice {
                    picture: picture as usize,
                    patch: 0,
                    value: 0.0,
                });
            }
            chosen.extend(best);
            // Twice as many as needed are kept before the worse half goes: memory stays small.
            if chosen.len() >= 2 * count.max(1) {
                keep_best(chosen, count);
            }
        }
    }
    for chosen in &mut chosen {
        keep_best(chosen, count);
    }
    chosen
}

fn keep_best(choices: &mut Vec<Choice>, count: usize) {
    choices.sort_by(|a, b| b.value.total_cmp(&a.value).then(a.picture.cmp(&b.picture)));
    choices.truncate(count);
}

/// The patterns of the first `prototypes` prototypes in `order`, with `count` patches each.
pub fn patterns(
    bank: &Bank,
    source: &dyn Source,
    shown: Option<&Shown>,
    order: Order,
    prototypes: usize,
    count: usize,
) -> Vec<Pattern> {
    let populations = bank.populations();
    let ids = most_populated(bank, bank.kinds);
    let shows = shows(bank, source, shown, &ids);
    let mut patterns: Vec<Pattern> = ids
        .into_iter()
        .zip(shows)
        .map(|(id, shows)| Pattern {
            id,
            population: populations[id as usize],
            shows,
            choices: Vec::new(),
        })
        .collect();
    // A stable sort: equal ones stay in the order of population.
    let rank = |p: &Pattern| match order {
        Order::Population => 0.0,
        _ if p.population.pictures < ENOUGH => f64::NEG_INFINITY,
        Order::Confidence => p.population.confidence,
        Order::Purity => p.shows.as_ref().map_or(0.0, |shows| shows.purity),
    };
    patterns.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    patterns.truncate(prototypes);
    let ids: Vec<u32> = patterns.iter().map(|pattern| pattern.id).collect();
    let chosen = choose(bank, &ids, count, Candidates::Members);
    for (pattern, choices) in patterns.iter_mut().zip(chosen) {
        pattern.choices = choices;
    }
    patterns
}

/// What the members of each prototype of `ids` show most: a part where part maps are known, else a class.
fn shows(
    bank: &Bank,
    source: &dyn Source,
    shown: Option<&Shown>,
    ids: &[u32],
) -> Vec<Option<Shows>> {
    let place: HashMap<u32, usize> = ids.iter().enumerate().map(|(i, &id)| (id, i)).collect();
    let names: Vec<&str> = match shown {
        Some(shown) => shown.groups.iter().map(|g| g.name.as_str()).collect(),
        None => source.classes().iter().map(String::as_str).collect(),
    };
    let mut counts = vec![vec![0usize; names.len()]; ids.len()];
    let mut members = vec![0usize; ids.len()];
    for (row, id) in bank.ids.iter().enumerate() {
        let Some(&i) = place.get(id) else { continue };
        members[i] += 1;
        match shown {
            Some(shown) => {
                for &group in shown.patches.get(row).iter().flat_map(|p| &p.groups) {
                    counts[i][usize::from(group)] += 1;
                }
            }
            None => {
                let picture = bank.pictures[row / bank.each] as usize;
                if let Some(label) = source.label(picture) {
                    counts[i][label] += 1;
                }
            }
        }
    }
    // "eye" is never rarer than "dog eye": a name for several parts must be worth it.
    let pools = |i: usize| shown.is_some_and(|shown| shown.groups[i].parts.len() > 1);
    let worth = |i: usize, n: usize| if pools(i) { 2 * n } else { 3 * n };
    let best = |(counts, members): (Vec<usize>, usize)| {
        let (i, &most) = counts
            .iter()
            .enumerate()
            .max_by_key(|&(i, &n)| (worth(i, n), usize::MAX - i))?;
        (most > 0).then(|| Shows {
            name: names[i].to_owned(),
            purity: most as f64 / members as f64,
        })
    };
    counts.into_iter().zip(members).map(best).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::parts::Parts;

    fn bank(each: usize, kinds: usize, rows: &[(u32, f32)]) -> Bank {
        Bank {
            pictures: (0..rows.len() / each).map(|i| 10 + i as u32).collect(),
            each,
            ids: rows.iter().map(|r| r.0).collect(),
            values: rows.iter().map(|r| r.1).collect(),
            kinds,
        }
    }

    #[test]
    fn the_best_patch_of_a_picture_and_never_a_stranger() {
        let bank = bank(
            2,
            5,
            &[
                (3, -0.5),
                (3, -0.2),
                (1, 0.9),
                (3, -0.7),
                (1, 0.1),
                (1, 0.3),
                (0, 0.0),
                (1, 0.3),
            ],
        );
        assert_eq!(most_populated(&bank, 9), [1, 3, 0]);
        let chosen = choose(&bank, &[3, 1, 4], 9, Candidates::Members);
        let short = |choices: &[Choice]| -> Vec<(usize, usize)> {
            choices.iter().map(|c| (c.picture, c.patch)).collect()
        };
        assert_eq!(short(&chosen[0]), [(10, 1), (11, 1)]);
        assert_eq!(short(&chosen[1]), [(11, 0), (12, 1), (13, 1)]);
        assert!(chosen[2].is_empty());
        let best = choose(&bank, &[1], 1, Candidates::Members);
        assert_eq!(short(&best[0]), [(11, 0)]);
        // The reference would put strangers before members with negative values.
        let all = choose(&bank, &[3], 2, Candidates::All);
        assert!(all[0].iter().all(|c| c.value == 0.0), "{all:?}");
    }

    #[test]
    fn a_pattern_says_which_class_it_shows() {
        // Pictures of the generator have the class of their number.
        let source = Parts::new(32, 64, 0);
        let mut bank = bank(1, 3, &[(0, 1.0), (0, 0.5), (2, 0.5)]);
        bank.pictures = vec![1, 17, 2];
        let found = patterns(&bank, &source, None, Order::Population, 5, 4);
        assert_eq!(found.len(), 2);
        let shows = found[0].shows.clone().unwrap();
        assert_eq!(
            (shows.name.as_str(), shows.purity),
            (source.classes()[1].as_str(), 1.0)
        );
        let population = Population {
            members: 2,
            pictures: 2,
            confidence: 0.75,
        };
        assert_eq!(found[0].population, population);
        assert_eq!(found[1].choices[0].picture, 2);
    }
}
