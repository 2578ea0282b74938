//! Reading fixtures, and comparing with them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Once;

use burn::tensor::Device;
use patchlight::model::{HostTensor, HostTensors};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// The folder of fixtures.
pub fn root() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ibot");
    std::env::var_os("PATCHLIGHT_FIXTURES").map_or(default, PathBuf::from)
}

/// A software Vulkan device, or a loud line that there is none; where `PATCHLIGHT_REQUIRE_VULKAN` is
/// set, its absence is a failure.
pub fn software_vulkan(what: &str) -> Option<Device> {
    let adapters = patchlight::device::adapters();
    let software = adapters
        .iter()
        .find(|a| a.id.starts_with("vulkan:") && !a.is_gpu());
    let chosen = software.map(|adapter| patchlight::device::choose(&adapter.id));
    match chosen {
        Some(Ok(chosen)) => Some(chosen.device),
        other => {
            let reason = match other {
                Some(Err(error)) => error.to_string(),
                _ => "no software Vulkan driver was found".to_owned(),
            };
            assert!(
                std::env::var_os("PATCHLIGHT_REQUIRE_VULKAN").is_none(),
                "{what}: {reason}"
            );
            static ONCE: Once = Once::new();
            ONCE.call_once(|| println!("SKIPPED {what}: {reason}"));
            None
        }
    }
}

/// One case: a folder with a meta.json.
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub meta: Value,
}

impl Case {
    /// All cases of one kind: the folder itself, or its sub-folders.
    pub fn all(root: &Path, kind: &str) -> Vec<Case> {
        let folder = root.join(kind);
        let mut folders = vec![folder.clone()];
        if !folder.join("meta.json").exists() {
            let entries = std::fs::read_dir(&folder)
                .expect("a folder of cases")
                .flatten();
            folders = entries
                .map(|e| e.path())
                .filter(|p| p.join("meta.json").exists())
                .collect();
            folders.sort();
        }
        assert!(!folders.is_empty(), "no case in {}", folder.display());
        let read = |folder: PathBuf| {
            let text = std::fs::read(folder.join("meta.json")).expect("meta.json");
            let name = folder
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let name = if name == kind {
                name
            } else {
                format!("{kind}/{name}")
            };
            Case {
                name,
                meta: serde_json::from_slice(&text).expect("meta.json"),
                folder,
            }
        };
        folders.into_iter().map(read).collect()
    }

    /// A setting of the case; `config` is a path such as `net.dim`.
    pub fn config(&self, path: &str) -> &Value {
        path.split('.')
            .fold(&self.meta["config"], |value, key| &value[key])
    }

    pub fn size(&self, path: &str) -> usize {
        let value = self.config(path).as_u64();
        value.unwrap_or_else(|| panic!("{}: config {path} is no size", self.name)) as usize
    }

    pub fn number(&self, path: &str) -> f64 {
        let value = self.config(path).as_f64();
        value.unwrap_or_else(|| panic!("{}: config {path} is no number", self.name))
    }

    pub fn flag(&self, path: &str) -> bool {
        let value = self.config(path).as_bool();
        value.unwrap_or_else(|| panic!("{}: config {path} is neither true nor false", self.name))
    }

    /// All tensors of a file, integers and booleans as f32.
    pub fn tensors(&self, file: &str) -> Tensors {
        Tensors::read(&self.folder.join(file))
    }
}

/// Named tensors of a fixture.
pub struct Tensors(pub BTreeMap<String, HostTensor>);

