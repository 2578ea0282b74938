//! From a request such as `auto` or `vulkan:0` to an open device.
//!
//! Choosing is a pure function of the list of adapters ([`preferred`]), so it can be shown before and
//! tested without any GPU; opening comes after. A program that imitates a GPU is never taken unless
//! it is named: it is the CPU by a detour. A card under OpenGL is taken by itself only if no other
//! API reaches a GPU, because OpenGL lists cards that Vulkan lists too.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use burn::backend::WgpuDeviceKind;
use burn::backend::wgpu::graphics::AutoGraphicsApi;
use burn::backend::wgpu::{RuntimeOptions, WgpuBackend, WgpuDevice, try_init_setup};
use burn::tensor::wgpu::wgpu;
use burn::tensor::{Device, Tensor};

use super::list::{Adapter, Api, Kind, LOADER, adapters, cpu};

/// An open device.
#[derive(Clone, Debug)]
pub struct Chosen {
    pub device: Device,
    /// What to call it: `vulkan:0, llvmpipe (LLVM 15.0.6, 256 bits)`.
    pub name: String,
    /// Why this one, in a sentence without a full stop.
    pub reason: String,
    /// True when it is Burn's CPU backend.
    pub is_cpu: bool,
    /// The graphics device behind it, for a window to draw with; none on the CPU.
    pub graphics: Option<Graphics>,
}

/// A graphics device that Burn has made and others may borrow.
#[derive(Clone, Debug)]
pub struct Graphics {
    pub instance: wgpu::Instance,
    pub adapter: wgpu::Adapter,
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
}

/// Why there is no device.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    #[error("no device is called {request:?}; did you mean {nearest}? {known}")]
    Unknown {
        request: String,
        nearest: String,
        /// What can be named, as a sentence.
        known: String,
    },
    #[error("this machine has no GPU that wgpu reaches. {known}")]
    NoGpu { known: String },
    #[error("{name} could not be opened: {reason}. `--device cpu` always works")]
    Open { name: String, reason: String },
}

/// Opens what `request` asks for: `auto` (a GPU, else the CPU), `gpu`, `cpu`, a graphics API
/// (`vulkan`, `metal`, `dx12`, `gl`) or a name of the list (`vulkan:0`). Opening one again gives the
/// same device.
///
/// # Errors
/// A request that names nothing here, or a device that does not open or compute. Only `auto` goes on
/// to the next best device, and says so in the reason.
pub fn choose(request: &str) -> Result<Chosen, DeviceError> {
    // Who asks for the CPU need not wait for drivers, nor see what they complain about.
    let all = match request.trim().eq_ignore_ascii_case("cpu") {
        true => vec![cpu()],
        false => adapters(),
    };
    let (order, mut reason) = preferred(&all, request)?;
    let mut failures: Vec<DeviceError> = Vec::new();
    for adapter in order {
        match open(adapter) {
            Ok((device, graphics)) => {
                for failure in &failures {
                    reason = format!("{reason}; passed over: {failure}");
                }
                return Ok(Chosen {
                    device,
                    name: title(adapter),
                    reason,
                    is_cpu: adapter.kind == Kind::Cpu,
                    graphics,
                });
            }
            Err(failure) => failures.push(failure),
        }
    }
    let none = || DeviceError::NoGpu { known: known(&all) };
    Err(failures.into_iter().next().unwrap_or_else(none))
}

