//! Layers of settings: which source speaks over which, single changes, and what differs.
//!
//! Each layer only says what it changes, and a complaint names the layer. The order is fixed
//! here and nowhere else: defaults ← preset ← file ← `--set` ← flags.

use std::path::Path;

use super::error::{Problem, SettingsError};
use super::table::{ROWS, Settings};
use super::text::unknown;
use super::value::Row;

impl Settings {
    /// All layers together, checked. `set` holds `key=value` texts, `flags` what
    /// [`super::args`] matched.
    pub fn layered(
        preset: Option<&str>,
        config: Option<&Path>,
        set: &[String],
        flags: Option<&clap::ArgMatches>,
    ) -> Result<Settings, SettingsError> {
        let settings = Self::joined(preset, config, set, flags)?;
        settings.check()?;
        Ok(settings)
    }

    /// The same, not yet checked against each other: weights may still say what network it is.
    pub fn joined(
        preset: Option<&str>,
        config: Option<&Path>,
        set: &[String],
        flags: Option<&clap::ArgMatches>,
    ) -> Result<Settings, SettingsError> {
        let mut settings = match preset {
            Some(name) => super::preset(name)?.settings()?,
            None => Settings::default(),
        };
        if let Some(path) = config {
            let origin = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                Problem::new(origin.as_str(), "", format!("cannot be read: {error}"))
            })?;
            settings.merge_toml(&text, &origin)?;
        }
        let mut problems = Vec::new();
        for assignment in set {
            let origin = format!("--set {assignment}");
            let outcome = match assignment.split_once('=') {
                Some((key, text)) => settings.set(key.trim(), text, &origin),
                None => Err(Problem::new(
                    origin,
                    "",
                    "has no `=`; write --set group.name=value",
                )),
            };
            problems.extend(outcome.err());
        }
        if let Some(Err(error)) = flags.map(|flags| super::apply_matches(&mut settings, flags)) {
            problems.extend(error.problems);
        }
        SettingsError::unless_empty(problems)?;
        Ok(settings)
    }

    /// Sets one value from text as a person types it (see [`Row::parse`]).
    pub fn set(&mut self, key: &str, text: &str, origin: &str) -> Result<(), Problem> {
        let row = Row::find(key).ok_or_else(|| unknown(key, origin))?;
        self.put(key, &row.parse(text), origin)
    }

    /// Like [`Settings::set`] while a run is going on: only live settings, and only where the
    /// settings as a whole stay valid. On an error nothing has changed.
    pub fn set_live(&mut self, key: &str, text: &str, origin: &str) -> Result<(), SettingsError> {
        let mut changed = self.clone();
        changed.set(key, text, origin)?;
        if Row::find(key).is_some_and(|row| !row.live) {
            let message = format!("{key} cannot change during a run; start a new run with it");
            return Err(Problem::new(origin, key, message).into());
        }
        changed.check()?;
        *self = changed;
        Ok(())
    }

    /// Takes from `other` what makes a network (model, head, and the size of its crops, which its positions are
    /// made for), except where this differs from `base`: what a person has chosen stays.
    pub fn with_network_of(self, other: &Settings, base: &Settings) -> Self {
        let makes =
            |row: &Row| matches!(row.group, "model" | "head") || row.key == "views.global_size";
        self.with(other, base, makes)
    }

    /// The same for everything that makes a training: what is not about this machine and this folder.
    pub fn with_recipe_of(self, other: &Settings, base: &Settings) -> Self {
        let makes = |row: &Row| match row.group {
            "run" => ["run.epochs", "run.batch", "run.seed"].contains(&row.key),
            "data" => false,
            _ => true,
        };
        self.with(other, base, makes)
    }

    fn with(mut self, other: &Settings, base: &Settings, which: impl Fn(&Row) -> bool) -> Self {
        for row in ROWS.iter().filter(|row| which(row)) {
            if row.get(&self) == row.get(base) {
                // A value that was a setting before is allowed.
                let _ = row.put(&mut self, &row.get(other));
            }
        }
        self
    }

    /// Keys whose values differ from `other`'s, in the order of the table.
    pub fn diff(&self, other: &Settings) -> Vec<&'static str> {
        ROWS.iter()
            .filter(|row| row.get(self) != row.get(other))
            .map(|row| row.key)
            .collect()
    }
}

