//! Collects what is wrong with a config, and where. Owns places; judges no key itself.
//!
//! Every error is put into a [`Report`] at once, and the finder goes on: that is how one run tells all of them.

use std::cell::RefCell;
use std::path::Path;

use super::finding::{ConfigErrors, Finding, Position, Warning};

/// Stands for a key that may be a piece of a secret.
pub(super) const HIDDEN: &str = "…";

/// A key of the file: its whole path, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: String,
    /// In bytes from the beginning of the text.
    offset: usize,
}

impl Place {
    /// The file's top.
    pub(super) fn root() -> Self {
        Self {
            path: String::new(),
            offset: 0,
        }
    }

    /// A key in this table, at an offset of its own.
    pub(super) fn key(&self, key: &str, offset: usize) -> Self {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push('.');
        }
        if key == HIDDEN || !key.is_empty() && key.bytes().all(is_bare) {
            path.push_str(key);
        } else {
            path.extend(format!("{key:?}").chars());
        }
        Self { path, offset }
    }

    /// Where it stands, in bytes from the beginning of the text.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }

    /// A key that this table lacks: the table is where to look.
    pub(super) fn missing(&self, key: &str) -> Self {
        self.key(key, self.offset)
    }

    /// An item of this list; counted from 1, as people do.
    pub(super) fn item(&self, index: usize, offset: usize) -> Self {
        let path = format!("{}[{}]", self.path, index + 1);
        Self { path, offset }
    }
}

/// Something read, and the key that it was read from.
#[derive(Clone, Debug)]
pub(super) struct Placed<T> {
    pub(super) place: Place,
    pub(super) value: T,
}

/// Proof that an error was put into the [`Report`]: whoever holds one need not speak again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported(());

/// A value, or the proof that its error is reported.
pub(super) type Read<T> = Result<T, Reported>;

/// Why a part of the text can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyntaxError {
    /// In bytes from the beginning of the text.
    pub(super) offset: usize,
    /// A fixed text.
    pub(super) message: String,
}

/// Collects what is found in one file.
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    syntax: Vec<Finding>,
    errors: RefCell<Vec<Finding>>,
    warnings: RefCell<Vec<Finding>>,
}

impl<'a> Report<'a> {
    /// Begins with the errors that kept parts of the text from being read.
    pub(super) fn new(file: &'a Path, text: &'a str, syntax: &[SyntaxError]) -> Self {
        let mut report = Self {
            file,
            text,
            syntax: Vec::new(),
            errors: RefCell::default(),
            warnings: RefCell::default(),
        };
        report.syntax = syntax
            .iter()
            .map(|error| {
                let place = Place::root().at(error.offset);
                report.finding(&place, format!("not valid TOML: {}", error.message))
            })
            .collect();
        report
    }

    /// Whether the whole text was read. If not, keys seem missing that are there, and keys seem to be there that
    /// are pieces of broken values: nothing is concluded from the first, and the second are not quoted.
    pub(super) fn is_whole(&self) -> bool {
        self.syntax.is_empty()
    }

    /// Whether a table's header can't be read: what stands below it seems to belong to the table before.
    pub(super) fn lacks_a_header(&self) -> bool {
        let lines: Vec<&str> = self.text.lines().collect();
        self.syntax.iter().any(|error| {
            let line = error.position().and_then(|at| lines.get(at.line - 1));
            line.is_some_and(|line| line.trim_start().starts_with('['))
        })
    }

    /// Notes an error. Say what was expected; never quote a value that may be secret.
    pub(super) fn error(&self, place: &Place, message: impl Into<String>) -> Reported {
        let finding = self.finding(place, message.into());
        self.errors.borrow_mut().push(finding);
        Reported(())
    }

    /// Notes that something is not there, unless it may be in a part that could not be read.
    pub(super) fn missing(&self, place: &Place, message: impl Into<String>) -> Reported {
        if self.is_whole() {
            self.error(place, message)
        } else {
            Reported(())
        }
    }

    /// Notes nothing: for what can't be had because of an error that is noted already.
    pub(super) fn silently() -> Reported {
        Reported(())
    }

    /// Notes something allowed but unwise.
    pub(super) fn warn(&self, place: &Place, message: impl Into<String>) {
        let finding = self.finding(place, message.into());
        self.warnings.borrow_mut().push(finding);
    }

    /// Everything found, in the order of the file. A wrong value is not told where the syntax is wrong already.
    pub(super) fn finish<T>(self, read: Read<T>) -> Result<(T, Vec<Warning>), ConfigErrors> {
        let line = |finding: &Finding| finding.position().map(|position| position.line);
        let mut errors = self.errors.into_inner();
        errors.retain(|error| self.syntax.iter().all(|other| line(other) != line(error)));
        errors.extend(self.syntax);
        errors.sort_by_key(Finding::position);
        let mut warnings = self.warnings.into_inner();
        warnings.sort_by_key(Finding::position);
        match read {
            Ok(value) if errors.is_empty() => {
                Ok((value, warnings.into_iter().map(Warning::new).collect()))
            }
            _ => Err(ConfigErrors::new(errors)),
        }
    }

    fn finding(&self, place: &Place, message: String) -> Finding {
        let before = self.text.get(..place.offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        let position = Position {
            line: before.matches('\n').count() + 1,
            column,
        };
        Finding::new(self.file, Some(position), place.path.clone(), message)
    }
}

impl Place {
    fn at(mut self, offset: usize) -> Self {
        self.offset = offset;
        self
    }
}
