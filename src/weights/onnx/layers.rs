//! What both transformers are made of, as nodes: shapes, norms, linear layers, attention.

use super::OnnxError;
use super::graph::Graph;
use super::messages::Attribute;
use crate::model::NORM_EPSILON;

/// The end of an axis whose length is not known.
const END: i64 = i64::MAX;

impl Graph<'_> {
    /// `x` in another shape: 0 keeps a length, −1 takes what is left.
    pub fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.integers(shape);
        self.node("Reshape", &[x, &shape], &[])
    }

    /// `x` with its axes in another order.
    pub fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.node("Transpose", &[x], &[("perm", Attribute::Integers(order))])
    }

    /// Values one behind the other along `axis`.
    pub fn concat(&mut self, parts: &[&str], axis: i64) -> String {
        self.node("Concat", parts, &[("axis", Attribute::Integer(axis))])
    }

    /// Elements `from..to` along `axis`; without `to` all that follow.
    pub fn slice(&mut self, x: &str, axis: i64, from: usize, to: Option<usize>) -> String {
        let from = self.integers(&[from as i64]);
        let to = self.integers(&[to.map_or(END, |to| to as i64)]);
        let axis = self.integers(&[axis]);
        self.node("Slice", &[x, &from, &to, &axis], &[])
    }

    /// Mean over `axis`, which stays with length one.
    pub fn mean(&mut self, x: &str, axis: i64) -> String {
        let axes = ("axes", Attribute::Integers(&[axis]));
        let keep = ("keepdims", Attribute::Integer(1));
        self.node("ReduceMean", &[x], &[axes, keep])
    }

    /// Layer norm over the last axis, of length `dim`.
    pub fn norm(&mut self, name: &str, x: &str, dim: usize) -> Result<String, OnnxError> {
        let gain = self.weight(&format!("{name}.weight"), &[dim])?;
        let bias = self.weight(&format!("{name}.bias"), &[dim])?;
        let axis = ("axis", Attribute::Integer(-1));
        let epsilon = ("epsilon", Attribute::Float(NORM_EPSILON));
        Ok(self.node("LayerNormalization", &[x, &gain, &bias], &[axis, epsilon]))
    }

    /// A linear layer without bias.
    pub fn product(
        &mut self,
        name: &str,
        x: &str,
        from: usize,
        to: usize,
    ) -> Result<String, OnnxError> {
        let weight = self.transposed(&format!("{name}.weight"), from, to)?;
        Ok(self.node("MatMul", &[x, &weight], &[]))
    }

    /// A linear layer with bias.
    pub fn linear(
        &mut self,
        name: &str,
        x: &str,
        from: usize,
        to: usize,
    ) -> Result<String, OnnxError> {
        let x = self.product(name, x, from, to)?;
        let bias = self.weight(&format!("{name}.bias"), &[to])?;
        Ok(self.node("Add", &[&x, &bias], &[]))
    }

    /// The exact GELU, `x (1 + erf(x / √2)) / 2`; runtimes know this chain and make one step of it.
    fn gelu(&mut self, x: &str) -> String {
        let (root, one, half) = (
            self.scalar(std::f32::consts::SQRT_2),
            self.scalar(1.0),
            self.scalar(0.5),
        );
        let erf = self.node("Div", &[x, &root], &[]);
        let erf = self.node("Erf", &[&erf], &[]);
        let sum = self.node("Add", &[&erf, &one], &[]);
        let product = self.node("Mul", &[x, &sum], &[]);
        self.node("Mul", &[&product, &half], &[])
    }

    /// The second branch of a block: norm, linear layer, GELU, linear layer.
    pub fn mlp(
        &mut self,
        block: &str,
        x: &str,
        dim: usize,
        hidden: usize,
    ) -> Result<String, OnnxError> {
        let x = self.norm(&format!("{block}.norm2"), x, dim)?;
        let x = self.linear(&format!("{block}.mlp.fc1"), &x, dim, hidden)?;
        let x = self.gelu(&x);
        self.linear(&format!("{block}.mlp.fc2"), &x, hidden, dim)
    }

    /// The convolution that makes a token of each patch: `image [batch, 3, height, width]` →
    /// `[batch, dim, rows, columns]`.
    pub fn patches(&mut self, image: &str, dim: usize, patch: usize) -> Result<String, OnnxError> {
        let kernel = self.weight("patch_embed.proj.weight", &[dim, 3, patch, patch])?;
        let bias = self.weight("patch_embed.proj.bias", &[dim])?;
        let side = [patch as i64; 2];
        let attributes = [
            ("kernel_shape", Attribute::Integers(&side)),
            ("strides", Attribute::Integers(&side)),
        ];
        Ok(self.node("Conv", &[image, &kernel, &bias], &attributes))
    }

    /// A map `[batch, dim, rows, columns]` as tokens, row-major: `[batch, rows · columns, dim]`.
    pub fn tokens(&mut self, map: &str, dim: usize) -> String {
        let tokens = self.reshape(map, &[0, dim as i64, -1]);
        self.transpose(&tokens, &[0, 2, 1])
    }

    /// Attention of tokens among themselves: `qkv [groups, tokens, 3 dim]` → `[groups, tokens, dim]`.
    /// `adjust` may add something to the scores `[groups, heads, tokens, tokens]`.
    pub fn attention(
        &mut self,
        qkv: &str,
        dim: usize,
        heads: usize,
        adjust: impl FnOnce(&mut Self, String) -> String,
    ) -> String {
        let head = dim / heads;
        let parts = self.integers(&[dim as i64; 3]);
        let along = [("axis", Attribute::Integer(2))];
        let [query, key, value] = self
            .node_with("Split", &[qkv, &parts], &along)
            .map(|part: String| self.reshape(&part, &[0, 0, heads as i64, head as i64]));
        let query = self.transpose(&query, &[0, 2, 1, 3]);
        let key = self.transpose(&key, &[0, 2, 3, 1]);
        let value = self.transpose(&value, &[0, 2, 1, 3]);
        let scale = self.scalar((head as f32).powf(-0.5));
        let query = self.node("Mul", &[&query, &scale], &[]);
        let scores = self.node("MatMul", &[&query, &key], &[]);
        let scores = adjust(self, scores);
        let last = [("axis", Attribute::Integer(-1))];
        let looks = self.node("Softmax", &[&scores], &last);
        let x = self.node("MatMul", &[&looks, &value], &[]);
        let x = self.transpose(&x, &[0, 2, 1, 3]);
        self.reshape(&x, &[0, 0, dim as i64])
    }
}

/// # Errors
/// Heads that do not divide the width.
pub fn check_heads(dim: usize, heads: usize) -> Result<(), OnnxError> {
    match heads > 0 && dim.is_multiple_of(heads) {
        true => Ok(()),
        false => Err(OnnxError::Description(format!(
            "{heads} attention heads do not divide a width of {dim}"
        ))),
    }
}
