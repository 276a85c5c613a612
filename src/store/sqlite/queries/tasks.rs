//! Lists and counts of tasks.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::where_clause::{WhereClause, seconds, text};
use crate::domain::model::{Status, TargetName, Timestamp};
use crate::store::filter::{TaskCondition, TaskFilter};
use crate::store::queries::{HourlyCount, TaskCount, TaskCursor, TaskRecord};
use crate::store::sqlite::error::SqliteError;
use crate::store::sqlite::snapshot::read_task;
use crate::store::sqlite::values::{count, time};

/// What [`read_task`] reads, then the rest of a record.
const COLUMNS: &str = "t.id, t.type, t.status, t.created, t.first_seen, t.stalled, t.missed_polls, t.vanished, t.urls,
    t.target, t.changed";
const TIME: &str = "coalesce(created, first_seen)";
const NEWEST_FIRST: &str = "coalesce(created, first_seen) DESC, target DESC, id DESC";
/// The condition of the index `task_notable`, in its exact words. Few tasks meet it.
macro_rules! notable {
    () => {
        "(status <> 'success' OR in_flight = 1 OR vanished = 1)"
    };
}
/// Counts notable tasks by status; all others have succeeded. Reads only two indexes.
const COUNTS: &str = concat!(
    "SELECT target, status, sum(total), sum(stalled), sum(vanished) FROM (
        SELECT target, status, count(*) AS total, sum(stalled AND in_flight) AS stalled, sum(vanished) AS vanished
            FROM task INDEXED BY task_notable WHERE ",
    notable!(),
    " GROUP BY target, status
        UNION ALL SELECT target, 'success', -count(*), 0, 0 FROM task INDEXED BY task_notable WHERE ",
    notable!(),
    " GROUP BY target
        UNION ALL SELECT target, 'success', count(*), 0, 0 FROM task INDEXED BY task_footprint GROUP BY target)
    GROUP BY target, status HAVING sum(total) > 0 ORDER BY target, status"
);
/// Counts all tasks and the notable ones, each in the order of its index, so that only seconds are sorted, not tasks.
const HOURLY_COUNTS: &str = concat!(
    "SELECT target, second / 3600 * 3600 AS hour, sum(total), sum(failed), sum(vanished) FROM (
        SELECT target, coalesce(created, first_seen) AS second, count(*) AS total, 0 AS failed, 0 AS vanished
            FROM task INDEXED BY task_newest WHERE coalesce(created, first_seen) >= ?1
            GROUP BY coalesce(created, first_seen), target
        UNION ALL SELECT target, coalesce(created, first_seen), 0, sum(status = 'failure'), sum(vanished)
            FROM task INDEXED BY task_notable WHERE coalesce(created, first_seen) >= ?1 AND ",
    notable!(),
    " GROUP BY coalesce(created, first_seen), target)
    GROUP BY target, hour ORDER BY target, hour"
);

/// See [`crate::store::queries::StateQueries::tasks`].
pub(super) fn page(
    connection: &Connection,
    filter: &TaskFilter,
    after: Option<&TaskCursor>,
    limit: usize,
) -> Result<Vec<TaskRecord>, SqliteError> {
    let mut conditions = conditions(filter);
    if let Some(place) = after {
        conditions.add_with(&format!("{TIME} <= ?"), [seconds(place.time)]);
        let (target, id) = (place.target.as_str(), place.id.as_str());
        conditions.add_with(
            &format!("({TIME} < ? OR target < ? OR (target = ? AND id < ?))"),
            [seconds(place.time), text(target), text(target), text(id)],
        );
    }
    let index = index(filter);
    if is_of_notable(filter) {
        // In the exact words of the index, so that SQLite uses it.
        conditions.add_with(notable!(), []);
    }
    let sql = match filter.url {
        // Selects keys first, so that only the rows of the page are read in full.
        None => format!(
            "SELECT {COLUMNS} FROM
                (SELECT target AS chosen_target, id AS chosen_id FROM task {index} {}
                 ORDER BY {NEWEST_FIRST} LIMIT ?)
                CROSS JOIN task t ON t.target = chosen_target AND t.id = chosen_id
             ORDER BY {NEWEST_FIRST}",
            conditions.sql()
        ),
        // Reads until enough tasks have such a URL.
        Some(_) => format!(
            "SELECT {COLUMNS} FROM task t {index} {} ORDER BY {NEWEST_FIRST} LIMIT ?",
            conditions.sql()
        ),
    };
    let mut values = conditions.into_values();
    // With a URL filter, the loop below counts.
    let rows_limit = if filter.url.is_none() {
        limit
    } else {
        usize::MAX
    };
    values.push(Value::Integer(
        i64::try_from(rows_limit).unwrap_or(i64::MAX),
    ));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut records = Vec::new();
    while records.len() < limit {
        let Some(row) = rows.next()? else { break };
        let record = read(row)?;
        if filter
            .url
            .as_ref()
            .is_none_or(|url| record.task.urls.keys().any(|one| url.matches(one)))
        {
            records.push(record);
        }
    }
    Ok(records)
}

