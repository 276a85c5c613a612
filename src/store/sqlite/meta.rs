//! The state's facts about itself, by name: the table `meta`.

use rusqlite::{Connection, OptionalExtension};

use super::fault::Fault;

const GET: &str = "SELECT value FROM meta WHERE name = ?1";
const SET: &str = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";

/// Everything above, to be tried at open.
pub(super) const STATEMENTS: &[&str] = &[GET, SET];

pub(super) fn get(connection: &Connection, name: &str) -> Result<Option<String>, Fault> {
    let mut statement = connection.prepare_cached(GET)?;
    let value = statement.query_row([name], |row| row.get(0)).optional();
    value.map_err(|error| Fault::from(error).in_row(|| format!("meta `{name}`")))
}

pub(super) fn set(connection: &Connection, name: &str, value: &str) -> Result<(), Fault> {
    connection.prepare_cached(SET)?.execute([name, value])?;
    Ok(())
}
