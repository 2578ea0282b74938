//! Tokens of a source for other programs: Parquet with names and labels beside them, or bare arrays for NumPy.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::encoder::Tokens;
use super::walk::{Look, Walk};
use crate::model::download;

/// Numbers of a group of rows in a Parquet file: a reader takes in a group at once.
const GROUP: usize = 8 << 20;

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    pub files: Vec<PathBuf>,
    pub pictures: usize,
    /// Patches of a picture; 0 where only class tokens were asked for.
    pub patches: usize,
    /// Numbers of a token.
    pub dim: usize,
}

/// Writes the class token of every picture of a walk, and with `patches` its patch tokens row by row, after the last
/// block and its norm. `out` ends in `.parquet` (one file: index, name, label, class_token, patch_tokens) or `.npy`
/// (class tokens `[pictures, dim]`; beside it patch tokens `[pictures, patches, dim]` and a table of names).
///
/// # Errors
/// Another ending, a file that cannot be written, a stopped walk.
pub fn write(walk: &mut Walk, out: &Path, patches: bool) -> Result<Written> {
    let encoder = walk.encoder;
    let (dim, count) = (encoder.backbone.dim(), encoder.patches());
    let extension = out.extension().and_then(|end| end.to_str());
    let mut sink: Box<dyn Sink> = match extension {
        Some("parquet") => Box::new(Parquet::create(out, patches)?),
        Some("npy") => Box::new(Numpy::create(out, patches.then_some(count), dim)?),
        _ => bail!("{}: the file must end in .parquet or .npy", out.display()),
    };
    let source = walk.source.clone();
    let mut pictures = 0;
    walk.each("features", false, |looks| {
        let views: Vec<_> = looks.iter().map(|look| look.view.clone()).collect();
        let tokens = encoder.tokens(&views, encoder.last_block(), Tokens::Normed);
        let tokens = download(tokens);
        let each = tokens.len() / looks.len();
        for (look, tokens) in looks.iter().zip(tokens.chunks_exact(each)) {
            let (class, rest) = tokens.split_at(dim);
            let label = source.label(look.index);
            sink.add(&Row {
                look,
                name: source.name(look.index),
                label: label.and_then(|label| source.classes().get(label).cloned()),
                class,
                patches: rest,
            })?;
        }
        pictures += looks.len();
        Ok(())
    })?;
    Ok(Written {
        files: sink
            .finish()
            .with_context(|| format!("cannot finish {}", out.display()))?,
        pictures,
        patches: if patches { count } else { 0 },
        dim,
    })
}

/// One picture.
struct Row<'a> {
    look: &'a Look,
    name: String,
    label: Option<String>,
    class: &'a [f32],
    patches: &'a [f32],
}

trait Sink {
    fn add(&mut self, row: &Row) -> Result<()>;
    /// The files that are whole now.
    fn finish(self: Box<Self>) -> Result<Vec<PathBuf>>;
}

fn create(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::new(file))
}

struct Parquet {
    path: PathBuf,
    writer: SerializedFileWriter<BufWriter<File>>,
    with_patches: bool,
    index: Vec<i32>,
    names: Vec<ByteArray>,
    labels: Vec<Option<ByteArray>>,
    class: Vec<Vec<f32>>,
    patches: Vec<Vec<f32>>,
    numbers: usize,
}

impl Parquet {
    fn create(path: &Path, with_patches: bool) -> Result<Self> {
        let list = |name: &str| {
            format!(
                "required group {name} (LIST) {{ repeated group list {{ required float element; }} }}"
            )
        };
        let patches = match with_patches {
            true => list("patch_tokens"),
            false => String::new(),
        };
        let schema = format!(
            "message features {{ required int32 index; required binary name (UTF8); optional binary label (UTF8); \
             {} {patches} }}",
            list("class_token")
        );
        let schema = Arc::new(parse_message_type(&schema)?);
        let properties = Arc::new(WriterProperties::builder().build());
        Ok(Parquet {
            writer: SerializedFileWriter::new(create(path)?, schema, properties)?,
            path: path.to_owned(),
            with_patches,
            index: Vec::new(),
            names: Vec::new(),
            labels: Vec::new(),
            class: Vec::new(),
            patches: Vec::new(),
            numbers: 0,
        })
    }

