//! How a Swin block cuts a map of tokens into windows.
//!
//! A map is padded with zeros at the right and the bottom to whole windows; in shifted blocks it is rolled
//! up and to the left first, and tokens that were not neighbours before do not see each other. Padding takes
//! part in attention, as in the reference. All of this depends on shapes only and is worked out once for each.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use super::kernels::Rearrangement;

/// Added to the scores of tokens that must not see each other.
const APART: f32 = -100.0;

/// The windows of one shape of map.
#[derive(Debug)]
pub struct Windows {
    /// Windows of an image.
    pub count: usize,
    /// From a map, row-major, to its windows one behind the other.
    pub split: Arc<Rearrangement>,
    /// And back.
    pub join: Arc<Rearrangement>,
    /// `[count, side², side²]`, 0 or `APART`; only in shifted blocks.
    pub mask: Option<Arc<[f32]>>,
}

/// Rows, columns, side of a window, shift.
type Key = [usize; 4];

static KNOWN: LazyLock<Mutex<HashMap<Key, Arc<Windows>>>> = LazyLock::new(Mutex::default);

impl Windows {
    /// The windows of `side` by `side` tokens of a map, rolled by `shift` in both directions.
    pub fn of(rows: usize, columns: usize, side: usize, shift: usize) -> Arc<Self> {
        // A panic elsewhere leaves the table as it was: entries are put in whole.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .entry([rows, columns, side, shift])
            .or_insert_with(|| Arc::new(Self::new(rows, columns, side, shift)))
            .clone()
    }

    fn new(rows: usize, columns: usize, side: usize, shift: usize) -> Self {
        let (height, width) = (rows.next_multiple_of(side), columns.next_multiple_of(side));
        let across = width / side;
        let count = height / side * across;
        // The place on the rolled map of a token of a window.
        let place = |window: usize, token: usize| {
            let y = window / across * side + token / side;
            (y, window % across * side + token % side)
        };
        let each = side * side;
        let from: Vec<Option<usize>> = (0..count * each)
            .map(|i| {
                let (y, x) = place(i / each, i % each);
                let (y, x) = ((y + shift) % height, (x + shift) % width);
                (y < rows && x < columns).then_some(y * columns + x)
            })
            .collect();
        let split = Rearrangement::new(&from, rows * columns);
        let join = split.reversed();
        let band = |at: usize, length: usize| match at {
            at if at < length - side => 0,
            at if at < length - shift => 1,
            _ => 2,
        };
        let region = |(y, x): (usize, usize)| (band(y, height), band(x, width));
        let mask = (shift > 0).then(|| {
            let cell = |i: usize| {
                let (window, query, key) = (i / (each * each), i / each % each, i % each);
                match region(place(window, query)) == region(place(window, key)) {
                    true => 0.0,
                    false => APART,
                }
            };
            (0..count * each * each).map(cell).collect()
        });
        Windows {
            count,
            split: Arc::new(split),
            join: Arc::new(join),
            mask,
        }
    }
}

/// Patch merging: of every two by two tokens of a map the four rows (0,0), (1,0), (0,1), (1,1) one behind the
/// other; an odd map is padded with zeros at the right and the bottom.
pub fn merging(rows: usize, columns: usize) -> Arc<Rearrangement> {
    let (height, width) = (rows.div_ceil(2), columns.div_ceil(2));
    let from: Vec<Option<usize>> = (0..height * width * 4)
        .map(|i| {
            let (cell, part) = (i / 4, i % 4);
            let (y, x) = (cell / width * 2 + part % 2, cell % width * 2 + part / 2);
            (y < rows && x < columns).then_some(y * columns + x)
        })
        .collect();
    Arc::new(Rearrangement::new(&from, rows * columns))
}

/// For every query and key of a window of `side` by `side` tokens, the row of the table of relative positions,
/// `(Δrow + side − 1)(2 side − 1) + Δcolumn + side − 1`.
pub fn relative_positions(side: usize) -> Vec<i32> {
    let each = side * side;
    let index = |i: usize| {
        let (query, key) = (i / each, i % each);
        let row = query / side + side - 1 - key / side;
        let column = query % side + side - 1 - key % side;
        (row * (2 * side - 1) + column) as i32
    };
    (0..each * each).map(index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shifted_map_is_built_once_and_keeps_strangers_apart() {
        // A map of 4 x 4, windows of 2, rolled by 1: the last window holds all four corners' strangers.
        let windows = Windows::of(4, 4, 2, 1);
        assert!(Arc::ptr_eq(&windows, &Windows::of(4, 4, 2, 1)));
        assert_eq!((windows.count, windows.split.rows()), (4, 16));
        let mask = windows.mask.as_ref().expect("a mask");
        assert_eq!(mask[..16], [0.0; 16], "the first window is whole");
        let apart = |row: usize| {
            let row: Vec<bool> = mask[3 * 16 + row * 4..][..4]
                .iter()
                .map(|&m| m < 0.0)
                .collect();
            row
        };
        assert_eq!(apart(0), [false, true, true, true]);
        assert!(Windows::of(4, 4, 2, 0).mask.is_none());
    }

    #[test]
    fn an_odd_map_is_padded_and_comes_back_whole() {
        let windows = Windows::of(3, 5, 2, 1);
        assert_eq!((windows.count, windows.split.rows()), (6, 24));
        assert_eq!((windows.join.rows(), merging(3, 5).rows()), (15, 24));
        assert_eq!(windows.join.reversed(), *windows.split);
    }

    #[test]
    fn relative_positions_run_over_the_table() {
        let index = relative_positions(2);
        // A token with itself is the middle of the 3 x 3 table; the first looks back from the last: its corner.
        assert_eq!((index[0], index[5], index[3], index[12]), (4, 4, 0, 8));
    }
}
