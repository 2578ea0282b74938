//! `patchlight devices`: what this machine can compute on, and which of it would be taken.

use anyhow::Result;

use crate::device::{Adapter, adapters, preferred};

/// Options of `devices`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    device: super::DeviceArg,
}

/// Prints the list.
///
/// # Errors
/// A `--device` that names nothing in it.
pub fn run(args: Args) -> Result<()> {
    let all = adapters();
    for adapter in &all {
        say!("{}", describe(adapter).trim_end_matches('\n'));
    }
    let (order, reason) = preferred(&all, &args.device.device)?;
    if let Some(first) = order.first() {
        say!(
            "--device {} would take {}: {reason}.",
            args.device.device,
            first.id
        );
    }
    Ok(())
}

/// Two lines and an empty one.
fn describe(adapter: &Adapter) -> String {
    let memory = match adapter.memory {
        Some(bytes) => size(bytes),
        None => "unknown".to_string(),
    };
    format!(
        "{:<10}{}\n{:<10}{} · driver {} · memory {memory} · largest tensor {} · f16 {}\n\n",
        adapter.id,
        adapter.name,
        "",
        adapter.kind.name(),
        adapter.driver,
        size(adapter.largest),
        if adapter.f16 { "yes" } else { "no" },
    )
}

/// `2.0 GiB`, `128 MiB`.
fn size(bytes: u64) -> String {
    let mib = bytes as f64 / (1024.0 * 1024.0);
    if mib < 1024.0 {
        format!("{mib:.0} MiB")
    } else {
        format!("{:.1} GiB", mib / 1024.0)
    }
}
