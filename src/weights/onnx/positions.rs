//! The table of positions for a grid of any size, as nodes.
//!
//! Resampling is the product with one matrix for each axis, as in this program itself. The format's own
//! `Resize` would not do: runtimes copy their input where sizes are equal, but the reference then still
//! samples at a scale that is not one, unless the picture is square. With elementary operations alone
//! every runtime gives the same numbers.

use super::graph::{Graph, INPUT};
use super::messages::Attribute;

/// Cubic convolution of Keys with PyTorch's a = −0.75: the weights of the four cells around a point that
/// lies `f` behind the second are, one by one, polynomials in `f`. Coefficients of 1, f, f² and f³.
const CUBIC: [[f32; 4]; 4] = [
    [0.0, 1.0, 0.0, 0.0],
    [A, 0.0, -A, 0.0],
    [-2.0 * A, -A - 3.0, 2.0 * A + 3.0, A],
    [A, A + 2.0, -A - 2.0, -A],
];
const A: f32 = -0.75;

/// `table [1, 1 + side², dim]` for the grid of `map [batch, dim, rows, columns]`:
/// `[1, 1 + rows · columns, dim]`, the class token's position first.
///
/// The reference samples at a scale of (n + 0.1)/side. Only where the picture is square and its grid the
/// stored one does it take the table as it is, which is a scale of one. With `antialias` the cubic is
/// DINOv2's for networks with registers.
pub fn positions(
    graph: &mut Graph,
    table: &str,
    map: &str,
    (side, dim): (usize, usize),
    antialias: bool,
) -> String {
    let rows = length(graph, map, 2);
    let columns = length(graph, map, 3);
    let [rows, columns] = match antialias {
        true => [rows, columns].map(|count| smooth_axis(graph, &count, side)),
        false => {
            let more = beyond(graph, &rows, side);
            [rows, columns].map(|count| axis(graph, &count, &more, side))
        }
    };
    let class = graph.slice(table, 1, 0, Some(1));
    let grid = graph.slice(table, 1, 1, None);
    let (s, d) = (side as i64, dim as i64);
    let grid = graph.reshape(&grid, &[s, s * d]);
    let grid = graph.node("MatMul", &[&rows, &grid], &[]);
    let grid = graph.reshape(&grid, &[-1, s, d]);
    let grid = graph.node("MatMul", &[&columns, &grid], &[]);
    let grid = graph.reshape(&grid, &[1, -1, d]);
    graph.concat(&[&class, &grid], 1)
}

/// Length of axis `axis` of `x`.
fn length(graph: &mut Graph, x: &str, axis: i64) -> String {
    let shape = graph.node("Shape", &[x], &[]);
    let axis = graph.integer(axis);
    graph.node("Gather", &[&shape, &axis], &[])
}

fn to_float(graph: &mut Graph, x: &str) -> String {
    graph.node("Cast", &[x], &[("to", Attribute::Integer(1))])
}

/// What is added to the number of cells for the scale: 0 where the table is taken as it is, else 0.1.
fn beyond(graph: &mut Graph, rows: &str, side: usize) -> String {
    let height = length(graph, INPUT, 2);
    let width = length(graph, INPUT, 3);
    let square = graph.node("Equal", &[&height, &width], &[]);
    let stored = graph.integer(side as i64);
    let fits = graph.node("Equal", &[rows, &stored], &[]);
    let same = graph.node("And", &[&square, &fits], &[]);
    let (nothing, more) = (graph.scalar(0.0), graph.scalar(0.1));
    graph.node("Where", &[&same, &nothing, &more], &[])
}

/// The matrix `[count, side]` of one axis: the weights of the stored cells for each of `count` new ones,
/// which are read at `(i + ½) side/(count + more) − ½`. Cells beyond the border repeat it.
fn axis(graph: &mut Graph, count: &str, more: &str, side: usize) -> String {
    let at = points(graph, count, more, side);
    let base = graph.node("Floor", &[&at], &[]);
    let part = graph.node("Sub", &[&at, &base], &[]);
    let weights = weights(graph, &part);
    let around = vec![-1.0, 0.0, 1.0, 2.0];
    let around = graph.floats("around".to_owned(), &[4], around);
    let cells = graph.node("Add", &[&base, &around], &[]);
    let (first, last) = (graph.scalar(0.0), graph.scalar(side as f32 - 1.0));
    let cells = graph.node("Clip", &[&cells, &first, &last], &[]);
    let cells = graph.reshape(&cells, &[-1, 4, 1]);
    let weights = graph.reshape(&weights, &[-1, 4, 1]);
    let stored = (0..side).map(|cell| cell as f32).collect();
    let stored = graph.floats("cells".to_owned(), &[side], stored);
    let hits = graph.node("Equal", &[&cells, &stored], &[]);
    let weights = graph.node("Where", &[&hits, &weights, &first], &[]);
    let axes = graph.integers(&[1]);
    let drop = [("keepdims", Attribute::Integer(0))];
    graph.node("ReduceSum", &[&weights, &axes], &drop)
}

