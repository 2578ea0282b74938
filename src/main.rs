//! Parses the command line and hands over; nothing else.

use std::process::ExitCode;

/// Tensors of many megabytes come and go in every operation; this allocator keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    keep_freed_memory();
    patchlight::device::configure();
    match patchlight::command::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lets freed memory rest for ten seconds before the system gets it back. The allocator's own 10 ms
/// are shorter than a step, so every step had its pages cleared anew: an eighth of its time on a CPU.
/// The variable `MIMALLOC_PURGE_DELAY` still counts.
#[allow(unsafe_code, reason = "the allocator's options are a C interface")]
fn keep_freed_memory() {
    use std::ffi::{c_int, c_long};
    unsafe extern "C" {
        fn mi_option_set_default(option: c_int, value: c_long);
    }
    /// `mi_option_purge_delay` of mimalloc.h, in milliseconds.
    const PURGE_DELAY: c_int = 15;
    // SAFETY: it only stores a number, and mimalloc is linked as the allocator above.
    unsafe { mi_option_set_default(PURGE_DELAY, 10_000) };
}
