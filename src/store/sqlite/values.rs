//! Decoding and encoding of column values. A value that this program never writes is damage, never a default.

use rusqlite::Row;

use super::error::SqliteError;
use crate::domain::model::Timestamp;
use crate::store::outbox::DeliveryState;

/// A time.
pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, SqliteError> {
    optional_time(row, column)?
        .ok_or_else(|| SqliteError::Damaged(format!("column {column} lacks its time")))
}

/// A time, or NULL.
pub(super) fn optional_time(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<Timestamp>, SqliteError> {
    let Some(seconds) = row.get::<_, Option<i64>>(column)? else {
        return Ok(None);
    };
    Timestamp::from_unix_seconds(seconds)
        .map(Some)
        .ok_or_else(|| SqliteError::Damaged(format!("{seconds} is not a time")))
}

/// A sequence or a count.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64, SqliteError> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| SqliteError::Damaged(format!("{number} is not a count")))
}

/// A time as a column value.
pub(super) fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::unix_seconds)
}

/// The state of a delivery.
pub(super) fn delivery_state(row: &Row<'_>, column: usize) -> Result<DeliveryState, SqliteError> {
    let word = row
        .get_ref(column)?
        .as_str()
        .map_err(rusqlite::Error::from)?;
    DeliveryState::from_word(word)
        .ok_or_else(|| SqliteError::Damaged(format!("{word:?} is no state")))
}
