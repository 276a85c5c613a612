//! Builder of a config text. A later value of a key replaces an earlier one.

use std::collections::BTreeMap;
use std::fmt;

/// Tables by header.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigText {
    tables: BTreeMap<String, BTreeMap<String, String>>,
}

impl ConfigText {
    /// Sets a key to a TOML value. An empty `table` is the top level.
    pub(crate) fn set(mut self, table: &str, key: &str, value: impl fmt::Display) -> Self {
        let keys = self.tables.entry(table.to_owned()).or_default();
        keys.insert(key.to_owned(), value.to_string());
        self
    }

    /// Sets a key to a string.
    pub(crate) fn text(self, table: &str, key: &str, value: &str) -> Self {
        // TOML accepts JSON's quoting.
        self.set(table, key, serde_json::Value::from(value))
    }

    /// Adds a table without keys.
    pub(crate) fn table(mut self, table: &str) -> Self {
        self.tables.entry(table.to_owned()).or_default();
        self
    }

    /// Removes a table.
    pub(crate) fn without(mut self, table: &str) -> Self {
        self.tables.remove(table);
        self
    }
}

impl fmt::Display for ConfigText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (table, keys) in &self.tables {
            if !table.is_empty() {
                writeln!(f, "[{table}]")?;
            }
            for (key, value) in keys {
                writeln!(f, "{key} = {value}")?;
            }
        }
        Ok(())
    }
}
