//! Rows of features of labelled pictures, kept from one probe to the next.

use std::ops::ControlFlow;
use std::sync::Arc;

use anyhow::{Result, bail};
use rayon::prelude::*;

use super::Plan;
use crate::data::pixels::{self, Filter};
use crate::data::{LoadError, Picture, Source};
use crate::explore::{Cache, Encoder, Entry, Key, Look, Of, Progress, Stopped, Tell, Walk};
use crate::model::download;
use crate::probe::copies::copy_features;
use crate::probe::nearest::Features;
use crate::probe::pooled::{BlockTokens, Pooling, probe_features};

/// Raw pixels are compared at this side at most: beyond it they only get slower.
pub const RAW_SIDE: usize = 32;

/// Pictures whose pixels are loaded at once.
const CHUNK: usize = 512;

/// Pictures that are loaded at once to be described.
const WHOLE: usize = 8;

/// What sees the pictures.
pub enum Eyes {
    /// Their pixels at this side, of what the network of this encoder is shown.
    Pixels(usize, Box<Encoder>),
    Network(Box<Encoder>),
}

impl Eyes {
    pub fn name(&self) -> String {
        match self {
            Eyes::Pixels(..) => "raw pixels".into(),
            Eyes::Network(encoder) => encoder.name.clone(),
        }
    }

    /// Blocks and pooling that the protocol of the linear probe has for this network: the last four class tokens,
    /// for wide networks the last one and the mean patch.
    pub fn linear_protocol(&self) -> (usize, Pooling) {
        match self {
            Eyes::Network(encoder) if encoder.backbone.dim() < 768 || encoder.has_stages() => {
                (4, Pooling::Class)
            }
            _ => (1, Pooling::ClassAndPatchMean),
        }
    }
}

/// Which features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// From the last so many blocks.
    Pooled(usize, Pooling),
    /// Class token and generalised mean of the patches, for copy detection.
    Copies,
    /// Descriptors of whole pictures whose longer side is cut down to so many pixels.
    Whole(usize),
}

/// Features of the labelled pictures of a source that could be read.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub features: Features,
    pub labels: Vec<u32>,
}

impl Rows {
    /// The rows with these numbers.
    pub fn take(&self, rows: &[usize]) -> Self {
        let dim = self.features.dim;
        let each = rows
            .iter()
            .flat_map(|&row| &self.features.data[row * dim..][..dim]);
        Rows {
            features: Features {
                dim,
                data: each.copied().collect(),
            },
            labels: rows.iter().map(|&row| self.labels[row]).collect(),
        }
    }
}

/// Everything a probe needs to look.
pub struct Bench<'a> {
    pub plan: &'a Plan,
    pub eyes: &'a Eyes,
    pub cache: &'a Cache,
    pub tell: Tell<'a>,
}

