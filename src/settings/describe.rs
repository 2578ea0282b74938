//! The table as text for people: what `patchlight settings` prints.
//!
//! Values are shown in the form in which a flag takes them, so that a line can be copied.

use super::table::{GROUPS, ROWS, Settings};

/// Width to which text is wrapped, and how far what belongs to a setting is set in.
const COLUMNS: usize = 96;
const INDENT: usize = 6;

/// Every setting whose key contains `filter` (all of them for an empty one): default, the value
/// in `settings` where it differs, range, unit, whether it is live, and help.
pub fn describe(settings: &Settings, filter: &str) -> String {
    let mut text = String::new();
    for (group, about) in GROUPS {
        let mut rows = ROWS
            .iter()
            .filter(|row| row.group == *group && row.key.contains(filter))
            .peekable();
        if rows.peek().is_none() {
            continue;
        }
        text.push_str(&format!("{about}\n\n"));
        for row in rows {
            let (default, value) = (row.default_value(), row.get(settings));
            text.push_str(&format!("  {} = {}", row.key, plain(&value)));
            if value != default {
                text.push_str(&format!("  (default {})", plain(&default)));
            }
            text.push('\n');
            let mut facts = row.allowed();
            if !row.unit.is_empty() {
                facts.push_str(&format!("; unit: {}", row.unit));
            }
            if row.live {
                facts.push_str("; can change during a run");
            }
            for line in [facts.as_str(), row.help]
                .into_iter()
                .flat_map(|paragraph| wrapped(paragraph, COLUMNS - INDENT))
            {
                text.push_str(&format!("{:INDENT$}{line}\n", ""));
            }
        }
        text.push('\n');
    }
    text
}

/// A value as a flag takes it: no quotes, no blanks in lists.
pub fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        // `1e-8` for 0.00000001.
        toml::Value::Float(x) => format!("{x:?}"),
        toml::Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(","),
        value => value.to_string(),
    }
}

fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_described_and_helpful() {
        let text = describe(&Settings::default(), "");
        for row in ROWS {
            let line = format!("  {} = {}", row.key, plain(&row.default_value()));
            assert!(text.contains(&line), "{line}");
            assert!(row.help.ends_with('.'), "{} needs a sentence", row.key);
            let mut settings = Settings::default();
            assert_eq!(
                row.put(&mut settings, &row.default_value()),
                Ok(()),
                "the default is allowed"
            );
        }
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
        let mut settings = Settings::default();
        settings.mask.ratio = vec![0.0, 0.3];
        let one = describe(&settings, "mask.ratio");
        assert!(
            one.contains("  mask.ratio = 0.0,0.3  (default 0.3)\n"),
            "{one}"
        );
        assert!(!one.contains("mask.shape"), "{one}");
    }
}
