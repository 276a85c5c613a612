//! Lists of events.

use tokio_postgres::Row;

use super::where_clause::PgWhereClause;
use crate::domain::model::{TargetName, TaskId, Timestamp};
use crate::store::filter::{EventFilter, EventSpan};
use crate::store::postgres::error::PostgresError;
use crate::store::postgres::session::Transaction;
use crate::store::postgres::values::{count, escape, time, to_bigint, unescape};
use crate::store::queries::EventRecord;

/// What [`read`] reads.
pub(super) const COLUMNS: &str =
    "e.sequence, e.id, e.type, e.recorded, e.target, e.task, e.document";
/// How many of them there are.
pub(super) const COLUMN_COUNT: usize = 7;

/// How many rows a search by URL reads at a time.
const CHUNK: usize = 1000;

/// An event, and the URLs of its task as the snapshot has it.
struct Found {
    record: EventRecord,
    urls: Option<String>,
}

/// See [`crate::store::queries::StateQueries::events`].
pub(super) async fn page(
    tx: &Transaction<'_>,
    filter: &EventFilter,
    mut span: EventSpan,
    limit: usize,
) -> Result<Vec<EventRecord>, PostgresError> {
    let Some(url) = &filter.url else {
        let found = rows(tx, filter, span, limit).await?;
        return Ok(found.into_iter().map(|one| one.record).collect());
    };
    let mut records = Vec::new();
    loop {
        let chunk = rows(tx, filter, span, CHUNK).await?;
        let is_last = chunk.len() < CHUNK;
        if let Some(last) = chunk.last() {
            span = span.beyond(last.record.sequence);
        }
        for one in chunk {
            let of_task = one
                .urls
                .as_deref()
                .map_or(Ok(false), |urls| url.matches_urls(urls));
            let of_task = of_task.map_err(|error| {
                PostgresError::Unreadable(format!("a task's URLs can't be read: {error}"))
            })?;
            let has_url = of_task || url.matches_document(&one.record.document);
            if has_url {
                records.push(one.record);
            }
        }
        if is_last || records.len() >= limit {
            records.truncate(limit);
            return Ok(records);
        }
    }
}

async fn rows(
    tx: &Transaction<'_>,
    filter: &EventFilter,
    span: EventSpan,
    limit: usize,
) -> Result<Vec<Found>, PostgresError> {
    let mut conditions = conditions(filter);
    let order = match span {
        EventSpan::NewestFirst { before } => {
            conditions.compare("e.sequence <", before.map(to_bigint));
            "DESC"
        }
        EventSpan::OldestFirst { after } => {
            conditions.compare("e.sequence >", Some(to_bigint(after)));
            "ASC"
        }
    };
    let limit = conditions.place(to_bigint(limit as u64));
    let sql = format!(
        "SELECT {COLUMNS}, t.urls FROM event e LEFT JOIN task t ON t.target = e.target AND t.id = e.task {}
         ORDER BY e.sequence {order} LIMIT {limit}",
        conditions.sql()
    );
    let rows = tx.query_once(&sql, &conditions.values()).await?;
    rows.iter()
        .map(|row| {
            Ok(Found {
                record: read(row, 0)?,
                urls: row.try_get(COLUMN_COUNT)?,
            })
        })
        .collect()
}

fn conditions(filter: &EventFilter) -> PgWhereClause {
    let mut conditions = PgWhereClause::default();
    let targets = filter.targets.iter().map(|name| name.as_str().to_owned());
    conditions.one_of("e.target", targets.collect());
    let types = filter.types.iter().map(|one| one.as_str().to_owned());
    conditions.one_of("e.type", types.collect());
    conditions.compare(
        "e.task =",
        filter.task.as_ref().map(|id| escape(id.as_str())),
    );
    conditions.compare("e.recorded >=", filter.since.map(Timestamp::unix_seconds));
    conditions.compare("e.recorded <=", filter.until.map(Timestamp::unix_seconds));
    if let Some(url) = &filter.url {
        let needle = conditions.place(url.needle());
        conditions.add(&format!(
            "(strpos(lower(e.document), {needle}) > 0 OR strpos(lower(coalesce(t.urls, '')), {needle}) > 0)"
        ));
    }
    conditions
}

/// Reads an event from the [`COLUMNS`] that begin at `first`.
pub(super) fn read(row: &Row, first: usize) -> Result<EventRecord, PostgresError> {
    let sequence = count(row, first)?;
    let read = || -> Result<EventRecord, PostgresError> {
        let task: Option<&str> = row.try_get(first + 5)?;
        Ok(EventRecord {
            sequence,
            id: row.try_get(first + 1)?,
            event_type: row.try_get(first + 2)?,
            recorded: time(row, first + 3)?,
            target: TargetName(row.try_get(first + 4)?),
            task: task.map(|id| TaskId(unescape(id))),
            document: row.try_get(first + 6)?,
        })
    };
    read().map_err(|error| error.in_row(|| format!("event {sequence}")))
}