/// The adapters that `request` allows, best first, and why the first is taken.
///
/// # Errors
/// A request that names nothing in the list.
pub fn preferred<'a>(
    all: &'a [Adapter],
    request: &str,
) -> Result<(Vec<&'a Adapter>, String), DeviceError> {
    let wanted = request.trim().to_lowercase();
    let mut gpus: Vec<&Adapter> = all.iter().filter(|adapter| adapter.is_gpu()).collect();
    gpus.sort_by_key(|adapter| (adapter.api == Api::Gl, adapter.kind, adapter.api));
    let cpu = all.iter().filter(|adapter| adapter.kind == Kind::Cpu);
    match wanted.as_str() {
        "auto" => {
            let reason = match (gpus.first(), all.iter().find(|a| a.kind == Kind::Software)) {
                (Some(_), _) => "the best GPU of this machine".to_string(),
                (None, Some(software)) => format!(
                    "no GPU was found; {} only imitates one and is taken when named",
                    title(software)
                ),
                (None, None) => "no GPU was found".to_string(),
            };
            return Ok((gpus.into_iter().chain(cpu).collect(), reason));
        }
        "gpu" if gpus.is_empty() => return Err(DeviceError::NoGpu { known: known(all) }),
        "gpu" => return Ok((gpus, "the best GPU of this machine, as asked".into())),
        _ => {}
    }
    let mut named: Vec<&Adapter> = all
        .iter()
        .filter(|a| a.id == wanted || a.api.id() == wanted)
        .collect();
    named.sort_by_key(|adapter| adapter.kind);
    named.truncate(1);
    match named.is_empty() {
        true => Err(unknown(all, &wanted)),
        false => Ok((named, "as asked".into())),
    }
}

fn unknown(all: &[Adapter], request: &str) -> DeviceError {
    let ids = all.iter().map(|adapter| adapter.id.as_str());
    let likeness = |name: &&str| (strsim::jaro_winkler(name, request) * 1e6) as u64;
    let nearest = ["auto", "gpu"]
        .into_iter()
        .chain(ids)
        .max_by_key(likeness)
        .unwrap_or("auto");
    DeviceError::Unknown {
        request: request.to_string(),
        nearest: nearest.to_string(),
        known: known(all),
    }
}

/// What can be asked for, as a sentence.
fn known(all: &[Adapter]) -> String {
    let list: Vec<String> = all.iter().map(title).collect();
    format!("Here are: auto, gpu, {}", list.join("; "))
}

/// `vulkan:0, NVIDIA GeForce RTX 4070`.
fn title(adapter: &Adapter) -> String {
    format!("{}, {}", adapter.id, adapter.name)
}

/// Devices opened so far: Burn sets a device up once in a process.
static OPEN: Mutex<Vec<(String, Device, Graphics)>> = Mutex::new(Vec::new());

fn open(adapter: &Adapter) -> Result<(Device, Option<Graphics>), DeviceError> {
    let Some(info) = &adapter.info else {
        return Ok((Device::flex(), None));
    };
    let failed = |reason: String| DeviceError::Open {
        name: title(adapter),
        reason,
    };
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, device, graphics)) = open.iter().find(|(id, ..)| *id == adapter.id) {
        return Ok((device.clone(), Some(graphics.clone())));
    }
    let device = selector(adapter, info.device_type);
    let options = RuntimeOptions::try_default().map_err(|error| failed(error.to_string()))?;
    // Drivers fail in ways that wgpu and CubeCL answer with a panic; here that is an answer, too.
    let loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let setup = try_init_setup::<AutoGraphicsApi>(&device, options)
            .map_err(|error| error.to_string())?;
        let found = setup.adapter.get_info();
        // Burn counts software adapters no further than the first.
        if found.name != info.name || found.device_pci_bus_id != info.device_pci_bus_id {
            return Err(format!("Burn reaches {} in its place", found.name));
        }
        let device = Device::from(device);
        let graphics = Graphics {
            instance: setup.instance,
            adapter: setup.adapter,
            device: setup.device,
            queue: setup.queue,
        };
        try_out(&device).map(|()| (device, graphics))
    }));
    drop(loader);
    let (device, graphics) = match opened {
        Ok(result) => result.map_err(failed)?,
        Err(_) => return Err(failed("its driver failed; see the message above".into())),
    };
    open.push((adapter.id.clone(), device.clone(), graphics.clone()));
    Ok((device, Some(graphics)))
}

/// What Burn calls the adapter.
fn selector(adapter: &Adapter, kind: wgpu::DeviceType) -> WgpuDevice {
    let nth = adapter.nth;
    let kind = match kind {
        wgpu::DeviceType::DiscreteGpu => WgpuDeviceKind::DiscreteGpu(nth),
        wgpu::DeviceType::IntegratedGpu => WgpuDeviceKind::IntegratedGpu(nth),
        wgpu::DeviceType::VirtualGpu => WgpuDeviceKind::VirtualGpu(nth),
        wgpu::DeviceType::Cpu => WgpuDeviceKind::Cpu,
        wgpu::DeviceType::Other => WgpuDeviceKind::Other(nth),
    };
    WgpuDevice::from(kind).on(match adapter.api {
        Api::Vulkan => WgpuBackend::Vulkan,
        Api::Metal => WgpuBackend::Metal,
        Api::Dx12 => WgpuBackend::Dx12,
        Api::Gl => WgpuBackend::Gl,
        Api::Flex => WgpuBackend::Auto,
    })
}

