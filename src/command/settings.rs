//! `patchlight settings`: the table of settings, as text or as TOML.

use std::io::Write;

use anyhow::Result;

use crate::settings::{Settings, describe, preset, presets};

#[derive(clap::Args)]
pub struct Args {
    /// Only settings whose key contains this
    #[arg(default_value = "")]
    filter: String,
    /// Show the values of a preset
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// Print a TOML file that `--config` reads
    #[arg(long)]
    toml: bool,
}

/// Prints the settings.
pub fn run(args: Args) -> Result<()> {
    let settings = match &args.preset {
        Some(name) => preset(name)?.settings()?,
        None => Settings::default(),
    };
    let mut text = match args.toml {
        true => settings.to_toml(),
        false => describe(&settings, &args.filter),
    };
    if !args.toml && args.filter.is_empty() {
        text.push_str("\nPresets:\n");
        for preset in presets() {
            text.push_str(&format!("  {:12} {}\n", preset.name, preset.description));
        }
    }
    // A reader that closes the pipe has seen enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}
