//! Forgetting what is past its retention, a batch at a time: a commit never waits for more than one of them.

use super::fault::Fault;
use super::session::Work;
use crate::model::Timestamp;

/// Rows a batch: some tens of milliseconds.
const BATCH: u32 = 500;

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

/// What one batch did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// Tasks and events that went.
    pub(super) rows: u64,
    /// Whether there may be more.
    pub(super) full: bool,
}

/// Deletes one batch of the rows that `sql`, one of the above, chooses.
pub(super) async fn batch(
    work: &Work<'_>,
    sql: &'static str,
    before: Timestamp,
) -> Result<Batch, Fault> {
    let rows = work
        .execute(sql, &[&before.unix_seconds(), &i64::from(BATCH)])
        .await?;
    Ok(Batch {
        rows,
        full: rows >= u64::from(BATCH),
    })
}
