//! The presets: named starting points, shipped inside the program.
//!
//! A preset is a TOML file under `assets/presets` that holds only what differs from the defaults,
//! and a table `[preset]` with a description and, where there is one, the source it is made for.

use super::error::{Problem, SettingsError};
use super::table::Settings;
use super::text::PRESET_TABLE;

/// A named starting point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    pub name: &'static str,
    /// One line: what it is for.
    pub description: String,
    /// The source it takes when none is named; `None` where the user has to name one.
    pub source: Option<String>,
    /// The file as it is.
    pub toml: &'static str,
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../assets/presets/", $name, ".toml")))),+]
    };
}

/// Small ones first.
const FILES: &[(&str, &str)] = files![
    "demo",
    "cifar10",
    "photos",
    "vits16",
    "vitb16",
    "vitb16-rand",
    "vitl16",
    "swint7",
    "swint14",
];

/// Every preset, small ones first.
pub fn presets() -> Vec<Preset> {
    FILES.iter().map(|&(name, toml)| read(name, toml)).collect()
}

/// The preset of this name; the error lists the names and suggests the nearest.
pub fn preset(name: &str) -> Result<Preset, SettingsError> {
    if let Some(&(name, toml)) = FILES.iter().find(|(known, _)| *known == name) {
        return Ok(read(name, toml));
    }
    let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let guess = names
        .iter()
        .map(|known| (strsim::damerau_levenshtein(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map_or(String::new(), |(_, known)| {
            format!(" did you mean {known}?")
        });
    let message = format!(
        "there is no such preset;{guess} There are {}",
        names.join(", ")
    );
    Err(Problem::new(format!("--preset {name}"), "", message).into())
}

impl Preset {
    /// The defaults with this preset over them.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        Settings::from_toml(self.toml, &format!("preset {}", self.name))
    }
}

fn read(name: &'static str, text: &'static str) -> Preset {
    let table: toml::Table = text.parse().unwrap_or_default();
    let about = |key: &str| Some(table.get(PRESET_TABLE)?.get(key)?.as_str()?.to_owned());
    Preset {
        name,
        description: about("description").unwrap_or_default(),
        source: about("source"),
        toml: text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_says_only_what_differs() {
        for preset in presets() {
            let settings = preset.settings().expect(preset.name);
            assert_eq!(settings.check(), Ok(()), "{}", preset.name);
            assert!(preset.toml.starts_with("# "), "{}", preset.name);
            assert!(!preset.description.is_empty(), "{}", preset.name);

            let table: toml::Table = preset.toml.parse().expect(preset.name);
            let written: usize = table
                .iter()
                .filter(|(group, _)| *group != PRESET_TABLE)
                .filter_map(|(_, entries)| Some(entries.as_table()?.len()))
                .sum();
            let changed = settings.diff(&Settings::default());
            assert_eq!(written, changed.len(), "{}: {changed:?}", preset.name);
        }
    }

    #[test]
    fn a_mistyped_preset_is_answered_with_the_nearest() {
        let error = preset("vits-16").expect_err("no such preset");
        assert!(
            error.to_string().contains("did you mean vits16?"),
            "{error}"
        );
        assert!(preset("nonsense-name").is_err());
    }
}
