//! What drivers, wgpu and Burn have to say, for the person who asks for it.
//!
//! They speak through the `log` crate, and most of it is noise: every GPU that is looked for and not
//! there is a warning. So nothing is shown, until `PATCHLIGHT_LOG=warn` (or `error`, `info`, `debug`,
//! `trace`) asks, as one does when a GPU is missing from `patchlight devices`.

use log::{LevelFilter, Log, Metadata, Record};

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata) -> bool {
        true
    }

    fn log(&self, record: &Record) {
        eprintln!("{} {}: {}", record.level(), record.target(), record.args());
    }

    fn flush(&self) {}
}

/// Shows messages from the level in `PATCHLIGHT_LOG` up; none without it.
pub(super) fn install() {
    let wanted = std::env::var("PATCHLIGHT_LOG").unwrap_or_default();
    let level = match wanted.parse() {
        Ok(level) => level,
        Err(_) if wanted.is_empty() => LevelFilter::Off,
        Err(_) => {
            eprintln!("PATCHLIGHT_LOG={wanted} is none of off, error, warn, info, debug, trace");
            LevelFilter::Off
        }
    };
    // A program that uses this library may have a logger of its own; then that one stays.
    if log::set_logger(&Stderr).is_ok() {
        log::set_max_level(level);
    }
}
