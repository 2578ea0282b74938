//! The form's texts: names, values, what is allowed, and the command line.

use crate::session::pictures::DEMO;
use crate::settings::{ROWS, Row, Settings, preset};

/// `warmup epochs` of `optim.warmup_epochs`.
pub fn plain(row: &Row) -> String {
    row.name.replace('_', " ")
}

/// `Optim` of `optim`.
pub fn title(group: &str) -> String {
    let mut letters = group.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The words of a search, in lower case.
pub fn split(search: &str) -> Vec<String> {
    let words = search.split_whitespace();
    words.map(str::to_lowercase).collect()
}

/// Whether key, name, help and unit together hold every word.
pub fn match_row(row: &Row, search: &[String]) -> bool {
    let text = format!("{} {} {} {}", row.key, plain(row), row.help, row.unit).to_lowercase();
    search.iter().all(|word| text.contains(word))
}

/// A value with all its digits; [`Row::parse`] reads it back unchanged.
pub fn exact(value: &toml::Value) -> String {
    text(value, ", ", |x| x)
}

/// A value with at most six digits.
pub fn brief(value: &toml::Value) -> String {
    text(value, ", ", |x| format!("{x:.5e}").parse().unwrap_or(x))
}

fn text(value: &toml::Value, comma: &str, round: fn(f64) -> f64) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Float(x) => number(round(*x)),
        toml::Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(|v| text(v, comma, round)).collect();
            parts.join(comma)
        }
        value => value.to_string(),
    }
}

/// `5e-4` where zeros would have to be counted. Both forms are the shortest that read back as `x`.
fn number(x: f64) -> String {
    if x != 0.0 && !(1e-3..1e6).contains(&x.abs()) {
        format!("{x:e}")
    } else {
        x.to_string()
    }
}

/// Unit, what is allowed, default and preset value of a row, a line each.
pub fn facts(row: &Row, base: &Settings, preset: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if !row.unit.is_empty() {
        lines.push(format!("Unit: {}", row.unit));
    }
    lines.push(format!("Allowed: {}", row.allowed()));
    lines.push(format!("Default: {}", brief(&row.default_value())));
    lines.push(format!("Preset {preset}: {}", brief(&row.get(base))));
    lines
}

/// `patchlight train SOURCE --preset NAME --set key=value …`, quoted for a shell. A preset that the
/// program does not know is replaced by the one that the source would get.
pub fn command_line(settings: &Settings, name: &str, source: &str) -> String {
    let standard = if source == DEMO { "demo" } else { "photos" };
    let known = preset(name).or_else(|_| preset(standard));
    let (name, base) = match known.and_then(|p| Ok((p.name, p.settings()?))) {
        Ok(known) => known,
        Err(_) => (standard, Settings::default()),
    };
    // A leading dash would be read as a flag.
    let source = match source.starts_with('-') {
        true => format!("./{source}"),
        false => source.to_owned(),
    };
    let mut words = vec!["patchlight".into(), "train".into(), source];
    words.extend(["--preset".into(), name.to_owned()]);
    for row in ROWS
        .iter()
        .filter(|row| row.get(settings) != row.get(&base))
    {
        let value = text(&row.get(settings), ",", |x| x);
        words.extend(["--set".into(), format!("{}={value}", row.key)]);
    }
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    quoted.join(" ")
}

/// `word` as a POSIX shell reads it back.
fn quote(word: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
