//! Forgetting what is past its retention, a batch at a time: a commit never waits for more than one of them.

use rusqlite::{Connection, params};

use super::error::SqliteError;
use crate::domain::model::Timestamp;
use crate::store::batched::STEP;

/// What is old by when it was created is looked through; few of these were changed since.
pub(super) const TASKS: &str = "DELETE FROM task WHERE number IN (SELECT number FROM task INDEXED BY task_newest
    WHERE coalesce(created, first_seen) < ?1 AND in_flight = 0 AND created IS NOT NULL AND changed < ?1 LIMIT ?2)";
/// Its deliveries go with an event.
pub(super) const EVENTS: &str =
    "DELETE FROM event WHERE sequence IN (SELECT e.sequence FROM event e
    WHERE e.recorded < ?1 AND NOT EXISTS
        (SELECT 1 FROM delivery d WHERE d.sequence = e.sequence AND d.state <> 'delivered')
    LIMIT ?2)";

/// Whether the first of the above would delete anything: a look writes nothing.
pub(super) const ANY_TASKS: &str = "SELECT EXISTS (SELECT 1 FROM task INDEXED BY task_newest
    WHERE coalesce(created, first_seen) < ?1 AND in_flight = 0 AND created IS NOT NULL AND changed < ?1)";
/// The same of the second.
pub(super) const ANY_EVENTS: &str = "SELECT EXISTS (SELECT 1 FROM event e
    WHERE e.recorded < ?1 AND NOT EXISTS
        (SELECT 1 FROM delivery d WHERE d.sequence = e.sequence AND d.state <> 'delivered'))";

/// Everything above, to be tried at open.
pub(super) const STATEMENTS: &[&str] = &[TASKS, EVENTS, ANY_TASKS, ANY_EVENTS];

/// Deletes one batch of the rows that `sql`, one of the above, chooses, and says how many.
pub(super) fn batch(
    connection: &Connection,
    sql: &str,
    before: Timestamp,
) -> Result<u64, SqliteError> {
    let gone = connection
        .prepare_cached(sql)?
        .execute(params![before.unix_seconds(), STEP.cast_signed() as i64])?;
    Ok(gone as u64)
}

/// Whether there is anything to delete, by one of the above.
pub(super) fn any(
    connection: &Connection,
    sql: &str,
    before: Timestamp,
) -> Result<bool, SqliteError> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row([before.unix_seconds()], |row| row.get(0))?)
}
