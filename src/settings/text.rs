//! Settings as TOML text: reading a layer, writing all of them.
//!
//! Reading walks what the file says rather than what the table has, so that a mistyped key is
//! found and named instead of being passed over. Writing goes through the table and puts the help
//! above each value: a saved file explains itself.

use super::error::{Problem, SettingsError};
use super::layers::nearest;
use super::table::{GROUPS, ROWS, Settings};
use super::value::Row;

/// Table in a preset that tells about the preset, not about the run.
pub(super) const PRESET_TABLE: &str = "preset";

impl Settings {
    /// The defaults with `text` over them. `origin` names the file in messages.
    pub fn from_toml(text: &str, origin: &str) -> Result<Settings, SettingsError> {
        let mut settings = Settings::default();
        settings.merge_toml(text, origin)?;
        Ok(settings)
    }

    /// Lays the keys of `text` over these settings; a table `[preset]` is passed over. The error
    /// lists every key that could not be used; the others have been taken.
    pub fn merge_toml(&mut self, text: &str, origin: &str) -> Result<(), SettingsError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            Problem::new(origin, "", format!("not valid TOML: {error}"))
        })?;
        let mut problems = Vec::new();
        for (group, value) in &table {
            match value {
                _ if group == PRESET_TABLE => {}
                toml::Value::Table(entries) => {
                    for (name, value) in entries {
                        let key = format!("{group}.{name}");
                        problems.extend(self.put(&key, value, origin).err());
                    }
                }
                value => problems.extend(self.put(group, value, origin).err()),
            }
        }
        SettingsError::unless_empty(problems)
    }

    /// Sets one value by key; the problem names the key, the value, what is allowed, and for an
    /// unknown key the nearest one.
    pub fn put(&mut self, key: &str, value: &toml::Value, origin: &str) -> Result<(), Problem> {
        let row = Row::find(key).ok_or_else(|| unknown(key, origin))?;
        row.put(self, value)
            .map_err(|message| Problem::new(origin, key, message))
    }

    /// Every setting with its help as a comment; [`Settings::from_toml`] reads it back unchanged.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        for (group, about) in GROUPS {
            text.push_str(&format!("# {about}\n[{group}]\n"));
            for row in ROWS.iter().filter(|row| row.group == *group) {
                let unit = match row.unit {
                    "" => String::new(),
                    unit => format!(" [{unit}]"),
                };
                text.push_str(&format!("# {}{unit}\n", row.help));
                let value = match row.get(self) {
                    // `1e-8` for 0.00000001; TOML reads both.
                    toml::Value::Float(x) => format!("{x:?}"),
                    value => value.to_string(),
                };
                text.push_str(&format!("{} = {value}\n", row.name));
            }
            text.push('\n');
        }
        text
    }
}

pub(super) fn unknown(key: &str, origin: &str) -> Problem {
    let advice = match nearest(key).as_slice() {
        [] => "`patchlight settings` lists all of them".to_owned(),
        keys => format!("did you mean {}?", keys.join(" or ")),
    };
    Problem::new(origin, key, format!("{key} is not a setting; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_settings_read_back_unchanged() {
        let mut settings = Settings::default();
        for (key, text) in [
            ("optim.eps", "3.7e-12"),
            ("run.seed", "9007199254740991"),
            ("mask.ratio", "0, 0.3"),
            ("mask.shape", "rand"),
            ("views.aspect", "[0.7, 1.2857142857142858]"),
            ("run.device", "vulkan:0 \"x\"\n"),
            ("head.shared", "yes"),
        ] {
            settings.set(key, text, "test").expect(key);
        }
        assert_eq!(settings.diff(&Settings::default()).len(), 7);
        assert_eq!(
            Settings::from_toml(&settings.to_toml(), "saved"),
            Ok(settings)
        );
    }

    #[test]
    fn every_problem_is_named_with_origin_value_and_remedy() {
        let text = "epochs = 3\n[views]\nflipp = 0.5\nflip = 1.5\nglobal_scale = [1.0, 0.2]\nhue = nan\n\
                    [mask]\nshape = \"blok\"\nratio = []\n[run]\nbatch = 2.5\nseed = 9007199254740993\n[preset]\nanything = 1\n";
        let error = Settings::from_toml(text, "my.toml").expect_err("nine mistakes");
        let shown = error.to_string();
        assert_eq!(error.problems.len(), 9, "{shown}");
        for part in [
            "my.toml: epochs is not a setting; did you mean run.epochs?",
            "my.toml: views.flipp is not a setting; did you mean views.flip?",
            "views.flip = 1.5 is not allowed: give a number from 0 to 1",
            "views.global_scale = [1.0, 0.2] is not allowed: give two numbers, the lower first",
            "mask.shape = \"blok\" is not allowed: give one of block, rand",
            "run.batch = 2.5 is not allowed: give a whole number from 1 to 65536",
        ] {
            assert!(shown.contains(part), "{part}\nnot in\n{shown}");
        }
        assert!(Settings::from_toml("a = [", "bad.toml").is_err());
    }
}
