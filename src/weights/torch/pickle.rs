//! Python's pickles as data.
//!
//! A pickle is a program for a small stack machine that can call any function. Here nothing is called: what would
//! be a call stays a record of its name and arguments. Items refer to each other by number, so that items that
//! stand in many places are held once, and depth costs no stack.

use std::collections::HashMap;

use super::TorchError;

/// Number of an item.
pub type Id = usize;

/// Items that a pickle may make: a checkpoint of a large network has some ten thousand.
const MOST_ITEMS: usize = 4_000_000;

/// One object.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A list, tuple or set.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function by module and name, such as `collections OrderedDict`.
    Global(String),
    /// What a class or function would have made of its arguments, with what was put into it afterwards.
    Call {
        callee: Id,
        arguments: Id,
        state: Option<Id>,
        entries: Vec<(Id, Id)>,
        elements: Vec<Id>,
    },
    /// Something outside of the pickle: a storage.
    Persistent(Id),
}

/// The items of one pickle.
#[derive(Debug)]
pub struct Pickle {
    items: Vec<Item>,
    pub root: Id,
}

impl Pickle {
    /// The item of a number that this pickle gave.
    pub fn get(&self, id: Id) -> &Item {
        self.items.get(id).unwrap_or(&Item::None)
    }

    /// All of them, in the order in which they were made.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.items.iter()
    }

    pub fn text(&self, id: Id) -> Option<&str> {
        match self.get(id) {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn int(&self, id: Id) -> Option<i64> {
        match *self.get(id) {
            Item::Int(value) => Some(value),
            _ => None,
        }
    }

    /// The elements of a list or tuple; also of `torch.Size` and the like, which are calls with one list.
    pub fn list(&self, id: Id) -> Option<&[Id]> {
        match self.get(id) {
            Item::List(list) => Some(list),
            Item::Call { arguments, .. } => match self.get(*arguments) {
                Item::List(arguments) => match self.get(*arguments.first()?) {
                    Item::List(list) => Some(list),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        }
    }

    /// Whole numbers, none of them negative.
    pub fn sizes(&self, id: Id) -> Option<Vec<usize>> {
        let size = |&id: &Id| usize::try_from(self.int(id)?).ok();
        self.list(id)?.iter().map(size).collect()
    }

    /// Name and arguments of what would be a call.
    pub fn call(&self, id: Id) -> Option<(&str, &[Id])> {
        let Item::Call {
            callee, arguments, ..
        } = self.get(id)
        else {
            return None;
        };
        match (self.get(*callee), self.get(*arguments)) {
            (Item::Global(name), Item::List(arguments)) => Some((name, arguments)),
            _ => None,
        }
    }

    /// Reads one pickle from the front of `bytes`; gives it and its length.
    ///
    /// # Errors
    /// A pickle that is cut short, damaged, or too large to be meant.
    pub fn read(bytes: &[u8]) -> Result<(Self, usize), TorchError> {
        let mut machine = Machine {
            bytes,
            at: 0,
            items: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        let root = machine.run()?;
        let items = machine.items;
        Ok((Pickle { items, root }, machine.at))
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    items: Vec<Item>,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    fn damaged(&self, what: impl Into<String>) -> TorchError {
        TorchError::Pickle {
            at: self.at,
            what: what.into(),
        }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], TorchError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let Some(taken) = rest.get(..count) else {
            return Err(self.damaged(format!(
                "{count} bytes should follow, but there are {}",
                rest.len()
            )));
        };
        self.at += count;
        Ok(taken)
    }

    /// A number of `N` bytes, the lowest first.
    fn number<const N: usize>(&mut self) -> Result<u64, TorchError> {
        let bytes = self.take(N)?;
        let number = bytes.iter().rev().fold(0u64, |n, &b| n << 8 | u64::from(b));
        Ok(number)
    }

    fn length<const N: usize>(&mut self) -> Result<&'a [u8], TorchError> {
        let count = self.number::<N>()?;
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.take(count)
    }

    fn line(&mut self) -> Result<&'a str, TorchError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|&b| b == b'\n');
        let Some(end) = end else {
            return Err(self.damaged("a line has no end"));
        };
        self.at += end + 1;
        let line = rest.get(..end).unwrap_or_default();
        std::str::from_utf8(line).map_err(|_| self.damaged("a line is no text"))
    }

    fn add(&mut self, item: Item) -> Result<Id, TorchError> {
        if self.items.len() >= MOST_ITEMS {
            return Err(self.damaged(format!("it has more than {MOST_ITEMS} objects")));
        }
        self.items.push(item);
        Ok(self.items.len() - 1)
    }

    fn push(&mut self, item: Item) -> Result<(), TorchError> {
        let id = self.add(item)?;
        self.stack.push(id);
        Ok(())
    }

    fn text(&mut self, bytes: &[u8]) -> Result<(), TorchError> {
        // Old strings are bytes of any encoding; names and types are plain.
        let text = String::from_utf8_lossy(bytes).into_owned();
        self.push(Item::Text(text))
    }

    fn pop(&mut self) -> Result<Id, TorchError> {
        let lowest = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > lowest {
            true => self
                .stack
                .pop()
                .ok_or_else(|| self.damaged("nothing is left")),
            false => Err(self.damaged("it takes an object where there is none")),
        }
    }

    fn top(&mut self) -> Result<Id, TorchError> {
        let id = self.pop()?;
        self.stack.push(id);
        Ok(id)
    }

    /// Everything since the last mark.
    fn marked(&mut self) -> Result<Vec<Id>, TorchError> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark.min(self.stack.len()))),
            None => Err(self.damaged("a mark is missing")),
        }
    }

    fn pairs(&self, ids: &[Id]) -> Result<Vec<(Id, Id)>, TorchError> {
        let (pairs, rest) = ids.as_chunks::<2>();
        match rest.is_empty() {
            true => Ok(pairs.iter().map(|&[key, value]| (key, value)).collect()),
            false => Err(self.damaged("a key has no value")),
        }
    }

    fn tuple(&mut self, count: usize) -> Result<(), TorchError> {
        let mut list = Vec::with_capacity(count);
        for _ in 0..count {
            list.push(self.pop()?);
        }
        list.reverse();
        self.push(Item::List(list))
    }

    fn call(&mut self, callee: Id, arguments: Id) -> Result<(), TorchError> {
        self.push(Item::Call {
            callee,
            arguments,
            state: None,
            entries: Vec::new(),
            elements: Vec::new(),
        })
    }

    fn put_entries(&mut self, into: Id, new: Vec<(Id, Id)>) -> Result<(), TorchError> {
        match self.items.get_mut(into) {
            Some(Item::Dict(entries) | Item::Call { entries, .. }) => {
                entries.extend(new);
                Ok(())
            }
            _ => Err(self.damaged("entries are put into what is no dictionary")),
        }
    }

    fn put_elements(&mut self, into: Id, new: Vec<Id>) -> Result<(), TorchError> {
        match self.items.get_mut(into) {
            Some(Item::List(elements) | Item::Call { elements, .. }) => {
                elements.extend(new);
                Ok(())
            }
            _ => Err(self.damaged("elements are put into what is no list")),
        }
    }

    fn remember(&mut self, place: u64) -> Result<(), TorchError> {
        let id = self.top()?;
        self.memo.insert(place, id);
        Ok(())
    }

    fn recall(&mut self, place: u64) -> Result<(), TorchError> {
        match self.memo.get(&place) {
            Some(&id) => {
                self.stack.push(id);
                Ok(())
            }
            None => Err(self.damaged(format!("it refers to object {place}, which is not there"))),
        }
    }

    fn long(&mut self, bytes: &[u8]) -> Result<(), TorchError> {
        let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        match bytes.len() > 8 {
            // Larger than any size; the magic number of old files is one.
            true => self.push(Item::Bytes(bytes.to_vec())),
            false => {
                wide.iter_mut().zip(bytes).for_each(|(w, &b)| *w = b);
                self.push(Item::Int(i64::from_le_bytes(wide)))
            }
        }
    }

    fn run(&mut self) -> Result<Id, TorchError> {
        loop {
            let opcode = self.number::<1>()? as u8;
            match opcode {
                b'.' => return self.pop(),
                0x80 => _ = self.take(1)?,
                0x95 => _ = self.take(8)?,
                b'(' => self.marks.push(self.stack.len()),
                b'0' => _ = self.pop()?,
                b'1' => _ = self.marked()?,
                b'2' => {
                    let id = self.top()?;
                    self.stack.push(id);
                }
                b'N' => self.push(Item::None)?,
                0x88 => self.push(Item::Bool(true))?,
                0x89 => self.push(Item::Bool(false))?,
                b'J' => {
                    let value = self.number::<4>()? as u32 as i32;
                    self.push(Item::Int(value.into()))?;
                }
                b'K' => {
                    let value = self.number::<1>()?;
                    self.push(Item::Int(value as i64))?;
                }
                b'M' => {
                    let value = self.number::<2>()?;
                    self.push(Item::Int(value as i64))?;
                }
                b'I' | b'L' => {
                    let line = self.line()?;
                    let item = match line {
                        "00" => Item::Bool(false),
                        "01" => Item::Bool(true),
                        line => match line.trim_end_matches('L').parse() {
                            Ok(value) => Item::Int(value),
                            Err(_) => return Err(self.damaged(format!("{line:?} is no number"))),
                        },
                    };
                    self.push(item)?;
                }
                0x8a => {
                    let bytes = self.length::<1>()?;
                    self.long(bytes)?;
                }
                0x8b => {
                    let bytes = self.length::<4>()?;
                    self.long(bytes)?;
                }
                b'F' => {
                    let line = self.line()?;
                    match line.parse() {
                        Ok(value) => self.push(Item::Float(value))?,
                        Err(_) => return Err(self.damaged(format!("{line:?} is no number"))),
                    }
                }
                b'G' => {
                    let bits = self.number::<8>()?.swap_bytes();
                    self.push(Item::Float(f64::from_bits(bits)))?;
                }
                b'S' | b'V' => {
                    let line = self.line()?;
                    let bare = line.trim_matches(['\'', '"']);
                    self.text(bare.as_bytes())?;
                }
                b'T' | b'X' => {
                    let bytes = self.length::<4>()?;
                    self.text(bytes)?;
                }
                b'U' | 0x8c => {
                    let bytes = self.length::<1>()?;
                    self.text(bytes)?;
                }
                0x8d => {
                    let bytes = self.length::<8>()?;
                    self.text(bytes)?;
                }
                b'B' => {
                    let bytes = self.length::<4>()?.to_vec();
                    self.push(Item::Bytes(bytes))?;
                }
                b'C' => {
                    let bytes = self.length::<1>()?.to_vec();
                    self.push(Item::Bytes(bytes))?;
                }
                0x8e | 0x96 => {
                    let bytes = self.length::<8>()?.to_vec();
                    self.push(Item::Bytes(bytes))?;
                }
                b']' | b')' | 0x8f => self.push(Item::List(Vec::new()))?,
                b'l' | b't' | 0x91 => {
                    let list = self.marked()?;
                    self.push(Item::List(list))?;
                }
                0x85 => self.tuple(1)?,
                0x86 => self.tuple(2)?,
                0x87 => self.tuple(3)?,
                b'a' => {
                    let element = self.pop()?;
                    let list = self.top()?;
                    self.put_elements(list, vec![element])?;
                }
                b'e' | 0x90 => {
                    let elements = self.marked()?;
                    let list = self.top()?;
                    self.put_elements(list, elements)?;
                }
                b'}' => self.push(Item::Dict(Vec::new()))?,
                b'd' => {
                    let ids = self.marked()?;
                    let pairs = self.pairs(&ids)?;
                    self.push(Item::Dict(pairs))?;
                }
                b's' => {
                    let value = self.pop()?;
                    let key = self.pop()?;
                    let dict = self.top()?;
                    self.put_entries(dict, vec![(key, value)])?;
                }
                b'u' => {
                    let ids = self.marked()?;
                    let pairs = self.pairs(&ids)?;
                    let dict = self.top()?;
                    self.put_entries(dict, pairs)?;
                }
                b'p' | b'g' => {
                    let line = self.line()?;
                    let Ok(place) = line.parse() else {
                        return Err(self.damaged(format!("{line:?} is no number")));
                    };
                    match opcode {
                        b'p' => self.remember(place)?,
                        _ => self.recall(place)?,
                    }
                }
                b'q' => {
                    let place = self.number::<1>()?;
                    self.remember(place)?;
                }
                b'r' => {
                    let place = self.number::<4>()?;
                    self.remember(place)?;
                }
                0x94 => self.remember(self.memo.len() as u64)?,
                b'h' => {
                    let place = self.number::<1>()?;
                    self.recall(place)?;
                }
                b'j' => {
                    let place = self.number::<4>()?;
                    self.recall(place)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Item::Global(format!("{module} {name}")))?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let text = |id: Id| match self.items.get(id) {
                        Some(Item::Text(text)) => Some(text.as_str()),
                        _ => None,
                    };
                    let Some((module, name)) = text(module).zip(text(name)) else {
                        return Err(self.damaged("a class has no name"));
                    };
                    let global = format!("{module} {name}");
                    self.push(Item::Global(global))?;
                }
                b'R' | 0x81 => {
                    let (arguments, callee) = (self.pop()?, self.pop()?);
                    self.call(callee, arguments)?;
                }
                0x92 => {
                    let (_, arguments, callee) = (self.pop()?, self.pop()?, self.pop()?);
                    self.call(callee, arguments)?;
                }
                b'i' => {
                    let (module, name) = (self.line()?, self.line()?);
                    let callee = self.add(Item::Global(format!("{module} {name}")))?;
                    let arguments = self.marked()?;
                    let arguments = self.add(Item::List(arguments))?;
                    self.call(callee, arguments)?;
                }
                b'o' => {
                    let mut arguments = self.marked()?;
                    if arguments.is_empty() {
                        return Err(self.damaged("an object has no class"));
                    }
                    let callee = arguments.remove(0);
                    let arguments = self.add(Item::List(arguments))?;
                    self.call(callee, arguments)?;
                }
                b'b' => {
                    let new = self.pop()?;
                    let object = self.top()?;
                    // Only objects have a state of their own; plain lists and dictionaries stay as they are.
                    if let Some(Item::Call { state, .. }) = self.items.get_mut(object) {
                        *state = Some(new);
                    }
                }
                b'P' => {
                    let line = self.line()?;
                    let id = self.add(Item::Text(line.to_owned()))?;
                    self.push(Item::Persistent(id))?;
                }
                b'Q' => {
                    let id = self.pop()?;
                    self.push(Item::Persistent(id))?;
                }
                other => {
                    return Err(self.damaged(format!("{other:#04x} is no operation of a pickle")));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Pickle, TorchError> {
        Pickle::read(bytes).map(|(pickle, _)| pickle)
    }

    #[test]
    fn calls_are_recorded_and_never_made() {
        // os.system("rm x"), as protocol 0 writes it.
        let pickle = read(b"cos\nsystem\n(S'rm x'\ntR.").unwrap();
        let (name, arguments) = pickle.call(pickle.root).unwrap();
        assert_eq!((name, arguments.len()), ("os system", 1));
        assert_eq!(pickle.text(arguments[0]), Some("rm x"));
    }

    #[test]
    fn a_shared_object_is_held_once() {
        // A list of ten copies of the list before it, thirty levels deep: ten to the thirtieth.
        let mut bytes = b"\x80\x02]".to_vec();
        for level in 0..30u8 {
            bytes.extend([b'q', level, b'0', b']', b'(']);
            bytes.extend([b'h', level].repeat(10));
            bytes.push(b'e');
        }
        bytes.push(b'.');
        let pickle = read(&bytes).unwrap();
        assert_eq!(pickle.items.len(), 31);
        assert_eq!(pickle.list(pickle.root).unwrap().len(), 10);
    }

    #[test]
    fn numbers_and_texts() {
        let pickle = read(
            b"\x80\x04(J\xff\xff\xff\xffM\x00\x01\x8a\x02\x00\xffG?\xf0\0\0\0\0\0\0\x8c\x02hiNt.",
        )
        .unwrap();
        let items: Vec<&Item> = pickle
            .list(pickle.root)
            .unwrap()
            .iter()
            .map(|&id| pickle.get(id))
            .collect();
        let expected = [
            Item::Int(-1),
            Item::Int(256),
            Item::Int(-256),
            Item::Float(1.0),
            Item::Text("hi".into()),
            Item::None,
        ];
        assert_eq!(items, expected.iter().collect::<Vec<_>>());
    }

    #[test]
    fn damage_is_told() {
        for (bytes, part) in [
            (
                &b"X\xff\xff\xff\xffab"[..],
                "4294967295 bytes should follow",
            ),
            (b"h\x05.", "object 5"),
            (b"\x80\x02K", "1 bytes should follow"),
            (b"\xfe", "0xfe"),
            (b"e.", "a mark is missing"),
            (b"(K\x01K\x02K\x03d.", "no value"),
            (b"0.", "where there is none"),
            (b"K\x01K\x02a.", "no list"),
            (b"I12a\n.", "no number"),
        ] {
            let error = read(bytes).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
