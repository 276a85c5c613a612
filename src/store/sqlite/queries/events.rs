//! Lists of events.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::where_clause::{WhereClause, seconds, sequence, text};
use crate::domain::event::EventType;
use crate::domain::model::{TargetName, TaskId};
use crate::store::filter::{EventFilter, EventSpan, UrlFilter};
use crate::store::queries::EventRecord;
use crate::store::sqlite::error::SqliteError;
use crate::store::sqlite::values::{count, time};

/// What [`read`] reads.
pub(super) const COLUMNS: &str =
    "e.sequence, e.id, e.type, e.recorded, e.target, e.task, e.document";
/// How many of them there are.
pub(super) const COLUMN_COUNT: usize = 7;

/// See [`crate::store::queries::StateQueries::events`].
pub(super) fn page(
    connection: &Connection,
    filter: &EventFilter,
    span: EventSpan,
    limit: usize,
) -> Result<Vec<EventRecord>, SqliteError> {
    let mut conditions = conditions(filter);
    let order = match span {
        EventSpan::NewestFirst { before } => {
            conditions.compare("e.sequence <", before.map(sequence));
            "DESC"
        }
        EventSpan::OldestFirst { after } => {
            conditions.compare("e.sequence >", Some(sequence(after)));
            "ASC"
        }
    };
    let urls_of_task = match filter.url {
        None => ("", ""),
        Some(_) => (
            ", t.urls",
            "LEFT JOIN task t ON t.target = e.target AND t.id = e.task",
        ),
    };
    let sql = format!(
        "SELECT {COLUMNS}{} FROM event e {} {} ORDER BY e.sequence {order} LIMIT ?",
        urls_of_task.0,
        urls_of_task.1,
        conditions.sql()
    );
    // SQL finds candidates for a URL; this loop decides, and counts.
    let rows_limit = filter.url.as_ref().map_or(limit, |_| usize::MAX);
    let mut values = conditions.into_values();
    values.push(Value::Integer(
        i64::try_from(rows_limit).unwrap_or(i64::MAX),
    ));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut records = Vec::new();
    while records.len() < limit {
        let Some(row) = rows.next()? else { break };
        let record = read(row, 0)?;
        let matches = match &filter.url {
            None => true,
            Some(url) => {
                url.matches_document(&record.document) || task_matches(url, row, COLUMN_COUNT)?
            }
        };
        if matches {
            records.push(record);
        }
    }
    Ok(records)
}

/// Whether the event's task, as the snapshot has it, has such a URL.
fn task_matches(url: &UrlFilter, row: &Row<'_>, column: usize) -> Result<bool, SqliteError> {
    let urls = row.get_ref(column)?;
    let urls = urls.as_str_or_null().map_err(rusqlite::Error::from)?;
    let matches = urls.map_or(Ok(false), |urls| url.matches_urls(urls));
    matches.map_err(|error| SqliteError::Damaged(format!("a task's URLs can't be read: {error}")))
}

fn conditions(filter: &EventFilter) -> WhereClause {
    let mut conditions = WhereClause::default();
    conditions.one_of("e.target", filter.targets.iter().map(TargetName::as_str));
    conditions.one_of("e.type", words(&filter.types));
    conditions.compare("e.task =", filter.task.as_ref().map(|id| text(id.as_str())));
    if let Some(since) = filter.since {
        // A bound for the reading: sequences and times grow together, but for a clock that was set back.
        conditions.add_with(
            "e.sequence >= (SELECT min(sequence) FROM event WHERE recorded >= ?)",
            [seconds(since)],
        );
        conditions.compare("e.recorded >=", Some(seconds(since)));
    }
    conditions.compare("e.recorded <=", filter.until.map(seconds));
    if let Some(url) = &filter.url {
        let needle = text(&url.needle());
        conditions.add_with(
            "(instr(lower(e.document), ?) > 0 OR instr(lower(coalesce(t.urls, '')), ?) > 0)",
            [needle.clone(), needle],
        );
    }
    conditions
}

/// Reads an event from the [`COLUMNS`] that begin at `first`.
pub(super) fn read(row: &Row<'_>, first: usize) -> Result<EventRecord, SqliteError> {
    let sequence = count(row, first)?;
    let read = || -> Result<EventRecord, SqliteError> {
        Ok(EventRecord {
            sequence,
            id: row.get(first + 1)?,
            event_type: row.get(first + 2)?,
            recorded: time(row, first + 3)?,
            target: TargetName(row.get(first + 4)?),
            task: row.get::<_, Option<String>>(first + 5)?.map(TaskId),
            document: row.get(first + 6)?,
        })
    };
    read().map_err(|error| error.in_row(|| format!("event {sequence}")))
}

/// The words of types, for conditions.
pub(super) fn words(types: &[EventType]) -> impl Iterator<Item = &'static str> {
    types.iter().map(|one| one.as_str())
}
