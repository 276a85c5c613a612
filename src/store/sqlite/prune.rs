//! Deletes what is past its retention, in batches: a commit never waits for more than one batch.

use rusqlite::{Connection, params};

use super::error::SqliteError;
use crate::domain::model::Timestamp;
use crate::store::batched::BATCH_ROWS;

/// Scans the tasks that were created before the limit; few of them changed since.
pub(super) const TASKS: &str = "DELETE FROM task WHERE number IN (SELECT number FROM task INDEXED BY task_newest
    WHERE coalesce(created, first_seen) < ?1 AND in_flight = 0 AND created IS NOT NULL AND changed < ?1 LIMIT ?2)";
/// An event's deliveries are deleted with it.
pub(super) const EVENTS: &str =
    "DELETE FROM event WHERE sequence IN (SELECT e.sequence FROM event e
    WHERE e.recorded < ?1 AND NOT EXISTS
        (SELECT 1 FROM delivery d WHERE d.sequence = e.sequence AND d.state <> 'delivered')
    LIMIT ?2)";

/// Everything above, to be prepared at open.
pub(super) const STATEMENTS: &[&str] = &[TASKS, EVENTS];

/// Deletes one batch of the rows that `sql`, one of the above, selects. Returns how many it deleted.
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
