//! Picture features from the tokens of the last blocks, as the reference's linear probe takes them.

use clap::ValueEnum;

use super::nearest::{Features, ProbeError, same_length};

/// Which tokens make a feature (the reference's `avgpool_patchtokens` 0, 1 and 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pooling {
    /// The class tokens of the last blocks, one behind the other.
    Class,
    /// The mean patch token of the last block. The reference takes it without the final norm.
    #[value(name = "mean")]
    PatchMean,
    /// The class tokens of the last blocks, then the mean patch token of the last one.
    #[value(name = "class-and-mean")]
    ClassAndPatchMean,
}

/// The tokens that a block puts out for some pictures, `[pictures, tokens, dim]`, class token first.
/// Widths may differ from block to block, as in Swin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BlockTokens {
    pub tokens: usize,
    pub dim: usize,
    pub data: Vec<f32>,
}

impl BlockTokens {
    /// `[tokens, dim]` of every picture.
    fn pictures(&self) -> std::slice::ChunksExact<'_, f32> {
        self.data.chunks_exact((self.tokens * self.dim).max(1))
    }

    pub(super) fn check(&self) -> Result<(), ProbeError> {
        let size = self.tokens * self.dim;
        if size == 0 {
            return Err(ProbeError::Empty("a block without tokens"));
        }
        same_length(
            "values of a block's tokens",
            self.data.len().next_multiple_of(size),
            self.data.len(),
        )
    }
}

/// One feature row a picture from `layers`, the blocks' outputs by depth, of which the last `blocks`
/// give class tokens (spec: the reference's `eval_linear.py`; ViT-S takes 4 blocks and
/// [`Pooling::Class`], ViT-B and L one block and [`Pooling::ClassAndPatchMean`]). Width is the sum of what is
/// joined. An error where there are fewer layers, or a mean is asked for and there are no patches.
pub fn probe_features(
    layers: &[BlockTokens],
    blocks: usize,
    pooling: Pooling,
) -> Result<Features, ProbeError> {
    let first = layers.len().checked_sub(blocks.max(1));
    let used = first.and_then(|first| layers.get(first..));
    let used = used.ok_or(ProbeError::Length {
        what: "layers of tokens",
        expected: blocks.max(1),
        found: layers.len(),
    })?;
    let last = used.last().ok_or(ProbeError::Empty("no layer of tokens"))?;
    for layer in used {
        layer.check()?;
        same_length(
            "pictures of a layer",
            last.pictures().len(),
            layer.pictures().len(),
        )?;
    }
    let class = pooling != Pooling::PatchMean;
    let mean = pooling != Pooling::Class;
    if mean && last.tokens < 2 {
        return Err(ProbeError::Empty("the last block has no patch tokens"));
    }
    let widths = used.iter().map(|layer| layer.dim);
    let dim = if class { widths.sum() } else { 0 } + if mean { last.dim } else { 0 };
    let mut data = Vec::with_capacity(last.pictures().len() * dim);
    let mut each: Vec<_> = used
        .iter()
        .map(|layer| (layer.dim, layer.pictures()))
        .collect();
    for tokens in last.pictures() {
        for (dim, pictures) in each.iter_mut().filter(|_| class) {
            let own = pictures.next().unwrap_or_default();
            data.extend(own.iter().take(*dim));
        }
        if mean {
            data.extend(patch_mean(tokens, last.dim));
        }
    }
    Features::new(dim, data)
}

fn patch_mean(tokens: &[f32], dim: usize) -> impl Iterator<Item = f32> {
    let patches = tokens.chunks_exact(dim).skip(1);
    let count = patches.len() as f32;
    let mut sums = vec![0.0; dim];
    for patch in patches {
        sums.iter_mut().zip(patch).for_each(|(s, x)| *s += x);
    }
    sums.into_iter().map(move |s| s / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_joined_as_asked() {
        // Two pictures, three tokens; the last block is wider.
        let layer = |dim: usize, from: usize| BlockTokens {
            tokens: 3,
            dim,
            data: (from..from + 6 * dim).map(|i| i as f32).collect(),
        };
        let layers = [layer(1, 900), layer(1, 0), layer(2, 100)];
        let of = |blocks, pooling| probe_features(&layers, blocks, pooling).unwrap();
        let class = of(2, Pooling::Class);
        assert_eq!(
            (class.dim, class.data),
            (3, vec![0.0, 100.0, 101.0, 3.0, 106.0, 107.0])
        );
        assert_eq!(of(2, Pooling::PatchMean).data, [103.0, 104.0, 109.0, 110.0]);
        let both = of(1, Pooling::ClassAndPatchMean);
        assert_eq!(both.data[..4], [100.0, 101.0, 103.0, 104.0]);
        assert!(probe_features(&layers, 4, Pooling::Class).is_err());
        assert!(probe_features(&[], 1, Pooling::Class).is_err());
        let hollow = BlockTokens {
            tokens: 3,
            ..BlockTokens::default()
        };
        assert!(probe_features(&[hollow], 1, Pooling::PatchMean).is_err());
        let single = BlockTokens {
            tokens: 1,
            dim: 2,
            data: vec![1.0, 2.0],
        };
        assert!(probe_features(std::slice::from_ref(&single), 1, Pooling::PatchMean).is_err());
        assert!(probe_features(&[layers[0].clone(), single], 2, Pooling::Class).is_err());
    }
}
