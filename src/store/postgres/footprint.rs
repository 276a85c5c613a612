//! The snapshot at a glance: what is known of a page's tasks, which the next one is expected to show, and how far back the
//! newest reach.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::Row;

use super::error::PostgresError;
use super::session::Transaction;
use super::values::{escape, number, optional_time, time, to_bigint};
use crate::domain::model::{
    Fingerprint, TargetName, TaskLookup, TaskRowId, TaskSummary, Timestamp,
};
use crate::store::{PageCapacity, RecentSpan};

const FOOTPRINTS: &str = "SELECT id, number, fingerprint, created, in_flight, stalled
    FROM task WHERE target = $1 AND id = ANY($2)";
const LAST_NUMBER: &str = "SELECT coalesce(max(number), 0) FROM task";
/// Of the newest tasks, with what they take up all together: the first that does not fit.
const REACH: &str = "SELECT created, room FROM (
        SELECT created, id, sum(CASE WHEN $4 THEN greatest(url_count, 1) ELSE 1 END)
            OVER (ORDER BY created DESC, id DESC ROWS UNBOUNDED PRECEDING)::bigint AS room
        FROM task WHERE target = $1 AND created >= $2
        ORDER BY created DESC, id DESC LIMIT $3::bigint + 1
    ) AS newest WHERE room > $3::bigint ORDER BY room LIMIT 1";
const NEWEST: &str = "SELECT max(created) FROM task WHERE target = $1 AND created >= $2";

/// See [`crate::store::Store::task_summaries`].
pub(super) async fn task_summaries(
    tx: &Transaction<'_>,
    target: &TargetName,
    sought: &[TaskLookup<'_>],
) -> Result<Vec<Option<TaskSummary>>, PostgresError> {
    let ids: Vec<String> = sought.iter().map(|one| escape(one.id.as_str())).collect();
    let rows = tx.query(FOOTPRINTS, &[&target.as_str(), &ids]).await?;
    let mut known = HashMap::with_capacity(rows.len());
    for row in &rows {
        known.insert(row.try_get::<_, String>(0)?, read_footprint(row)?);
    }
    Ok(ids.iter().map(|id| known.get(id).copied()).collect())
}

/// See [`crate::store::Store::last_task_row_id`].
pub(super) async fn last_number(tx: &Transaction<'_>) -> Result<TaskRowId, PostgresError> {
    let row = tx.query_first(LAST_NUMBER, &[]).await?;
    row.map_or(Ok(TaskRowId::default()), |row| number(&row, 0))
}

/// See [`crate::store::Store::recent_span`].
pub(super) async fn recent_span(
    tx: &Transaction<'_>,
    target: &TargetName,
    room: PageCapacity,
    from: Timestamp,
) -> Result<RecentSpan, PostgresError> {
    let (counts_urls, entries) = match room {
        PageCapacity::Tasks(tasks) => (false, tasks),
        PageCapacity::Urls(urls) => (true, urls),
    };
    let (target, from, entries) = (target.as_str(), from.unix_seconds(), to_bigint(entries));
    let row = tx
        .query_first(REACH, &[&target, &from, &entries, &counts_urls])
        .await?;
    let Some(row) = row else {
        return Ok(RecentSpan::Everything);
    };
    let fits = time(&row, 0)?.saturating_add(Duration::from_secs(1));
    let newest = tx.query_first(NEWEST, &[&target, &from]).await?;
    let newest = newest.map_or(Ok(None), |row| optional_time(&row, 0))?;
    Ok(
        newest.map_or(RecentSpan::Everything, |newest| RecentSpan::Since {
            fits,
            newest,
        }),
    )
}

fn read_footprint(row: &Row) -> Result<TaskSummary, PostgresError> {
    Ok(TaskSummary {
        number: number(row, 1)?,
        fingerprint: row
            .try_get::<_, Option<i64>>(2)?
            .map(Fingerprint::from_bits),
        created: optional_time(row, 3)?,
        in_flight: row.try_get(4)?,
        stalled: row.try_get(5)?,
    })
}