/// A first small product: a device that opens may still fail to compile a kernel.
fn try_out(device: &Device) -> Result<(), String> {
    let product = Tensor::<2>::ones([2, 3], device).matmul(Tensor::ones([3, 2], device));
    let data = product.try_into_data().map_err(|error| error.to_string())?;
    match data.try_into_vec::<f32>() {
        Ok(values) if values == [3.0; 4] => Ok(()),
        other => Err(format!("a product of ones came out as {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(id: &str, kind: Kind, api: Api) -> Adapter {
        Adapter {
            id: id.into(),
            name: format!("the {}", kind.name()),
            kind,
            api,
            driver: String::new(),
            memory: None,
            largest: 1 << 30,
            f16: false,
            info: None,
            nth: 0,
        }
    }

    fn first(all: &[Adapter], request: &str) -> Option<String> {
        preferred(all, request)
            .ok()
            .and_then(|(order, _)| order.first().map(|a| a.id.clone()))
    }

    #[test]
    fn a_real_gpu_comes_first_and_software_only_by_name() {
        let software = adapter("vulkan:0", Kind::Software, Api::Vulkan);
        let small = adapter("vulkan:1", Kind::IntegratedGpu, Api::Vulkan);
        let large = adapter("vulkan:2", Kind::DiscreteGpu, Api::Vulkan);
        let twin = adapter("dx12:0", Kind::DiscreteGpu, Api::Dx12);
        let gl = adapter("gl:0", Kind::Gpu, Api::Gl);
        let cpu = adapter("cpu", Kind::Cpu, Api::Flex);

        let all = [
            software.clone(),
            small,
            large,
            twin,
            gl.clone(),
            cpu.clone(),
        ];
        assert_eq!(first(&all, "auto").as_deref(), Some("vulkan:2"));
        assert_eq!(first(&all, "GPU").as_deref(), Some("vulkan:2"));
        assert_eq!(first(&all, "dx12").as_deref(), Some("dx12:0"));
        assert_eq!(first(&all, "vulkan:0").as_deref(), Some("vulkan:0"));

        let all = [software.clone(), cpu.clone()];
        assert_eq!(first(&all, "auto").as_deref(), Some("cpu"));
        assert_eq!(first(&all, "vulkan").as_deref(), Some("vulkan:0"));
        assert!(matches!(
            preferred(&all, "gpu"),
            Err(DeviceError::NoGpu { .. })
        ));
        let reason = preferred(&all, "auto")
            .map(|(_, reason)| reason)
            .unwrap_or_default();
        assert!(reason.contains("vulkan:0"), "{reason}");

        let all = [software, gl, cpu];
        assert_eq!(first(&all, "auto").as_deref(), Some("gl:0"));
    }

    #[test]
    fn an_unknown_request_names_what_is_there_and_the_nearest() {
        let all = [
            adapter("vulkan:0", Kind::Software, Api::Vulkan),
            adapter("cpu", Kind::Cpu, Api::Flex),
        ];
        let message = |request| {
            preferred(&all, request)
                .expect_err("nothing of that name")
                .to_string()
        };
        assert!(
            message("vulcan:0").contains("did you mean vulkan:0?"),
            "{}",
            message("vulcan:0")
        );
        assert!(
            message("vulkan:7").contains("the software"),
            "{}",
            message("vulkan:7")
        );
        assert!(message("").contains("cpu"), "{}", message(""));
    }

    #[test]
    fn the_cpu_opens_and_computes() {
        let chosen = choose("cpu").expect("the CPU is always there");
        assert!(chosen.is_cpu);
        assert_eq!(try_out(&chosen.device), Ok(()));
    }
}
