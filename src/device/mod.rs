//! Which GPU or CPU to compute on.
//!
//! [`adapters`] lists what this machine has, [`choose`] opens one of them for Burn. Everything above
//! this room gets a [`Chosen`] and asks no further: in Burn the device carries the backend, so a
//! model does not know where it runs. Whether a device computes *correctly* is not decided here but
//! measured, by `patchlight doctor`.

mod choose;
mod list;
mod messages;

pub use choose::{Chosen, DeviceError, Graphics, choose, preferred};
pub use list::{Adapter, Api, Kind, adapters};

/// Sets up what is the same for the whole process. Call it first thing in `main`.
///
/// Drivers and Burn are kept quiet unless `PATCHLIGHT_LOG` asks for their messages. Nothing needs to
/// be said about caches: Burn is built without its `persistence` feature, so compiled kernels and
/// their timings stay in memory, and no file is written beside the user's (tests/doctor.rs looks).
pub fn configure() {
    messages::install();
}
