//! A checksum a row, filled in by the tables themselves (see `migrations/0004.sql`). SQLite has none: a byte that a disk
//! changed inside of a text would be read as if it had been written so. Owns how it is computed and which columns it is
//! over; guards against damage, not against people.

use crc32fast::Hasher;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::fault::Fault;

/// As SQL: whether a row is as it was written. The columns are those of the schema, in its order.
macro_rules! sound {
    (meta) => {
        "checksum = row_checksum(name, value)"
    };
    (target) => {
        "checksum = row_checksum(
            name, list, first_polled, baseline, failed_polls, failing_reported, paging)"
    };
    (task) => {
        "checksum = row_checksum(number, target, id, type, status, created, first_seen, changed, stalled,
            missed_polls, vanished, in_flight, url_count, fingerprint, urls)"
    };
    (event) => {
        "e.checksum = row_checksum(
            e.sequence, e.id, e.type, e.time, e.recorded, e.target, e.task, e.document)"
    };
    (webhook) => {
        "checksum = row_checksum(name)"
    };
    (delivery) => {
        "d.checksum = row_checksum(
            d.sequence, d.webhook, d.state, d.attempts, d.next_attempt, d.last_attempt, d.last_answer)"
    };
}
pub(super) use sound;

/// Counts a table's rows that are not as they were written.
macro_rules! count_unsound {
    ($table:ident, $from:literal) => {
        (
            stringify!($table),
            concat!(
                "SELECT count(*) FROM ",
                $from,
                " WHERE NOT (",
                sound!($table),
                ")"
            ),
        )
    };
}

/// Each table, and what counts its bad rows.
const UNSOUND_ROWS: [(&str, &str); 6] = [
    count_unsound!(meta, "meta"),
    count_unsound!(target, "target"),
    count_unsound!(task, "task"),
    count_unsound!(event, "event e"),
    count_unsound!(webhook, "webhook"),
    count_unsound!(delivery, "delivery d"),
];

/// Makes the function known to a connection. Without it none can write.
pub(super) fn teach(connection: &Connection) -> Result<(), Fault> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("row_checksum", -1, flags, |row| Ok(checksum(row)))?;
    Ok(())
}

/// Computes all of them anew.
pub(super) fn check_all(connection: &Connection) -> Result<(), Fault> {
    for (table, sql) in UNSOUND_ROWS {
        let unsound: i64 = connection.query_row(sql, [], |row| row.get(0))?;
        if unsound > 0 {
            return Err(Fault::Damage(format!(
                "rows of `{table}` that are not as they were written: {unsound}"
            )));
        }
    }
    Ok(())
}

/// Of a row that was read with [`sound!`] in this column.
pub(super) fn check(row: &Row<'_>, column: usize) -> Result<(), Fault> {
    if row.get(column)? {
        return Ok(());
    }
    Err(Fault::Damage("it is not as it was written".to_owned()))
}

/// CRC-32 over the values with their types and lengths, so that none can pass for two others. It finds every change
/// within four neighbouring bytes, and of all others all but one in four thousand millions.
fn checksum(row: &Context<'_>) -> u32 {
    let mut hasher = Hasher::new();
    for column in 0..row.len() {
        let value = row.get_raw(column);
        let mut add = |r#type: u8, bytes: &[u8]| {
            hasher.update(&[r#type]);
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        match value {
            ValueRef::Null => add(0, &[]),
            ValueRef::Integer(number) => add(1, &number.to_le_bytes()),
            ValueRef::Real(number) => add(2, &number.to_le_bytes()),
            ValueRef::Text(text) => add(3, text),
            ValueRef::Blob(bytes) => add(4, bytes),
        }
    }
    hasher.finalize()
}
