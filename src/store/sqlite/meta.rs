//! What the state knows of itself, by name. Owns the table `meta`.

use rusqlite::{Connection, OptionalExtension};

use super::checksum::{self, sound};
use super::fault::Fault;

const GET: &str = concat!("SELECT value, ", sound!(meta), " FROM meta WHERE name = ?1");
const SET: &str = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";
/// What the schema's objects were made by, kept beside them.
const KEEP_SCHEMA: &str = "INSERT OR REPLACE INTO meta (name, value)
    SELECT 'schema/' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'";
const FORGET_SCHEMA: &str = "DELETE FROM meta WHERE name GLOB 'schema/*'";
const CHANGED_SCHEMA: &str = "SELECT m.name FROM meta m WHERE m.name GLOB 'schema/*'
    AND m.value IS NOT (SELECT s.sql FROM sqlite_schema s WHERE 'schema/' || s.name = m.name) LIMIT 1";

/// Everything above, to be tried at open.
pub(super) const STATEMENTS: &[&str] = &[GET, SET, CHANGED_SCHEMA];

pub(super) fn get(connection: &Connection, name: &str) -> Result<Option<String>, Fault> {
    let mut statement = connection.prepare_cached(GET)?;
    let mut rows = statement.query([name])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    checksum::check(row, 1).map_err(|fault| fault.in_row(|| format!("meta `{name}`")))?;
    Ok(Some(row.get(0)?))
}

pub(super) fn set(connection: &Connection, name: &str, value: &str) -> Result<(), Fault> {
    connection.prepare_cached(SET)?.execute([name, value])?;
    Ok(())
}

/// Notes how the tables are made, after a migration. A damaged `DEFAULT` or `WHERE` would otherwise be obeyed.
pub(super) fn keep_schema(connection: &Connection) -> Result<(), Fault> {
    connection.execute_batch(FORGET_SCHEMA)?;
    connection.execute_batch(KEEP_SCHEMA)?;
    Ok(())
}

/// Compares the tables with what was noted. What others have added is not looked at.
pub(super) fn check_schema(connection: &Connection) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(CHANGED_SCHEMA)?;
    let changed: Option<String> = statement.query_row([], |row| row.get(0)).optional()?;
    changed.map_or(Ok(()), |name| {
        Err(Fault::Damage(format!("its {name} is not as it was made")))
    })
}
