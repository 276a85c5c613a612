//! Between columns and the program's words: what a single value may be. A value that we can't have written is
//! damage, never a default.

use tokio_postgres::Row;

use super::error::PostgresError;
use crate::domain::model::{TaskRowId, Timestamp};

/// A time.
pub(super) fn time(row: &Row, column: usize) -> Result<Timestamp, PostgresError> {
    optional_time(row, column)?
        .ok_or_else(|| PostgresError::Damage(format!("column {column} lacks its time")))
}

/// A time, or NULL.
pub(super) fn optional_time(row: &Row, column: usize) -> Result<Option<Timestamp>, PostgresError> {
    let Some(seconds) = row.try_get::<_, Option<i64>>(column)? else {
        return Ok(None);
    };
    Timestamp::from_unix_seconds(seconds)
        .map(Some)
        .ok_or_else(|| PostgresError::Damage(format!("{seconds} is not a time")))
}

/// A sequence or a count.
pub(super) fn count(row: &Row, column: usize) -> Result<u64, PostgresError> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map_err(|_| PostgresError::Damage(format!("{number} is not a count")))
}

/// A count that is small.
pub(super) fn small_count(row: &Row, column: usize) -> Result<u32, PostgresError> {
    let number = count(row, column)?;
    u32::try_from(number).map_err(|_| PostgresError::Damage(format!("{number} is not a count")))
}

/// The number of a task's record.
pub(super) fn number(row: &Row, column: usize) -> Result<TaskRowId, PostgresError> {
    count(row, column).map(TaskRowId)
}

/// How a time is kept.
pub(super) fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(Timestamp::unix_seconds)
}

/// How a count is kept. What is beyond the engine's numbers is no count of ours.
pub(super) fn kept(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The engine's texts hold no NUL, and ids and words come from outside: U+2400, the picture of a NUL, begins what stands
/// for one, and is doubled where it means itself.
const STAND_IN: char = '\u{2400}';

/// How a text from outside is kept; [`as_it_came`] reads it back.
pub(super) fn text(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\0' => kept.extend([STAND_IN, '0']),
            STAND_IN => kept.extend([STAND_IN, STAND_IN]),
            c => kept.push(c),
        }
    }
    kept
}

/// A text from outside, as it came.
pub(super) fn as_it_came(kept: &str) -> String {
    let mut text = String::with_capacity(kept.len());
    let mut chars = kept.chars();
    while let Some(c) = chars.next() {
        match c {
            STAND_IN if chars.next() == Some('0') => text.push('\0'),
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
            let kept = text(&given);
            prop_assert!(!kept.contains('\0'));
            prop_assert_eq!(as_it_came(&kept), given);
        }
    }
}
