//! WHERE clauses from filters. Values are always passed as parameters.

use rusqlite::types::Value;

use crate::domain::model::Timestamp;

/// Conditions that all must hold.
#[derive(Debug, Default)]
pub(super) struct WhereClause {
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl WhereClause {
    /// Adds one without a value.
    pub(super) fn add(&mut self, clause: &str) {
        self.clauses.push(clause.to_owned());
    }

    /// Adds one with a `?` for each value.
    pub(super) fn add_with(&mut self, clause: &str, values: impl IntoIterator<Item = Value>) {
        self.add(clause);
        self.values.extend(values);
    }

    /// `left` (`column =`, `column <`, …) holds of the value, if there is one.
    pub(super) fn compare(&mut self, left: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.add_with(&format!("{left} ?"), [value.into()]);
        }
    }

    /// `column` is one of the words; any, if there are none.
    pub(super) fn one_of<'a>(&mut self, column: &str, words: impl IntoIterator<Item = &'a str>) {
        let values: Vec<Value> = words.into_iter().map(text).collect();
        if !values.is_empty() {
            let places = vec!["?"; values.len()].join(", ");
            self.add_with(&format!("{column} IN ({places})"), values);
        }
    }

    /// One of these holds; anything, if there are none.
    pub(super) fn any_of(&mut self, alternatives: Vec<(String, Vec<Value>)>) {
        if !alternatives.is_empty() {
            let (clauses, values): (Vec<_>, Vec<_>) = alternatives.into_iter().unzip();
            self.add_with(
                &format!("({})", clauses.join(" OR ")),
                values.into_iter().flatten(),
            );
        }
    }

    /// `WHERE …`, or nothing.
    pub(super) fn sql(&self) -> String {
        if self.clauses.is_empty() {
            return String::new();
        }
        format!("WHERE {}", self.clauses.join(" AND "))
    }

    /// In the order of their `?`.
    pub(super) fn into_values(self) -> Vec<Value> {
        self.values
    }
}

pub(super) fn text(word: &str) -> Value {
    Value::Text(word.to_owned())
}

pub(super) fn seconds(time: Timestamp) -> Value {
    Value::Integer(time.unix_seconds())
}

/// No sequence is beyond SQLite's numbers, so none compares differently.
pub(super) fn sequence(sequence: u64) -> Value {
    Value::Integer(i64::try_from(sequence).unwrap_or(i64::MAX))
}