/// The settings whose names are nearest to `key`; empty where none is near. A right name in the
/// wrong or no group counts as one letter off.
pub fn nearest(key: &str) -> Vec<&'static str> {
    let name = key.rsplit('.').next().unwrap_or(key);
    let distance = |row: &Row| {
        let whole = strsim::damerau_levenshtein(key, row.key);
        whole.min(strsim::damerau_levenshtein(name, row.name) + 1)
    };
    let best = ROWS.iter().map(distance).min().unwrap_or(usize::MAX);
    if best > (name.chars().count() / 3).max(2) {
        return Vec::new();
    }
    ROWS.iter()
        .filter(|row| distance(row) == best)
        .map(|row| row.key)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layered(
        preset: &str,
        config: Option<&Path>,
        set: &[&str],
    ) -> Result<Settings, SettingsError> {
        let set: Vec<String> = set.iter().map(|text| (*text).to_owned()).collect();
        Settings::layered(Some(preset), config, &set, None)
    }

    #[test]
    fn later_layers_win_and_errors_name_their_layer() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("mine.toml");
        std::fs::write(&path, "[run]\nepochs = 77\nbatch = 32\n").expect("written");
        let settings = layered("demo", Some(&path), &["run.batch = 16"]).expect("valid");
        assert_eq!((settings.run.epochs, settings.run.batch), (77, 16));
        assert_eq!(settings.model.patch, 8);

        std::fs::write(&path, "[run]\nepochs = 0\n").expect("written");
        let error = layered("demo", Some(&path), &[]).expect_err("no epoch");
        assert!(
            error.to_string().contains("mine.toml: run.epochs = 0"),
            "{error}"
        );
        let error = layered("demo", None, &["run.epoch=5", "oops"]).expect_err("two mistakes");
        assert_eq!(error.problems.len(), 2);
        assert!(error.to_string().contains("did you mean run.epochs?"));
        assert!(
            layered("demo", Some(Path::new("no/such.toml")), &[])
                .expect_err("no file")
                .to_string()
                .starts_with("no/such.toml: cannot be read")
        );
    }

    #[test]
    fn the_nearest_key_forgives_spelling_and_group_but_not_everything() {
        assert_eq!(
            nearest("loss.center_momentum"),
            ["loss.centre_momentum"],
            "American spelling"
        );
        assert_eq!(nearest("aspect"), ["views.aspect", "mask.aspect"]);
        assert!(nearest("colour_of_the_sky").is_empty());
    }

    #[test]
    fn only_live_settings_change_during_a_run() {
        let mut settings = Settings::default();
        assert!(settings.set_live("optim.lr", "1e-3", "form").is_ok());
        assert!(settings.set_live("model.depth", "3", "form").is_err());
        assert!(settings.set_live("mask.ratio", "0,0.3", "form").is_err());
        assert_eq!(settings.diff(&Settings::default()), ["optim.lr"]);
    }

    #[test]
    fn a_network_is_taken_over_except_what_was_chosen() {
        let base = Settings::default();
        let mut mine = base.clone();
        mine.set("head.hidden", "99", "").unwrap();
        mine.set("optim.lr", "0.1", "").unwrap();
        let mut other = base.clone();
        for (key, text) in [
            ("head.hidden", "77"),
            ("head.patch_out_dim", "5"),
            ("views.global_size", "64"),
            ("optim.lr", "0.2"),
        ] {
            other.set(key, text, "").unwrap();
        }
        let taken = mine.with_network_of(&other, &base);
        assert_eq!((taken.head.hidden, taken.head.patch_out_dim), (99, 5));
        assert_eq!((taken.views.global_size, taken.optim.lr), (64, 0.1));
    }
}
