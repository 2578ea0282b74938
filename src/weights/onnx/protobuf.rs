//! The wire format of protocol buffers, as far as an ONNX file needs it.
//!
//! A message is its fields one behind the other, each a number that says which field and of which
//! kind, then the value. Facts from the format's public description; field numbers of ONNX stand
//! where the messages are made.

/// Kinds of values on the wire.
const VARINT: u32 = 0;
const BYTES: u32 = 2;
const FOUR_BYTES: u32 = 5;

/// A message under construction; every method adds one field.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

/// Seven bits a byte, lowest first; the top bit says that more follow.
fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What stands before `length` bytes of field `field`.
pub fn bytes_header(field: u32, length: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, u64::from(field << 3 | BYTES));
    put_varint(&mut out, length);
    out
}

impl Message {
    fn key(&mut self, field: u32, kind: u32) {
        put_varint(&mut self.0, u64::from(field << 3 | kind));
    }

    /// An integer. Negative ones take ten bytes, as the format wants it.
    pub fn integer(mut self, field: u32, value: i64) -> Self {
        self.key(field, VARINT);
        put_varint(&mut self.0, value as u64);
        self
    }

    /// A repeated integer, one field each: both generations of readers accept this.
    pub fn integers(self, field: u32, values: impl IntoIterator<Item = i64>) -> Self {
        let add = |message: Self, value| message.integer(field, value);
        values.into_iter().fold(self, add)
    }

    pub fn float(mut self, field: u32, value: f32) -> Self {
        self.key(field, FOUR_BYTES);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn text(self, field: u32, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// A repeated text.
    pub fn texts<T: AsRef<str>>(self, field: u32, values: &[T]) -> Self {
        let add = |message: Self, value: &T| message.text(field, value.as_ref());
        values.iter().fold(self, add)
    }

    /// A message within.
    pub fn message(self, field: u32, value: &Message) -> Self {
        self.bytes(field, &value.0)
    }

    /// A repeated message.
    pub fn messages(self, field: u32, values: &[Message]) -> Self {
        let add = |message: Self, value| message.message(field, value);
        values.iter().fold(self, add)
    }

    fn bytes(mut self, field: u32, value: &[u8]) -> Self {
        self.0.extend(bytes_header(field, value.len() as u64));
        self.0.extend(value);
        self
    }

    /// The fields so far.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_as_in_the_formats_own_examples() {
        let message = Message::default().integer(1, 150);
        assert_eq!(message.as_bytes(), [0x08, 0x96, 0x01]);
        let text = Message::default().text(2, "testing");
        assert_eq!(text.as_bytes(), b"\x12\x07testing");
        let nested = Message::default().message(3, &message);
        assert_eq!(nested.as_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn negative_integers_and_floats_keep_their_bits() {
        let minus = Message::default().integer(1, -1);
        let mut expected = vec![0x08];
        expected.extend([0xff; 9]);
        expected.push(0x01);
        assert_eq!(minus.as_bytes(), expected);
        let half = Message::default().float(2, 0.5);
        assert_eq!(half.as_bytes(), [0x15, 0, 0, 0, 0x3f]);
        let high = Message::default().integer(20, 7);
        assert_eq!(high.as_bytes(), [0xa0, 0x01, 0x07]);
    }
}
