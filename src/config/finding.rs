//! Errors and warnings as people see them: file, line, column, key, and what is wrong. Holds nothing secret.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::text::sanitize;

/// Everything that is wrong with a config file. Prints one line an error, after a headline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<Finding>,
}

impl ConfigErrors {
    /// The errors in the order of the file; at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.errors.iter()
    }

    pub(super) fn new(errors: Vec<Finding>) -> Self {
        Self { errors }
    }

    /// One error that is about the file as a whole.
    pub(super) fn of_file(file: &Path, message: String) -> Self {
        Self::new(vec![Finding::new(file, None, String::new(), message)])
    }

    /// One error that is about no key: the text itself is wrong there.
    pub(super) fn at(file: &Path, position: Position, message: String) -> Self {
        let finding = Finding::new(file, Some(position), String::new(), message);
        Self::new(vec![finding])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the config is wrong:")?;
        self.errors
            .iter()
            .try_for_each(|error| write!(f, "\n{error}"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Something allowed but unwise. Prints as an error does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(Finding);

impl Warning {
    pub(super) fn new(finding: Finding) -> Self {
        Self(finding)
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One thing found: `FILE:LINE:COLUMN: key: message`. Holds no value that may be secret, and prints as one line whatever
/// is named in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    file: PathBuf,
    position: Option<Position>,
    key: String,
    message: String,
}

impl Finding {
    pub(super) fn new(
        file: &Path,
        position: Option<Position>,
        key: String,
        message: String,
    ) -> Self {
        Self {
            file: file.to_owned(),
            position,
            key,
            message,
        }
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sanitize(&self.file.display().to_string()))?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            f.write_str(": ")?;
            f.write_str(&sanitize(&self.key))?;
        }
        f.write_str(": ")?;
        f.write_str(&sanitize(&self.message))
    }
}

/// Counted from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}
