//! Between columns and the program's words: what a single value may be. A value that we can't have written is
//! damage, never a default.

use rusqlite::Row;

use super::fault::Fault;
use crate::domain::model::Timestamp;

/// A time.
pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, Fault> {
    optional_time(row, column)?
        .ok_or_else(|| Fault::Damage(format!("column {column} lacks its time")))
}

/// A time, or NULL.
pub(super) fn optional_time(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>, Fault> {
    let Some(seconds) = row.get::<_, Option<i64>>(column)? else {
        return Ok(None);
    };
    Timestamp::from_unix_seconds(seconds)
        .map(Some)
        .ok_or_else(|| Fault::Damage(format!("{seconds} is not a time")))
}

/// A sequence or a count.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64, Fault> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| Fault::Damage(format!("{number} is not a count")))
}

/// How a time is kept.
pub(super) fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::unix_seconds)
}
