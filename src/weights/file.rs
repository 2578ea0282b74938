//! Weights in safetensors files, under the reference's names.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::model::{HostTensor, HostTensors};

/// Precision of the numbers in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    Full,
    /// 16-bit floats: half the size, three significant digits.
    Half,
}

/// Reads every floating-point tensor of a safetensors file, and its metadata.
///
/// # Errors
/// A file that cannot be read or is not safetensors.
pub fn read(path: &Path) -> Result<(HostTensors, HashMap<String, String>)> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&bytes).with_context(|| format!("{} is not a usable weight file", path.display()))
}

/// The same from memory.
pub fn parse(bytes: &[u8]) -> Result<(HostTensors, HashMap<String, String>)> {
    let file = SafeTensors::deserialize(bytes)?;
    let (_, header) = SafeTensors::read_metadata(bytes)?;
    let mut tensors = HostTensors::new();
    for (name, view) in file.tensors() {
        let shape = view.shape().to_vec();
        if let Some(data) = floats(&view).with_context(|| format!("tensor {name:?}"))? {
            tensors.insert(name, HostTensor { shape, data });
        }
    }
    Ok((tensors, header.metadata().clone().unwrap_or_default()))
}

/// The elements as f32; `None` for integers and booleans.
fn floats(view: &TensorView) -> Result<Option<Vec<f32>>> {
    fn each<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        let (chunks, _) = bytes.as_chunks::<N>();
        chunks.iter().map(|&chunk| read(chunk)).collect()
    }
    let bytes = view.data();
    Ok(Some(match view.dtype() {
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::BOOL
        | Dtype::U8
        | Dtype::I8
        | Dtype::I16
        | Dtype::U16
        | Dtype::I32
        | Dtype::U32
        | Dtype::I64
        | Dtype::U64 => return Ok(None),
        other => bail!("holds {other:?}, which this program does not read"),
    }))
}

/// Writes tensors and metadata as one safetensors file: to a temporary name, synced, then renamed,
/// so that a reader never meets half a file.
///
/// # Errors
/// A folder that cannot be written to, or a full disk.
pub fn write(
    path: &Path,
    tensors: &HostTensors,
    metadata: HashMap<String, String>,
    precision: Precision,
) -> Result<()> {
    let to_bytes = |tensor: &HostTensor| -> Vec<u8> {
        match precision {
            Precision::Full => bytemuck::cast_slice(&tensor.data).to_vec(),
            Precision::Half => {
                let halves = tensor.data.iter().map(|&x| f16::from_f32(x).to_le_bytes());
                halves.flatten().collect()
            }
        }
    };
    let dtype = match precision {
        Precision::Full => Dtype::F32,
        Precision::Half => Dtype::F16,
    };
    let bytes: Vec<(&String, &HostTensor, Vec<u8>)> = tensors
        .iter()
        .map(|(name, t)| (name, t, to_bytes(t)))
        .collect();
    let mut views = Vec::with_capacity(bytes.len());
    for (name, tensor, bytes) in &bytes {
        views.push((
            name.as_str(),
            TensorView::new(dtype, tensor.shape.clone(), bytes)?,
        ));
    }
    let file = safetensors::serialize(views, Some(metadata))?;
    write_atomically(path, &file).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes a file so that at any moment either the old or the whole new one is there.
///
/// # Errors
/// Whatever the file system says.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let mut file = File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&partial, path)?;
    // The new name is on disk only when the folder is.
    match path.parent() {
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => {
            File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}
