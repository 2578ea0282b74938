//! Everything on this machine that can compute, as plain data.
//!
//! Adapters are listed through the very wgpu that Burn uses, one graphics API at a time as Burn does,
//! so that what is listed is what Burn can open. One card often appears under several APIs; each is
//! listed, since each is another driver and may behave differently. The CPU is the last of the list:
//! Burn's own CPU backend, which needs no driver.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::tensor::wgpu::wgpu;
use burn::tensor::{Device, FloatDType, try_read_sync};

/// How a device is spoken to. The order is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    Vulkan,
    Metal,
    Dx12,
    Gl,
    /// Burn's CPU backend, without a driver.
    Flex,
}

impl Api {
    /// Graphics APIs, in order of preference.
    pub const GRAPHICS: [Api; 4] = [Api::Vulkan, Api::Metal, Api::Dx12, Api::Gl];

    /// The word for it in `--device`.
    pub fn id(self) -> &'static str {
        match self {
            Api::Vulkan => "vulkan",
            Api::Metal => "metal",
            Api::Dx12 => "dx12",
            Api::Gl => "gl",
            Api::Flex => "cpu",
        }
    }

    fn backend(self) -> Option<wgpu::Backend> {
        match self {
            Api::Vulkan => Some(wgpu::Backend::Vulkan),
            Api::Metal => Some(wgpu::Backend::Metal),
            Api::Dx12 => Some(wgpu::Backend::Dx12),
            Api::Gl => Some(wgpu::Backend::Gl),
            Api::Flex => None,
        }
    }
}

/// What a device is. The order is that of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    DiscreteGpu,
    IntegratedGpu,
    VirtualGpu,
    /// A GPU of which the API does not say more: OpenGL never does.
    Gpu,
    /// A program that behaves like a GPU and computes on the CPU, slower than `cpu` does.
    Software,
    Cpu,
}

impl Kind {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Kind::DiscreteGpu => "discrete GPU",
            Kind::IntegratedGpu => "integrated GPU",
            Kind::VirtualGpu => "virtual GPU",
            Kind::Gpu => "GPU",
            Kind::Software => "software",
            Kind::Cpu => "CPU",
        }
    }
}

/// One thing that can compute.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// What `--device` calls it: `vulkan:0`, `cpu`.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    pub kind: Kind,
    pub api: Api,
    /// Name and version of the driver.
    pub driver: String,
    /// Bytes of its own memory, where the operating system says. wgpu does not.
    pub memory: Option<u64>,
    /// Bytes of the largest tensor it can hold.
    pub largest: u64,
    /// Whether it computes in half precision.
    pub f16: bool,
    /// What wgpu says about it; none for the CPU.
    pub(super) info: Option<wgpu::AdapterInfo>,
    /// Its place among the adapters of its API that wgpu gives the same type.
    pub(super) nth: usize,
}

impl Adapter {
    /// True for hardware that is made for this work.
    pub fn is_gpu(&self) -> bool {
        !matches!(self.kind, Kind::Software | Kind::Cpu)
    }
}

/// Held while drivers are loaded or let go: the Vulkan loader crashes when several threads do so.
pub(super) static LOADER: Mutex<()> = Mutex::new(());

/// Every adapter of every graphics API, then the CPU.
pub fn adapters() -> Vec<Adapter> {
    let _loader = LOADER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all: Vec<Adapter> = Api::GRAPHICS.into_iter().flat_map(of_api).collect();
    all.push(cpu());
    all
}

