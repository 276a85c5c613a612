//! Config errors and warnings, each with file, line, column and key. No message contains a value that may be secret.
//!
//! A parser reports an error to [`Diagnostics`] and continues, so one run reports all errors of a file.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::text::sanitize;

/// Stands for a key that may be a part of a secret.
pub(super) const HIDDEN: &str = "…";

/// Errors beyond this number are counted, not printed.
const MAX_PRINTED: usize = 1000;

/// Longest key in a printed path, in characters. A longer one is cut.
const MAX_KEY_CHARS: usize = 100;

/// All errors of a config file. Prints a headline and one line per error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    errors: Vec<Diagnostic>,
}

impl ConfigErrors {
    /// The errors in the order of the file. At least one.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.errors.iter()
    }

    /// One error that concerns the whole file.
    pub(super) fn of_file(file: &Path, message: String) -> Self {
        Self::of(file, None, message)
    }

    /// One error at a position of the text.
    pub(super) fn at(file: &Path, position: Position, message: String) -> Self {
        Self::of(file, Some(position), message)
    }

    fn of(file: &Path, position: Option<Position>, message: String) -> Self {
        let error = Diagnostic {
            file: file.to_owned(),
            position,
            key: String::new(),
            message,
        };
        let errors = vec![error];
        Self { errors }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the config is wrong:")?;
        for error in self.errors.iter().take(MAX_PRINTED) {
            write!(f, "\n{error}")?;
        }
        if let Some(next) = self.errors.get(MAX_PRINTED) {
            let file = next.file.display().to_string();
            let rest = self.errors.len() - MAX_PRINTED;
            write!(f, "\n{}: {rest} more errors are not shown", sanitize(&file))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Something valid that is probably a mistake. Prints like an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(Diagnostic);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One error or warning. Prints as one line, `FILE:LINE:COLUMN: key: message`, with control characters escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    file: PathBuf,
    position: Option<Position>,
    key: String,
    message: String,
}

#[cfg(test)]
impl Diagnostic {
    pub(super) fn position(&self) -> Option<Position> {
        self.position
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&sanitize(&self.file.display().to_string()))?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", sanitize(&self.key))?;
        }
        write!(f, ": {}", sanitize(&self.message))
    }
}

/// Line and column, counted from 1. Columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    /// The position at the end of `text`.
    pub(super) fn at_end_of(text: &str) -> Self {
        Self { line: 1, column: 1 }.after(text)
    }

    fn after(self, text: &str) -> Self {
        match text.rsplit_once('\n') {
            Some((lines, rest)) => Self {
                line: self.line + lines.matches('\n').count() + 1,
                column: rest.chars().count() + 1,
            },
            None => Self {
                line: self.line,
                column: self.column + text.chars().count(),
            },
        }
    }
}

/// A key of the file: its full path, and its offset in the text.
#[derive(Clone, Debug)]
pub(super) struct KeyLocation {
    path: String,
    /// In bytes.
    offset: usize,
}

impl KeyLocation {
    /// The top of the file.
    pub(super) fn root() -> Self {
        Self::unnamed(0)
    }

    /// A place in the text that belongs to no key.
    pub(super) fn unnamed(offset: usize) -> Self {
        let path = String::new();
        Self { path, offset }
    }

    /// A key in this table.
    pub(super) fn key(&self, key: &str, offset: usize) -> Self {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push('.');
        }
        let shown: String = key.chars().take(MAX_KEY_CHARS).collect();
        if key == HIDDEN || !key.is_empty() && shown.bytes().all(is_bare) {
            path.push_str(&shown);
        } else {
            path.extend(format!("{shown:?}").chars());
        }
        if shown.len() < key.len() {
            path.push_str(HIDDEN);
        }
        Self { path, offset }
    }

    /// A key that this table lacks. Its position is the table's.
    pub(super) fn missing(&self, key: &str) -> Self {
        self.key(key, self.offset)
    }

    /// An item of this list, counted from 1.
    pub(super) fn item(&self, index: usize, offset: usize) -> Self {
        let path = format!("{}[{}]", self.path, index + 1);
        Self { path, offset }
    }

    /// Full path, such as `targets.shop.interval`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Offset in the text, in bytes.
    pub(super) fn offset(&self) -> usize {
        self.offset
    }
}

/// A value with the location of its key.
#[derive(Clone, Debug)]
pub(super) struct Spanned<T> {
    pub(super) location: KeyLocation,
    pub(super) value: T,
}

/// Proof that an error was reported to [`Diagnostics`]. Its owner must not report it again.
#[derive(Clone, Copy, Debug)]
pub(super) struct ErrorEmitted(());

/// A value, or the proof that its error was reported.
pub(super) type Parsed<T> = Result<T, ErrorEmitted>;

/// A part of the text that is not valid TOML.
#[derive(Clone, Debug)]
pub(super) struct SyntaxError {
    pub(super) location: KeyLocation,
    /// Quotes no value.
    pub(super) message: String,
    pub(super) kind: SyntaxErrorKind,
}

/// Whether the rest of the text can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyntaxErrorKind {
    /// The text is malformed. Keys around it may be missing, or be parts of values.
    Malformed,
    /// A key is set twice. All keys are known.
    Duplicate,
}

/// Collects the errors and warnings of one file.
pub(super) struct Diagnostics<'a> {
    file: &'a Path,
    text: &'a str,
    syntax: Vec<SyntaxError>,
    errors: RefCell<Vec<Pending>>,
    warnings: RefCell<Vec<Pending>>,
    /// Paths of known keys that an unknown key was probably meant to be.
    misspelled: RefCell<BTreeSet<String>>,
}

