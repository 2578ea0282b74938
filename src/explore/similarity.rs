//! Which patches are like this one: in its own picture, in another, in the whole source.
//!
//! Patches are compared by the cosine of their tokens. The device makes the products, batch by batch,
//! and the host keeps the best: a batch has 8192 cosines a query at most, which is little to read back.
//! The device's own choice of the best would not do, since it leaves open which of equals is taken and is
//! compiled anew for every count (for 300 on a software GPU it takes a minute and gives places of -1).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use anyhow::Result;
use rayon::prelude::*;

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

/// The token of patch `patch` of `view` after block `block`, at length 1, `[dim]`. `patch` is below
/// [`Encoder::patches`].
pub fn query(encoder: &Encoder, view: &Picture, patch: usize, block: usize) -> Vec<f32> {
    let dim = encoder.dim();
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
/// Patches whose cosine is not a number are never near.
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
    if queries.is_empty() {
        return Ok(Vec::new());
    }
    let encoder = walk.encoder;
    let (patches, dim) = (encoder.patches(), encoder.dim());
    let asked = encoder.matrix(queries.concat(), [queries.len(), dim]);
    let mut best: Vec<Best> = queries.iter().map(|_| Best::of(count)).collect();
    walk.each("similar patches", false, |looks| {
        let views: Vec<_> = looks.iter().map(|look| look.view.clone()).collect();
        let tokens = encoder.directions(&views, block);
        // [queries, pictures * patches]
        let cosines = download(matmul_transposed(asked.clone(), tokens));
        let rows = cosines.par_chunks_exact(views.len() * patches);
        best.par_iter_mut().zip(rows).for_each(|(best, row)| {
            for (look, cosines) in looks.iter().zip(row.chunks_exact(patches)) {
                best.see(look.index, cosines, one_a_picture);
            }
        });
        Ok(())
    })?;
    Ok(best.into_iter().map(Best::into_sorted).collect())
}

/// The nearest patches so far.
struct Best {
    count: usize,
    /// The one least near on top.
    heap: BinaryHeap<Ranked>,
}

impl Best {
    fn of(count: usize) -> Self {
        let heap = BinaryHeap::new();
        Best { count, heap }
    }

    /// Meets the patches of the next picture of the source.
    fn see(&mut self, picture: usize, cosines: &[f32], nearest_only: bool) {
        let all = cosines.iter().enumerate().filter(|(_, c)| !c.is_nan());
        let all = all.map(|(patch, &cosine)| Match {
            picture,
            patch,
            cosine,
        });
        match nearest_only {
            // Of equals the first is the least by rank.
            true => all
                .map(Ranked)
                .min()
                .into_iter()
                .for_each(|r| self.offer(r)),
            false => all.map(Ranked).for_each(|r| self.offer(r)),
        }
    }

    fn offer(&mut self, new: Ranked) {
        if self.heap.len() < self.count {
            self.heap.push(new);
        } else if let Some(mut last) = self.heap.peek_mut()
            && new < *last
        {
            *last = new;
        }
    }

    fn into_sorted(self) -> Vec<Match> {
        let sorted = self.heap.into_sorted_vec();
        sorted.into_iter().map(|ranked| ranked.0).collect()
    }
}

