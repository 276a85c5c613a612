//! Decoding and encoding of column values. A value that this program never writes is an error, never a default.

use tokio_postgres::Row;

use super::error::PostgresError;
use crate::domain::model::{TaskRowId, Timestamp};
use crate::store::outbox::DeliveryState;

/// A time.
pub(super) fn time(row: &Row, column: usize) -> Result<Timestamp, PostgresError> {
    optional_time(row, column)?
        .ok_or_else(|| PostgresError::Unreadable(format!("column {column} lacks its time")))
}

/// A time, or NULL.
pub(super) fn optional_time(row: &Row, column: usize) -> Result<Option<Timestamp>, PostgresError> {
    let Some(seconds) = row.try_get::<_, Option<i64>>(column)? else {
        return Ok(None);
    };
    Timestamp::from_unix_seconds(seconds)
        .map(Some)
        .ok_or_else(|| PostgresError::Unreadable(format!("{seconds} is not a time")))
}

/// A sequence or a count.
pub(super) fn count(row: &Row, column: usize) -> Result<u64, PostgresError> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| PostgresError::Unreadable(format!("{number} is not a count")))
}

/// A count that is small.
pub(super) fn small_count(row: &Row, column: usize) -> Result<u32, PostgresError> {
    let number = count(row, column)?;
    u32::try_from(number).map_err(|_| PostgresError::Unreadable(format!("{number} is not a count")))
}

/// The number of a task's record.
pub(super) fn number(row: &Row, column: usize) -> Result<TaskRowId, PostgresError> {
    count(row, column).map(TaskRowId)
}

/// A time as a column value.
pub(super) fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::unix_seconds)
}

/// A count as `bigint`. No count of ours exceeds it.
pub(super) fn to_bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The state of a delivery.
pub(super) fn delivery_state(row: &Row, column: usize) -> Result<DeliveryState, PostgresError> {
    let word: &str = row.try_get(column)?;
    DeliveryState::from_word(word)
        .ok_or_else(|| PostgresError::Unreadable(format!("{word:?} is no state")))
}

/// PostgreSQL's texts can't hold NUL, but ids and words from the API may. U+2400, the picture of a NUL, is the escape character:
/// it and `0` stand for NUL, and twice it stands for itself.
const ESCAPE: char = '\u{2400}';

/// A text from outside as a column value; [`unescape`] reads it back.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => escaped.extend([ESCAPE, '0']),
            ESCAPE => escaped.extend([ESCAPE, ESCAPE]),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The text from outside that a column value stands for.
pub(super) fn unescape(escaped: &str) -> String {
    let mut text = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        match c {
            ESCAPE if chars.next() == Some('0') => text.push('\0'),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_comes_back_as_it_came(given in "[\0\u{2400}0a刷]{0,12}") {
            let escaped = escape(&given);
            prop_assert!(!escaped.contains('\0'));
            prop_assert_eq!(unescape(&escaped), given);
        }
    }
}
