//! Copy detection: distorted copies of some pictures, looked for among all of them.

use anyhow::{Result, bail};
use rayon::prelude::*;

use super::rows::{Bench, Eyes, Rows, What, features, raw};
use super::{Measure, Measured, Row, Sets};
use crate::data::attacks::{Attack as Distortion, attacks};
use crate::data::{LoadError, Picture};
use crate::explore::{Encoder, Look};
use crate::probe::copies::{Attack, score_copies};
use crate::probe::nearest::Features;
use crate::probe::whitening::{About, Whitening};

/// Pictures that are copied, at most: each is distorted in some twenty ways.
const COPIED: usize = 100;

/// Scores every kind of copy of up to a hundred pictures against all pictures of the training source.
pub fn measure(bench: &mut Bench, sets: &Sets) -> Result<(Row, Measured)> {
    let source = &sets.train;
    // Labels do not matter here: every picture is its own class.
    let Rows {
        features: database,
        labels,
    } = bench.rows_by_number(source, What::Copies)?;
    let step = labels.len().div_ceil(COPIED).max(1);
    let chosen: Vec<usize> = (0..labels.len()).step_by(step).collect();
    let whitening = match bench.plan.whiten {
        false => None,
        true => {
            // Learned on what is not copied.
            let others: Vec<usize> = (0..labels.len()).filter(|i| i % step != 0).collect();
            let rows = Rows {
                features: database.clone(),
                labels: labels.clone(),
            };
            if others.len() < 2 {
                bail!(
                    "whitening is learned on pictures that are not copied, and there are none: name a larger source"
                );
            }
            Some(Whitening::learn(
                &rows.take(&others).features,
                None,
                About::Zero,
            )?)
        }
    };
    let white = |features: Features| -> Result<Features> {
        Ok(match &whitening {
            Some(whitening) => whitening.apply(&features)?,
            None => features,
        })
    };
    let originals: Vec<Picture> = chosen
        .par_iter()
        .map(|&row| source.load(labels[row] as usize))
        .collect::<Result<_, LoadError>>()?;
    let mut kinds = Vec::new();
    for Distortion { name, distort } in attacks() {
        let copies: Vec<Picture> = originals.par_iter().map(&distort).collect();
        kinds.push(Attack {
            name,
            copies: white(seen(bench.eyes, &copies)?)?,
            originals: chosen.iter().map(|&row| row as u32).collect(),
        });
    }
    let scores = score_copies(&kinds, &white(database)?)?;
    let measures = scores
        .into_iter()
        .map(|score| Measure::bare((score.name, score.map)));
    let row = Row {
        features: bench.eyes.name(),
        measures: measures.collect(),
        notes: Vec::new(),
    };
    let measured = Measured {
        train: labels.len(),
        test: chosen.len(),
        words: "copies of pictures of the same source; mAP within the first 20".into(),
        intervals: String::new(),
    };
    Ok((row, measured))
}

/// Features of pictures that are in no source.
fn seen(eyes: &Eyes, pictures: &[Picture]) -> Result<Features> {
    match eyes {
        Eyes::Pixels(side, encoder) => {
            let data = pictures.iter().flat_map(|p| raw(p, *side, encoder));
            Ok(Features::new(3 * side * side, data.collect())?)
        }
        Eyes::Network(encoder) => {
            let mut all = Features::default();
            for batch in pictures.chunks(encoder.batch()) {
                let looks: Vec<Look> = batch.par_iter().map(|p| look(encoder, p)).collect();
                let looks: Vec<&Look> = looks.iter().collect();
                let some = features(encoder, &looks, What::Copies)?;
                all.dim = some.dim;
                all.data.extend(some.data);
            }
            Ok(all)
        }
    }
}

fn look(encoder: &Encoder, picture: &Picture) -> Look {
    Look {
        index: 0,
        view: encoder.view(picture),
        parts: None,
    }
}
