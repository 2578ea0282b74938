//! How a Swin block cuts a map of one size into windows and puts it together again, as nodes.

use super::graph::Graph;
use crate::model::windows::Windows;

/// A map `[batch, rows · columns, width]` and its windows of `side` by `side` tokens, rolled by `shift`.
#[derive(Clone, Copy, Debug)]
pub struct Windowing {
    pub rows: usize,
    pub columns: usize,
    pub width: usize,
    pub side: usize,
    pub shift: usize,
}

impl Windowing {
    /// Rows and columns of the map after padding to whole windows.
    fn padded(&self) -> (usize, usize) {
        let whole = |length: usize| length.next_multiple_of(self.side);
        (whole(self.rows), whole(self.columns))
    }

    /// The map → its windows, `[batch · windows, side², width]`.
    pub fn split(&self, graph: &mut Graph, x: &str) -> String {
        let (rows, columns) = self.padded();
        let (side, width) = (self.side, self.width);
        let x = grid(graph, x, (self.rows, self.columns), width, (rows, columns));
        let x = roll(graph, &x, 1, self.shift, rows);
        let x = roll(graph, &x, 2, self.shift, columns);
        // Rows of windows, rows in a window, windows in a row, what one line of a window holds: four
        // axes are enough, which more runtimes transpose than six.
        let x = reshape(graph, &x, &[side, columns / side, side * width]);
        let x = graph.transpose(&x, &[0, 2, 1, 3]);
        reshape(graph, &x, &[side * side, width])
    }

    /// And back, without the padding.
    pub fn join(&self, graph: &mut Graph, x: &str) -> String {
        let (rows, columns) = self.padded();
        let (side, width) = (self.side, self.width);
        let x = reshape(graph, x, &[columns / side, side, side * width]);
        let x = graph.transpose(&x, &[0, 2, 1, 3]);
        let x = reshape(graph, &x, &[rows, columns, width]);
        let back = |length: usize| {
            if self.shift > 0 {
                length - self.shift
            } else {
                0
            }
        };
        let x = roll(graph, &x, 1, back(rows), rows);
        let mut x = roll(graph, &x, 2, back(columns), columns);
        for (axis, whole, length) in [(1, rows, self.rows), (2, columns, self.columns)] {
            if whole > length {
                x = graph.slice(&x, axis, 0, Some(length));
            }
        }
        reshape(graph, &x, &[self.rows * self.columns, width])
    }

    /// Keeps tokens of a rolled map that were not neighbours before from seeing each other:
    /// `scores [batch · windows, heads, side², side²]`.
    pub fn mask(&self, graph: &mut Graph, scores: String, heads: usize) -> String {
        let windows = Windows::of(self.rows, self.columns, self.side, self.shift);
        let Some(mask) = &windows.mask else {
            return scores;
        };
        let (count, each) = (windows.count, self.side * self.side);
        let (rows, columns) = self.padded();
        let name = format!("mask.{rows}x{columns}.{}.{}", self.side, self.shift);
        let mask = graph.floats(name, &[count, 1, each, each], mask.to_vec());
        let scores = reshape(graph, &scores, &[count, heads, each, each]);
        let scores = graph.node("Add", &[&scores, &mask], &[]);
        reshape(graph, &scores, &[heads, each, each])
    }
}

/// Tokens `[batch, rows · columns, width]` as a map `[batch, rows, columns, width]`, with zeros at the bottom
/// and the right up to `to` rows and columns.
pub fn grid(
    graph: &mut Graph,
    x: &str,
    (rows, columns): (usize, usize),
    width: usize,
    to: (usize, usize),
) -> String {
    let x = reshape(graph, x, &[rows, columns, width]);
    if to == (rows, columns) {
        return x;
    }
    let (below, beside) = ((to.0 - rows) as i64, (to.1 - columns) as i64);
    let zeros = graph.integers(&[0, 0, 0, 0, 0, below, beside, 0]);
    graph.node("Pad", &[&x, &zeros], &[])
}

/// `x` with a first axis that takes what the others leave.
fn reshape(graph: &mut Graph, x: &str, rest: &[usize]) -> String {
    let rest = rest.iter().map(|&length| length as i64);
    let shape: Vec<_> = std::iter::once(-1).chain(rest).collect();
    graph.reshape(x, &shape)
}

/// Takes the first `by` of `length` elements along `axis` to the end.
fn roll(graph: &mut Graph, x: &str, axis: i64, by: usize, length: usize) -> String {
    if by == 0 {
        return x.to_owned();
    }
    let front = graph.slice(x, axis, 0, Some(by));
    let rest = graph.slice(x, axis, by, Some(length));
    graph.concat(&[&rest, &front], axis)
}
