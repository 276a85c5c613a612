//! Events for onlookers.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

use super::conditions::{Conditions, seconds, sequence, text};
use crate::event::EventType;
use crate::model::{TargetName, TaskId};
use crate::store::filter::{EventFilter, EventSpan, UrlFilter};
use crate::store::records::EventRecord;
use crate::store::sqlite::fault::Fault;
use crate::store::sqlite::row::{count, time};

/// What [`read`] reads.
pub(super) const COLUMNS: &str =
    "e.sequence, e.id, e.type, e.recorded, e.target, e.task, e.document";
/// How many of them there are.
pub(super) const COLUMN_COUNT: usize = 7;

/// See [`crate::store::records::Records::events`].
pub(super) fn page(
    connection: &Connection,
    filter: &EventFilter,
    span: EventSpan,
    limit: usize,
) -> Result<Vec<EventRecord>, Fault> {
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
        "SELECT {COLUMNS}, t.urls FROM event e LEFT JOIN task t ON t.target = e.target AND t.id = e.task {}
         ORDER BY e.sequence {order} LIMIT ?",
        conditions.sql()
    );
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
        let is_meant = match &filter.url {
            Some(url) => url.is_named_in(&record.document) || has(url, row)?,
            None => true,
        };
        if is_meant {
            records.push(record);
        }
    }
    Ok(records)
}

fn conditions(filter: &EventFilter) -> Conditions {
    let mut conditions = Conditions::default();
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

/// Whether the event's task, as the snapshot has it, has such a URL.
fn has(url: &UrlFilter, row: &Row<'_>) -> Result<bool, Fault> {
    let urls: Option<String> = row.get(COLUMN_COUNT)?;
    let Some(urls) = urls else { return Ok(false) };
    url.is_among(&urls)
        .map_err(|error| Fault::Damage(format!("a task's URLs can't be read: {error}")))
}

/// Reads an event from the [`COLUMNS`] that begin at `first`.
pub(super) fn read(row: &Row<'_>, first: usize) -> Result<EventRecord, Fault> {
    let sequence = count(row, first)?;
    let read = || -> Result<EventRecord, Fault> {
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
    read().map_err(|fault| fault.in_row(|| format!("event {sequence}")))
}

/// The words of types, for conditions.
pub(super) fn words(types: &[EventType]) -> impl Iterator<Item = &'static str> {
    types.iter().map(|one| one.as_str())
}
