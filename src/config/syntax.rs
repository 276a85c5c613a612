//! From the bytes of a config file to a TOML tree with positions. Every syntax error is found, and none quotes a value.

use std::collections::HashMap;
use std::path::Path;

use toml::de::DeTable;
use toml_parser::Source;
use toml_parser::parser::{Event, EventKind, parse_document};

use super::diagnostics::{ConfigErrors, KeyLocation, Position, SyntaxError, SyntaxErrorKind};
use super::files;

/// Far more than a config needs. Keeps a wrong path from filling the memory.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

const DUPLICATE: &str = "duplicate key";

/// Reads the text of a config file, without a byte order mark.
pub(super) fn read_text(path: &Path) -> Result<String, ConfigErrors> {
    let bytes = files::read(path, MAX_CONFIG_BYTES).map_err(|reason| {
        let hint = "name another file with --config or $UCDN_WATCH_CONFIG";
        ConfigErrors::of_file(path, format!("can't read it: {reason}; {hint}"))
    })?;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to());
        let valid = String::from_utf8_lossy(valid.unwrap_or_default());
        let message = "not UTF-8 text; save the file as UTF-8".to_owned();
        ConfigErrors::at(path, Position::at_end_of(&valid), message)
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// Parses the text and calls `read` with what could be parsed, and with all syntax errors in the order of the text.
///
/// The parser stops at a line that is a key without a value. Such lines are blanked out and the rest is parsed again, so
/// that the errors after them are found in the same run.
pub(super) fn parse<T>(text: &str, read: impl FnOnce(&DeTable<'_>, Vec<SyntaxError>) -> T) -> T {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut errors: Vec<(usize, String)> = errors.iter().map(located).collect();
    let stray: Vec<usize> = errors
        .iter()
        .filter(|(_, message)| message.starts_with("key with no value"))
        .map(|(offset, _)| *offset)
        .collect();
    if stray.is_empty() {
        return read(tree.get_ref(), described(text, errors));
    }
    let blanked = without_lines(text, stray);
    let (tree, more) = DeTable::parse_recoverable(&blanked);
    errors.extend(more.iter().map(located));
    errors.sort();
    errors.dedup();
    read(tree.get_ref(), described(text, errors))
}

/// The offset and the message of an error. Not its `Display`, which prints the line and so may print a secret. The
/// messages are fixed texts.
fn located(error: &toml::de::Error) -> (usize, String) {
    let offset = error.span().map_or(0, |span| span.start);
    (offset, error.message().to_owned())
}

/// The text with spaces in place of the lines at these offsets.
fn without_lines(text: &str, mut offsets: Vec<usize>) -> String {
    offsets.sort_unstable();
    let mut offsets = offsets.into_iter().peekable();
    let mut end = 0;
    let mut blanked = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        end += line.len();
        let mut is_stray = false;
        while offsets.next_if(|offset| *offset < end).is_some() {
            is_stray = true;
        }
        if is_stray {
            let content = line.trim_end_matches('\n');
            blanked.extend(std::iter::repeat_n(' ', content.len()));
            blanked.push_str(line.get(content.len()..).unwrap_or_default());
        } else {
            blanked.push_str(line);
        }
    }
    blanked
}

/// If all errors are duplicate keys, each is reported with its name and its first place. Otherwise what looks like a
/// key may be a part of a secret, and no name is shown.
fn described(text: &str, errors: Vec<(usize, String)>) -> Vec<SyntaxError> {
    let has_duplicates = errors.iter().any(|(_, message)| message == DUPLICATE);
    let is_complete = errors.iter().all(|(_, message)| message == DUPLICATE);
    let duplicates = if has_duplicates && is_complete {
        find_duplicates(text)
    } else {
        HashMap::new()
    };
    let kind = if is_complete {
        SyntaxErrorKind::Duplicate
    } else {
        SyntaxErrorKind::Malformed
    };
    let describe = |(offset, message): (usize, String)| match duplicates.get(&offset) {
        Some((location, message)) => SyntaxError {
            location: location.clone(),
            message: message.clone(),
            kind,
        },
        None => SyntaxError {
            location: KeyLocation::unnamed(offset),
            message: format!("not valid TOML: {message}"),
            kind,
        },
    };
    errors.into_iter().map(describe).collect()
}

