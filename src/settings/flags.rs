//! The table as command-line flags: `--group.name value` for every setting.
//!
//! Hidden from the short help, listed by group in `--help`. Values stay text until a row reads
//! them, so that a flag and `--set` accept and refuse exactly the same.

use clap::{Arg, ArgAction, ArgMatches};

use super::error::SettingsError;
use super::table::{ROWS, Settings};
use super::value::{Kind, Row};

/// A flag for every setting.
pub fn args() -> Vec<Arg> {
    ROWS.iter().map(arg).collect()
}

/// Takes the flags of [`args`] that were given; the error lists all that cannot be used.
pub fn apply_matches(settings: &mut Settings, matches: &ArgMatches) -> Result<(), SettingsError> {
    let mut problems = Vec::new();
    for row in ROWS {
        // An `Err` means that this command has no such flag: nothing was given.
        if let Ok(Some(text)) = matches.try_get_one::<String>(row.key) {
            let origin = format!("--{}", row.key);
            problems.extend(settings.set(row.key, text, &origin).err());
        }
    }
    SettingsError::unless_empty(problems)
}

fn arg(row: &'static Row) -> Arg {
    let heading = super::GROUPS
        .iter()
        .find(|(group, _)| *group == row.group)
        .map_or(row.group, |(_, about)| about.trim_end_matches('.'));
    let value_name = match row.kind {
        Kind::Bool => "true|false",
        Kind::Choice(_) => "NAME",
        Kind::Whole => "WHOLE",
        Kind::Number => "NUMBER",
        Kind::Text => "TEXT",
        Kind::List => "NUMBER,…",
        Kind::Interval => "LOW,HIGH",
        Kind::Triple => "RED,GREEN,BLUE",
    };
    Arg::new(row.key)
        .long(row.key)
        .value_name(value_name)
        .help(format!(
            "{} [{}; default: {}]",
            row.help,
            row.allowed(),
            super::describe::plain(&row.default_value())
        ))
        .help_heading(heading)
        .hide_short_help(true)
        .action(ArgAction::Set)
        .allow_hyphen_values(true)
        // The last one counts, so that a script's flags can be followed by a person's.
        .overrides_with(row.key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(words: &[&str]) -> Result<Settings, SettingsError> {
        let matches = clap::Command::new("train")
            .args(args())
            .try_get_matches_from(std::iter::once(&"train").chain(words))
            .expect("known flags");
        let mut settings = Settings::default();
        apply_matches(&mut settings, &matches)?;
        Ok(settings)
    }

    #[test]
    fn flags_reach_every_kind_of_value_and_the_last_one_counts() {
        let settings = apply(&[
            "--run.batch",
            "8",
            "--run.batch=16",
            "--views.global_scale",
            "0.32,1",
            "--mask.ratio",
            "[0, 0.3]",
            "--mask.shape",
            "rand",
            "--head.shared",
            "true",
            "--optim.lr",
            ".001",
        ])
        .expect("valid");
        assert_eq!(settings.run.batch, 16);
        assert_eq!(settings.views.global_scale, [0.32, 1.0]);
        assert_eq!(settings.mask.ratio, [0.0, 0.3]);
        assert_eq!(settings.mask.shape.name(), "rand");
        assert!(settings.head.shared && settings.optim.lr == 0.001);
    }

    #[test]
    fn a_bad_value_names_its_flag() {
        let error = apply(&["--run.batch", "-3", "--views.flip", "two"]).expect_err("two mistakes");
        assert_eq!(error.problems.len(), 2);
        let shown = error.to_string();
        assert!(shown.contains("--run.batch: run.batch = -3 is not allowed"));
        assert!(shown.contains("--views.flip: views.flip = \"two\" is not allowed"));
    }

    #[test]
    fn the_long_help_lists_every_setting_and_the_short_one_none() {
        let mut command = clap::Command::new("train").args(args());
        command.clone().debug_assert();
        let long = command.render_long_help().to_string();
        assert!(
            ROWS.iter()
                .all(|row| long.contains(&format!("--{} ", row.key)))
        );
        assert!(!command.render_help().to_string().contains("--run.epochs"));
    }
}
