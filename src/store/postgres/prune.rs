//! Forgetting what is past its retention, a batch at a time: a commit never waits for more than one of them.

use super::fault::Fault;
use super::row::kept;
use super::session::Work;
use crate::domain::model::Timestamp;
use crate::store::steps::STEP;

/// Rows that another instance is at are left to it.
pub(super) const TASKS: &str = "DELETE FROM task WHERE number IN (SELECT number FROM task
    WHERE NOT in_flight AND created IS NOT NULL AND changed < $1 AND created < $1
    LIMIT $2 FOR UPDATE SKIP LOCKED)";
/// Its deliveries go with an event.
pub(super) const EVENTS: &str =
    "DELETE FROM event WHERE sequence IN (SELECT e.sequence FROM event e
    WHERE e.recorded < $1 AND NOT EXISTS
        (SELECT 1 FROM delivery d WHERE d.sequence = e.sequence AND d.state <> 'delivered')
    LIMIT $2 FOR UPDATE SKIP LOCKED)";

/// Deletes one batch of the rows that `sql`, one of the above, chooses, and says how many.
pub(super) async fn batch(
    work: &Work<'_>,
    sql: &'static str,
    before: Timestamp,
) -> Result<u64, Fault> {
    let limit = kept(STEP as u64);
    work.execute(sql, &[&before.unix_seconds(), &limit]).await
}