/// The same with the cubic of a = −0.5, as many stored cells wide as a new one covers: cell `c` has the weight
/// of `|c + ½ − (i + ½) side/count| / max(side/count, 1)`, over the sum of all.
fn smooth_axis(graph: &mut Graph, count: &str, side: usize) -> String {
    let none = graph.scalar(0.0);
    // Where cell i is read, and half a cell more: its middle.
    let at = points(graph, count, &none, side);
    let stored = (0..side).map(|cell| cell as f32).collect();
    let stored = graph.floats("cells".to_owned(), &[side], stored);
    let off = graph.node("Sub", &[&stored, &at], &[]);
    let count = to_float(graph, count);
    let (all, one) = (graph.scalar(side as f32), graph.scalar(1.0));
    let wide = graph.node("Div", &[&all, &count], &[]);
    let wide = graph.node("Max", &[&wide, &one], &[]);
    let off = graph.node("Div", &[&off, &wide], &[]);
    let t = graph.node("Abs", &[&off], &[]);
    // Coefficients of t³, t², t and 1 for the middle of the kernel and for its ends.
    let [middle, ends] = [[1.5, -2.5, 0.0, 1.0], [-0.5, 2.5, -4.0, 2.0]].map(|polynomial| {
        let [first, rest @ ..] = polynomial.map(|c| graph.scalar(c));
        rest.iter().fold(first, |sum, next| {
            let sum = graph.node("Mul", &[&t, &sum], &[]);
            graph.node("Add", &[&sum, next], &[])
        })
    });
    let two = graph.scalar(2.0);
    let is_end = graph.node("Less", &[&t, &two], &[]);
    let ends = graph.node("Where", &[&is_end, &ends, &none], &[]);
    let is_middle = graph.node("Less", &[&t, &one], &[]);
    let weights = graph.node("Where", &[&is_middle, &middle, &ends], &[]);
    let axes = graph.integers(&[1]);
    let sum = graph.node("ReduceSum", &[&weights, &axes], &[]);
    graph.node("Div", &[&weights, &sum], &[])
}

/// Where the new cells lie between the stored ones, `[count, 1]`.
fn points(graph: &mut Graph, count: &str, more: &str, side: usize) -> String {
    let (zero, one) = (graph.integer(0), graph.integer(1));
    let index = graph.node("Range", &[&zero, count, &one], &[]);
    let index = to_float(graph, &index);
    let index = graph.reshape(&index, &[-1, 1]);
    let (side, half) = (graph.scalar(side as f32), graph.scalar(0.5));
    let count = to_float(graph, count);
    let count = graph.node("Add", &[&count, more], &[]);
    let step = graph.node("Div", &[&side, &count], &[]);
    let middle = graph.node("Add", &[&index, &half], &[]);
    let at = graph.node("Mul", &[&middle, &step], &[]);
    graph.node("Sub", &[&at, &half], &[])
}

/// The weights of four cells `[count, 4]` at `part [count, 1]` of the way from the second to the third.
fn weights(graph: &mut Graph, part: &str) -> String {
    let [ones, firsts, seconds, thirds] = [0, 1, 2, 3].map(|power| {
        let coefficients = CUBIC[power].to_vec();
        graph.floats(format!("cubic.{power}"), &[4], coefficients)
    });
    [seconds, firsts, ones].iter().fold(thirds, |sum, next| {
        let sum = graph.node("Mul", &[part, &sum], &[]);
        graph.node("Add", &[&sum, next], &[])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubic_weights_are_those_of_the_kernel() {
        let weights = |f: f32| {
            let powers = [1.0, f, f * f, f * f * f];
            [0, 1, 2, 3].map(|cell| {
                let terms = CUBIC.iter().zip(powers);
                terms.map(|(row, power)| row[cell] * power).sum::<f32>()
            })
        };
        // On a cell it is that cell alone, exactly: so the stored table comes out as it is.
        assert_eq!(weights(0.0), [0.0, 1.0, 0.0, 0.0]);
        // Half way: −0.75 · 1/8 outside, and what is missing to one half inside.
        assert_eq!(weights(0.5), [-0.09375, 0.59375, 0.59375, -0.09375]);
        // A quarter on: distances 1.25, 0.25, 0.75, 1.75, worked out by hand from the kernel.
        let expected = [-0.105_468_75, 0.878_906_25, 0.261_718_75, -0.035_156_25];
        assert_eq!(weights(0.25), expected);
    }
}
