//! WHERE clauses from filters. Values are always passed as parameters.

use tokio_postgres::types::ToSql;

/// A parameter.
pub(super) type Value = Box<dyn ToSql + Sync + Send>;

/// Conditions that all must hold.
#[derive(Default)]
pub(super) struct PgWhereClause {
    clauses: Vec<String>,
    values: Vec<Value>,
}

impl PgWhereClause {
    /// Adds one without a value.
    pub(super) fn add(&mut self, clause: &str) {
        self.clauses.push(clause.to_owned());
    }

    /// The place of a value in the statement: `$1`, `$2`, …
    pub(super) fn place(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// `left` (`column =`, `column <`, …) holds of the value, if there is one.
    pub(super) fn compare<T: ToSql + Sync + Send + 'static>(
        &mut self,
        left: &str,
        value: Option<T>,
    ) {
        if let Some(value) = value {
            let place = self.place(value);
            self.clauses.push(format!("{left} {place}"));
        }
    }

    /// `column` is one of the words; any, if there are none.
    pub(super) fn one_of(&mut self, column: &str, words: Vec<String>) {
        if !words.is_empty() {
            let place = self.place(words);
            self.clauses.push(format!("{column} = ANY({place})"));
        }
    }

    /// One of these holds; anything, if there are none.
    pub(super) fn any_of(&mut self, alternatives: &[String]) {
        if !alternatives.is_empty() {
            self.clauses
                .push(format!("({})", alternatives.join(" OR ")));
        }
    }

    /// `WHERE …`, or nothing.
    pub(super) fn sql(&self) -> String {
        if self.clauses.is_empty() {
            return String::new();
        }
        format!("WHERE {}", self.clauses.join(" AND "))
    }

    /// In the order of their places.
    pub(super) fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        let values = self.values.iter();
        values
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect()
    }
}
