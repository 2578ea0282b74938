//! Copy detection: are distorted copies of a picture still found among the originals?
//!
//! After the reference's Copydays protocol: a feature is the class token followed by the generalised mean
//! of the patch tokens, optionally whitened ([`Whitening`](super::whitening::Whitening)); every copy ranks
//! originals and distractors by cosine similarity, and the mean over a kind of attack of the average
//! precision within the first 20 is its score.

use super::nearest::{Features, ProbeError, nearest, same_length};
use super::pooled::BlockTokens;
use super::retrieval::average_precision;
use rayon::prelude::*;

/// Length of the lists that are scored.
pub const LISTED: usize = 20;

/// Exponent of the generalised mean is 4: two squarings and two roots are exact where `powf` is not.
const SMALLEST: f32 = 1e-6;

/// Features for copy detection, `[pictures, 2 dim]`: class token, then per channel the generalised mean
/// `(mean of max(x, 1e-6)⁴)^¼` of the patch tokens. `layer` is the last block after the final norm.
pub fn copy_features(layer: &BlockTokens) -> Result<Features, ProbeError> {
    let dim = layer.dim;
    layer.check()?;
    if layer.tokens < 2 {
        return Err(ProbeError::Empty("the last block has no patch tokens"));
    }
    let pictures = layer.data.par_chunks_exact(layer.tokens * dim);
    let data = pictures.flat_map_iter(|tokens| {
        let (class, patches) = tokens.split_at(dim);
        class.iter().copied().chain(generalised_mean(patches, dim))
    });
    Features::new(2 * dim, data.collect())
}

fn generalised_mean(patches: &[f32], dim: usize) -> impl Iterator<Item = f32> {
    let mut sums = vec![0.0; dim];
    for patch in patches.chunks_exact(dim) {
        for (sum, x) in sums.iter_mut().zip(patch) {
            let square = f64::from(x.max(SMALLEST)).powi(2);
            *sum += square * square;
        }
    }
    let count = (patches.len() / dim) as f64;
    sums.into_iter()
        .map(move |sum: f64| (sum / count).sqrt().sqrt() as f32)
}

/// Copies that were made in one way, such as "crop 50 %".
#[derive(Clone, Debug, PartialEq)]
pub struct Attack {
    pub name: String,
    /// One row a copy.
    pub copies: Features,
    /// The row of the database that each copy was made from.
    pub originals: Vec<u32>,
}

/// How well one kind of copy is found.
#[derive(Clone, Debug, PartialEq)]
pub struct AttackScore {
    pub name: String,
    /// Mean average precision within the first 20, `[0, 1]`.
    pub map: f64,
    /// Fraction of copies whose original stands first.
    pub first: f64,
    /// Fraction of copies whose original is among the first 20.
    pub listed: f64,
}

/// Scores every attack against `database`: the originals and whatever shall distract from them, in any order.
pub fn score_copies(
    attacks: &[Attack],
    database: &Features,
) -> Result<Vec<AttackScore>, ProbeError> {
    attacks
        .iter()
        .map(|attack| score(attack, database))
        .collect()
}

fn score(attack: &Attack, database: &Features) -> Result<AttackScore, ProbeError> {
    let count = attack.copies.rows();
    same_length("originals of copies", count, attack.originals.len())?;
    if count == 0 {
        return Err(ProbeError::Empty("an attack without copies"));
    }
    if let Some(row) = (attack.originals.iter()).find(|row| **row as usize >= database.rows()) {
        return Err(ProbeError::Setting {
            setting: "the original of a copy",
            value: f64::from(*row),
            allowed: "a row of the database",
        });
    }
    let found = nearest(database, &attack.copies, LISTED)?;
    let ranks: Vec<Option<usize>> = (attack.originals.iter().enumerate())
        .map(|(copy, original)| found.row(copy).position(|(row, _)| row == *original))
        .collect();
    let precisions = ranks
        .iter()
        .flatten()
        .map(|rank| average_precision(&[*rank], 1));
    // An empty sum is −0.
    let mean = |sum: f64| sum / count as f64 + 0.0;
    Ok(AttackScore {
        name: attack.name.clone(),
        map: mean(precisions.sum()),
        first: mean(ranks.iter().filter(|rank| **rank == Some(0)).count() as f64),
        listed: mean(ranks.iter().flatten().count() as f64),
    })
}

#[cfg(test)]
mod tests;