/// The adapters of one graphics API, in the order in which Burn meets them.
fn of_api(api: Api) -> Vec<Adapter> {
    let Some(backend) = api.backend() else {
        return Vec::new();
    };
    let backends = wgpu::Backends::from(backend);
    if !wgpu::Instance::enabled_backend_features().contains(backends) {
        return Vec::new();
    }
    // Without this folder Mesa's EGL cannot start, and complains on the terminal for itself.
    if api == Api::Gl && cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none()
    {
        return Vec::new();
    }
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
        backends,
        ..wgpu::InstanceDescriptor::new_without_display_handle()
    });
    let found = try_read_sync(instance.enumerate_adapters(backends)).unwrap_or_default();
    let types: Vec<_> = found
        .iter()
        .map(|adapter| adapter.get_info().device_type)
        .collect();
    let entry = |(index, adapter): (usize, &wgpu::Adapter)| {
        let info = adapter.get_info();
        let limits = adapter.limits();
        Adapter {
            id: format!("{}:{index}", api.id()),
            name: info.name.trim().to_string(),
            kind: kind(&info),
            api,
            driver: join(&info.driver, &info.driver_info),
            memory: video_memory(Path::new("/sys/bus/pci/devices"), &info.device_pci_bus_id),
            largest: limits
                .max_storage_buffer_binding_size
                .min(limits.max_buffer_size),
            f16: adapter.features().contains(wgpu::Features::SHADER_F16),
            nth: types
                .iter()
                .take(index)
                .filter(|&&t| t == info.device_type)
                .count(),
            info: Some(info),
        }
    };
    found.iter().enumerate().map(entry).collect()
}

/// The CPU of this machine, through Burn's own backend.
pub(super) fn cpu() -> Adapter {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get());
    let memory = memory_total(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default());
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model
        .and_then(|rest| rest.split_once(':'))
        .map(|(_, name)| name.trim());
    Adapter {
        id: Api::Flex.id().to_string(),
        name: format!(
            "{}, {threads} threads",
            model.unwrap_or(std::env::consts::ARCH)
        ),
        kind: Kind::Cpu,
        api: Api::Flex,
        driver: "Burn Flex".to_string(),
        memory,
        largest: memory.unwrap_or(isize::MAX as u64),
        f16: Device::flex().supports_dtype(FloatDType::F16),
        info: None,
        nth: 0,
    }
}

/// Drivers do not always admit that they are software; their names do.
fn kind(info: &wgpu::AdapterInfo) -> Kind {
    let name = format!("{} {}", info.name, info.driver).to_lowercase();
    let software = [
        "llvmpipe",
        "lavapipe",
        "softpipe",
        "swiftshader",
        "basic render",
    ];
    match info.device_type {
        _ if software.iter().any(|word| name.contains(word)) => Kind::Software,
        wgpu::DeviceType::Cpu => Kind::Software,
        wgpu::DeviceType::DiscreteGpu => Kind::DiscreteGpu,
        wgpu::DeviceType::IntegratedGpu => Kind::IntegratedGpu,
        wgpu::DeviceType::VirtualGpu => Kind::VirtualGpu,
        wgpu::DeviceType::Other => Kind::Gpu,
    }
}

fn join(driver: &str, version: &str) -> String {
    match (driver.trim(), version.trim()) {
        ("", version) => version.to_string(),
        (driver, "") => driver.to_string(),
        (driver, version) => format!("{driver} {version}"),
    }
}

/// Bytes of memory on a card: Linux says for AMD's.
fn video_memory(devices: &Path, bus: &str) -> Option<u64> {
    if bus.is_empty() || bus.contains('/') {
        return None;
    }
    let text = std::fs::read_to_string(devices.join(bus).join("mem_info_vram_total")).ok()?;
    text.trim().parse().ok()
}

/// Bytes of main memory out of Linux's `/proc/meminfo`.
fn memory_total(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there_and_last() {
        let all = adapters();
        let last = all
            .last()
            .map(|adapter| (adapter.id.as_str(), adapter.kind));
        assert_eq!(last, Some(("cpu", Kind::Cpu)));
        assert_eq!(
            all.iter()
                .filter(|adapter| adapter.kind == Kind::Cpu)
                .count(),
            1
        );
    }

    #[test]
    fn memory_is_read_where_linux_says_it() {
        assert_eq!(
            memory_total("MemTotal:       2048 kB\nMemFree: 1 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(memory_total("MemFree: 1 kB\n"), None);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let card = folder.path().join("0000:03:00.0");
        std::fs::create_dir(&card).expect("a folder");
        std::fs::write(card.join("mem_info_vram_total"), "17163091968\n").expect("a file");
        assert_eq!(
            video_memory(folder.path(), "0000:03:00.0"),
            Some(17_163_091_968)
        );
        assert_eq!(video_memory(folder.path(), "0000:04:00.0"), None);
        assert_eq!(video_memory(folder.path(), ""), None);
    }
}
