//! Reads tables and lists of parsed TOML, and reports keys that nobody asks for. Knows no key by name, and no value.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::report::{HIDDEN, Place, Placed, Read, Report, Reported};
use super::suggest::did_you_mean;

/// A table whose keys are fixed: what nobody asks for is an unknown key.
pub(super) struct Table<'a> {
    report: &'a Report<'a>,
    place: Place,
    entries: &'a DeTable<'a>,
    known: Vec<&'static str>,
    foreign: Vec<(&'static str, &'static str)>,
}

/// A key, and what is given for it.
pub(super) struct Field<'a> {
    report: &'a Report<'a>,
    place: Place,
    name: &'a str,
    pub(super) value: &'a DeValue<'a>,
}

impl<'a> Table<'a> {
    /// Reads the file's top.
    pub(super) fn read_root<T>(
        report: &'a Report<'a>,
        entries: &'a DeTable<'a>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        Self::read(report, Place::root(), entries, read)
    }

    /// Runs `read`, which must ask for every key there can be, then reports those that it did not ask for.
    fn read<T>(
        report: &'a Report<'a>,
        place: Place,
        entries: &'a DeTable<'a>,
        read: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let mut table = Self {
            report,
            place,
            entries,
            known: Vec::new(),
            foreign: Vec::new(),
        };
        let value = read(&mut table);
        table.report_unknown_keys();
        value
    }

    /// The key, if it is given.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<Field<'a>> {
        self.known.push(key);
        let (key, value) = self.entries.get_key_value(key)?;
        Some(field(self.report, &self.place, key, value))
    }

    /// The key; it is an error if it is not given. `hint` says what to write.
    pub(super) fn required(&mut self, key: &'static str, hint: &str) -> Read<Field<'a>> {
        self.optional(key).ok_or_else(|| {
            let place = self.place.missing(key);
            self.report
                .missing(&place, format!("is missing: expected {hint}"))
        })
    }

    /// The entries of a table of names that must hold at least one; see [`Field::entries`].
    pub(super) fn named(&mut self, key: &'static str, hint: &str) -> Read<Vec<Field<'a>>> {
        let field = self.required(key, hint)?;
        let entries = field.entries()?;
        if entries.is_empty() {
            let message = format!("is empty: expected {hint}");
            return Err(self.report.missing(&field.place, message));
        }
        Ok(entries)
    }

    /// What `read` makes of the key, if it is given.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Field<'a>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.optional(key).map(|field| read(&field)).transpose()
    }

    /// Says why a key that is known elsewhere has no place here.
    pub(super) fn refuse(&mut self, key: &'static str, reason: &'static str) {
        self.foreign.push((key, reason));
    }

    /// Where the table stands.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Where errors go.
    pub(super) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    fn report_unknown_keys(&self) {
        for (key, value) in self.entries {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let found = field(self.report, &self.place, key, value);
            if self.report.is_whole() {
                found.error(self.why_unknown(name));
            } else {
                self.report_key_of_broken_text(name, found.place.offset());
            }
        }
    }

    fn why_unknown(&self, name: &str) -> String {
        let foreign = self.foreign.iter().find(|(foreign, _)| *foreign == name);
        foreign.map_or_else(
            || format!("unknown key{}", self.nearest(name)),
            |(_, reason)| (*reason).to_owned(),
        )
    }

    /// Behind an unclosed string, what looks like a key may be a piece of a secret: it is not quoted. Below a broken
    /// header, it may be a key of another table: only what is near to one of this table's is told.
    fn report_key_of_broken_text(&self, name: &str, offset: usize) {
        let nearest = self.nearest(name);
        if !nearest.is_empty() || !self.report.lacks_a_header() {
            let place = self.place.key(HIDDEN, offset);
            self.report.error(&place, format!("unknown key{nearest}"));
        }
    }

    fn nearest(&self, name: &str) -> String {
        did_you_mean(name, self.known.iter().copied())
    }
}

impl<'a> Field<'a> {
    /// Reports an error at this key.
    pub(super) fn error(&self, message: impl Into<String>) -> Reported {
        self.report.error(&self.place, message)
    }

    /// Where the key stands.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Where errors go.
    pub(super) fn report(&self) -> &'a Report<'a> {
        self.report
    }

    /// The key itself, without what it is in.
    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// Keeps the key's place with a value.
    pub(super) fn placed<T>(&self, value: T) -> Placed<T> {
        Placed {
            place: self.place.clone(),
            value,
        }
    }

    /// A table whose keys are fixed; see [`Table`].
    pub(super) fn table<T>(&self, read: impl FnOnce(&mut Table<'a>) -> T) -> Read<T> {
        let entries = self.as_table().ok_or_else(|| self.wrong_shape("a table"))?;
        Ok(Table::read(self.report, self.place.clone(), entries, read))
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.as_table().is_some()
    }

    /// The entries of a table whose keys are names that the user gives, in the order of the names.
    pub(super) fn entries(&self) -> Read<Vec<Field<'a>>> {
        let entries = self.as_table().ok_or_else(|| self.wrong_shape("a table"))?;
        let entry = |(key, value)| {
            let mut entry = field(self.report, &self.place, key, value);
            // As with unknown keys: what is no table may be a piece of a broken value.
            if !self.report.is_whole() && !entry.is_table() {
                entry.place = self.place.key(HIDDEN, entry.place.offset());
            }
            entry
        };
        Ok(entries.iter().map(entry).collect())
    }

    /// The items of a list; `None` for any other shape, of which nothing is reported.
    pub(super) fn as_items(&self) -> Option<Vec<Field<'a>>> {
        let DeValue::Array(items) = self.value else {
            return None;
        };
        let item = |(index, value): (usize, &'a Spanned<DeValue<'a>>)| Field {
            report: self.report,
            place: self.place.item(index, value.span().start),
            name: self.name,
            value: value.get_ref(),
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The items of a list.
    pub(super) fn items(&self, expected: &str) -> Read<Vec<Field<'a>>> {
        self.as_items().ok_or_else(|| self.wrong_shape(expected))
    }

    /// Reports that another shape was expected, and names the one that is there: never the value.
    pub(super) fn wrong_shape(&self, expected: &str) -> Reported {
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
    report: &'a Report<'a>,
    parent: &Place,
    key: &'a Spanned<toml::de::DeString<'a>>,
    value: &'a Spanned<DeValue<'a>>,
) -> Field<'a> {
    Field {
        report,
        place: parent.key(key.get_ref(), key.span().start),
        name: key.get_ref(),
        value: value.get_ref(),
    }
}

/// Reads all of them, so that all errors are reported, then fails if one did.
pub(super) fn all<T>(read: impl IntoIterator<Item = Read<T>>) -> Read<Vec<T>> {
    let read: Vec<Read<T>> = read.into_iter().collect();
    read.into_iter().collect()
}
