//! How much of what a network says survives damage.
//!
//! Two walks. The first keeps the class token of every whole picture; the second damages each picture in
//! every way, compares its class token with the whole one's, lets the nearest whole pictures vote on
//! its class, and keeps two sums for each damage. So memory does not grow with the number of damages. The
//! vote leaves the picture itself out; it needs no training, where the reference trained a linear
//! layer on a million labels.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use rayon::prelude::*;
use serde::Serialize;

use super::attention::Attention;
use super::damage::Damage;
use super::{Cache, Encoder, Entry, Key, Look, Progress, Stopped, Tokens, Walk};
use crate::data::{Picture, Source};
use crate::model::download;
use crate::probe::knn::{Features, TEMPERATURE, nearest, votes};

/// Pictures that vote, where there are more.
const NEIGHBOURS: usize = 10;

/// What one damage does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcome {
    #[serde(flatten)]
    pub damage: Damage,
    /// Mean cosine between the class tokens of the damaged and the whole picture.
    pub cosine: f32,
    /// Share of damaged pictures of which the nearest whole ones say the right class; `None` without
    /// labels.
    pub accuracy: Option<f32>,
}

/// What every damage does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Robustness {
    /// Pictures that could be read.
    pub pictures: usize,
    /// Whole pictures that vote on a class.
    pub neighbours: usize,
    /// Accuracy without damage, each picture by the others.
    pub accuracy: Option<f32>,
    /// Share of the pictures that are of the most frequent class: the accuracy of who always names it.
    pub largest_class: Option<f32>,
    /// In the order in which the damages were given.
    pub outcomes: Vec<Outcome>,
}

/// Measures `damages` over a source.
///
/// # Errors
/// A stop, a source of which nothing can be read, or a network that has diverged.
pub fn measure(walk: &mut Walk, cache: &Cache, damages: &[Damage]) -> Result<Robustness> {
    let (encoder, source) = (walk.encoder, walk.source);
    let key = key(encoder, &**source, damages)?;
    if let Some(found) = cache.get(&key).and_then(|entry| restore(&entry, damages)) {
        return Ok(found);
    }
    let whole = Whole::see(walk)?;
    let mut sums = vec![Sum::default(); damages.len()];
    let total = source.len() * damages.len();
    let mut done = 0;
    let tell = &mut *walk.tell;
    // The walk itself would speak up, and hear of a stop, only after all damages of a batch.
    let mut quiet = |_| ControlFlow::Continue(());
    let mut inner = Walk::new(encoder, source, &mut quiet);
    inner.each("damaged pictures", false, |looks| {
        let salience = salience(encoder, looks);
        for (damage, sum) in damages.iter().zip(&mut sums) {
            let hurt = apply(*damage, encoder, looks, &salience);
            sum.add(&whole, looks, class_tokens(encoder, &hurt))?;
            done += looks.len();
            let what = "damaged pictures";
            if tell(Progress { what, done, total }).is_break() {
                bail!(Stopped);
            }
        }
        Ok(())
    })?;
    let outcome = |(damage, sum): (&Damage, &Sum)| Outcome {
        damage: *damage,
        cosine: (sum.cosines / sum.pictures.max(1) as f64) as f32,
        accuracy: sum.accuracy(),
    };
    let result = Robustness {
        pictures: whole.numbers.len(),
        neighbours: whole.neighbours,
        accuracy: whole.accuracy()?,
        largest_class: whole.largest_class(),
        outcomes: damages.iter().zip(&sums).map(outcome).collect(),
    };
    cache.put(&key, &keep(&result));
    Ok(result)
}

/// One picture after each of `damages`, with the cosine of its class token to the whole one's.
pub fn example(encoder: &Encoder, look: &Look, damages: &[Damage]) -> Vec<(Picture, f32)> {
    let looks = std::slice::from_ref(look);
    let salience = salience(encoder, looks);
    let whole = class_tokens(encoder, std::slice::from_ref(&look.view));
    let hurt = damages
        .iter()
        .flat_map(|d| apply(*d, encoder, looks, &salience));
    let hurt: Vec<Picture> = hurt.collect();
    let tokens: Vec<f32> = hurt
        .chunks(encoder.batch())
        .flat_map(|pictures| class_tokens(encoder, pictures))
        .collect();
    let cosines = tokens.chunks_exact(whole.len().max(1));
    let cosines: Vec<f32> = cosines.map(|token| cosine(token, &whole) as f32).collect();
    hurt.into_iter().zip(cosines).collect()
}

