//! One look at what a network has learned, as plain data: a fixed set of pictures, every patch's token,
//! colour and cluster, and the patterns they form. Everything a window shows of it is read from here
//! without asking a network again.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Result, ensure};
use half::f16;

use crate::data::Picture;
use crate::explore::bank::{Bank, Shown};
use crate::explore::clusters::{ClusterSettings, Clusters, patch_tokens};
use crate::explore::colours::{ColourBasis, ColourSettings, Sample};
use crate::explore::patterns::{Order, Pattern, patterns};
use crate::explore::{Encoder, Of, identity};
use crate::model::download;

use super::reference::{Reference, ReferencePicture};

/// Patches shown of a pattern.
pub const CHOICES: usize = 24;

/// Patches that a cluster has at least, in the mean: of few pictures fewer clusters are made.
const MEMBERS: usize = 16;

/// How patches are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Clusters of their tokens, this many at most.
    Clusters(usize),
    /// The prototypes of the network's head.
    Prototypes,
}

/// What is looked at, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct How {
    pub group: Group,
    /// Block whose tokens are compared, from the end: -1 is the last.
    pub block: isize,
}

impl Default for How {
    fn default() -> Self {
        How {
            group: Group::Clusters(128),
            block: -1,
        }
    }
}

/// One look.
#[derive(Clone)]
pub struct Gallery {
    pub step: usize,
    pub how: How,
    /// What the weights are, for people.
    pub name: String,
    /// Names the weights ([`Encoder::fingerprint`]).
    pub weights: String,
    /// Patches along a side, and the side of one in pixels.
    pub grid: usize,
    pub patch: usize,
    /// Attention heads of every block.
    pub heads: Vec<usize>,
    pub depth: usize,
    dim: usize,
    pub pictures: Arc<Vec<ReferencePicture>>,
    /// Tokens without their mean, at length 1, `[pictures, patches, dim]`.
    directions: Vec<f16>,
    /// The first three principal components, a colour a patch, `[pictures, patches]`.
    pub colours: Vec<[u8; 3]>,
    /// Cluster or prototype of each patch, `[pictures, patches]`.
    pub ids: Vec<u32>,
    /// Cosine of each patch and its cluster.
    pub values: Vec<f32>,
    pub kinds: usize,
    /// Those with members, most populated first.
    pub patterns: Vec<Pattern>,
    /// For each prototype of the head the picture and patch that fit it best; empty without a head.
    pub prototypes: Vec<Option<(usize, usize)>>,
    /// For each cluster the share of its patches that it kept since the look before; 1 for prototypes.
    pub kept: Vec<f32>,
    points: Vec<[f32; 3]>,
}