/// A diagnostic whose line and column are computed at the end, for all at once.
struct Pending {
    location: KeyLocation,
    message: String,
    kind: PendingKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum PendingKind {
    /// A required key is not set.
    Missing,
    /// Anything else.
    Other,
}

impl<'a> Diagnostics<'a> {
    /// Starts with the syntax errors of the text.
    pub(super) fn new(file: &'a Path, text: &'a str, syntax: Vec<SyntaxError>) -> Self {
        Self {
            file,
            text,
            syntax,
            errors: RefCell::default(),
            warnings: RefCell::default(),
            misspelled: RefCell::default(),
        }
    }

    /// Whether all keys are known. If not, a key that seems missing may be in a malformed part, and what looks like a
    /// key may be a part of a broken value: do not report the former, and do not quote the latter.
    pub(super) fn is_complete(&self) -> bool {
        self.malformed().next().is_none()
    }

    /// Whether a table header is malformed. The keys below it then seem to belong to the table before.
    pub(super) fn has_malformed_header(&self) -> bool {
        self.malformed().any(|error| {
            let offset = error.location.offset;
            let line_start = self.text.get(..offset).and_then(|text| text.rfind('\n'));
            let line = self.text.get(line_start.map_or(0, |newline| newline + 1)..);
            line.is_some_and(|line| line.trim_start().starts_with('['))
        })
    }

    fn malformed(&self) -> impl Iterator<Item = &SyntaxError> {
        let is_malformed = |error: &&SyntaxError| error.kind == SyntaxErrorKind::Malformed;
        self.syntax.iter().filter(is_malformed)
    }

    /// Reports an error. The message says what was expected and quotes no value that may be secret.
    pub(super) fn error(&self, location: &KeyLocation, message: impl Into<String>) -> ErrorEmitted {
        let error = Pending::new(location, message.into(), PendingKind::Other);
        self.errors.borrow_mut().push(error);
        ErrorEmitted(())
    }

    /// Reports that a key is not set, unless it may be in a malformed part, or an unknown key is a typo of it.
    pub(super) fn missing(
        &self,
        location: &KeyLocation,
        message: impl Into<String>,
    ) -> ErrorEmitted {
        if self.is_complete() {
            let error = Pending::new(location, message.into(), PendingKind::Missing);
            self.errors.borrow_mut().push(error);
        }
        ErrorEmitted(())
    }

    /// Notes that an unknown key was probably meant to be this known one.
    pub(super) fn note_misspelled(&self, known: &KeyLocation) {
        self.misspelled.borrow_mut().insert(known.path.clone());
    }

    /// For a value that is unavailable because of an error that is already reported.
    pub(super) fn already_reported() -> ErrorEmitted {
        ErrorEmitted(())
    }

    /// Reports a warning.
    pub(super) fn warn(&self, location: &KeyLocation, message: impl Into<String>) {
        let warning = Pending::new(location, message.into(), PendingKind::Other);
        self.warnings.borrow_mut().push(warning);
    }

    /// The value with all warnings, or all errors, in the order of the file. Errors on a line with malformed syntax are
    /// left out, because the syntax error explains them.
    pub(super) fn finish<T>(self, parsed: Parsed<T>) -> Result<(T, Vec<Warning>), ConfigErrors> {
        let misspelled = self.misspelled.into_inner();
        let mut errors = self.errors.into_inner();
        errors.retain(|error| {
            error.kind != PendingKind::Missing || !misspelled.contains(&error.location.path)
        });
        let (malformed, duplicates): (Vec<_>, Vec<_>) = self
            .syntax
            .into_iter()
            .partition(|error| error.kind == SyntaxErrorKind::Malformed);
        errors.extend(duplicates.into_iter().map(Pending::from));
        let malformed = malformed.into_iter().map(Pending::from).collect();

        let malformed = with_positions(self.file, self.text, malformed);
        let line = |error: &Diagnostic| error.position.map(|position| position.line);
        let malformed_lines: BTreeSet<_> = malformed.iter().map(line).collect();
        let mut errors = with_positions(self.file, self.text, errors);
        errors.retain(|error| !malformed_lines.contains(&line(error)));
        errors.extend(malformed);
        errors.sort_by_key(|error| error.position);
        match parsed {
            Ok(value) if errors.is_empty() => {
                let warnings = with_positions(self.file, self.text, self.warnings.into_inner());
                Ok((value, warnings.into_iter().map(Warning).collect()))
            }
            _ => Err(ConfigErrors { errors }),
        }
    }
}

impl Pending {
    fn new(location: &KeyLocation, message: String, kind: PendingKind) -> Self {
        let location = location.clone();
        Self {
            location,
            message,
            kind,
        }
    }
}

impl From<SyntaxError> for Pending {
    fn from(error: SyntaxError) -> Self {
        Self {
            location: error.location,
            message: error.message,
            kind: PendingKind::Other,
        }
    }
}

/// Sorts by offset, and computes all positions in one pass over the text: a file may have very many errors.
fn with_positions(file: &Path, text: &str, mut pending: Vec<Pending>) -> Vec<Diagnostic> {
    pending.sort_by_key(|it| it.location.offset);
    let mut offset = 0;
    let mut position = Position { line: 1, column: 1 };
    let locate = |it: Pending| {
        if let Some(between) = text.get(offset..it.location.offset) {
            position = position.after(between);
            offset = it.location.offset;
        }
        Diagnostic {
            file: file.to_owned(),
            position: Some(position),
            key: it.location.path,
            message: it.message,
        }
    };
    pending.into_iter().map(locate).collect()
}