/// The class tokens of all whole pictures, and which of them vote.
struct Whole {
    /// Numbers in the source, rising, of the pictures that could be read.
    numbers: Vec<usize>,
    tokens: Features,
    labels: Vec<Option<u32>>,
    classes: usize,
    /// The rows that have a label, and their tokens.
    voters: Vec<usize>,
    voting: Features,
    neighbours: usize,
}

impl Whole {
    fn see(walk: &mut Walk) -> Result<Self> {
        let (encoder, source): (&Encoder, &Arc<dyn Source>) = (walk.encoder, walk.source);
        let (mut numbers, mut data, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        walk.each("whole pictures", false, |looks| {
            let views: Vec<Picture> = looks.iter().map(|look| look.view.clone()).collect();
            let tokens = class_tokens(encoder, &views);
            ensure!(
                tokens.iter().all(|x| x.is_finite()),
                "{} gives numbers that are not finite: it has diverged",
                encoder.name
            );
            data.extend(tokens);
            for look in looks {
                numbers.push(look.index);
                labels.push(source.label(look.index).map(|label| label as u32));
            }
            Ok(())
        })?;
        let tokens = Features::new(encoder.dim(), data)?;
        let voters: Vec<usize> = (0..labels.len()).filter(|&i| labels[i].is_some()).collect();
        let rows = voters.iter().map(|&row| row_of(&tokens, row));
        let voting = Features::new(tokens.dim, rows.flatten().copied().collect())?;
        let mut whole = Whole {
            numbers,
            tokens,
            labels,
            classes: source.classes().len(),
            voters,
            voting,
            neighbours: 0,
        };
        // Among pictures of one class every vote is right.
        if whole.largest_class().is_some_and(|share| share < 1.0) {
            whole.neighbours = NEIGHBOURS.min(whole.voters.len() - 1);
        }
        Ok(whole)
    }

    /// Share of the voters that have the most frequent label.
    fn largest_class(&self) -> Option<f32> {
        let mut counts = vec![0_usize; self.classes];
        for label in self.labels.iter().flatten() {
            if let Some(count) = counts.get_mut(*label as usize) {
                *count += 1;
            }
        }
        let most = counts.into_iter().max().filter(|most| *most > 0)?;
        Some(most as f32 / self.voters.len() as f32)
    }

    /// Of the `rows` with a label, how many are told right by the tokens in `tests`, and how many there
    /// are. A picture never votes on itself.
    fn vote(&self, rows: &[usize], tests: &Features) -> Result<(usize, usize)> {
        if self.neighbours == 0 {
            return Ok((0, 0));
        }
        let found = nearest(&self.voting, tests, self.neighbours + 1)?;
        let labels: Vec<u32> = self.voters.iter().filter_map(|&i| self.labels[i]).collect();
        let (mut right, mut tested) = (0, 0);
        for (test, &row) in rows.iter().enumerate() {
            let Some(label) = self.labels[row] else {
                continue;
            };
            let own = self.voters.binary_search(&row).ok();
            let others = found
                .row(test)
                .filter(|(voter, _)| Some(*voter as usize) != own);
            let votes = votes(
                others.take(self.neighbours),
                &labels,
                self.classes,
                TEMPERATURE,
            );
            let mut best = 0;
            for (class, vote) in votes.iter().enumerate() {
                if *vote > votes[best] {
                    best = class;
                }
            }
            right += usize::from(best == label as usize);
            tested += 1;
        }
        Ok((right, tested))
    }

    fn accuracy(&self) -> Result<Option<f32>> {
        let rows: Vec<usize> = (0..self.numbers.len()).collect();
        let (right, tested) = self.vote(&rows, &self.tokens)?;
        Ok((tested > 0).then(|| right as f32 / tested as f32))
    }
}

/// What is kept of one damage.
#[derive(Clone, Debug, Default)]
struct Sum {
    pictures: usize,
    cosines: f64,
    right: usize,
    tested: usize,
}

impl Sum {
    /// Adds the damaged class tokens of `looks`. A picture that could not be read in the first walk is
    /// left out.
    fn add(&mut self, whole: &Whole, looks: &[Look], tokens: Vec<f32>) -> Result<()> {
        let (mut rows, mut known) = (Vec::new(), Vec::new());
        for (look, token) in looks.iter().zip(tokens.chunks_exact(whole.tokens.dim)) {
            if let Ok(row) = whole.numbers.binary_search(&look.index) {
                self.cosines += cosine(token, row_of(&whole.tokens, row));
                rows.push(row);
                known.extend_from_slice(token);
            }
        }
        self.pictures += rows.len();
        let (right, tested) = whole.vote(&rows, &Features::new(whole.tokens.dim, known)?)?;
        self.right += right;
        self.tested += tested;
        Ok(())
    }

