//! Deletes what is past its retention, in batches: a commit never waits for more than one batch.

use super::error::PostgresError;
use super::session::Transaction;
use super::values::to_bigint;
use crate::domain::model::Timestamp;
use crate::store::batched::BATCH_ROWS;

/// Skips rows that another instance has locked.
pub(super) const TASKS: &str = "DELETE FROM task WHERE number IN (SELECT number FROM task
    WHERE NOT in_flight AND created IS NOT NULL AND changed < $1 AND created < $1
    LIMIT $2 FOR UPDATE SKIP LOCKED)";
/// An event's deliveries are deleted with it.
pub(super) const EVENTS: &str =
    "DELETE FROM event WHERE sequence IN (SELECT e.sequence FROM event e
    WHERE e.recorded < $1 AND NOT EXISTS
        (SELECT 1 FROM delivery d WHERE d.sequence = e.sequence AND d.state <> 'delivered')
    LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes one batch of the rows that `sql`, one of the above, selects. Returns how many it deleted.
pub(super) async fn batch(
    tx: &Transaction<'_>,
    sql: &'static str,
    before: Timestamp,
) -> Result<u64, PostgresError> {
    let limit = to_bigint(BATCH_ROWS as u64);
    tx.execute(sql, &[&before.unix_seconds(), &limit]).await
}
