//! Files that PyTorch writes (`torch.save`), in the zip format and the one before it, read as data.
//!
//! Only what is asked for is taken into memory: the pickle, then tensor by tensor its range of the file. Nothing in
//! a file is ever run, and no size that it claims is believed before the bytes are there.

mod container;
pub mod pickle;
mod zip;

use std::path::Path;

use self::container::{Container, Region};
use self::pickle::{Id, Item, Pickle};
use super::Contents;
use crate::model::HostTensor;
use half::{bf16, f16};

pub use container::is_torch;

/// Why a file of PyTorch cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it is no file of PyTorch, or damaged: {0}")]
    Container(String),
    #[error("its pickle is damaged at byte {at}: {what}")]
    Pickle { at: usize, what: String },
    #[error("tensor {name:?} of shape {shape:?}: {what}")]
    Tensor {
        name: String,
        shape: Vec<usize>,
        what: String,
    },
    #[error("{0}")]
    TooLarge(String),
}

/// Bytes that an object takes beside its path, whatever it is: shared objects are looked at wherever they stand, so
/// their number is bounded by what the file is worth.
const OBJECT: u64 = 64;

/// Nesting of dictionaries and lists.
const MOST_DEPTH: usize = 32;

/// Letters of a path.
const MOST_LETTERS: usize = 1024;

/// All tensors may together be this many times as large as the file: integers and half floats grow when read, and
/// the same numbers may stand under several names.
const GROWTH: u64 = 8;

/// Reads every tensor and every number and text of a file, each under its path.
///
/// # Errors
/// A file that is damaged, or no file of PyTorch.
pub fn read(path: &Path) -> Result<Contents, TorchError> {
    let mut container = Container::open(path)?;
    let pickle = container.pickle()?;
    let mut walk = Walk {
        pickle: &pickle,
        budget: container.len().saturating_mul(GROWTH) + (1 << 20),
        container: &mut container,
        contents: Contents::default(),
    };
    walk.all()?;
    Ok(walk.contents)
}

/// A tensor as the pickle describes it.
struct Described {
    region: Region,
    offset: usize,
    shape: Vec<usize>,
    stride: Vec<usize>,
}

