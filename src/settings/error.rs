//! What is wrong with settings: always the whole list, each with the file or flag it came from.
//!
//! A person who mistyped three keys should learn of all three at once, and a form marks every
//! field that needs attention; therefore a list of problems rather than the first one.

use std::fmt;

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// File, flag or preset that said it; empty for a conflict between settings.
    pub origin: String,
    /// The setting concerned (`group.name`); empty where the text as a whole is at fault.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    pub fn new(
        origin: impl Into<String>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Problem {
            origin: origin.into(),
            key: key.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.origin.is_empty() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.origin, self.message)
        }
    }
}

/// Settings that cannot be used; never an empty list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    pub problems: Vec<Problem>,
}

impl SettingsError {
    /// `Ok` where nothing was found.
    pub fn unless_empty(problems: Vec<Problem>) -> Result<(), SettingsError> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(SettingsError { problems })
        }
    }
}

impl From<Problem> for SettingsError {
    fn from(problem: Problem) -> Self {
        SettingsError {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [one] => one.fmt(f),
            several => {
                write!(f, "{} problems with the settings:", several.len())?;
                several
                    .iter()
                    .try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for SettingsError {}