    fn accuracy(&self) -> Option<f32> {
        (self.tested > 0).then(|| self.right as f32 / self.tested as f32)
    }
}

/// Head-averaged attention of the last block, for each picture one number a patch.
fn salience(encoder: &Encoder, looks: &[Look]) -> Vec<Vec<f32>> {
    let views: Vec<Picture> = looks.iter().map(|look| look.view.clone()).collect();
    let maps = Attention::of(encoder, &views, encoder.last_block());
    maps.iter().map(Attention::mean).collect()
}

fn apply(damage: Damage, encoder: &Encoder, looks: &[Look], salience: &[Vec<f32>]) -> Vec<Picture> {
    let pairs = looks.par_iter().zip(salience);
    pairs
        .map(|(look, salience)| damage.to(look, salience, encoder))
        .collect()
}

/// After the final norm, `[pictures, dim]`.
fn class_tokens(encoder: &Encoder, pictures: &[Picture]) -> Vec<f32> {
    let tokens = encoder.tokens(pictures, encoder.last_block(), Tokens::Normed);
    let [images, _, dim] = tokens.dims();
    download(tokens.slice([0..images, 0..1, 0..dim]))
}

fn row_of(features: &Features, row: usize) -> &[f32] {
    &features.data[row * features.dim..][..features.dim]
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1e-12)
}

fn key(encoder: &Encoder, source: &dyn Source, damages: &[Damage]) -> Result<Key> {
    let mut labels = DefaultHasher::new();
    for index in 0..source.len() {
        source.label(index).hash(&mut labels);
    }
    Ok(Key::new("robustness-1", encoder, source)
        .with("damages", serde_json::to_string(damages)?)
        .with("labels", labels.finish())
        .with("neighbours", NEIGHBOURS))
}

fn keep(result: &Robustness) -> Entry {
    let number = |accuracy: Option<f32>| accuracy.unwrap_or(f32::NAN);
    let outcomes = result.outcomes.iter();
    let cosines: Vec<f32> = outcomes.clone().map(|o| o.cosine).collect();
    let accuracies: Vec<f32> = outcomes.map(|o| number(o.accuracy)).collect();
    Entry::default()
        .with_floats("cosines", &cosines)
        .with_floats("accuracies", &accuracies)
        .with_floats(
            "undamaged",
            &[number(result.accuracy), number(result.largest_class)],
        )
        .with_integers(
            "counts",
            &[result.pictures as u32, result.neighbours as u32],
        )
}

fn restore(entry: &Entry, damages: &[Damage]) -> Option<Robustness> {
    let (cosines, accuracies) = (
        entry.floats.get("cosines")?,
        entry.floats.get("accuracies")?,
    );
    if cosines.len() != damages.len() || accuracies.len() != damages.len() {
        return None;
    }
    let known = |accuracy: f32| Some(accuracy).filter(|a| a.is_finite());
    let numbers = cosines.iter().zip(accuracies);
    let counts = entry.integers.get("counts")?;
    let undamaged = entry.floats.get("undamaged")?;
    Some(Robustness {
        pictures: *counts.first()? as usize,
        neighbours: *counts.get(1)? as usize,
        accuracy: known(*undamaged.first()?),
        largest_class: known(*undamaged.get(1)?),
        outcomes: damages
            .iter()
            .zip(numbers)
            .map(|(&damage, (&cosine, &accuracy))| Outcome {
                damage,
                cosine,
                accuracy: known(accuracy),
            })
            .collect(),
    })
}

#[cfg(test)]
mod tests;
