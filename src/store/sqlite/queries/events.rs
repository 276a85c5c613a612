//! Events for onlookers.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::url_search::{LOOK_UPS, UrlSearch};
use super::where_clause::{WhereClause, seconds, sequence, text};
use crate::domain::event::EventType;
use crate::domain::model::{TargetName, TaskId};
use crate::store::filter::{EventFilter, EventSpan};
use crate::store::queries::EventRecord;
use crate::store::sqlite::error::SqliteError;
use crate::store::sqlite::values::{count, time};

/// What [`read`] reads.
pub(super) const COLUMNS: &str =
    "e.sequence, e.id, e.type, e.recorded, e.target, e.task, e.document";
/// How many of them there are.
pub(super) const COLUMN_COUNT: usize = 7;

/// Where among them these three are.
const TARGET_TASK_DOCUMENT: [usize; 3] = [4, 5, 6];

/// See [`crate::store::queries::StateQueries::events`].
pub(super) fn page(
    connection: &Connection,
    filter: &EventFilter,
    span: EventSpan,
    limit: usize,
) -> Result<Vec<EventRecord>, SqliteError> {
    page_within(connection, filter, span, limit, LOOK_UPS)
}

/// The same; after so many look-ups of tasks, all tasks are read at once.
pub(super) fn page_within(
    connection: &Connection,
    filter: &EventFilter,
    span: EventSpan,
    limit: usize,
    look_ups: usize,
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
    // Where rows are looked through here, the limit is counted here too.
    let rows_limit = if filter.url.is_none() {
        limit
    } else {
        usize::MAX
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM event e {} ORDER BY e.sequence {order} LIMIT ?",
        conditions.sql()
    );
    let mut values = conditions.into_values();
    values.push(Value::Integer(
        i64::try_from(rows_limit).unwrap_or(i64::MAX),
    ));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let url = filter.url.as_ref();
    let mut search = url.map(|url| UrlSearch::new(connection, url, look_ups));
    let mut records = Vec::new();
    while records.len() < limit {
        let Some(row) = rows.next()? else { break };
        let is_meant = match &mut search {
            Some(search) => search.means(row, TARGET_TASK_DOCUMENT)?,
            None => true,
        };
        if is_meant {
            records.push(read(row, 0)?);
        }
    }
    Ok(records)
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
