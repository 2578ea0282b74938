//! Patch tokens as colours: the three directions in which tokens of a source differ most become red, green and
//! blue.
//!
//! There is one basis for a whole source, so the same colour means the same thing in every picture. Mean
//! and covariance are exact sums over all patches; the bounds between which a component is dark or
//! bright are quantiles of a sample. Bases of successive checkpoints are turned into each other
//! (orthogonal Procrustes, Schönemann 1966), or colours would jump whenever two components change places.

use anyhow::{Result, ensure};
use nalgebra::{DMatrix, Matrix3, SymmetricEigen};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Cache, Encoder, Entry, Key, Walk};
use crate::data::Picture;
use crate::model::download;

/// Raised when the meaning of an entry changes.
const KIND: &str = "colours-1";

/// Bytes of tokens that bounds, and the foreground, are read from.
const SAMPLE_BYTES: usize = 64 << 20;

/// Quantiles of a component that become dark and bright.
const BOUNDS: [f64; 2] = [0.01, 0.99];

/// Patches that are not in the foreground.
const BACKGROUND: [u8; 3] = [20, 20, 24];

/// Components, one for each of red, green and blue.
const COLOURS: usize = 3;

/// What is coloured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColourSettings {
    /// Tokens of this block, counted from 0.
    pub block: usize,
    /// Leave the background dark: what the first component tells apart from what the class token
    /// looks at.
    pub foreground: bool,
}

/// How tokens become colours.
#[derive(Clone, Debug, PartialEq)]
pub struct ColourBasis {
    settings: ColourSettings,
    /// Mean token, `[dim]`.
    mean: Vec<f32>,
    /// Three orthonormal directions, `[3, dim]`.
    directions: Vec<f32>,
    low: [f32; COLOURS],
    high: [f32; COLOURS],
    /// Mean and direction that tell the foreground (positive) from the background; empty without.
    front: Vec<f32>,
}

/// Some tokens of a source, from which a basis reads its bounds and by which bases are compared.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// `[rows, dim]`.
    tokens: Vec<f32>,
    /// Attention of the class token to each, mean over heads.
    attention: Vec<f32>,
}

impl ColourBasis {
    /// Finds the basis of the source of `walk`, or takes it from `cache`.
    ///
    /// # Errors
    /// A stopped walk, nothing readable, fewer than three patches.
    pub fn fit(walk: &mut Walk, settings: ColourSettings, cache: &Cache) -> Result<Self> {
        let encoder = walk.encoder;
        let dim = encoder.dim();
        let key = Key::new(KIND, encoder, &**walk.source).with("as", format!("{settings:?}"));
        let front = if settings.foreground { 2 * dim } else { 0 };
        if let Some(kept) = cache
            .get(&key)
            .and_then(|entry| Self::read(settings, entry))
            && kept.mean.len() == dim
            && kept.directions.len() == COLOURS * dim
            && kept.front.len() == front
        {
            return Ok(kept);
        }
        let mut moments = Moments::new(dim);
        let sample = gather(walk, settings.block, |tokens| moments.add(tokens))?;
        ensure!(
            moments.count >= COLOURS as f64,
            "colours need {COLOURS} patches or more; there are {}",
            moments.count
        );
        let mut basis = Self::from_moments(&moments, settings);
        if settings.foreground {
            basis.find_foreground(&sample);
        }
        basis.find_bounds(&sample);
        cache.put(&key, &basis.entry());
        Ok(basis)
    }

    /// The basis of tokens that are there already.
    ///
    /// # Errors
    /// Fewer than three patches.
    pub fn of_sample(sample: &Sample, dim: usize, settings: ColourSettings) -> Result<Self> {
        let mut moments = Moments::new(dim);
        moments.add(&sample.tokens);
        ensure!(
            moments.count >= COLOURS as f64,
            "colours need {COLOURS} patches or more; there are {}",
            moments.count
        );
        let mut basis = Self::from_moments(&moments, settings);
        basis.find_bounds(sample);
        Ok(basis)
    }

    /// The colour of every token of a sample.
    pub fn colours(&self, sample: &Sample) -> Vec<[u8; 3]> {
        let tokens = sample.tokens.chunks_exact(self.mean.len());
        tokens.map(|token| self.colour(token)).collect()
    }

    fn from_moments(moments: &Moments, settings: ColourSettings) -> Self {
        let (mean, directions) = moments.principal();
        ColourBasis {
            settings,
            mean,
            directions,
            low: [0.0; COLOURS],
            high: [1.0; COLOURS],
            front: Vec::new(),
        }
    }

