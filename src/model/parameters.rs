//! The weights of a network: a list of named matrices under the reference's names.
//!
//! Every parameter is held as a matrix, because every operation of a transformer wants one; its
//! official shape is kept beside it, for files and for the rule that one-dimensional parameters are
//! not decayed. Names are those of the reference's state dict (`backbone.blocks.0.attn.qkv.weight`),
//! so that schedules, groups, averages, files and error messages all speak of the same thing.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::init::Init;

/// What a network says about one of its parameters before it exists.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Name in the reference's state dict.
    pub name: String,
    /// Shape in the reference's state dict.
    pub shape: Vec<usize>,
    pub init: Init,
    /// False for parameters that are frozen by a setting and for buffers.
    pub trained: bool,
}

impl Spec {
    /// A trained parameter.
    pub fn new(name: impl Into<String>, shape: &[usize], init: Init) -> Self {
        let (name, shape) = (name.into(), shape.to_vec());
        Spec {
            name,
            shape,
            init,
            trained: true,
        }
    }

    /// The same, never touched by the optimizer.
    pub fn frozen(mut self, frozen: bool) -> Self {
        self.trained &= !frozen;
        self
    }
}

/// One named tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

/// Named tensors on the host, as they stand in a file.
pub type HostTensors = BTreeMap<String, HostTensor>;

/// The tensors whose names start with `prefix.`, without it.
pub fn part(tensors: &HostTensors, prefix: &str) -> HostTensors {
    let strip = |(name, tensor): (&String, &HostTensor)| {
        let rest = name.strip_prefix(prefix)?.strip_prefix('.')?;
        Some((rest.to_owned(), tensor.clone()))
    };
    tensors.iter().filter_map(strip).collect()
}

/// One weight on the device.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: Arc<str>,
    /// The official shape.
    pub shape: Arc<[usize]>,
    pub trained: bool,
    /// The weight as a matrix, see [`matrix_shape`].
    pub value: Tensor<2>,
}

/// Why weights do not fit a network.
#[derive(Debug, thiserror::Error)]
pub enum WeightError {
    #[error("the weights lack {0:?}, which this network needs")]
    Missing(String),
    #[error("{name:?} has shape {found:?} in the weights but {expected:?} in this network")]
    Shape {
        name: String,
        found: Vec<usize>,
        expected: Vec<usize>,
    },
}

/// How a tensor of an official shape is laid out as a matrix: vectors are one row, leading ones of
/// tokens and positions are dropped, a convolution is one row per output.
pub fn matrix_shape(shape: &[usize]) -> [usize; 2] {
    match *shape {
        [] => [1, 1],
        [n] => [1, n],
        [a, b, c] => [a * b, c],
        [rows, ref rest @ ..] => [rows, rest.iter().product()],
    }
}

/// The weights of one network, in the order of the reference's `named_parameters`.
#[derive(Clone, Debug)]
pub struct Parameters {
    list: Vec<Parameter>,
    index: Arc<HashMap<String, usize>>,
}

impl Parameters {
    fn from_list(list: Vec<Parameter>) -> Self {
        let names = list.iter().enumerate();
        let index = names.map(|(i, p)| (p.name.to_string(), i)).collect();
        Parameters {
            list,
            index: Arc::new(index),
        }
    }

    /// Fresh weights for `specs`, the same for the same seed on any device.
    pub fn init(specs: &[Spec], seed: u64, device: &Device) -> Self {
        let value = |spec: &Spec| {
            let count = spec.shape.iter().product();
            spec.init.fill(count, seed, &spec.name)
        };
        Self::build(specs, device, value)
    }

    /// Weights for `specs` out of a file. Names that the network does not know are ignored.
    ///
    /// # Errors
    /// A missing name or another shape.
    pub fn load(specs: &[Spec], from: &HostTensors, device: &Device) -> Result<Self, WeightError> {
        for spec in specs {
            let found = from.get(&spec.name);
            let found = found.ok_or_else(|| WeightError::Missing(spec.name.clone()))?;
            if found.shape != spec.shape {
                return Err(WeightError::Shape {
                    name: spec.name.clone(),
                    found: found.shape.clone(),
                    expected: spec.shape.clone(),
                });
            }
        }
        Ok(Self::build(specs, device, |spec| {
            from[&spec.name].data.clone()
        }))
    }

    fn build(specs: &[Spec], device: &Device, value: impl Fn(&Spec) -> Vec<f32>) -> Self {
        let parameter = |spec: &Spec| Parameter {
            name: spec.name.as_str().into(),
            shape: spec.shape.as_slice().into(),
            trained: spec.trained,
            value: upload(value(spec), matrix_shape(&spec.shape), device),
        };
        Self::from_list(specs.iter().map(parameter).collect())
    }

    /// The matrix called `name`.
    ///
    /// # Panics
    /// If the network that asks did not also declare the name: a mistake in this program, since
    /// files are checked by [`Parameters::load`].
    pub fn get(&self, name: &str) -> Tensor<2> {
        match self.index.get(name) {
            Some(&i) => self.list[i].value.clone(),
            None => panic!("parameter {name} was not declared"),
        }
    }

    /// The same weights, recorded for a backward pass where they are trained and `wanted`.
    pub fn tracked(&self, wanted: impl Fn(&str) -> bool) -> Self {
        let track = |p: &Parameter| {
            let value = Tensor::from_inner(p.value.clone());
            let trained = p.trained && wanted(&p.name);
            let value = match trained {
                true => value.require_grad(),
                false => value,
            };
            Parameter {
                value,
                trained,
                ..p.clone()
            }
        };
        let list = self.list.iter().map(track).collect();
        Parameters {
            list,
            index: self.index.clone(),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.list.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.list.iter_mut()
    }

    pub fn find_mut(&mut self, name: &str) -> Option<&mut Parameter> {
        self.index.get(name).map(|&i| &mut self.list[i])
    }

    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.index.get(name).map(|&i| &self.list[i])
    }

    /// Number of scalars, trained or not.
    pub fn count(&self) -> usize {
        self.list
            .iter()
            .map(|p| p.shape.iter().product::<usize>())
            .sum()
    }

    /// A copy on the host, under official names and shapes.
    pub fn to_host(&self) -> HostTensors {
        let entry = |p: &Parameter| {
            let data = download(p.value.clone());
            (
                p.name.to_string(),
                HostTensor {
                    shape: p.shape.to_vec(),
                    data,
                },
            )
        };
        self.list.iter().map(entry).collect()
    }
}

/// A matrix on `device` from row-major elements.
pub fn upload(data: Vec<f32>, shape: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(data, shape), device)
}

/// The elements of a tensor, row-major. Waits for the device.
pub fn download<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    // Every tensor of this program is f32, so the conversion only moves.
    tensor
        .into_data()
        .convert::<f32>()
        .try_into_vec()
        .unwrap_or_default()
}