    fn flush(&mut self) -> Result<()> {
        if self.index.is_empty() {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        let index = std::mem::take(&mut self.index);
        column(&mut group, |c| {
            Ok(c.typed::<Int32Type>().write_batch(&index, None, None)?)
        })?;
        let names = std::mem::take(&mut self.names);
        column(&mut group, |c| {
            Ok(c.typed::<ByteArrayType>().write_batch(&names, None, None)?)
        })?;
        let labels = std::mem::take(&mut self.labels);
        let known: Vec<i16> = labels.iter().map(|l| i16::from(l.is_some())).collect();
        let labels: Vec<ByteArray> = labels.into_iter().flatten().collect();
        column(&mut group, |c| {
            Ok(c.typed::<ByteArrayType>()
                .write_batch(&labels, Some(&known), None)?)
        })?;
        lists(&mut group, &std::mem::take(&mut self.class))?;
        if self.with_patches {
            lists(&mut group, &std::mem::take(&mut self.patches))?;
        }
        group.close()?;
        self.numbers = 0;
        Ok(())
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, BufWriter<File>>;

/// Writes the next column of a group.
fn column(
    group: &mut Group,
    write: impl FnOnce(&mut parquet::file::writer::SerializedColumnWriter) -> Result<usize>,
) -> Result<()> {
    let next = group.next_column()?;
    let mut next = next.context("the file's schema has no such column")?;
    write(&mut next)?;
    Ok(next.close()?)
}

/// A column of lists of numbers, none of them empty.
fn lists(group: &mut Group, rows: &[Vec<f32>]) -> Result<()> {
    let values: Vec<f32> = rows.iter().flatten().copied().collect();
    let defined = vec![1i16; values.len()];
    // 0 begins a row, 1 goes on with it.
    let repeated = rows
        .iter()
        .flat_map(|row| (0..row.len()).map(|i| i16::from(i > 0)));
    let repeated: Vec<i16> = repeated.collect();
    column(group, |c| {
        let floats = c.typed::<FloatType>();
        Ok(floats.write_batch(&values, Some(&defined), Some(&repeated))?)
    })
}

impl Sink for Parquet {
    fn add(&mut self, row: &Row) -> Result<()> {
        self.index.push(row.look.index as i32);
        self.names.push(row.name.as_str().into());
        self.labels.push(row.label.as_deref().map(ByteArray::from));
        self.class.push(row.class.to_vec());
        self.numbers += row.class.len();
        if self.with_patches {
            self.patches.push(row.patches.to_vec());
            self.numbers += row.patches.len();
        }
        match self.numbers >= GROUP {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<PathBuf>> {
        self.flush()?;
        self.writer.close()?;
        Ok(vec![self.path])
    }
}

/// An array file of NumPy (format 1.0): a header of fixed length, which says the shape, and the numbers.
struct Array {
    path: PathBuf,
    file: BufWriter<File>,
    rows: usize,
    /// Of a row.
    shape: Vec<usize>,
}

/// Bytes before the numbers.
const HEADER: usize = 128;

impl Array {
    fn create(path: PathBuf, shape: Vec<usize>) -> Result<Self> {
        let mut array = Array {
            file: create(&path)?,
            path,
            rows: 0,
            shape,
        };
        array.header()?;
        Ok(array)
    }

    fn header(&mut self) -> Result<()> {
        let sizes = std::iter::once(self.rows).chain(self.shape.iter().copied());
        let sizes: Vec<String> = sizes.map(|size| size.to_string()).collect();
        let text = format!(
            "{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}",
            sizes.join(", ")
        );
        let room = HEADER - 10;
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((room as u16).to_le_bytes());
        bytes.extend(format!("{text:<width$}\n", width = room - 1).as_bytes());
        Ok(self.file.write_all(&bytes)?)
    }

    fn add(&mut self, row: &[f32]) -> Result<()> {
        self.rows += 1;
        for number in row {
            self.file.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<PathBuf> {
        self.file.seek(SeekFrom::Start(0))?;
        self.header()?;
        self.file.flush()?;
        Ok(self.path)
    }
}

struct Numpy {
    class: Array,
    patches: Option<Array>,
    names: (PathBuf, BufWriter<File>),
}

impl Numpy {
    fn create(path: &Path, patches: Option<usize>, dim: usize) -> Result<Self> {
        let beside = |end: &str| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            path.with_file_name(format!("{stem}{end}"))
        };
        let patches = patches.map(|count| Array::create(beside("-patches.npy"), vec![count, dim]));
        let mut names = (beside("-names.csv"), create(&beside("-names.csv"))?);
        names.1.write_all(b"index,name,label\n")?;
        Ok(Numpy {
            class: Array::create(path.to_owned(), vec![dim])?,
            patches: patches.transpose()?,
            names,
        })
    }
}

impl Sink for Numpy {
    fn add(&mut self, row: &Row) -> Result<()> {
        self.class.add(row.class)?;
        if let Some(patches) = &mut self.patches {
            patches.add(row.patches)?;
        }
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let label = row.label.as_deref().map(quoted).unwrap_or_default();
        let line = format!("{},{},{label}\n", row.look.index, quoted(&row.name));
        Ok(self.names.1.write_all(line.as_bytes())?)
    }

    fn finish(self: Box<Self>) -> Result<Vec<PathBuf>> {
        let mut files = vec![self.class.finish()?];
        if let Some(patches) = self.patches {
            files.push(patches.finish()?);
        }
        let (path, mut names) = self.names;
        names.flush()?;
        files.push(path);
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Arc;

    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    use super::*;
    use crate::data::Source;
    use crate::data::parts::Parts;

    #[test]
    fn both_kinds_of_file_hold_the_tokens() {
        let encoder = super::super::tests::tiny_encoder();
        let source: Arc<dyn Source> = Arc::new(Parts::new(3, 32, 5));
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let mut tell = |_| ControlFlow::Continue(());
            let mut walk = Walk::new(&encoder, &source, &mut tell);
            write(&mut walk, &folder.path().join(name), true).unwrap()
        };
        let (parquet, numpy) = (write("a.parquet"), write("b.npy"));
        assert_eq!(
            (parquet.pictures, parquet.patches, parquet.dim),
            (3, 16, 64)
        );
        assert_eq!((parquet.files.len(), numpy.files.len()), (1, 3));
        let look = Look::load(&encoder, &source, 2).unwrap();
        let expected = download(encoder.tokens(&[look.view], encoder.last_block(), Tokens::Normed));

        let floats = |file: &PathBuf| -> Vec<f32> {
            let bytes = std::fs::read(file).unwrap();
            assert_eq!((&bytes[..6], bytes[127]), (&b"\x93NUMPY"[..], b'\n'));
            let numbers = bytes[HEADER..].as_chunks().0.iter();
            numbers.map(|&b| f32::from_le_bytes(b)).collect()
        };
        let (class, patches) = (floats(&numpy.files[0]), floats(&numpy.files[1]));
        assert_eq!((class.len(), patches.len()), (3 * 64, 3 * 16 * 64));
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(near(&class[2 * 64..], &expected[..64]));
        assert!(near(&patches[2 * 16 * 64..], &expected[64..]));

        let file = File::open(&parquet.files[0]).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), 3);
        assert_eq!(rows[2].get_int(0).unwrap(), 2);
        let label = source.label(2).map(|label| &source.classes()[label]);
        assert_eq!(rows[2].get_string(2).ok(), label);
        let list = rows[2].get_list(4).unwrap();
        let found: Vec<f32> = list
            .elements()
            .iter()
            .map(|element| match element {
                parquet::record::Field::Float(x) => *x,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(near(&found, &expected[64..]));

        let mut tell = |_| ControlFlow::Continue(());
        let mut walk = Walk::new(&encoder, &source, &mut tell);
        assert!(super::write(&mut walk, Path::new("x.txt"), false).is_err());
    }
}