    /// The first component, turned so that the class token looks at its positive side, tells the
    /// foreground; the colours then are those of the foreground alone.
    fn find_foreground(&mut self, sample: &Sample) {
        let dim = self.mean.len();
        let first = &self.directions[..dim];
        let score = |token: &[f32], sign: f32| sign * centred_dot(token, &self.mean, first);
        let mut looked = [(0.0f64, 0.0f64); 2];
        for (token, &attention) in sample.tokens.chunks_exact(dim).zip(&sample.attention) {
            let side = &mut looked[usize::from(score(token, 1.0) > 0.0)];
            *side = (side.0 + f64::from(attention), side.1 + 1.0);
        }
        let [below, above] = looked.map(|(sum, count)| sum / count.max(1.0));
        let sign = if above >= below { 1.0 } else { -1.0 };
        let mut moments = Moments::new(dim);
        let front = sample.tokens.chunks_exact(dim);
        let front: Vec<f32> = front
            .filter(|t| score(t, sign) > 0.0)
            .flatten()
            .copied()
            .collect();
        moments.add(&front);
        self.front = self.mean.clone();
        self.front
            .extend(self.directions[..dim].iter().map(|x| sign * x));
        if moments.count >= COLOURS as f64 {
            (self.mean, self.directions) = moments.principal();
        }
    }

    fn find_bounds(&mut self, sample: &Sample) {
        let dim = self.mean.len();
        let tokens = sample.tokens.chunks_exact(dim);
        let seen: Vec<[f32; COLOURS]> = tokens
            .filter(|token| self.is_front(token))
            .map(|token| self.project(token))
            .collect();
        for component in 0..COLOURS {
            let mut values: Vec<f32> = seen.iter().map(|point| point[component]).collect();
            values.sort_by(f32::total_cmp);
            let at = |share: f64| {
                let place = share * values.len().saturating_sub(1) as f64;
                values
                    .get(place.round() as usize)
                    .copied()
                    .unwrap_or_default()
            };
            let [low, high] = BOUNDS.map(at);
            (self.low[component], self.high[component]) = (low, high);
        }
    }

    /// Turns this basis within its three dimensions so that the tokens of `sample` get the colours most
    /// like those that `other` gave to the same places (`then`, as [`ColourBasis::points`] gave them).
    pub fn align(&mut self, sample: &Sample, then: &[[f32; COLOURS]]) {
        let now = self.points(sample);
        let centre = |points: &[[f32; COLOURS]], i: usize| {
            points.iter().map(|p| f64::from(p[i])).sum::<f64>() / points.len().max(1) as f64
        };
        let mut cross = Matrix3::<f64>::zeros();
        let (from, to): (Vec<f64>, Vec<f64>) = (0..COLOURS)
            .map(|i| (centre(&now, i), centre(then, i)))
            .unzip();
        for (a, b) in now.iter().zip(then) {
            for i in 0..COLOURS {
                for j in 0..COLOURS {
                    cross[(i, j)] += (f64::from(a[i]) - from[i]) * (f64::from(b[j]) - to[j]);
                }
            }
        }
        let svd = cross.svd(true, true);
        let (Some(u), Some(v)) = (svd.u, svd.v_t) else {
            return;
        };
        let turn = u * v;
        let dim = self.mean.len();
        let old = self.directions.clone();
        for (j, direction) in self.directions.chunks_exact_mut(dim).enumerate() {
            for (d, x) in direction.iter_mut().enumerate() {
                let mixed = (0..COLOURS).map(|i| turn[(i, j)] * f64::from(old[i * dim + d]));
                *x = mixed.sum::<f64>() as f32;
            }
        }
        self.find_bounds(sample);
    }

    /// Where the tokens of `sample` lie in the three dimensions.
    pub fn points(&self, sample: &Sample) -> Vec<[f32; COLOURS]> {
        let tokens = sample.tokens.chunks_exact(self.mean.len());
        tokens.map(|token| self.project(token)).collect()
    }

    fn project(&self, token: &[f32]) -> [f32; COLOURS] {
        let dim = self.mean.len();
        std::array::from_fn(|i| centred_dot(token, &self.mean, &self.directions[i * dim..][..dim]))
    }

    fn is_front(&self, token: &[f32]) -> bool {
        let (mean, direction) = self.front.split_at(self.front.len() / 2);
        self.front.is_empty() || centred_dot(token, mean, direction) > 0.0
    }

    /// The colour of one token.
    fn colour(&self, token: &[f32]) -> [u8; 3] {
        if !self.is_front(token) {
            return BACKGROUND;
        }
        let point = self.project(token);
        std::array::from_fn(|i| {
            let span = (self.high[i] - self.low[i]).max(f32::MIN_POSITIVE);
            (255.0 * ((point[i] - self.low[i]) / span).clamp(0.0, 1.0)).round() as u8
        })
    }

    /// Views as colours, a pixel a patch.
    pub fn paint(&self, encoder: &Encoder, views: &[Picture]) -> Vec<Picture> {
        let tokens = download(encoder.patch_tokens(views, self.settings.block));
        let dim = encoder.dim();
        let pictures = tokens.chunks_exact(encoder.patches() * dim);
        pictures
            .map(|tokens| Picture {
                width: encoder.grid(),
                height: encoder.grid(),
                rgb: tokens
                    .chunks_exact(dim)
                    .flat_map(|t| self.colour(t))
                    .collect(),
            })
            .collect()
    }

    fn entry(&self) -> Entry {
        Entry::default()
            .with_floats("mean", &self.mean)
            .with_floats("directions", &self.directions)
            .with_floats("low", &self.low)
            .with_floats("high", &self.high)
            .with_floats("front", &self.front)
    }

