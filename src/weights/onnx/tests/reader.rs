//! Reads protocol buffers back without knowing any message: the counterpart that the writer is tested against.

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    Integer(i64),
    Float(f32),
    Bytes(Vec<u8>),
}

/// The fields of a message, in order.
#[derive(Clone, Debug)]
pub struct Fields(Vec<(u64, Field)>);

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (&byte, rest) = bytes.split_first().expect("a whole number");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return value;
        }
    }
    unreachable!()
}

impl Fields {
    pub fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let field = match key & 7 {
                0 => Field::Integer(varint(&mut bytes) as i64),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    let (value, rest) = bytes.split_at(length);
                    bytes = rest;
                    Field::Bytes(value.to_vec())
                }
                5 => {
                    let (value, rest) = bytes.split_at(4);
                    bytes = rest;
                    Field::Float(f32::from_le_bytes(value.try_into().expect("four")))
                }
                kind => panic!("kind {kind}"),
            };
            fields.push((key >> 3, field));
        }
        Fields(fields)
    }

    fn of(&self, number: u64) -> impl Iterator<Item = &Field> {
        let fields = self.0.iter();
        fields.filter_map(move |(n, field)| (*n == number).then_some(field))
    }

    pub fn integers(&self, number: u64) -> Vec<i64> {
        let integer = |field: &Field| match field {
            Field::Integer(value) => *value,
            other => panic!("{other:?}"),
        };
        self.of(number).map(integer).collect()
    }

    pub fn bytes(&self, number: u64) -> Vec<&[u8]> {
        fn bytes(field: &Field) -> &[u8] {
            match field {
                Field::Bytes(value) => value,
                other => panic!("{other:?}"),
            }
        }
        self.of(number).map(bytes).collect()
    }

    pub fn texts(&self, number: u64) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        self.bytes(number).into_iter().map(text).collect()
    }

    /// The only text of a field.
    pub fn text(&self, number: u64) -> String {
        let [text] = &self.texts(number)[..] else {
            panic!("not one text in {number}")
        };
        text.clone()
    }

    pub fn messages(&self, number: u64) -> Vec<Fields> {
        self.bytes(number).into_iter().map(Fields::read).collect()
    }

    /// The only message of a field.
    pub fn message(&self, number: u64) -> Fields {
        let [message] = &self.messages(number)[..] else {
            panic!("not one message in {number}")
        };
        message.clone()
    }
}
