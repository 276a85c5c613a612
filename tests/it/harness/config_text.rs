//! A config in the making: tables of keys with TOML values, the later word for a key counting.

use std::collections::BTreeMap;
use std::fmt;

/// Tables by their headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConfigText {
    tables: BTreeMap<String, BTreeMap<String, String>>,
}

impl ConfigText {
    /// Sets a key; `table` is empty for the top, and `value` is TOML.
    pub(crate) fn set(mut self, table: &str, key: &str, value: impl fmt::Display) -> Self {
        let keys = self.tables.entry(table.to_owned()).or_default();
        keys.insert(key.to_owned(), value.to_string());
        self
    }

    /// Sets a key to a text.
    pub(crate) fn text(self, table: &str, key: &str, value: &str) -> Self {
        // JSON's quoting is TOML's too.
        self.set(table, key, serde_json::Value::from(value))
    }

    /// Adds a table without keys.
    pub(crate) fn table(mut self, table: &str) -> Self {
        self.tables.entry(table.to_owned()).or_default();
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
