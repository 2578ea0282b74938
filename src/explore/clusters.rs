//! Clusters of patch tokens, for networks whose head is missing or was made for something else.
//!
//! Tokens are cleaned of what is not content before they are compared: each is brought to mean 0 and
//! variance 1, the mean token of its place in the grid is subtracted (what every picture has there:
//! position, and the source's average), and what is left is scaled to length 1. Then k-means by cosine.

use anyhow::{Result, ensure};
use burn::tensor::Tensor;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::encoder::Tokens;
use super::{Cache, Encoder, Entry, Key, Tell, Walk, kmeans};
use crate::data::Picture;
use crate::model::download;
use crate::model::kernels::l2_normalise;

/// Raised when the meaning of an entry changes.
const KIND: &str = "clusters-1";

/// Bytes of tokens that clusters are made from; a larger source is sampled.
const SAMPLE_BYTES: usize = 256 << 20;

/// How patch tokens are grouped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterSettings {
    /// Number of clusters.
    pub count: usize,
    /// Tokens of this block, counted from 0.
    pub block: usize,
    pub seed: u64,
}

/// Centres of clusters, and what is subtracted from a token before it is compared with them.
#[derive(Clone, Debug)]
pub struct Clusters {
    settings: ClusterSettings,
    /// Mean token of every place, `[patches, dim]`.
    places: Vec<f32>,
    /// Unit vectors, `[count, dim]`.
    centres: Vec<f32>,
}

impl Clusters {
    /// Finds clusters in the source of `walk`, or takes them from `cache`.
    ///
    /// # Errors
    /// Fewer patches than clusters, a stopped walk, nothing readable.
    pub fn fit(walk: &mut Walk, settings: ClusterSettings, cache: &Cache) -> Result<Self> {
        let encoder = walk.encoder;
        let (patches, dim) = (encoder.patches(), encoder.dim());
        let key = Key::new(KIND, encoder, &**walk.source).with("as", format!("{settings:?}"));
        if let Some(mut kept) = cache.get(&key) {
            let mut take = |name: &str| kept.floats.remove(name).unwrap_or_default();
            let (places, centres) = (take("places"), take("centres"));
            if places.len() == patches * dim && centres.len() == settings.count * dim {
                return Ok(Clusters {
                    settings,
                    places,
                    centres,
                });
            }
        }
        let total = walk.source.len() * patches;
        let share = (SAMPLE_BYTES / (4 * dim)) as f64 / total.max(1) as f64;
        let mut sums = vec![0.0f64; patches * dim];
        let mut pictures = 0;
        // Tokens of the sample, and the place of each.
        let (mut sample, mut at): (Vec<f32>, Vec<usize>) = (Vec::new(), Vec::new());
        walk.each("patch tokens", false, |looks| {
            let views: Vec<_> = looks.iter().map(|look| look.view.clone()).collect();
            let tokens = download(patch_tokens(encoder, &views, settings.block));
            for (look, tokens) in looks.iter().zip(tokens.chunks_exact(patches * dim)) {
                pictures += 1;
                for (sum, x) in sums.iter_mut().zip(tokens) {
                    *sum += f64::from(*x);
                }
                let mut rng = ChaCha8Rng::seed_from_u64(settings.seed ^ look.index as u64);
                for (place, token) in tokens.chunks_exact(dim).enumerate() {
                    if rng.random::<f64>() < share {
                        sample.extend(token);
                        at.push(place);
                    }
                }
            }
            Ok(())
        })?;
        let count = f64::from(pictures);
        let places: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        let found = Self::among(encoder, settings, places, sample, &at, walk.tell)?;
        let (places, centres) = (&found.places, &found.centres);
        let entry = Entry::default()
            .with_floats("places", places)
            .with_floats("centres", centres);
        cache.put(&key, &entry);
        Ok(found)
    }

    /// Finds clusters in tokens that are there already: plain ones of some pictures,
    /// `[pictures, patches, dim]`. With `before`, the clusters that the same patches had under other
    /// weights, each starts where those patches are now and so keeps its number.
    ///
    /// # Errors
    /// Fewer patches than clusters, or stopped by `tell`.
    pub fn of_tokens(
        encoder: &Encoder,
        tokens: &[f32],
        settings: ClusterSettings,
        before: Option<&[u32]>,
        tell: Tell,
    ) -> Result<Self> {
        let (patches, dim) = (encoder.patches(), encoder.dim());
        let pictures = tokens.len() / (patches * dim);
        let mut sums = vec![0.0f64; patches * dim];
        for tokens in tokens.chunks_exact(patches * dim) {
            for (sum, x) in sums.iter_mut().zip(tokens) {
                *sum += f64::from(*x);
            }
        }
        let count = pictures.max(1) as f64;
        let places: Vec<f32> = sums.iter().map(|sum| (sum / count) as f32).collect();
        if let Some(before) = before.filter(|ids| ids.len() == pictures * patches) {
            return Self::follow(encoder, settings, places, tokens, before, tell);
        }
        let at: Vec<usize> = (0..pictures * patches).map(|row| row % patches).collect();
        Self::among(encoder, settings, places, tokens.to_vec(), &at, tell)
    }