impl Gallery {
    /// Looks at `reference` through `encoder`. `before` is an earlier look at the same pictures, whose cluster
    /// numbers and colours are kept as far as they can be. `go` is asked between parts of the work; false
    /// ends it.
    ///
    /// # Errors
    /// A network without a head where its prototypes are wanted; stopped by `go`.
    pub fn of(
        encoder: &Encoder,
        reference: &Reference,
        step: usize,
        how: How,
        before: Option<&Gallery>,
        go: &dyn Fn() -> bool,
    ) -> Result<Self> {
        let mut tell = |_| match go() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        };
        let encoder = &encoder.focused(how.block)?;
        let block = encoder.focus();
        let (patches, dim) = (encoder.patches(), encoder.dim());
        let views: Vec<Picture> = reference.views().cloned().collect();
        let mut heads = encoder
            .prototypes
            .as_ref()
            .map(|prototypes| empty_bank(views.len(), patches, prototypes.head.patch_count()));
        let mut tokens: Vec<f32> = Vec::with_capacity(views.len() * patches * dim);
        for batch in views.chunks(encoder.batch()) {
            let (plain, (ids, values)) = match block == encoder.last_block() {
                true => encoder.tokens_and_prototypes(batch),
                false => (
                    patch_tokens(encoder, batch, block),
                    encoder.assign(batch, Of::Patches),
                ),
            };
            tokens.extend(download(plain));
            if let Some(heads) = &mut heads {
                heads.ids.extend(ids);
                heads.values.extend(values);
            }
            ensure!(go(), "stopped");
        }
        let before = before.filter(|old| {
            old.grid == encoder.grid() && old.pictures.len() == views.len() && old.how == how
        });
        let prototypes = heads.as_ref().map(best_patches).unwrap_or_default();
        let (mut bank, kept) = match how.group {
            Group::Prototypes => {
                let Some(bank) = heads else {
                    anyhow::bail!("this network has no projection head, so it has no prototypes");
                };
                let kept = vec![1.0; bank.kinds];
                (bank, kept)
            }
            Group::Clusters(count) => {
                let settings = ClusterSettings {
                    count: count.min(tokens.len() / dim / MEMBERS).max(1),
                    block,
                    seed: 0,
                };
                let old = before.map(|old| old.ids.as_slice());
                let found = Clusters::of_tokens(encoder, &tokens, settings, old, &mut tell)?;
                let mut bank = empty_bank(views.len(), patches, settings.count);
                (bank.ids, bank.values) = found.assign_known(encoder, &tokens);
                let kept = match before {
                    Some(old) => identity::follow(&old.ids, &mut bank.ids, bank.kinds),
                    None => vec![1.0; bank.kinds],
                };
                (bank, kept)
            }
        };
        let shown = match reference.shown.get() {
            Some(shown) => shown,
            None => {
                let shown = Shown::of(encoder, &*reference.source, &bank)?;
                reference.shown.get_or_init(|| shown)
            }
        };
        let found = patterns(
            &bank,
            &*reference.source,
            shown.as_ref(),
            Order::Population,
            bank.kinds,
            CHOICES,
        );
        // All tokens share a direction; without it cosines spread over their whole range.
        let rows = (tokens.len() / dim).max(1) as f32;
        let mut mean = vec![0.0f32; dim];
        for token in tokens.chunks_exact(dim) {
            mean.iter_mut().zip(token).for_each(|(m, x)| *m += x / rows);
        }
        let directions = tokens.chunks_exact(dim).flat_map(|token| {
            let centred = token.iter().zip(&mean).map(|(x, m)| x - m);
            let norm = centred
                .clone()
                .map(|x| x * x)
                .sum::<f32>()
                .sqrt()
                .max(1e-12);
            let unit: Vec<f16> = centred.map(|x| f16::from_f32(x / norm)).collect();
            unit
        });
        let directions = directions.collect();
        let sample = Sample::of_tokens(tokens);
        let settings = ColourSettings {
            block,
            foreground: false,
        };
        let mut basis = ColourBasis::of_sample(&sample, dim, settings)?;
        if let Some(old) = before {
            basis.align(&sample, &old.points);
        }
        Ok(Gallery {
            step,
            how,
            name: encoder.name.clone(),
            weights: encoder.fingerprint().to_owned(),
            grid: encoder.grid(),
            patch: encoder.patch(),
            heads: (0..encoder.backbone.depth())
                .map(|block| encoder.backbone.heads(block))
                .collect(),
            depth: encoder.backbone.depth(),
            dim,
            pictures: reference.pictures.clone(),
            directions,
            colours: basis.colours(&sample),
            points: basis.points(&sample),
            ids: std::mem::take(&mut bank.ids),
            values: std::mem::take(&mut bank.values),
            kinds: bank.kinds,
            patterns: found,
            prototypes,
            kept,
        })
    }

    /// Patches of a picture.
    pub fn patches(&self) -> usize {
        self.grid * self.grid
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        2 * self.directions.len() + 23 * self.ids.len()
    }

    /// Cosine of every patch of picture `picture` and patch `patch` of picture `of`, `[patches]`; empty where there
    /// is no such patch.
    pub fn similar(&self, (of, patch): (usize, usize), picture: usize) -> Vec<f32> {
        let Some(query) = self.token(of, patch) else {
            return Vec::new();
        };
        (0..self.patches())
            .filter_map(|other| {
                let terms = query.iter().zip(self.token(picture, other)?);
                Some(terms.map(|(x, y)| x.to_f32() * y.to_f32()).sum())
            })
            .collect()
    }

    /// The patches nearest to patch `patch` of picture `of`, one for each other picture, nearest first, at most
    /// `count`: picture, patch and cosine.
    pub fn nearest(&self, of: usize, patch: usize, count: usize) -> Vec<(usize, usize, f32)> {
        use rayon::prelude::*;
        let mut best: Vec<(usize, usize, f32)> = (0..self.pictures.len())
            .into_par_iter()
            .filter(|&picture| picture != of)
            .filter_map(|picture| {
                let cosines = self.similar((of, patch), picture);
                let best = cosines.iter().enumerate();
                let (at, cosine) = best.max_by(|a, b| a.1.total_cmp(b.1))?;
                Some((picture, at, *cosine))
            })
            .collect();
        best.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
        best.truncate(count);
        best
    }

    /// The pattern of cluster or prototype `id`.
    pub fn pattern(&self, id: u32) -> Option<&Pattern> {
        self.patterns.iter().find(|pattern| pattern.id == id)
    }

    /// The cluster of a patch.
    pub fn id(&self, picture: usize, patch: usize) -> Option<u32> {
        self.ids.get(picture * self.patches() + patch).copied()
    }

    fn token(&self, picture: usize, patch: usize) -> Option<&[f16]> {
        let from = (picture * self.patches() + patch) * self.dim;
        self.directions.get(from..from + self.dim)
    }
}

