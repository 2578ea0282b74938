//! Vulkan for the tests: Mesa's lavapipe, which computes on the CPU, stands for every GPU.
//!
//! All tests share one device and take turns, since Burn orders work by thread.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use burn::tensor::Device;
use patchlight::device::{Api, Kind, adapters, choose};

use super::fixture::Place;

/// By how much tolerances are wider than on the CPU. Sums are taken in another order and `exp`,
/// `erf` and division are the driver's, good to a few units in the last place.
const LOOSER: f64 = 10.0;

static TURN: Mutex<()> = Mutex::new(());
static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();

/// The software device, or another Vulkan one where there is none, for as long as the guard lives.
/// `None` where there is no Vulkan at all, which is said aloud.
///
/// # Panics
/// Without Vulkan where `PATCHLIGHT_REQUIRE_VULKAN=1`.
pub fn place(test: &str) -> Option<(Place, MutexGuard<'static, ()>)> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    match DEVICE.get_or_init(open) {
        Ok(device) => {
            let place = Place {
                device: device.clone(),
                name: "vulkan",
                looser: LOOSER,
                mask_shapes: 8,
            };
            Some((place, turn))
        }
        Err(reason) => {
            let required = std::env::var("PATCHLIGHT_REQUIRE_VULKAN").is_ok_and(|v| v == "1");
            assert!(!required, "PATCHLIGHT_REQUIRE_VULKAN=1, but {reason}");
            println!("{test}: SKIPPED, NOTHING WAS TESTED: {reason}");
            None
        }
    }
}

fn open() -> Result<Device, String> {
    let all = adapters();
    let vulkan = || all.iter().filter(|adapter| adapter.api == Api::Vulkan);
    let software = vulkan().find(|adapter| adapter.kind == Kind::Software);
    let adapter = software.or_else(|| vulkan().next());
    let adapter = adapter.ok_or("no Vulkan driver was found here")?;
    let chosen = choose(&adapter.id).map_err(|error| error.to_string())?;
    println!("vulkan: {} ({})", chosen.name, adapter.driver);
    Ok(chosen.device)
}