struct Walk<'a> {
    pickle: &'a Pickle,
    container: &'a mut Container,
    /// Bytes that paths and tensors may still take.
    budget: u64,
    contents: Contents,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), TorchError> {
        let mut waiting = vec![(self.pickle.root, String::new(), 0)];
        while let Some((id, path, depth)) = waiting.pop() {
            let taken = OBJECT + path.len() as u64;
            let enough = self.budget.checked_sub(taken);
            self.budget = enough.unwrap_or(0);
            if enough.is_none() || depth > MOST_DEPTH || path.len() > MOST_LETTERS {
                let text = "it holds more objects, deeper nested or with longer names, than any checkpoint";
                return Err(TorchError::TooLarge(text.into()));
            }
            if let Some(tensor) = self.described(id, &path)? {
                let read = self.tensor(&path, tensor)?;
                self.contents.tensors.insert(path, read);
                continue;
            }
            let below = |key: &str| match path.as_str() {
                "" => key.to_owned(),
                path => format!("{path}/{key}"),
            };
            match self.pickle.get(id) {
                Item::Dict(entries) => self.enter(entries, &below, depth, &mut waiting),
                Item::List(list) => match self.plain_list(list) {
                    Some(text) => _ = self.contents.values.insert(path, text),
                    None => {
                        let each = list.iter().enumerate();
                        waiting.extend(each.map(|(i, &id)| (id, below(&i.to_string()), depth + 1)));
                    }
                },
                Item::Call { state, entries, .. } => {
                    if let Some(number) = self.numpy_scalar(id) {
                        self.contents.values.insert(path, number);
                        continue;
                    }
                    self.enter(entries, &below, depth, &mut waiting);
                    // An ordered dictionary of old: its pairs are its argument.
                    if let Some(("collections OrderedDict", [pairs])) = self.pickle.call(id) {
                        let pairs = self.pickle.list(*pairs).unwrap_or_default();
                        let pair = |&id: &Id| match self.pickle.list(id) {
                            Some(&[key, value]) => Some((key, value)),
                            _ => None,
                        };
                        let pairs: Vec<(Id, Id)> = pairs.iter().filter_map(pair).collect();
                        self.enter(&pairs, &below, depth, &mut waiting);
                    }
                    // An object's own names: a namespace of arguments, a whole module.
                    if let Some(state) = state {
                        waiting.push((*state, path.clone(), depth + 1));
                    }
                }
                other => {
                    if let Some(text) = plain(other) {
                        self.contents.values.insert(path, text);
                    }
                }
            }
        }
        Ok(())
    }

    fn enter(
        &self,
        entries: &[(Id, Id)],
        below: &dyn Fn(&str) -> String,
        depth: usize,
        waiting: &mut Vec<(Id, String, usize)>,
    ) {
        for &(key, value) in entries {
            if let Some(key) = plain(self.pickle.get(key)) {
                waiting.push((value, below(&key), depth + 1));
            }
        }
    }

    /// A short list of numbers and texts, as a person would type it.
    fn plain_list(&self, list: &[Id]) -> Option<String> {
        if list.len() > 16 {
            return None;
        }
        let each: Option<Vec<String>> = list.iter().map(|&id| plain(self.pickle.get(id))).collect();
        Some(format!("[{}]", each?.join(", ")))
    }

    /// NumPy's numbers: a type and its bytes.
    fn numpy_scalar(&self, id: Id) -> Option<String> {
        let (name, &[kind, bytes]) = self.pickle.call(id)? else {
            return None;
        };
        if !name.starts_with("numpy") || !name.ends_with(" scalar") {
            return None;
        }
        let (_, arguments) = self.pickle.call(kind)?;
        let kind = self.pickle.text(*arguments.first()?)?;
        let encoded;
        let bytes = match self.pickle.get(bytes) {
            Item::Bytes(bytes) => bytes.as_slice(),
            // Protocol 2 has no bytes: they travel as Latin-1.
            _ => {
                let (_, arguments) = self.pickle.call(bytes)?;
                let text = self.pickle.text(*arguments.first()?)?;
                encoded = text.chars().map(|c| c as u8).collect::<Vec<u8>>();
                encoded.as_slice()
            }
        };
        Some(match kind {
            "f8" => f64::from_le_bytes(bytes.try_into().ok()?).to_string(),
            "f4" => f32::from_le_bytes(bytes.try_into().ok()?).to_string(),
            "i8" => i64::from_le_bytes(bytes.try_into().ok()?).to_string(),
            "i4" => i32::from_le_bytes(bytes.try_into().ok()?).to_string(),
            "b1" => (*bytes.first()? != 0).to_string(),
            _ => return None,
        })
    }

    /// The tensor that an object is, if it is one.
    fn described(&self, id: Id, name: &str) -> Result<Option<Described>, TorchError> {
        let mut id = id;
        // A parameter wraps its tensor.
        for _ in 0..4 {
            match self.pickle.call(id) {
                Some((call, &[inner, ..]))
                    if call.starts_with("torch._utils _rebuild_parameter") =>
                {
                    id = inner;
                }
                _ => break,
            }
        }
        let Some((call, arguments)) = self.pickle.call(id) else {
            return Ok(None);
        };
        if !call.starts_with("torch._utils _rebuild_tensor") {
            return Ok(None);
        }
        let fail = |shape: &[usize], what: &str| TorchError::Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
            what: what.to_owned(),
        };
        let &[storage, offset, shape, stride, ref more @ ..] = arguments else {
            return Err(fail(&[], "its description is cut short"));
        };
        let shape = self.pickle.sizes(shape);
        let shape = shape.ok_or_else(|| fail(&[], "its shape is no list of sizes"))?;
        let stride = self
            .pickle
            .sizes(stride)
            .filter(|stride| stride.len() == shape.len());
        let stride = stride.ok_or_else(|| fail(&shape, "its strides do not fit its shape"))?;
        let offset = self
            .pickle
            .int(offset)
            .and_then(|offset| offset.try_into().ok());
        let offset = offset.ok_or_else(|| fail(&shape, "its place in its storage is no size"))?;
        // Untyped storages leave the type to the tensor.
        let kind = more.get(2).map(|&kind| self.pickle.get(kind));
        let kind = match kind {
            Some(Item::Global(kind)) => Some(kind.as_str()),
            _ => None,
        };
        let region = self
            .region(storage, kind)
            .map_err(|what| fail(&shape, &what))?;
        Ok(Some(Described {
            region,
            offset,
            shape,
            stride,
        }))
    }

    /// Where the numbers of a storage are, and of what type.
    fn region(&self, storage: Id, kind: Option<&str>) -> Result<Region, String> {
        let described = match self.pickle.get(storage) {
            Item::Persistent(id) => self.pickle.list(*id),
            _ => None,
        };
        let described = described.ok_or("it has no storage")?;
        let &[_, class, key, _, ref rest @ ..] = described else {
            return Err("the description of its storage is cut short".into());
        };
        let class = match self.pickle.get(class) {
            Item::Global(class) => class.as_str(),
            _ => return Err("its storage has no type".into()),
        };
        let key = plain(self.pickle.get(key)).ok_or("its storage has no name")?;
        let kind = kind.unwrap_or(class);
        let kind = Kind::named(kind).ok_or_else(|| format!("its type {kind:?} is not known"))?;
        let found = self.container.storage(&key);
        let mut region = found.ok_or_else(|| format!("its storage {key:?} is not in the file"))?;
        region.kind = kind;
        // In old files a storage may be a part of another one.
        if let Some(&view) = rest.get(1)
            && let Some(&[_, offset, count]) = self.pickle.list(view)
        {
            let size = |id: Id| {
                self.pickle
                    .int(id)
                    .and_then(|size| u64::try_from(size).ok())
            };
            let (offset, count) = size(offset).zip(size(count)).ok_or("its view is damaged")?;
            let (offset, count) = (
                offset.saturating_mul(kind.bytes()),
                count.saturating_mul(kind.bytes()),
            );
            if offset.saturating_add(count) > region.len {
                return Err("its view lies outside of its storage".into());
            }
            (region.start, region.len) = (region.start + offset, count);
        }
        Ok(region)
    }

    fn tensor(&mut self, name: &str, tensor: Described) -> Result<HostTensor, TorchError> {
        let Described {
            region,
            offset,
            shape,
            stride,
        } = tensor;
        let fail = |what: String| TorchError::Tensor {
            name: name.to_owned(),
            shape: shape.clone(),
            what,
        };
        let count = shape
            .iter()
            .try_fold(1usize, |n, &size| n.checked_mul(size));
        let last = shape
            .iter()
            .zip(&stride)
            .try_fold(offset, |at, (&size, &stride)| {
                at.checked_add(size.saturating_sub(1).checked_mul(stride)?)
            });
        let holds = (region.len / region.kind.bytes()) as usize;
        let Some(count) = count.filter(|&count| count as u64 <= self.budget / 4) else {
            return Err(fail("it is larger than its file allows".into()));
        };
        self.budget -= 4 * count as u64;
        if count == 0 {
            let data = Vec::new();
            return Ok(HostTensor { shape, data });
        }
        let Some(last) = last.filter(|&last| last < holds) else {
            return Err(fail(format!(
                "its storage holds {holds} numbers, which is too few"
            )));
        };
        let bytes = region.kind.bytes();
        let from = region.start + offset as u64 * bytes;
        let span = (last - offset + 1) as u64 * bytes;
        self.budget = self.budget.saturating_sub(span / 4);
        let raw = self.container.range(from, span)?;
        let all = region.kind.floats(&raw);
        let data = match is_contiguous(&shape, &stride) {
            true => all,
            false => gather(&all, &shape, &stride, count),
        };
        Ok(HostTensor { shape, data })
    }
}