/// The patch of each prototype that fits it best.
fn best_patches(bank: &Bank) -> Vec<Option<(usize, usize)>> {
    let mut best: Vec<Option<(usize, f32)>> = vec![None; bank.kinds];
    for (row, (&id, &value)) in bank.ids.iter().zip(&bank.values).enumerate() {
        if let Some(best) = best.get_mut(id as usize)
            && best.is_none_or(|(_, most)| value > most)
        {
            *best = Some((row, value));
        }
    }
    let place = |(row, _): (usize, f32)| (row / bank.each, row % bank.each);
    best.into_iter().map(|best| best.map(place)).collect()
}

fn empty_bank(pictures: usize, each: usize, kinds: usize) -> Bank {
    Bank {
        pictures: (0..pictures as u32).collect(),
        each,
        kinds,
        ..Bank::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use crate::data::parts::Parts;

    #[test]
    fn a_look_holds_together_and_the_next_one_keeps_its_numbers() {
        let device = crate::device::choose("cpu").unwrap().device;
        let opened = super::super::encoder::open("demo".as_ref(), false, None, &device).unwrap();
        let encoder = opened.encoder;
        let source: Arc<dyn Source> = Arc::new(Parts::new(60, 64, 9));
        let (reference, failures) = Reference::load(&source, &encoder).unwrap();
        assert!(failures.is_empty() && reference.len() == 60);
        let how = How {
            group: Group::Clusters(20),
            block: -1,
        };
        let look = |before: Option<&Gallery>| {
            Gallery::of(&encoder, &reference, 5, how, before, &|| true).unwrap()
        };
        let first = look(None);
        let patches = 60 * first.patches();
        assert_eq!(first.ids.len(), patches);
        assert_eq!(first.colours.len(), patches);
        let members: usize = first.patterns.iter().map(|p| p.population.members).sum();
        assert_eq!(members, patches);
        assert!(first.patterns.iter().all(|p| !p.choices.is_empty()));
        // A patch is most like itself.
        let own = first.similar((3, 17), 3);
        assert!((own[17] - 1.0).abs() < 2e-3 && own.iter().all(|&c| c <= own[17] + 1e-3));
        let near = first.nearest(3, 17, 5);
        assert!(near.len() == 5 && near.iter().all(|n| n.0 != 3));
        assert!(near.windows(2).all(|w| w[0].2 >= w[1].2));
        assert!(first.similar((99, 0), 0).is_empty());

        let second = look(Some(&first));
        let same = first.ids.iter().zip(&second.ids).filter(|(a, b)| a == b);
        let same = same.count() as f32 / patches as f32;
        assert!(same > 0.8, "{same} of the patches keep their cluster");
        assert!(second.kept.iter().all(|&kept| kept > 0.4));
        let apart = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).any(|(x, y)| x.abs_diff(y) > 2);
        let turned = first.colours.iter().zip(&second.colours);
        assert_eq!(turned.filter(|(a, b)| apart(**a, **b)).count(), 0);

        let how = How {
            group: Group::Prototypes,
            block: -1,
        };
        let heads = Gallery::of(&encoder, &reference, 5, how, Some(&first), &|| true).unwrap();
        assert_eq!(heads.ids.len(), patches);
        let stopped = Gallery::of(&encoder, &reference, 5, how, None, &|| false);
        assert!(stopped.is_err());
    }
}
