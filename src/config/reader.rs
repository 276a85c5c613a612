//! Typed access to a parsed TOML tree. Reports wrong types, values out of bounds and unknown keys to [`Diagnostics`].
//!
//! Written by hand, because a serde deserializer stops at the first error; see `DECISIONS.md`.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::de::{DeString, DeTable, DeValue};

use super::diagnostics::{Diagnostics, ErrorEmitted, HIDDEN, KeyLocation, Parsed, Spanned};
use super::duration::ConfigDuration;
use crate::domain::suggest::{did_you_mean, nearest};
use crate::secret::{Secret, SecretUrl};

/// A table with a fixed set of keys. Every key that nothing asks for is unknown.
pub(super) struct Table<'a> {
    diagnostics: &'a Diagnostics<'a>,
    location: KeyLocation,
    entries: &'a DeTable<'a>,
    known: Vec<&'static str>,
    misplaced: Vec<(&'static str, &'static str)>,
}

/// A key with its value.
pub(super) struct Field<'a> {
    diagnostics: &'a Diagnostics<'a>,
    location: KeyLocation,
    name: &'a str,
    value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// Reads the top of the file.
    pub(super) fn read_root<T>(
        diagnostics: &'a Diagnostics<'a>,
        entries: &'a DeTable<'a>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        Self::read(diagnostics, KeyLocation::root(), entries, read)
    }

    /// Runs `read`, which must ask for every key that the table can have, then reports the others as unknown.
    fn read<T>(
        diagnostics: &'a Diagnostics<'a>,
        location: KeyLocation,
        entries: &'a DeTable<'a>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut table = Self {
            diagnostics,
            location,
            entries,
            known: Vec::new(),
            misplaced: Vec::new(),
        };
        let value = read(&mut table);
        table.report_unknown_keys();
        value
    }

    /// The key, if it is set.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let (key, value) = self.entries.get_key_value(key)?;
        Some(field(self.diagnostics, &self.location, key, value))
    }

    /// The key. It is an error if it is not set; `hint` says what to do then.
    pub(super) fn required(&mut self, key: &'static str, hint: &str) -> Parsed<Field<'a>> {
        self.optional(key).ok_or_else(|| {
            let location = self.location.missing(key);
            let message = format!("missing; {hint}");
            self.diagnostics.missing(&location, message)
        })
    }

    /// The entries of a table of user-given names that must have at least one; see [`Field::entries`].
    pub(super) fn nonempty_entries(
        &mut self,
        key: &'static str,
        hint: &str,
    ) -> Parsed<Vec<Field<'a>>> {
        let field = self.required(key, hint)?;
        let entries = field.entries()?;
        if entries.is_empty() {
            let message = format!("empty; {hint}");
            return Err(self.diagnostics.missing(&field.location, message));
        }
        Ok(entries)
    }

    /// The result of `read` for the key, if it is set.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Field<'a>) -> Parsed<T>,
    ) -> Parsed<Option<T>> {
        self.optional(key).map(|field| read(&field)).transpose()
    }

    /// Replaces "unknown key" by a better message, for a key that belongs to another table.
    pub(super) fn refuse(&mut self, key: &'static str, message: &'static str) {
        self.misplaced.push((key, message));
    }

    /// Location of the table.
    pub(super) fn location(&self) -> &KeyLocation {
        &self.location
    }

    /// Where errors go.
    pub(super) fn diagnostics(&self) -> &'a Diagnostics<'a> {
        self.diagnostics
    }

    fn report_unknown_keys(&self) {
        let is_complete = self.diagnostics.is_complete();
        let has_malformed_header = self.diagnostics.has_malformed_header();
        for (key, value) in self.entries {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let unknown = field(self.diagnostics, &self.location, key, value);
            if is_complete {
                unknown.error(self.unknown_key_message(name));
                continue;
            }
            // After an unclosed string, the key may be a part of a secret: it is not quoted. Below a malformed header, it
            // may belong to another table: it is reported only if it is near a key of this table.
            let suggestion = did_you_mean(name, self.known.iter().copied());
            if !suggestion.is_empty() || !has_malformed_header {
                let hidden = self.location.key(HIDDEN, unknown.location.offset());
                self.diagnostics
                    .error(&hidden, format!("unknown key{suggestion}"));
            }
        }
    }

    fn unknown_key_message(&self, name: &str) -> String {
        if let Some((_, message)) = self.misplaced.iter().find(|(key, _)| *key == name) {
            return (*message).to_owned();
        }
        match nearest(name, self.known.iter().copied()) {
            Some(known) => {
                self.diagnostics
                    .note_misspelled(&self.location.missing(known));
                format!("unknown key; did you mean `{known}`?")
            }
            None => format!("unknown key; valid keys are {}", self.known.join(", ")),
        }
    }
}