/// Orders matches: the nearest is the least, of equally near ones the first in the source.
struct Ranked(Match);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let place = |m: &Match| (m.picture, m.patch);
        // Comparing as numbers first: 0 and -0 are equally near.
        match other.0.cosine.partial_cmp(&self.0.cosine) {
            Some(Ordering::Equal) | None => place(&self.0).cmp(&place(&other.0)),
            Some(order) => order,
        }
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::parts::Parts;
    use crate::data::{LoadError, Source};
    use crate::explore::Look;
    use crate::explore::tests::tiny_encoder;
    use std::ops::ControlFlow;
    use std::sync::Arc;

    /// What a plain search over all cosines finds.
    fn plain(cosines: &[Vec<f32>], count: usize, one_a_picture: bool) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        for (picture, cosines) in cosines.iter().enumerate() {
            let of = |(patch, &cosine)| Match {
                picture,
                patch,
                cosine,
            };
            let mut own: Vec<Match> = cosines.iter().enumerate().map(of).collect();
            own.sort_by(|a, b| b.cosine.total_cmp(&a.cosine)); // stable: equals keep their order
            own.truncate(if one_a_picture { 1 } else { own.len() });
            found.extend(own);
        }
        found.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
        found.truncate(count);
        found
    }

    #[test]
    fn equals_stand_in_the_order_of_the_source() {
        // Eight values only, so that every choice is between equals.
        let cosine = |picture: usize, patch: usize| ((picture * 7 + patch * 5) % 8) as f32 / 8.0;
        let all = |picture| (0..16).map(|patch| cosine(picture, patch)).collect();
        let cosines: Vec<Vec<f32>> = (0..9).map(all).collect();
        for one_a_picture in [false, true] {
            for count in [0, 1, 5, 20, 143, 144, 500] {
                let mut best = Best::of(count);
                for (picture, cosines) in cosines.iter().enumerate() {
                    best.see(picture, cosines, one_a_picture);
                }
                assert_eq!(best.into_sorted(), plain(&cosines, count, one_a_picture));
            }
        }
        let mut best = Best::of(3);
        best.see(0, &[f32::NAN, 0.5], false);
        best.see(1, &[f32::NAN, f32::NAN], true);
        assert_eq!(
            best.into_sorted().len(),
            1,
            "what is no number is never near"
        );
    }

    /// A source whose every picture comes again much later.
    struct Twice(Parts);

    impl Source for Twice {
        fn len(&self) -> usize {
            2 * self.0.len()
        }
        fn name(&self, index: usize) -> String {
            index.to_string()
        }
        fn label(&self, _: usize) -> Option<usize> {
            None
        }
        fn classes(&self) -> &[String] {
            &[]
        }
        fn load(&self, index: usize) -> Result<Picture, LoadError> {
            self.0.load(index % self.0.len())
        }
    }

    #[test]
    fn the_nearest_patches_are_those_of_a_plain_search() {
        let encoder = tiny_encoder();
        let source: Arc<dyn Source> = Arc::new(Twice(Parts::new(75, 32, 1)));
        assert!(source.len() > 2 * encoder.batch(), "several batches");
        let view = |i| Look::load(&encoder, &source, i).unwrap().view;
        let queries = [(3, 5), (100, 0)].map(|(i, patch)| query(&encoder, &view(i), patch, 1));
        let mut go = |_| ControlFlow::Continue(());
        let mut walk = Walk::new(&encoder, &source, &mut go);
        for one_a_picture in [false, true] {
            let found = nearest(&mut walk, &queries, 20, one_a_picture, 1).unwrap();
            for (found, query) in found.iter().zip(&queries) {
                let cosines: Vec<_> = (0..source.len())
                    .map(|picture| map(&encoder, &view(picture), query, 1))
                    .collect();
                let plain = plain(&cosines, 20, one_a_picture);
                assert_eq!(found.len(), plain.len());
                assert!((found[0].cosine - 1.0).abs() < 1e-5, "the patch itself");
                for (found, plain) in found.iter().zip(&plain) {
                    // A product of another shape may round otherwise, so nearly equal ones may change
                    // places; no other may.
                    let own = cosines[found.picture][found.patch];
                    assert!((found.cosine - own).abs() < 1e-5, "{found:?} {own}");
                    assert!(
                        (found.cosine - plain.cosine).abs() < 1e-5,
                        "{found:?} {plain:?}"
                    );
                }
                let mut places: Vec<_> = found.iter().map(|m| (m.picture, m.patch)).collect();
                places.sort_unstable();
                places.dedup_by_key(|&mut (picture, patch)| {
                    (picture, patch * usize::from(!one_a_picture))
                });
                assert_eq!(places.len(), 20, "each once");
            }
        }
        assert_eq!(
            nearest(&mut walk, &[], 20, false, 1).unwrap(),
            Vec::<Vec<_>>::new()
        );
    }
}
