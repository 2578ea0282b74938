//! Which patches are like this one: in its own picture, in another, in the whole source.
//!
//! Patches are compared by the cosine of their tokens. Over a source the products and the choice of the
//! best are made on the device, batch by batch; only the best of a batch are read back.

use anyhow::Result;

use super::{Encoder, Walk};
use crate::data::Picture;
use crate::model::download;
use crate::model::kernels::matmul_transposed;

/// A patch of a source and how near it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Source index.
    pub picture: usize,
    /// Row-major.
    pub patch: usize,
    pub cosine: f32,
}

/// The token of patch `patch` of `view` after block `block`, at length 1, `[dim]`.
pub fn query(encoder: &Encoder, view: &Picture, patch: usize, block: usize) -> Vec<f32> {
    let dim = encoder.vit.dim;
    let all = encoder.directions(std::slice::from_ref(view), block);
    download(all.slice([patch..patch + 1, 0..dim]))
}

/// The cosine of every patch of `view` and `query`, `[patches]`.
pub fn map(encoder: &Encoder, view: &Picture, query: &[f32], block: usize) -> Vec<f32> {
    let tokens = encoder.directions(std::slice::from_ref(view), block);
    let query = encoder.matrix(query.to_vec(), [1, query.len()]);
    download(matmul_transposed(tokens, query))
}

/// The `count` patches of the source of `walk` that are nearest to each of `queries`, nearest first,
/// equal ones in the order of the source. With `one_a_picture` each picture gives its nearest patch only.
///
/// # Errors
/// A stopped walk, nothing readable.
pub fn nearest(
    walk: &mut Walk,
    queries: &[Vec<f32>],
    count: usize,
    one_a_picture: bool,
    block: usize,
) -> Result<Vec<Vec<Match>>> {
    let encoder = walk.encoder;
    let (patches, dim) = (encoder.patches(), encoder.vit.dim);
    let asked = encoder.matrix(queries.concat(), [queries.len(), dim]);
    let mut best: Vec<Vec<Match>> = vec![Vec::new(); queries.len()];
    walk.each("similar patches", false, |looks| {
        let views: Vec<_> = looks.iter().map(|look| look.view.clone()).collect();
        let tokens = encoder.directions(&views, block);
        let scores = matmul_transposed(asked.clone(), tokens); // [queries, pictures * patches]
        let (values, places, kept) = match one_a_picture {
            true => {
                let scores = scores.reshape([queries.len(), views.len(), patches]);
                let (values, places) = scores.max_dim_with_indices(2);
                (download(values), places.into_data(), views.len())
            }
            false => {
                let kept = count.min(views.len() * patches);
                let (values, places) = scores.topk_with_indices(kept, 1);
                (download(values), places.into_data(), kept)
            }
        };
        let places: Vec<u32> = places.convert::<u32>().try_into_vec().unwrap_or_default();
        let rows = values.chunks(kept.max(1)).zip(places.chunks(kept.max(1)));
        for (best, (values, places)) in best.iter_mut().zip(rows) {
            for (i, (&cosine, &place)) in values.iter().zip(places).enumerate() {
                let place = place as usize;
                let (look, patch) = match one_a_picture {
                    true => (i, place),
                    false => (place / patches, place % patches),
                };
                best.extend(looks.get(look).map(|look| Match {
                    picture: look.index,
                    patch,
                    cosine,
                }));
            }
            let order = |m: &Match| (m.picture, m.patch);
            best.sort_by(|a, b| b.cosine.total_cmp(&a.cosine).then(order(a).cmp(&order(b))));
            best.truncate(count);
        }
        Ok(())
    })?;
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;
    use crate::data::parts::Parts;
    use crate::explore::Look;
    use crate::explore::tests::tiny_encoder;
    use std::ops::ControlFlow;
    use std::sync::Arc;

    #[test]
    fn the_nearest_patches_are_those_of_a_plain_search() {
        let encoder = tiny_encoder();
        // More than one batch.
        let source: Arc<dyn Source> = Arc::new(Parts::new(150, 32, 1));
        let view = |i| Look::load(&encoder, &source, i).unwrap().view;
        let queries = [(3, 5), (100, 0)].map(|(i, patch)| query(&encoder, &view(i), patch, 1));
        let mut go = |_| ControlFlow::Continue(());
        let mut walk = Walk::new(&encoder, &source, &mut go);
        for one_a_picture in [false, true] {
            let found = nearest(&mut walk, &queries, 20, one_a_picture, 1).unwrap();
            for (found, query) in found.iter().zip(&queries) {
                let mut plain = Vec::new();
                for picture in 0..150 {
                    let cosines = map(&encoder, &view(picture), query, 1);
                    let all = cosines.into_iter().enumerate();
                    let mut all: Vec<Match> = all
                        .map(|(patch, cosine)| Match {
                            picture,
                            patch,
                            cosine,
                        })
                        .collect();
                    all.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
                    all.truncate(if one_a_picture { 1 } else { 16 });
                    plain.extend(all);
                }
                plain.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
                assert_eq!(found.len(), 20);
                assert!((found[0].cosine - 1.0).abs() < 1e-5, "the patch itself");
                for (found, plain) in found.iter().zip(&plain) {
                    assert!((found.cosine - plain.cosine).abs() < 1e-5);
                    let pictures = |m: &Match| (m.picture, m.patch);
                    let tie = plain.cosine > 0.99999;
                    assert!(
                        tie || pictures(found) == pictures(plain),
                        "{found:?} {plain:?}"
                    );
                }
            }
        }
    }
}
