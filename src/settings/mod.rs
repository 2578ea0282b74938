//! One table of settings, from which everything else about settings is made.
//!
//! A setting is one row of [`table`]: key, type, default, limits, unit, help, live or fixed. The
//! typed [`Settings`], the TOML files, the command-line flags, the printed list and the window's
//! form all read that row, so that a default or a limit is written once. Rows speak
//! [`toml::Value`] to the outside ([`value`]), which keeps files, flags and forms one code path.
//!
//! Layers, each over the one before: defaults ← preset ← `--config` file ← `--set` and flags
//! ([`Settings::layered`]); then [`Settings::check`] looks at what only several settings
//! together can get wrong.

pub mod check;
pub mod choices;
pub mod describe;
pub mod error;
pub mod flags;
pub mod layers;
pub mod preset;
pub mod table;
pub mod text;
pub mod value;

pub use choices::{Activation, Arch, HeadNorm, MaskShape, Optimizer};
pub use describe::describe;
pub use error::{Problem, SettingsError};
pub use flags::{apply_matches, args};
pub use preset::{Preset, preset, presets};
pub use table::{
    DataSettings, GROUPS, HeadSettings, LossSettings, MaskSettings, ModelSettings, OptimSettings,
    ROWS, RunSettings, Settings, ViewsSettings,
};
pub use value::{Kind, Row};
