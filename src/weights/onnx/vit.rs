//! A vision transformer as an ONNX graph, for pictures of any size.

use super::graph::{Graph, INPUT};
use super::layers::check_heads;
use super::messages::Axis;
use super::positions::positions;
use super::{About, OnnxError};
use crate::model::{HostTensors, Vit};

/// The bytes of an ONNX file of `network` with `weights`.
///
/// Input `image [batch, 3, height, width]`: pixels from 0 to 1, normalised with `about`'s mean and
/// standard deviation; all of batch, height and width are free, and pixels beyond the last whole
/// patch are left out. Output `tokens [batch, 1 + registers + patches, dim]` after the final norm:
/// class token, register tokens, patches row-major. With mean pooling only the first token is
/// normalised, as in the reference.
///
/// # Errors
/// Weights of another network, a description that contradicts itself, a file beyond 2 GB.
pub fn vit(network: &Vit, weights: &HostTensors, about: &About) -> Result<Vec<u8>, OnnxError> {
    check_heads(network.dim, network.heads)?;
    let (image, patch) = (network.image, network.patch);
    if patch == 0 || patch > image {
        let text = format!("patches of {patch} pixels in pictures of {image}");
        return Err(OnnxError::Description(text));
    }
    let mut export = Export {
        graph: Graph::new(weights, &network.prefix),
        network,
    };
    let mut x = export.prepare()?;
    for i in 0..network.depth {
        x = export.block(i, &x)?;
    }
    let x = export.finish(&x)?;
    let notes = [
        ("patch_size", network.patch.to_string()),
        ("registers", network.registers.to_string()),
    ];
    let [batch, height, width, tokens] = ["batch", "height", "width", "tokens"].map(Axis::Free);
    export.graph.encode(
        &about.name,
        &[batch, Axis::Fixed(3), height, width],
        (&x, &[batch, tokens, Axis::Fixed(network.dim)]),
        about.notes("vit", &notes),
    )
}

struct Export<'a> {
    graph: Graph<'a>,
    network: &'a Vit,
}

impl Export<'_> {
    /// Pixels → tokens before the first block.
    fn prepare(&mut self) -> Result<String, OnnxError> {
        let d = self.network.dim;
        let map = self.graph.patches(INPUT, d, self.network.patch)?;
        let side = self.network.side();
        let table = self.graph.weight("pos_embed", &[1, side * side + 1, d])?;
        let antialias = self.network.registers > 0;
        let positions = positions(&mut self.graph, &table, &map, (side, d), antialias);
        let patches = self.graph.tokens(&map, d);
        let class = self.graph.weight("cls_token", &[1, 1, d])?;
        let class = self.for_each_image(&class);
        let x = self.graph.concat(&[&class, &patches], 1);
        let x = self.graph.node("Add", &[&x, &positions], &[]);
        if self.network.registers == 0 {
            return Ok(x);
        }
        let shape = [1, self.network.registers, d];
        let registers = self.graph.weight("register_tokens", &shape)?;
        let registers = self.for_each_image(&registers);
        let class = self.graph.slice(&x, 1, 0, Some(1));
        let patches = self.graph.slice(&x, 1, 1, None);
        Ok(self.graph.concat(&[&class, &registers, &patches], 1))
    }

    /// `token [1, count, dim]` once for every image of the batch.
    fn for_each_image(&mut self, token: &str) -> String {
        let graph = &mut self.graph;
        let shape = graph.node("Shape", &[INPUT], &[]);
        let batch = graph.slice(&shape, 0, 0, Some(1));
        let ones = graph.integers(&[1, 1]);
        let times = graph.concat(&[&batch, &ones], 0);
        graph.node("Expand", &[token, &times], &[])
    }

    /// Block `i`.
    fn block(&mut self, i: usize, x: &str) -> Result<String, OnnxError> {
        let (d, heads) = (self.network.dim, self.network.heads);
        let block = format!("blocks.{i}");
        let graph = &mut self.graph;
        let branch = graph.norm(&format!("{block}.norm1"), x, d)?;
        let name = format!("{block}.attn.qkv");
        let qkv = match self.network.qkv_bias {
            true => graph.linear(&name, &branch, d, 3 * d)?,
            false => graph.product(&name, &branch, d, 3 * d)?,
        };
        let branch = graph.attention(&qkv, d, heads, |_, scores| scores);
        let branch = graph.linear(&format!("{block}.attn.proj"), &branch, d, d)?;
        let x = self.residual(x, branch, &format!("{block}.gamma_1"))?;
        let hidden = (d as f64 * self.network.mlp_ratio) as usize;
        let branch = self.graph.mlp(&block, &x, d, hidden)?;
        self.residual(&x, branch, &format!("{block}.gamma_2"))
    }

    /// Adds a residual branch, scaled by `gamma` where the network has layer scale.
    fn residual(&mut self, x: &str, branch: String, gamma: &str) -> Result<String, OnnxError> {
        let branch = match self.network.layer_scale > 0.0 {
            true => {
                let gamma = self.graph.weight(gamma, &[self.network.dim])?;
                self.graph.node("Mul", &[&branch, &gamma], &[])
            }
            false => branch,
        };
        Ok(self.graph.node("Add", &[x, &branch], &[]))
    }

    /// The final norm; with mean pooling, the normalised mean of the patches as class token instead.
    fn finish(&mut self, x: &str) -> Result<String, OnnxError> {
        let d = self.network.dim;
        if !self.network.mean_pool {
            return self.graph.norm("norm", x, d);
        }
        let others = self.graph.slice(x, 1, 1, None);
        let patches = self.graph.slice(x, 1, 1 + self.network.registers, None);
        let mean = self.graph.mean(&patches, 1);
        let mean = self.graph.norm("fc_norm", &mean, d)?;
        Ok(self.graph.concat(&[&mean, &others], 1))
    }
}
