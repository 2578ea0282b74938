//! Keeps the numbers of clusters from one look to the next, so that one can watch a cluster form.
//!
//! Clusters are found anew each time and come in any order. Over the same patches, old and new ones are
//! paired so that as many patches as possible stay under their number (an assignment problem).

use pathfinding::prelude::{Matrix, kuhn_munkres};

/// Renumbers `ids` so that they agree as much as they can with `before`, which are the clusters of the
/// same patches at an earlier look. Both are below `kinds`. Says for each number the share of the patches it had
/// that it still has (0 for one that had none); nothing changes where the lengths differ.
pub fn follow(before: &[u32], ids: &mut [u32], kinds: usize) -> Vec<f32> {
    let mut kept = vec![0.0; kinds];
    let known = |ids: &[u32]| ids.iter().all(|&id| (id as usize) < kinds);
    if before.len() != ids.len() || kinds == 0 || !known(before) || !known(ids) {
        return kept;
    }
    // Rows: new clusters; columns: old ones.
    let mut common = Matrix::new(kinds, kinds, 0i64);
    let mut had = vec![0usize; kinds];
    for (&old, &new) in before.iter().zip(ids.iter()) {
        common[(new as usize, old as usize)] += 1;
        had[old as usize] += 1;
    }
    let (_, number) = kuhn_munkres(&common);
    for (new, &old) in number.iter().enumerate() {
        kept[old] = common[(new, old)] as f32 / had[old].max(1) as f32;
    }
    for id in ids {
        *id = number[*id as usize] as u32;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_keep_their_numbers_through_any_renaming() {
        let before = [0, 0, 0, 1, 1, 2, 2, 2, 2, 3];
        // The same clusters with other numbers; one patch has gone from 2 to 0.
        let mut ids = [3, 3, 3, 0, 0, 1, 1, 1, 3, 2];
        let kept = follow(&before, &mut ids, 4);
        assert_eq!(ids, [0, 0, 0, 1, 1, 2, 2, 2, 0, 3]);
        assert_eq!(kept, [1.0, 1.0, 0.75, 1.0]);
    }

    #[test]
    fn what_cannot_be_compared_stays() {
        let mut ids = [0, 1];
        assert_eq!(follow(&[0], &mut ids, 2), [0.0, 0.0]);
        assert_eq!(follow(&[0, 7], &mut ids, 2), [0.0, 0.0]);
        assert_eq!(ids, [0, 1]);
    }
}
