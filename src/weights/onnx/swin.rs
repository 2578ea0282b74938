//! A Swin transformer as an ONNX graph, for pictures of one size.

use super::graph::{Graph, INPUT};
use super::layers::check_heads;
use super::messages::Axis;
use super::windowing::{Windowing, grid};
use super::{About, OnnxError};
use crate::model::windows::relative_positions;
use crate::model::{HostTensors, Swin};

/// The bytes of an ONNX file of `network` with `weights`, for pictures of `size` (height, width).
///
/// Input `image [batch, 3, height, width]`: pixels from 0 to 1, normalised with `about`'s mean and
/// standard deviation; only the batch is free, since windows, padding and masks depend on the size.
/// Output `tokens [batch, 1 + rows · columns, width]` after the final norm: the average of the
/// others, then the tokens of the last stage, row-major.
///
/// # Errors
/// Weights of another network, a description that contradicts itself, a size that is not whole
/// patches, a file beyond 2 GB.
pub fn swin(
    network: &Swin,
    weights: &HostTensors,
    size: [usize; 2],
    about: &About,
) -> Result<Vec<u8>, OnnxError> {
    check(network, size)?;
    let mut export = Export {
        graph: Graph::new(weights, &network.prefix),
        network,
    };
    let mut map = export.prepare(size)?;
    for (stage, &depth) in network.depths.iter().enumerate() {
        if stage > 0 {
            map = export.merge(stage - 1, &map)?;
        }
        for i in 0..depth {
            map.x = export.block((stage, i), &map)?;
        }
    }
    let width = network.width(network.depths.len() - 1);
    let x = export.graph.norm("norm", &map.x, width)?;
    let average = export.graph.mean(&x, 1);
    let x = export.graph.concat(&[&average, &x], 1);
    let notes = [
        ("patch_size", network.patch.to_string()),
        ("grid", format!("[{}, {}]", map.rows, map.columns)),
    ];
    let tokens = Axis::Fixed(1 + map.rows * map.columns);
    let [batch, height, columns] = [
        Axis::Free("batch"),
        Axis::Fixed(size[0]),
        Axis::Fixed(size[1]),
    ];
    export.graph.encode(
        &about.name,
        &[batch, Axis::Fixed(3), height, columns],
        (&x, &[batch, tokens, Axis::Fixed(width)]),
        about.notes("swin", &notes),
    )
}

fn check(network: &Swin, [height, width]: [usize; 2]) -> Result<(), OnnxError> {
    let stages = network.depths.len();
    let wrong = |text: String| Err(OnnxError::Description(text));
    if stages == 0 || network.heads.len() != stages {
        let heads = network.heads.len();
        return wrong(format!("{stages} stages, but heads for {heads}"));
    }
    if network.window == 0 || network.patch == 0 {
        return wrong("windows or patches without any side".to_owned());
    }
    for (stage, &heads) in network.heads.iter().enumerate() {
        check_heads(network.width(stage), heads)?;
    }
    let patch = network.patch;
    let whole = |side: usize| side > 0 && side.is_multiple_of(patch);
    match whole(height) && whole(width) {
        true => Ok(()),
        false => Err(OnnxError::Size {
            height,
            width,
            patch,
        }),
    }
}

/// Tokens on their way: the value `x [batch, rows · columns, width]`.
struct Map {
    x: String,
    rows: usize,
    columns: usize,
}

struct Export<'a> {
    graph: Graph<'a>,
    network: &'a Swin,
}

impl Export<'_> {
    /// Pixels → tokens before the first block.
    fn prepare(&mut self, [height, width]: [usize; 2]) -> Result<Map, OnnxError> {
        let (d, patch) = (self.network.dim, self.network.patch);
        let x = self.graph.patches(INPUT, d, patch)?;
        let x = self.graph.tokens(&x, d);
        Ok(Map {
            x: self.graph.norm("patch_embed.norm", &x, d)?,
            rows: height / patch,
            columns: width / patch,
        })
    }

    /// Block `i` of stage `stage`.
    fn block(&mut self, (stage, i): (usize, usize), map: &Map) -> Result<String, OnnxError> {
        let d = self.network.width(stage);
        let heads = self.network.heads[stage];
        let (side, shift) = self.network.windowing(stage);
        let windowing = Windowing {
            rows: map.rows,
            columns: map.columns,
            width: d,
            side,
            shift: if i % 2 == 1 { shift } else { 0 },
        };
        let block = format!("layers.{stage}.blocks.{i}");
        let bias = self.position_bias(&block, heads, side)?;
        let graph = &mut self.graph;
        let x = graph.norm(&format!("{block}.norm1"), &map.x, d)?;
        let x = windowing.split(graph, &x);
        let qkv = graph.linear(&format!("{block}.attn.qkv"), &x, d, 3 * d)?;
        let x = graph.attention(&qkv, d, heads, |graph, scores| {
            let scores = graph.node("Add", &[&scores, &bias], &[]);
            windowing.mask(graph, scores, heads)
        });
        let x = windowing.join(graph, &x);
        let x = graph.linear(&format!("{block}.attn.proj"), &x, d, d)?;
        let x = graph.node("Add", &[&map.x, &x], &[]);
        let hidden = (d as f64 * self.network.mlp_ratio) as usize;
        let branch = graph.mlp(&block, &x, d, hidden)?;
        Ok(graph.node("Add", &[&x, &branch], &[]))
    }

    /// The learned bias of every head, query and key of a window, `[heads, side², side²]`.
    fn position_bias(
        &mut self,
        block: &str,
        heads: usize,
        side: usize,
    ) -> Result<String, OnnxError> {
        let name = format!("{block}.attn.relative_position_bias_table");
        let shape = [(2 * side - 1).pow(2), heads];
        let table = self.graph.elements(&name, &shape)?;
        let index = relative_positions(side);
        let at = |head| {
            let index = index.iter();
            index.filter_map(move |&row| table.get(row as usize * heads + head))
        };
        let bias = (0..heads).flat_map(at).copied().collect();
        let each = side * side;
        let name = format!("{block}.attn.relative_position_bias");
        Ok(self.graph.floats(name, &[heads, each, each], bias))
    }

    /// Patch merging after stage `stage`: half the side, twice the width. Of every two by two tokens those
    /// of the left column come first.
    fn merge(&mut self, stage: usize, map: &Map) -> Result<Map, OnnxError> {
        let d = self.network.width(stage);
        let name = format!("layers.{stage}.downsample");
        let (rows, columns) = (map.rows.div_ceil(2), map.columns.div_ceil(2));
        let graph = &mut self.graph;
        let to = (2 * rows, 2 * columns);
        let x = grid(graph, &map.x, (map.rows, map.columns), d, to);
        let x = graph.reshape(&x, &[-1, 2, columns as i64, 2, d as i64]);
        let x = graph.transpose(&x, &[0, 2, 3, 1, 4]);
        let x = graph.reshape(&x, &[-1, (rows * columns) as i64, 4 * d as i64]);
        let x = graph.norm(&format!("{name}.norm"), &x, 4 * d)?;
        Ok(Map {
            x: graph.product(&format!("{name}.reduction"), &x, 4 * d, 2 * d)?,
            rows,
            columns,
        })
    }
}