impl Tensors {
    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let file = SafeTensors::deserialize(&bytes).expect("a safetensors file");
        let read = |(name, view): (String, safetensors::tensor::TensorView)| {
            let bytes = view.data();
            let data: Vec<f32> = match view.dtype() {
                Dtype::F32 => bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&b| f32::from_le_bytes(b))
                    .collect(),
                Dtype::F64 => bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&b| f64::from_le_bytes(b) as f32)
                    .collect(),
                Dtype::I64 => bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&b| i64::from_le_bytes(b) as f32)
                    .collect(),
                Dtype::U8 | Dtype::BOOL => bytes.iter().map(|&b| b as f32).collect(),
                other => panic!("{name} holds {other:?}"),
            };
            (
                name,
                HostTensor {
                    shape: view.shape().to_vec(),
                    data,
                },
            )
        };
        Tensors(file.tensors().into_iter().map(read).collect())
    }

    pub fn get(&self, name: &str) -> &HostTensor {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("the fixture has no tensor {name}"))
    }

    /// The tensors below `prefix`, without it.
    pub fn below(&self, prefix: &str) -> HostTensors {
        let strip = |(name, tensor): (&String, &HostTensor)| {
            Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
        };
        self.0.iter().filter_map(strip).collect()
    }
}

/// The largest deviations of a case, and what is allowed.
pub struct Report {
    case: String,
    /// Deviation over what is allowed, deviation, tolerance, name.
    worst: (f64, f64, f64, String),
    failures: Vec<String>,
    compared: usize,
}

impl Report {
    pub fn new(case: &str) -> Self {
        let worst = (0.0, 0.0, 0.0, "nothing".to_owned());
        Report {
            case: case.to_owned(),
            worst,
            failures: Vec::new(),
            compared: 0,
        }
    }

    /// Every element within `absolute + relative · |expected|`.
    pub fn elements(
        &mut self,
        name: &str,
        found: &[f32],
        want: &[f32],
        absolute: f64,
        relative: f64,
    ) {
        assert_eq!(found.len(), want.len(), "{}: size of {name}", self.case);
        for (&found, &want) in found.iter().zip(want) {
            let allowed = absolute + relative * f64::from(want).abs();
            self.note(name, f64::from(found), f64::from(want), allowed);
        }
    }

    /// Every element within `absolute + relative · (largest magnitude of the tensor)`: for gradients,
    /// whose small elements are differences of large ones. `skip` leaves rows out.
    pub fn tensor(
        &mut self,
        name: &str,
        found: &[f32],
        want: &[f32],
        (absolute, relative): (f64, f64),
        skip: std::ops::Range<usize>,
    ) {
        assert_eq!(found.len(), want.len(), "{}: size of {name}", self.case);
        let largest = want.iter().fold(0.0f64, |m, &x| m.max(f64::from(x).abs()));
        for (i, (&found, &want)) in found.iter().zip(want).enumerate() {
            if !skip.contains(&i) {
                let allowed = absolute + relative * largest;
                self.note(name, f64::from(found), f64::from(want), allowed);
            }
        }
    }

    fn note(&mut self, name: &str, found: f64, want: f64, allowed: f64) {
        self.compared += 1;
        let deviation = (found - want).abs();
        let share = deviation / allowed;
        // A NaN is the worst, and fails.
        let share = if share.is_nan() { f64::INFINITY } else { share };
        if share > self.worst.0 {
            self.worst = (share, deviation, allowed, name.to_owned());
        }
        if share > 1.0 && self.failures.len() < 10 {
            self.failures.push(format!(
                "{name}: {found} instead of {want}, allowed {allowed:.1e}"
            ));
        }
    }

    /// Prints the worst deviation and fails if it is not allowed.
    pub fn finish(self) {
        let (share, deviation, allowed, name) = self.worst;
        println!(
            "{}: {} numbers, worst {name}: deviation {deviation:.1e}, allowed {allowed:.1e} ({:.0} %)",
            self.case,
            self.compared,
            100.0 * share
        );
        assert!(self.compared > 0, "{}: nothing was compared", self.case);
        assert!(
            self.failures.is_empty(),
            "{}:\n{}",
            self.case,
            self.failures.join("\n")
        );
    }
}

/// Elements of a key bias in `attn.qkv.bias`: their gradient is zero by the mathematics, so what
/// stands there is rounding noise.
pub fn key_bias(name: &str, dim: usize) -> std::ops::Range<usize> {
    match name.ends_with("attn.qkv.bias") {
        true => dim..2 * dim,
        false => 0..0,
    }
}
