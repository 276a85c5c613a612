//! The state's facts about itself, by name: the table `meta`.

use rusqlite::{Connection, OptionalExtension};

use super::error::SqliteError;

/// Makes this state's event ids differ from any other state's.
pub(super) const STATE_ID: &str = "state_id";
/// See [`crate::store::Store::fingerprint_seed`].
pub(super) const FINGERPRINT_SEED: &str = "fingerprint_seed";
/// The last sequence that was ever given.
const LAST_SEQUENCE: &str = "last_sequence";

/// The largest integer that every JSON reader can represent: a sequence beyond it is damage.
pub(super) const MAX_SEQUENCE: u64 = 1 << 53;

const GET: &str = "SELECT value FROM meta WHERE name = ?1";
const SET: &str = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)";

/// Everything above, to be tried at open.
pub(super) const STATEMENTS: &[&str] = &[GET, SET];

pub(super) fn get(connection: &Connection, name: &str) -> Result<Option<String>, SqliteError> {
    let mut statement = connection.prepare_cached(GET)?;
    let value = statement.query_row([name], |row| row.get(0)).optional();
    value.map_err(|error| SqliteError::from(error).in_row(|| format!("meta `{name}`")))
}

pub(super) fn set(connection: &Connection, name: &str, value: &str) -> Result<(), SqliteError> {
    connection.prepare_cached(SET)?.execute([name, value])?;
    Ok(())
}

/// One of the state's own random numbers.
pub(super) fn number(connection: &Connection, name: &str) -> Result<u64, SqliteError> {
    get(connection, name)?
        .filter(|text| text.len() == 16)
        .and_then(|text| u64::from_str_radix(&text, 16).ok())
        .ok_or_else(|| SqliteError::Damaged(format!("meta `{name}` can't be read")))
}

pub(super) fn set_number(
    connection: &Connection,
    name: &str,
    number: u64,
) -> Result<(), SqliteError> {
    set(connection, name, &format!("{number:016x}"))
}

/// The highest sequence that was ever given.
pub(super) fn last_sequence(connection: &Connection) -> Result<u64, SqliteError> {
    get(connection, LAST_SEQUENCE)?
        .and_then(|text| text.parse().ok())
        .filter(|last| *last <= MAX_SEQUENCE)
        .ok_or_else(|| SqliteError::Damaged(format!("meta `{LAST_SEQUENCE}` can't be read")))
}

/// The next event gets the sequence after it.
pub(super) fn set_last_sequence(connection: &Connection, last: u64) -> Result<(), SqliteError> {
    set(connection, LAST_SEQUENCE, &last.to_string())
}