impl<'a> Field<'a> {
    /// Reports an error at this key.
    pub(super) fn error(&self, message: impl Into<String>) -> ErrorEmitted {
        self.diagnostics.error(&self.location, message)
    }

    /// Reports a warning at this key.
    pub(super) fn warn(&self, message: impl Into<String>) {
        self.diagnostics.warn(&self.location, message);
    }

    /// Location of the key.
    pub(super) fn location(&self) -> &KeyLocation {
        &self.location
    }

    /// Where errors go.
    pub(super) fn diagnostics(&self) -> &'a Diagnostics<'a> {
        self.diagnostics
    }

    /// The key, without the path of its table.
    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// The key as a name that the user gives to an account, a target or a webhook. Names become metric labels and parts
    /// of log lines and events.
    pub(super) fn user_given_name(&self) -> Parsed<&'a str> {
        let is_allowed =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if (1..=64).contains(&self.name.len()) && self.name.bytes().all(is_allowed) {
            Ok(self.name)
        } else {
            let rule = "use 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`";
            Err(self.error(format!("invalid name; {rule}")))
        }
    }

    /// The value with the key's location.
    pub(super) fn spanned<T>(&self, value: T) -> Spanned<T> {
        Spanned {
            location: self.location.clone(),
            value,
        }
    }

    /// A table with a fixed set of keys; see [`Table`].
    pub(super) fn table<T>(&self, read: impl FnOnce(&mut Table<'a>) -> T) -> Parsed<T> {
        let entries = self.as_table().ok_or_else(|| self.wrong_type("a table"))?;
        let location = self.location.clone();
        Ok(Table::read(self.diagnostics, location, entries, read))
    }

    /// Whether the value is a table.
    pub(super) fn is_table(&self) -> bool {
        self.as_table().is_some()
    }

    /// Whether the value is a table that has a key besides these.
    pub(super) fn has_keys_besides(&self, known: &[&str]) -> bool {
        let is_other = |key: &DeString<'_>| !known.contains(&key.as_ref());
        self.as_table()
            .is_some_and(|table| table.keys().any(|key| is_other(key.get_ref())))
    }

    /// The entries of a table whose keys are names that the user gives, sorted by name.
    pub(super) fn entries(&self) -> Parsed<Vec<Field<'a>>> {
        let entries = self.as_table().ok_or_else(|| self.wrong_type("a table"))?;
        let is_complete = self.diagnostics.is_complete();
        let entry = |(key, value)| {
            let mut entry = field(self.diagnostics, &self.location, key, value);
            // As with unknown keys: an entry that is not a table may be a part of a broken value.
            if !is_complete && !entry.is_table() {
                entry.location = self.location.key(HIDDEN, entry.location.offset());
            }
            entry
        };
        Ok(entries.iter().map(entry).collect())
    }

    /// The items of a list. `None` for another type, which is not reported.
    pub(super) fn as_items(&self) -> Option<Vec<Field<'a>>> {
        let DeValue::Array(items) = self.value else {
            return None;
        };
        let items = items.iter().enumerate().map(|(index, value)| Field {
            diagnostics: self.diagnostics,
            location: self.location.item(index, value.span().start),
            name: self.name,
            value: value.get_ref(),
        });
        Some(items.collect())
    }

    /// The items of a list.
    pub(super) fn items(&self, expected: &str) -> Parsed<Vec<Field<'a>>> {
        self.as_items().ok_or_else(|| self.wrong_type(expected))
    }

    /// A string. `None` for another type, which is not reported.
    pub(super) fn as_text(&self) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// A string.
    pub(super) fn text(&self) -> Parsed<&'a str> {
        self.as_text().ok_or_else(|| self.wrong_type("a string"))
    }

    /// A string with at least one character.
    pub(super) fn nonempty_text(&self) -> Parsed<&'a str> {
        match self.text()? {
            "" => Err(self.error("expected a non-empty string")),
            text => Ok(text),
        }
    }

    /// `true` or `false`.
    pub(super) fn flag(&self) -> Parsed<bool> {
        match self.value {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    /// A whole number, at least 1.
    pub(super) fn count(&self) -> Parsed<NonZeroU32> {
        let DeValue::Integer(integer) = self.value else {
            return Err(self.wrong_type("a whole number"));
        };
        u32::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .and_then(NonZeroU32::new)
            .ok_or_else(|| self.error(format!("expected a whole number from 1 to {}", u32::MAX)))
    }

    /// A number, whole or not.
    pub(super) fn number(&self) -> Parsed<f64> {
        let text = match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            DeValue::Float(float) => float.as_str(),
            _ => return Err(self.wrong_type("a number")),
        };
        text.parse().map_err(|_| self.wrong_type("a number"))
    }

    /// One of a few words, each with its meaning.
    pub(super) fn word<T: Copy>(&self, words: &[(&'static str, T)]) -> Parsed<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let suggestion = did_you_mean(text, words.iter().map(|(word, _)| *word));
        Err(self.error(format!("expected one of {}{suggestion}", all.join(", "))))
    }

    /// A duration from `shortest` to ten years. Warns of months, which may be meant as minutes.
    pub(super) fn duration(&self, shortest: Duration) -> Parsed<ConfigDuration> {
        let Some(text) = self.as_text() else {
            return Err(self.wrong_type(ConfigDuration::expected()));
        };
        let duration =
            ConfigDuration::parse(text, shortest).map_err(|message| self.error(message))?;
        if let Some(warning) = duration.months_warning() {
            self.warn(warning);
        }
        Ok(duration)
    }

    /// An `http` or `https` URL.
    pub(super) fn url(&self) -> Parsed<SecretUrl> {
        SecretUrl::parse(Secret::new(self.text()?.to_owned()))
            .map_err(|error| self.error(error.to_string()))
    }

    /// Reports a value of the wrong type. Names the type that was found, never the value.
    pub(super) fn wrong_type(&self, expected: &str) -> ErrorEmitted {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("expected {expected}, found {found}"))
    }

    fn as_table(&self) -> Option<&'a DeTable<'a>> {
        match self.value {
            DeValue::Table(table) => Some(table),
            _ => None,
        }
    }
}

fn field<'a>(
    diagnostics: &'a Diagnostics<'a>,
    table: &KeyLocation,
    key: &'a toml::Spanned<DeString<'a>>,
    value: &'a toml::Spanned<DeValue<'a>>,
) -> Field<'a> {
    Field {
        diagnostics,
        location: table.key(key.get_ref(), key.span().start),
        name: key.get_ref(),
        value: value.get_ref(),
    }
}

/// All values, or the first error. Evaluates every item first, so that all errors are reported.
pub(super) fn all<T>(parsed: impl IntoIterator<Item = Parsed<T>>) -> Parsed<Vec<T>> {
    let parsed: Vec<Parsed<T>> = parsed.into_iter().collect();
    parsed.into_iter().collect()
}
