//! The messages of an ONNX file: nodes, values, tensors, the model around them.
//!
//! Field numbers and type codes are those of the public `onnx.proto`.

use std::borrow::Cow;

use super::OnnxError;
use super::protobuf::{Message, bytes_header};

/// Files up to this size can be read: protocol buffers count bytes in a signed 32-bit number.
const LARGEST: u64 = i32::MAX as u64;

/// Goes with operator set 17; every runtime that knows the set reads it.
const IR_VERSION: i64 = 8;

/// The first with `LayerNormalization`. From 18 on `ReduceMean` is declared otherwise.
const OPERATOR_SET: i64 = 17;

/// Type codes of elements.
const FLOAT: i64 = 1;
const INT64: i64 = 7;

/// A setting of a node.
#[derive(Debug)]
pub enum Attribute<'a> {
    Float(f32),
    Integer(i64),
    Integers(&'a [i64]),
}

impl Attribute<'_> {
    fn message(&self, name: &str) -> Message {
        let message = Message::default().text(1, name);
        let (message, kind) = match self {
            Attribute::Float(value) => (message.float(2, *value), 1),
            Attribute::Integer(value) => (message.integer(3, *value), 2),
            Attribute::Integers(values) => (message.integers(8, values.iter().copied()), 7),
        };
        message.integer(20, kind)
    }
}

/// One operation, named after its first output.
pub fn node<I: AsRef<str>, O: AsRef<str>>(
    operator: &str,
    inputs: &[I],
    outputs: &[O],
    attributes: &[(&str, Attribute)],
) -> Message {
    let attributes: Vec<_> = attributes.iter().map(|(name, a)| a.message(name)).collect();
    Message::default()
        .texts(1, inputs)
        .texts(2, outputs)
        .text(3, outputs.first().map_or("", AsRef::as_ref))
        .text(4, operator)
        .messages(5, &attributes)
}

/// Length of one axis of an input or output.
#[derive(Clone, Copy, Debug)]
pub enum Axis<'a> {
    Fixed(usize),
    /// Known only when the network runs; axes with the same name are equally long.
    Free(&'a str),
}

/// An input or output of floats.
pub fn value(name: &str, axes: &[Axis]) -> Message {
    let axes = axes.iter().map(|axis| match axis {
        Axis::Fixed(length) => Message::default().integer(1, *length as i64),
        Axis::Free(name) => Message::default().text(2, name),
    });
    let shape = Message::default().messages(1, &axes.collect::<Vec<_>>());
    let tensor = Message::default().integer(1, FLOAT).message(2, &shape);
    let kind = Message::default().message(1, &tensor);
    Message::default().text(1, name).message(2, &kind)
}

/// Elements of a constant.
#[derive(Debug)]
pub enum Elements<'a> {
    Floats(Cow<'a, [f32]>),
    /// A matrix of rows of `columns` numbers, to be written column by column.
    Transposed {
        rows: &'a [f32],
        columns: usize,
    },
    Integers(Vec<i64>),
}

/// A constant of the graph, such as a weight.
#[derive(Debug)]
pub struct Constant<'a> {
    pub shape: Vec<usize>,
    pub elements: Elements<'a>,
}

impl Constant<'_> {
    /// All of the tensor message `name` but the elements themselves, and how many bytes these take.
    fn head(&self, name: &str) -> (Vec<u8>, u64) {
        let (kind, bytes) = match &self.elements {
            Elements::Floats(values) => (FLOAT, values.len() * 4),
            Elements::Transposed { rows, .. } => (FLOAT, rows.len() * 4),
            Elements::Integers(values) => (INT64, values.len() * 8),
        };
        let head = Message::default()
            .integers(1, self.shape.iter().map(|&length| length as i64))
            .integer(2, kind)
            .text(8, name);
        let head = [head.as_bytes(), &bytes_header(9, bytes as u64)].concat();
        (head, bytes as u64)
    }

    fn write_elements(&self, out: &mut Vec<u8>) {
        match &self.elements {
            Elements::Floats(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Elements::Integers(values) => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Elements::Transposed { rows, columns } => {
                for column in 0..*columns {
                    let column = rows.iter().skip(column).step_by(*columns);
                    out.extend(column.flat_map(|v| v.to_le_bytes()));
                }
            }
        }
    }
}

/// The whole file.
#[derive(Debug)]
pub struct Model<'a> {
    pub name: &'a str,
    pub nodes: &'a [Message],
    pub constants: Vec<(String, Constant<'a>)>,
    pub input: Message,
    pub output: Message,
    /// What readers should know beyond the graph.
    pub notes: Vec<(&'a str, String)>,
}

impl Model<'_> {
    /// Everything before the graph.
    fn head(&self) -> Message {
        let set = Message::default().text(1, "").integer(2, OPERATOR_SET);
        let notes = self.notes.iter().map(|(key, text)| {
            let entry = Message::default().text(1, key);
            entry.text(2, text)
        });
        Message::default()
            .integer(1, IR_VERSION)
            .text(2, env!("CARGO_PKG_NAME"))
            .text(3, env!("CARGO_PKG_VERSION"))
            .message(8, &set)
            .messages(14, &notes.collect::<Vec<_>>())
    }

    /// The bytes of the file. Sizes are worked out first, so that weights are copied only once.
    ///
    /// # Errors
    /// [`OnnxError::TooLarge`].
    pub fn encode(&self) -> Result<Vec<u8>, OnnxError> {
        let head = self.head();
        let graph = Message::default()
            .messages(1, self.nodes)
            .text(2, self.name)
            .message(11, &self.input)
            .message(12, &self.output);
        let constants: Vec<_> = self
            .constants
            .iter()
            .map(|(name, constant)| {
                let (inner, bytes) = constant.head(name);
                let header = bytes_header(5, inner.len() as u64 + bytes);
                (constant, [header, inner].concat(), bytes)
            })
            .collect();
        let sizes = constants.iter().map(|(_, head, n)| head.len() as u64 + n);
        let size = graph.as_bytes().len() as u64 + sizes.sum::<u64>();
        let header = bytes_header(7, size);
        let whole = (head.as_bytes().len() + header.len()) as u64 + size;
        if whole > LARGEST {
            return Err(OnnxError::TooLarge { bytes: whole });
        }
        let mut out = Vec::with_capacity(whole as usize);
        out.extend(head.as_bytes());
        out.extend(header);
        out.extend(graph.as_bytes());
        for (constant, head, _) in constants {
            out.extend(head);
            constant.write_elements(&mut out);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_two_gigabytes_is_refused_before_it_is_made() {
        // The same half a gigabyte five times; never touched, so it takes no memory.
        let elements = vec![0.0; 1 << 27];
        let constant = |i: usize| {
            let constant = Constant {
                shape: vec![elements.len()],
                elements: Elements::Floats(Cow::Borrowed(&elements)),
            };
            (format!("weight.{i}"), constant)
        };
        let model = Model {
            name: "large",
            nodes: &[],
            constants: (0..5).map(constant).collect(),
            input: value("image", &[]),
            output: value("tokens", &[]),
            notes: Vec::new(),
        };
        let error = model.encode().expect_err("too large");
        assert!(error.to_string().contains("2 GB"));
        let OnnxError::TooLarge { bytes } = error else {
            panic!("{error}")
        };
        assert!((5 << 29..(5 << 29) + 1000).contains(&bytes));
    }
}