    /// Clusters that go on from those in which the patches were before.
    fn follow(
        encoder: &Encoder,
        settings: ClusterSettings,
        places: Vec<f32>,
        tokens: &[f32],
        before: &[u32],
        tell: Tell,
    ) -> Result<Self> {
        let (dim, count) = (encoder.dim(), settings.count);
        let mut rows = tokens.to_vec();
        let mut centres = vec![0.0f32; count * dim];
        let at = places.chunks_exact(dim).cycle();
        for ((row, place), &id) in rows.chunks_exact_mut(dim).zip(at).zip(before) {
            row.iter_mut().zip(place).for_each(|(x, m)| *x -= m);
            kmeans::normalise(row);
            if let Some(centre) = centres.get_mut(id as usize * dim..(id as usize + 1) * dim) {
                centre.iter_mut().zip(row.iter()).for_each(|(c, x)| *c += x);
            }
        }
        centres.chunks_exact_mut(dim).for_each(kmeans::normalise);
        let total = rows.len() / dim;
        let rows = encoder.matrix(rows, [total, dim]);
        let centres = kmeans::refine(&rows, centres, tell)?;
        Ok(Clusters {
            settings,
            places,
            centres,
        })
    }

    /// Clusters of `sample`, tokens of which `at` gives the place.
    fn among(
        encoder: &Encoder,
        settings: ClusterSettings,
        places: Vec<f32>,
        mut sample: Vec<f32>,
        at: &[usize],
        tell: Tell,
    ) -> Result<Self> {
        let dim = encoder.dim();
        ensure!(
            at.len() >= settings.count,
            "{} clusters cannot be made of {} patches; ask for fewer",
            settings.count,
            at.len()
        );
        for (token, place) in sample.chunks_exact_mut(dim).zip(at) {
            let mean = &places[place * dim..][..dim];
            token.iter_mut().zip(mean).for_each(|(x, m)| *x -= m);
        }
        let mut order: Vec<usize> = (0..sample.len() / dim).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(settings.seed));
        let shuffled = order.iter().flat_map(|&i| &sample[i * dim..][..dim]);
        let shuffled: Vec<f32> = shuffled.copied().collect();
        drop(sample);
        let rows = shuffled.len() / dim;
        let rows = l2_normalise(encoder.matrix(shuffled, [rows, dim]), 1e-12);
        let centres = kmeans::spherical(rows, settings.count, settings.seed, tell)?;
        Ok(Clusters {
            settings,
            places,
            centres,
        })
    }

    /// The cluster of every patch of `views` and the cosine to its centre.
    pub fn assign(&self, encoder: &Encoder, views: &[Picture]) -> (Vec<u32>, Vec<f32>) {
        self.assign_tokens(encoder, patch_tokens(encoder, views, self.settings.block))
    }

    /// The same for plain tokens that are there already, `[pictures, patches, dim]`.
    pub fn assign_known(&self, encoder: &Encoder, tokens: &[f32]) -> (Vec<u32>, Vec<f32>) {
        let (patches, dim) = (encoder.patches(), encoder.dim());
        let pictures = tokens.len() / (patches * dim);
        let tokens = encoder.matrix(tokens.to_vec(), [pictures * patches, dim]);
        self.assign_tokens(encoder, tokens.reshape([pictures, patches, dim]))
    }

    fn assign_tokens(&self, encoder: &Encoder, tokens: Tensor<3>) -> (Vec<u32>, Vec<f32>) {
        let [pictures, patches, dim] = tokens.dims();
        let places = encoder.matrix(self.places.clone(), [patches, dim]);
        let tokens = tokens - places.reshape([1, patches, dim]);
        let tokens = l2_normalise(tokens.reshape([pictures * patches, dim]), 1e-12);
        let centres = encoder.matrix(self.centres.clone(), [self.settings.count, dim]);
        kmeans::nearest(tokens, centres)
    }
}

/// Plain patch tokens, `[pictures, patches, dim]`.
pub fn patch_tokens(encoder: &Encoder, views: &[Picture], block: usize) -> Tensor<3> {
    let tokens = encoder.tokens(views, block, Tokens::Plain);
    let [images, count, dim] = tokens.dims();
    tokens.slice([0..images, 1..count, 0..dim])
}