/// A value that is one word.
fn plain(item: &Item) -> Option<String> {
    Some(match item {
        Item::Bool(value) => value.to_string(),
        Item::Int(value) => value.to_string(),
        Item::Float(value) => value.to_string(),
        Item::Text(value) => value.clone(),
        _ => return None,
    })
}

fn is_contiguous(shape: &[usize], stride: &[usize]) -> bool {
    let mut expected = 1;
    shape.iter().zip(stride).rev().all(|(&size, &stride)| {
        let fits = size == 1 || stride == expected;
        expected *= size;
        fits
    })
}

fn gather(all: &[f32], shape: &[usize], stride: &[usize], count: usize) -> Vec<f32> {
    let at = |mut i: usize| {
        let mut place = 0;
        for (&size, &stride) in shape.iter().zip(stride).rev() {
            place += i % size * stride;
            i /= size;
        }
        all.get(place).copied().unwrap_or(f32::NAN)
    };
    (0..count).map(at).collect()
}

/// Type of the numbers in a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    F64,
    F32,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Kind {
    /// By the name of a storage (`torch FloatStorage`) or of a type (`torch float32`).
    fn named(name: &str) -> Option<Self> {
        Some(match name.rsplit([' ', '.']).next()? {
            "DoubleStorage" | "float64" => Kind::F64,
            "FloatStorage" | "float32" => Kind::F32,
            "HalfStorage" | "float16" => Kind::F16,
            "BFloat16Storage" | "bfloat16" => Kind::Bf16,
            "LongStorage" | "int64" => Kind::I64,
            "IntStorage" | "int32" => Kind::I32,
            "ShortStorage" | "int16" => Kind::I16,
            "CharStorage" | "int8" => Kind::I8,
            "ByteStorage" | "uint8" => Kind::U8,
            "BoolStorage" | "bool" => Kind::Bool,
            _ => return None,
        })
    }

    /// Bytes of a number.
    fn bytes(self) -> u64 {
        match self {
            Kind::F64 | Kind::I64 => 8,
            Kind::F32 | Kind::I32 => 4,
            Kind::F16 | Kind::Bf16 | Kind::I16 => 2,
            Kind::I8 | Kind::U8 | Kind::Bool => 1,
        }
    }

    /// Numbers, lowest byte first, as floats.
    fn floats(self, raw: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(raw: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            raw.as_chunks().0.iter().map(|&bytes| read(bytes)).collect()
        }
        match self {
            Kind::F64 => each(raw, |b| f64::from_le_bytes(b) as f32),
            Kind::F32 => each(raw, f32::from_le_bytes),
            Kind::F16 => each(raw, |b| f16::from_le_bytes(b).to_f32()),
            Kind::Bf16 => each(raw, |b| bf16::from_le_bytes(b).to_f32()),
            Kind::I64 => each(raw, |b| i64::from_le_bytes(b) as f32),
            Kind::I32 => each(raw, |b| i32::from_le_bytes(b) as f32),
            Kind::I16 => each(raw, |b| i16::from_le_bytes(b).into()),
            Kind::I8 => each(raw, |[b]| (b as i8).into()),
            Kind::U8 | Kind::Bool => each(raw, |[b]| b.into()),
        }
    }
}