impl Bench<'_> {
    /// Features of every labelled picture of `source`.
    ///
    /// # Errors
    /// A stopped walk, nothing that is labelled and readable.
    pub fn rows(&mut self, source: &Arc<dyn Source>, what: What) -> Result<Rows> {
        let rows = match self.eyes {
            Eyes::Pixels(side, encoder) => self.pixels(source, *side, encoder)?,
            Eyes::Network(encoder) => self.seen(encoder, source, what)?,
        };
        if rows.labels.is_empty() {
            bail!(
                "none of the {} pictures is labelled and readable",
                source.len()
            );
        }
        Ok(rows)
    }

    /// Features of all pictures of `source` that can be read, with their numbers instead of labels.
    ///
    /// # Errors
    /// A stopped walk, nothing that is readable.
    pub fn rows_by_number(&mut self, source: &Arc<dyn Source>, what: What) -> Result<Rows> {
        let numbered: Arc<dyn Source> = Arc::new(Numbered(source.clone()));
        self.rows(&numbered, what)
    }

    fn pixels(&mut self, source: &Arc<dyn Source>, side: usize, encoder: &Encoder) -> Result<Rows> {
        let dim = 3 * side * side;
        let small = |picture: Picture| raw(&picture, side, encoder);
        self.each(("pixels", CHUNK), source, dim, small, |row| row)
    }

    /// One row of `dim` numbers for every labelled picture of `source`. A chunk of them is loaded and prepared on all
    /// cores, then seen one by one on this thread, which owns the tensors.
    fn each<T: Send>(
        &mut self,
        (what, chunk): (&'static str, usize),
        source: &Arc<dyn Source>,
        dim: usize,
        prepare: impl Fn(Picture) -> T + Sync,
        mut see: impl FnMut(T) -> Vec<f32>,
    ) -> Result<Rows> {
        let mut rows = Rows::default();
        rows.features.dim = dim;
        for from in (0..source.len()).step_by(chunk) {
            let end = source.len().min(from + chunk);
            let prepared: Vec<_> = (from..end)
                .into_par_iter()
                .filter_map(|i| Some((source.label(i)?, prepare(source.load(i).ok()?))))
                .collect();
            for (label, picture) in prepared {
                rows.features.data.extend(see(picture));
                rows.labels.push(label as u32);
            }
            let progress = Progress {
                what,
                done: end,
                total: source.len(),
            };
            if let ControlFlow::Break(()) = (self.tell)(progress) {
                bail!(Stopped);
            }
        }
        Ok(rows)
    }

    fn seen(&mut self, encoder: &Encoder, source: &Arc<dyn Source>, what: What) -> Result<Rows> {
        let labels: Vec<Option<usize>> = (0..source.len()).map(|i| source.label(i)).collect();
        let mut key = Key::new("probe-2", encoder, &**source).with("what", format!("{what:?}"));
        key = key.with("labels", format!("{labels:?}"));
        if let Some(mut kept) = self.cache.get(&key) {
            let features = kept.floats.remove("features");
            let labels = kept.integers.remove("labels");
            if let Some((data, labels)) = features.zip(labels)
                && !labels.is_empty()
            {
                let dim = data.len() / labels.len();
                let features = Features { dim, data };
                return Ok(Rows { features, labels });
            }
        }
        let rows = match what {
            What::Whole(longest) => {
                let dim = encoder.backbone.dim();
                let small = |picture: Picture| pixels::thumbnail(&picture, longest);
                let see = |picture: Picture| encoder.descriptor(&picture);
                self.each(("descriptors", WHOLE), source, dim, small, see)?
            }
            _ => self.walked(encoder, source, what)?,
        };
        let entry = Entry::default()
            .with_floats("features", &rows.features.data)
            .with_integers("labels", &rows.labels);
        self.cache.put(&key, &entry);
        Ok(rows)
    }

    fn walked(&mut self, encoder: &Encoder, source: &Arc<dyn Source>, what: What) -> Result<Rows> {
        let mut rows = Rows::default();
        let mut walk = Walk::new(encoder, source, &mut *self.tell);
        walk.each("features", false, |looks| {
            let known = looks
                .iter()
                .filter(|look| source.label(look.index).is_some());
            let known: Vec<&Look> = known.collect();
            if known.is_empty() {
                return Ok(());
            }
            let features = features(encoder, &known, what)?;
            rows.features.dim = features.dim;
            rows.features.data.extend(features.data);
            let labels = known.iter().filter_map(|look| source.label(look.index));
            rows.labels.extend(labels.map(|label| label as u32));
            Ok(())
        })?;
        Ok(rows)
    }

    /// The most likely class prototype of every labelled picture; `None` where the network has no head.
    ///
    /// # Errors
    /// A stopped walk.
    pub fn prototypes(&mut self, source: &Arc<dyn Source>) -> Result<Option<(Vec<u32>, Vec<u32>)>> {
        let Eyes::Network(encoder) = self.eyes else {
            return Ok(None);
        };
        if encoder.prototypes.is_none() {
            return Ok(None);
        }
        let (mut ids, mut labels) = (Vec::new(), Vec::new());
        let mut walk = Walk::new(encoder, source, &mut *self.tell);
        walk.each("prototypes", false, |looks| {
            let views: Vec<_> = looks.iter().map(|look| look.view.clone()).collect();
            let (found, _) = encoder.assign(&views, Of::Pictures);
            for (look, id) in looks.iter().zip(found) {
                if let Some(label) = source.label(look.index) {
                    ids.push(id);
                    labels.push(label as u32);
                }
            }
            Ok(())
        })?;
        Ok(Some((ids, labels)))
    }
}

/// The pixels of what `encoder` would be shown, at `side`.
pub fn raw(picture: &Picture, side: usize, encoder: &Encoder) -> Vec<f32> {
    let shown = encoder.view(picture);
    let small = match shown.width == side {
        true => shown,
        false => pixels::resize(&shown, side, side, Filter::Bicubic),
    };
    small.rgb.iter().map(|&v| f32::from(v) / 255.0).collect()
}

/// Features of some looks.
pub fn features(encoder: &Encoder, looks: &[&Look], what: What) -> Result<Features> {
    let views: Vec<_> = looks.iter().map(|look| look.view.clone()).collect();
    let block = |tokens: burn::tensor::Tensor<3>| {
        let [_, count, dim] = tokens.dims();
        BlockTokens {
            tokens: count,
            dim,
            data: download(tokens),
        }
    };
    Ok(match what {
        What::Pooled(_, Pooling::PatchMean) => {
            let raw = encoder.tokens(&views, encoder.last_block(), crate::explore::Tokens::Raw);
            probe_features(&[block(raw)], 1, Pooling::PatchMean)?
        }
        What::Pooled(blocks, pooling) => {
            let layers = encoder.last_blocks(&views, blocks);
            let layers: Vec<BlockTokens> = layers.into_iter().map(block).collect();
            probe_features(&layers, blocks, pooling)?
        }
        What::Whole(_) => bail!("descriptors are of whole pictures, not of squares"),
        What::Copies => {
            let layers = encoder.last_blocks(&views, 1);
            let last = layers.into_iter().next_back().map(block);
            copy_features(&last.unwrap_or_default())?
        }
    })
}

/// A source in which every picture is of a class of its own.
struct Numbered(Arc<dyn Source>);

impl Source for Numbered {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> String {
        self.0.name(index)
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(index)
    }

    fn classes(&self) -> &[String] {
        self.0.classes()
    }

    fn load(&self, index: usize) -> Result<Picture, LoadError> {
        self.0.load(index)
    }

    fn stamp(&self, index: usize) -> u64 {
        self.0.stamp(index)
    }
}