    fn read(settings: ColourSettings, mut entry: Entry) -> Option<Self> {
        let mut take = |name: &str| entry.floats.remove(name);
        Some(ColourBasis {
            settings,
            mean: take("mean")?,
            directions: take("directions")?,
            low: take("low")?.try_into().ok()?,
            high: take("high")?.try_into().ok()?,
            front: take("front")?,
        })
    }
}

impl Sample {
    /// Tokens `[rows, dim]` that are there already, without attention.
    pub fn of_tokens(tokens: Vec<f32>) -> Self {
        Sample {
            tokens,
            attention: Vec::new(),
        }
    }

    /// A sample of the patch tokens of block `block` over the source of `walk`. The choice depends on
    /// the source alone, so samples of two networks hold the same places.
    ///
    /// # Errors
    /// A stopped walk, nothing readable.
    pub fn take(walk: &mut Walk, block: usize) -> Result<Self> {
        gather(walk, block, |_| ())
    }
}

/// Walks over a source, gives every batch of patch tokens to `see` and keeps a sample.
fn gather(walk: &mut Walk, block: usize, mut see: impl FnMut(&[f32])) -> Result<Sample> {
    let encoder = walk.encoder;
    let (patches, dim) = (encoder.patches(), encoder.dim());
    let total = (walk.source.len() * patches).max(1);
    let share = (SAMPLE_BYTES / (4 * dim)) as f64 / total as f64;
    let mut sample = Sample::default();
    walk.each("colours", false, |looks| {
        let views: Vec<_> = looks.iter().map(|look| look.view.clone()).collect();
        let tokens = download(encoder.patch_tokens(&views, block));
        see(&tokens);
        let heads = encoder.backbone.heads(encoder.last_block());
        let attention = encoder.attention(&views, encoder.last_block());
        let pictures = tokens.chunks_exact(patches * dim);
        let pictures = pictures.zip(attention.chunks_exact(heads * patches));
        for (look, (tokens, attention)) in looks.iter().zip(pictures) {
            let mut rng = ChaCha8Rng::seed_from_u64(look.index as u64);
            for (place, token) in tokens.chunks_exact(dim).enumerate() {
                if rng.random::<f64>() < share {
                    sample.tokens.extend(token);
                    let heads = attention.iter().skip(place).step_by(patches);
                    sample.attention.push(heads.sum::<f32>());
                }
            }
        }
        Ok(())
    })?;
    Ok(sample)
}

fn centred_dot(token: &[f32], mean: &[f32], direction: &[f32]) -> f32 {
    let terms = token.iter().zip(mean).zip(direction);
    terms.map(|((x, m), d)| (x - m) * d).sum()
}

/// Count, sum and products of tokens.
struct Moments {
    count: f64,
    /// Subtracted before anything is summed, so that products of large means do not hide the rest.
    shift: Vec<f32>,
    sum: DMatrix<f64>,
    products: DMatrix<f64>,
}

impl Moments {
    fn new(dim: usize) -> Self {
        Moments {
            count: 0.0,
            shift: Vec::new(),
            sum: DMatrix::zeros(1, dim),
            products: DMatrix::zeros(dim, dim),
        }
    }

    /// Adds rows `[rows, dim]`.
    fn add(&mut self, tokens: &[f32]) {
        let dim = self.products.nrows();
        if self.shift.is_empty() {
            self.shift = tokens.get(..dim).map(<[f32]>::to_vec).unwrap_or_default();
        }
        let rows = tokens.len() / dim;
        let shifted = tokens
            .iter()
            .zip(self.shift.iter().cycle())
            .map(|(x, s)| x - s);
        // Column-major: a column is a token.
        let block = DMatrix::<f32>::from_iterator(dim, rows, shifted);
        let products = &block * block.transpose();
        self.products += products.map(f64::from);
        self.sum += DMatrix::from_iterator(
            1,
            dim,
            block
                .row_iter()
                .map(|r| r.iter().map(|&x| f64::from(x)).sum()),
        );
        self.count += rows as f64;
    }

    /// Mean, and the three directions of largest variance, `[3, dim]`, largest first. The largest
    /// element of a direction is positive, so that the same tokens always give the same directions.
    fn principal(&self) -> (Vec<f32>, Vec<f32>) {
        let mean = &self.sum / self.count;
        let covariance = &self.products / self.count - mean.transpose() * &mean;
        let eigen = SymmetricEigen::new(covariance);
        let mut order: Vec<usize> = (0..eigen.eigenvalues.len()).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let directions = order.into_iter().take(COLOURS).flat_map(|i| {
            let column = eigen.eigenvectors.column(i);
            let largest = column.iter().max_by(|a, b| a.abs().total_cmp(&b.abs()));
            let sign = largest.map_or(1.0, |x| x.signum());
            column.iter().map(|x| (sign * x) as f32).collect::<Vec<_>>()
        });
        let mean = mean.iter().zip(&self.shift).map(|(m, s)| *m as f32 + s);
        (mean.collect(), directions.collect())
    }
}

#[cfg(test)]
mod tests;
