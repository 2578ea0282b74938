//! Parses the command line and hands over; nothing else.

use std::process::ExitCode;

/// Tensors of many megabytes come and go in every operation; this allocator keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    patchlight::device::configure();
    match patchlight::command::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
