//! Forgetting what is past its retention, a batch at a time: a commit never waits for more than one of them.

use rusqlite::{Connection, params};

use super::error::SqliteError;
use crate::domain::model::Timestamp;
use crate::store::batched::BATCH_ROWS;

/// What is old by when it was created is looked through; few of these were changed since.
pub(super) const TASKS: &str = "DELETE FROM task WHERE number IN (SELECT number FROM task INDEXED BY task_newest
    WHERE coalesce(created, first_seen) < ?1 AND in_flight = 0 AND created IS NOT NULL AND changed < ?1 LIMIT ?2)";
/// Its deliveries go with an event.
pub(super) const EVENTS: &str =
    "DELETE FROM event WHERE sequence IN (SELECT e.sequence FROM event e
    WHERE e.recorded < ?1 AND NOT EXISTS
        (SELECT 1 FROM delivery d WHERE d.sequence = e.sequence AND d.state <> 'delivered')
    LIMIT ?2)";

/// Everything above, to be tried at open.
pub(super) const STATEMENTS: &[&str] = &[TASKS, EVENTS];

/// Deletes one batch of the rows that `sql`, one of the above, chooses, and says how many.
pub(super) fn batch(
    connection: &Connection,
    sql: &str,
    before: Timestamp,
) -> Result<u64, SqliteError> {
    let gone = connection.prepare_cached(sql)?.execute(params![
        before.unix_seconds(),
        BATCH_ROWS.cast_signed() as i64
    ])?;
    Ok(gone as u64)
}