/// Every key that is set a second time, by its offset, with a message that names the first place.
fn find_duplicates(text: &str) -> HashMap<usize, (KeyLocation, String)> {
    let source = Source::new(text);
    let tokens = source.lex().into_vec();
    let mut index = KeyIndex::new(source);
    parse_document(&tokens, &mut |event: Event| index.on(&event), &mut ());
    let newlines: Vec<usize> = text.match_indices('\n').map(|(offset, _)| offset).collect();
    let line = |offset: usize| newlines.partition_point(|newline| *newline < offset) + 1;
    let describe = |(key, first): (SetKey, usize)| {
        let (first, path) = (line(first), key.location.path());
        let message = if key.is_table {
            format!(
                "duplicate table [{path}], first defined on line {first}; merge the two or rename one"
            )
        } else {
            format!("duplicate key, first set on line {first}; remove one of the two")
        };
        (key.location.offset(), (key.location, message))
    };
    index.duplicates.into_iter().map(describe).collect()
}

/// A key or table header of the text.
struct SetKey {
    location: KeyLocation,
    is_table: bool,
}

/// Follows the parser's events and remembers the first place of every key.
struct KeyIndex<'a> {
    source: Source<'a>,
    /// Tables that surround the next key, innermost last. The first is the one of the last header.
    tables: Vec<KeyLocation>,
    /// The key that is being read. `None` before its first part.
    key: Option<KeyLocation>,
    is_header: bool,
    first_places: HashMap<String, usize>,
    duplicates: Vec<(SetKey, usize)>,
}

impl<'a> KeyIndex<'a> {
    fn new(source: Source<'a>) -> Self {
        Self {
            source,
            tables: vec![KeyLocation::root()],
            key: None,
            is_header: false,
            first_places: HashMap::new(),
            duplicates: Vec::new(),
        }
    }

    fn on(&mut self, event: &Event) {
        match event.kind() {
            EventKind::StdTableOpen | EventKind::ArrayTableOpen => {
                self.is_header = true;
                self.tables = vec![KeyLocation::root()];
                self.key = None;
            }
            EventKind::StdTableClose | EventKind::ArrayTableClose => {
                self.is_header = false;
                if let Some(table) = self.key.take() {
                    self.tables = vec![table.clone()];
                    self.record(table, true);
                }
            }
            EventKind::SimpleKey => {
                let mut name = String::new();
                if let Some(raw) = self.source.get(event) {
                    raw.decode_key(&mut name, &mut ());
                }
                let parent = self.key.as_ref().or(self.tables.last());
                self.key = parent.map(|parent| parent.key(&name, event.span().start()));
            }
            EventKind::KeyValSep => {
                if let Some(key) = self.key.clone() {
                    self.record(key, false);
                }
            }
            EventKind::InlineTableOpen | EventKind::ArrayOpen => {
                let inner = self.key.take().or_else(|| self.tables.last().cloned());
                self.tables.extend(inner);
            }
            EventKind::InlineTableClose | EventKind::ArrayClose => {
                self.key = None;
                if self.tables.len() > 1 {
                    self.tables.pop();
                }
            }
            EventKind::ValueSep | EventKind::Newline if !self.is_header => self.key = None,
            _ => {}
        }
    }

    fn record(&mut self, location: KeyLocation, is_table: bool) {
        if let Some(first) = self.first_places.get(location.path()) {
            let key = SetKey { location, is_table };
            self.duplicates.push((key, *first));
        } else {
            let path = location.path().to_owned();
            self.first_places.insert(path, location.offset());
        }
    }
}
