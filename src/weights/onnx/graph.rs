//! A graph under construction: nodes, constants and the weights that become constants.
//!
//! A value is known by its name, as in the file.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::OnnxError;
use super::messages::{self, Attribute, Axis, Constant, Elements, Model};
use super::protobuf::Message;
use crate::model::HostTensors;

/// Nodes and constants so far.
#[derive(Debug)]
pub struct Graph<'a> {
    weights: &'a HostTensors,
    prefix: &'a str,
    nodes: Vec<Message>,
    constants: BTreeMap<String, Constant<'a>>,
    /// Values so far: makes their names differ.
    values: usize,
}

impl<'a> Graph<'a> {
    /// An empty graph for weights whose names begin with `prefix`.
    pub fn new(weights: &'a HostTensors, prefix: &'a str) -> Self {
        Graph {
            weights,
            prefix,
            nodes: Vec::new(),
            constants: BTreeMap::new(),
            values: 0,
        }
    }

    /// The elements of weight `name`.
    ///
    /// # Errors
    /// No such weight, or another shape.
    pub fn elements(&self, name: &str, shape: &[usize]) -> Result<&'a [f32], OnnxError> {
        let name = format!("{}{name}", self.prefix);
        let Some(found) = self.weights.get(&name) else {
            return Err(OnnxError::Missing(name));
        };
        if found.shape != shape {
            return Err(OnnxError::Shape {
                name,
                found: found.shape.clone(),
                expected: shape.to_vec(),
            });
        }
        let expected = shape.iter().product();
        match found.data.len() == expected {
            true => Ok(&found.data),
            false => Err(OnnxError::Count {
                name,
                shape: shape.to_vec(),
                found: found.data.len(),
                expected,
            }),
        }
    }

    /// Weight `name` as it is.
    ///
    /// # Errors
    /// As [`Graph::elements`].
    pub fn weight(&mut self, name: &str, shape: &[usize]) -> Result<String, OnnxError> {
        let elements = Elements::Floats(Cow::Borrowed(self.elements(name, shape)?));
        Ok(self.constant(name.to_owned(), shape, elements))
    }

    /// The matrix `name [to, from]`, transposed: `[from, to]`.
    ///
    /// # Errors
    /// As [`Graph::elements`].
    pub fn transposed(&mut self, name: &str, from: usize, to: usize) -> Result<String, OnnxError> {
        let rows = self.elements(name, &[to, from])?;
        let elements = Elements::Transposed {
            rows,
            columns: from,
        };
        Ok(self.constant(name.to_owned(), &[from, to], elements))
    }

    /// A constant under a name of its own; the first one of a name stays.
    fn constant(&mut self, name: String, shape: &[usize], elements: Elements<'a>) -> String {
        let shape = shape.to_vec();
        let constant = Constant { shape, elements };
        self.constants.entry(name.clone()).or_insert(constant);
        name
    }

    /// Floats that are no weight.
    pub fn floats(&mut self, name: String, shape: &[usize], values: Vec<f32>) -> String {
        self.constant(name, shape, Elements::Floats(Cow::Owned(values)))
    }

    /// One float.
    pub fn scalar(&mut self, value: f32) -> String {
        self.floats(format!("float.{value}"), &[], vec![value])
    }

    /// A list of integers, such as a shape.
    pub fn integers(&mut self, values: &[i64]) -> String {
        let texts: Vec<_> = values.iter().map(i64::to_string).collect();
        let name = format!("integers.{}", texts.join("_"));
        self.constant(name, &[values.len()], Elements::Integers(values.to_vec()))
    }

    /// One integer.
    pub fn integer(&mut self, value: i64) -> String {
        let elements = Elements::Integers(vec![value]);
        self.constant(format!("integer.{value}"), &[], elements)
    }

    /// Adds an operation with one output and gives the output's name.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let [output] = self.node_with(operator, inputs, attributes);
        output
    }

    /// The same with `N` outputs.
    pub fn node_with<const N: usize>(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> [String; N] {
        let outputs = [(); N].map(|()| {
            self.values += 1;
            format!("{operator}_{}", self.values)
        });
        let node = messages::node(operator, inputs, &outputs, attributes);
        self.nodes.push(node);
        outputs
    }

    /// The file: `image` of shape `input` goes in, `tokens` of shape `output`, the value `last`, come out.
    ///
    /// # Errors
    /// [`OnnxError::TooLarge`].
    pub fn encode(
        mut self,
        name: &str,
        input: &[Axis],
        (last, output): (&str, &[Axis]),
        notes: Vec<(&str, String)>,
    ) -> Result<Vec<u8>, OnnxError> {
        let node = messages::node("Identity", &[last], &[OUTPUT], &[]);
        self.nodes.push(node);
        let model = Model {
            name,
            nodes: &self.nodes,
            constants: self.constants.into_iter().collect(),
            input: messages::value(INPUT, input),
            output: messages::value(OUTPUT, output),
            notes,
        };
        model.encode()
    }
}

/// Name of the pictures that go in.
pub const INPUT: &str = "image";

/// Name of the tokens that come out.
const OUTPUT: &str = "tokens";