/// See [`crate::store::queries::StateQueries::task_counts`].
pub(super) fn counts(connection: &Connection) -> Result<Vec<TaskCount>, SqliteError> {
    let mut statement = connection.prepare_cached(COUNTS)?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let status: String = row.get(1)?;
        counts.push(TaskCount {
            target: TargetName(row.get(0)?),
            status: Status::from_word(&status),
            total: count(row, 2)?,
            stalled: count(row, 3)?,
            vanished: count(row, 4)?,
        });
    }
    Ok(counts)
}

/// See [`crate::store::queries::StateQueries::hourly_counts`].
pub(super) fn hourly_counts(
    connection: &Connection,
    since: Timestamp,
) -> Result<Vec<HourlyCount>, SqliteError> {
    let mut statement = connection.prepare_cached(HOURLY_COUNTS)?;
    let mut rows = statement.query([since.unix_seconds()])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        counts.push(HourlyCount {
            target: TargetName(row.get(0)?),
            hour: time(row, 1)?,
            total: count(row, 2)?,
            failed: count(row, 3)?,
            vanished: count(row, 4)?,
        });
    }
    Ok(counts)
}

/// The index to use: the smallest that holds all tasks which the filter can select.
fn index(filter: &TaskFilter) -> &'static str {
    if filter.id.is_some() {
        // SQLite chooses the index of target and id, unless the target is open.
        return "";
    }
    if is_of_in_flight(filter) {
        "INDEXED BY task_in_flight"
    } else if is_of_notable(filter) {
        "INDEXED BY task_notable"
    } else {
        "INDEXED BY task_newest"
    }
}

fn is_of_in_flight(filter: &TaskFilter) -> bool {
    let conditions = &filter.conditions;
    !conditions.is_empty()
        && conditions
            .iter()
            .all(|one| matches!(one, TaskCondition::InFlight | TaskCondition::Stalled))
}

/// Whether the filter selects notable tasks only.
fn is_of_notable(filter: &TaskFilter) -> bool {
    let of_all = |one: &TaskCondition| *one == TaskCondition::Status(Status::Success);
    !filter.conditions.is_empty() && !filter.conditions.iter().any(of_all)
}

fn conditions(filter: &TaskFilter) -> WhereClause {
    let mut conditions = WhereClause::default();
    conditions.one_of("target", filter.targets.iter().map(TargetName::as_str));
    conditions.compare("id =", filter.id.as_ref().map(|id| text(id.as_str())));
    conditions.compare("type =", filter.r#type.as_deref().map(text));
    conditions.compare(&format!("{TIME} >="), filter.since.map(seconds));
    conditions.compare(&format!("{TIME} <="), filter.until.map(seconds));
    conditions.any_of(filter.conditions.iter().map(condition).collect());
    if is_of_in_flight(filter) {
        // In the exact words of the index.
        conditions.add("in_flight = 1");
    }
    if let Some(url) = &filter.url {
        conditions.add_with("instr(lower(urls), ?) > 0", [text(&url.needle())]);
    }
    conditions
}

fn condition(condition: &TaskCondition) -> (String, Vec<Value>) {
    let (sql, values) = match condition {
        TaskCondition::Status(status) => ("status = ?", vec![text(status.as_str())]),
        TaskCondition::Unknown => (
            "status NOT IN ('wait', 'process', 'success', 'failure')",
            Vec::new(),
        ),
        TaskCondition::InFlight => ("in_flight = 1", Vec::new()),
        TaskCondition::Stalled => ("(stalled = 1 AND in_flight = 1)", Vec::new()),
        TaskCondition::Vanished => ("vanished = 1", Vec::new()),
    };
    (sql.to_owned(), values)
}

fn read(row: &Row<'_>) -> Result<TaskRecord, SqliteError> {
    Ok(TaskRecord {
        task: read_task(row)?,
        target: TargetName(row.get(9)?),
        changed: time(row, 10)?,
    })
}
