//! Lists and counts of tasks.

use tokio_postgres::Row;

use super::where_clause::PgWhereClause;
use crate::domain::model::{Status, TargetName, Timestamp};
use crate::store::filter::{TaskCondition, TaskFilter};
use crate::store::postgres::error::PostgresError;
use crate::store::postgres::session::Transaction;
use crate::store::postgres::snapshot::read_task;
use crate::store::postgres::values::{count, escape, time, to_bigint, unescape};
use crate::store::queries::{HourlyCount, TaskCount, TaskCursor, TaskRecord};

/// What [`read_task`] reads, then the rest of a record.
const COLUMNS: &str =
    "id, type, status, created, first_seen, stalled, missed_polls, vanished, urls, target, changed";
const TIME: &str = "coalesce(created, first_seen)";
const COUNTS: &str = "SELECT target, status, count(*), count(*) FILTER (WHERE stalled AND in_flight),
    count(*) FILTER (WHERE vanished) FROM task GROUP BY target, status ORDER BY target, status COLLATE \"C\"";

const HOURLY_COUNTS: &str = "SELECT target, coalesce(created, first_seen) / 3600 * 3600 AS hour, count(*),
    count(*) FILTER (WHERE status = 'failure'), count(*) FILTER (WHERE vanished)
    FROM task WHERE coalesce(created, first_seen) >= $1 GROUP BY target, hour ORDER BY target, hour";

/// How many rows a search by URL reads at a time.
const CHUNK: usize = 1000;

/// See [`crate::store::queries::StateQueries::tasks`].
pub(super) async fn page(
    tx: &Transaction<'_>,
    filter: &TaskFilter,
    after: Option<&TaskCursor>,
    limit: usize,
) -> Result<Vec<TaskRecord>, PostgresError> {
    let Some(url) = &filter.url else {
        return rows(tx, filter, after, limit).await;
    };
    let mut found = Vec::new();
    let mut after = after.cloned();
    loop {
        let chunk = rows(tx, filter, after.as_ref(), CHUNK).await?;
        let is_last = chunk.len() < CHUNK;
        after = chunk.last().map(TaskRecord::cursor);
        let has_url = |record: &TaskRecord| record.task.urls.keys().any(|one| url.matches(one));
        found.extend(chunk.into_iter().filter(has_url));
        if is_last || found.len() >= limit {
            found.truncate(limit);
            return Ok(found);
        }
    }
}

async fn rows(
    tx: &Transaction<'_>,
    filter: &TaskFilter,
    after: Option<&TaskCursor>,
    limit: usize,
) -> Result<Vec<TaskRecord>, PostgresError> {
    let mut conditions = conditions(filter);
    if let Some(place) = after {
        let (time, target, id) = (
            conditions.place(place.time.unix_seconds()),
            conditions.place(place.target.as_str().to_owned()),
            conditions.place(escape(place.id.as_str())),
        );
        conditions.add(&format!("({TIME}, target, id) < ({time}, {target}, {id})"));
    }
    let limit = conditions.place(to_bigint(limit as u64));
    let sql = format!(
        "SELECT {COLUMNS} FROM task {} ORDER BY {TIME} DESC, target DESC, id DESC LIMIT {limit}",
        conditions.sql()
    );
    let rows = tx.query_once(&sql, &conditions.values()).await?;
    rows.iter().map(read).collect()
}

/// See [`crate::store::queries::StateQueries::task_counts`].
pub(super) async fn counts(tx: &Transaction<'_>) -> Result<Vec<TaskCount>, PostgresError> {
    let rows = tx.query(COUNTS, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(TaskCount {
                target: TargetName(row.try_get(0)?),
                status: Status::from_word(&unescape(row.try_get(1)?)),
                total: count(row, 2)?,
                stalled: count(row, 3)?,
                vanished: count(row, 4)?,
            })
        })
        .collect()
}

/// See [`crate::store::queries::StateQueries::hourly_counts`].
pub(super) async fn hourly_counts(
    tx: &Transaction<'_>,
    since: Timestamp,
) -> Result<Vec<HourlyCount>, PostgresError> {
    let rows = tx.query(HOURLY_COUNTS, &[&since.unix_seconds()]).await?;
    rows.iter()
        .map(|row| {
            Ok(HourlyCount {
                target: TargetName(row.try_get(0)?),
                hour: time(row, 1)?,
                total: count(row, 2)?,
                failed: count(row, 3)?,
                vanished: count(row, 4)?,
            })
        })
        .collect()
}

fn conditions(filter: &TaskFilter) -> PgWhereClause {
    let mut conditions = PgWhereClause::default();
    let targets = filter.targets.iter().map(|name| name.as_str().to_owned());
    conditions.one_of("target", targets.collect());
    conditions.compare("id =", filter.id.as_ref().map(|id| escape(id.as_str())));
    conditions.compare("type =", filter.r#type.as_deref().map(escape));
    let seconds = |time: Option<Timestamp>| time.map(Timestamp::unix_seconds);
    conditions.compare(&format!("{TIME} >="), seconds(filter.since));
    conditions.compare(&format!("{TIME} <="), seconds(filter.until));
    let alternatives: Vec<String> = filter
        .conditions
        .iter()
        .map(|one| condition(one, &mut conditions))
        .collect();
    conditions.any_of(&alternatives);
    if let Some(url) = &filter.url {
        let needle = conditions.place(url.needle());
        conditions.add(&format!("strpos(lower(urls), {needle}) > 0"));
    }
    conditions
}

fn condition(condition: &TaskCondition, conditions: &mut PgWhereClause) -> String {
    match condition {
        TaskCondition::Status(status) => {
            let word = conditions.place(escape(status.as_str()));
            format!("status = {word}")
        }
        TaskCondition::Unknown => {
            "status NOT IN ('wait', 'process', 'success', 'failure')".to_owned()
        }
        TaskCondition::InFlight => "in_flight".to_owned(),
        TaskCondition::Stalled => "(stalled AND in_flight)".to_owned(),
        TaskCondition::Vanished => "vanished".to_owned(),
    }
}

fn read(row: &Row) -> Result<TaskRecord, PostgresError> {
    Ok(TaskRecord {
        task: read_task(row)?,
        target: TargetName(row.try_get(9)?),
        changed: time(row, 10)?,
    })
}
