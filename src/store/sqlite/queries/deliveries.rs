//! Lists of deliveries, and the batches in which an operator's command changes them: no commit of the daemon waits for more
//! than one batch.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::events;
use super::where_clause::{WhereClause, sequence, text};
use crate::domain::model::WebhookName;
use crate::store::batched::{BATCH_ROWS, VisitedBatch};
use crate::store::filter::{DeliveryFilter, EventRef};
use crate::store::outbox::OutboxCommand;
use crate::store::queries::{DeliveryCursor, DeliveryRecord};
use crate::store::sqlite::error::SqliteError;
use crate::store::sqlite::values::{count, delivery_state, optional_time};

/// See [`crate::store::queries::StateQueries::deliveries`].
pub(super) fn page(
    connection: &Connection,
    filter: &DeliveryFilter,
    after: Option<&DeliveryCursor>,
    limit: usize,
) -> Result<Vec<DeliveryRecord>, SqliteError> {
    let mut conditions = conditions(filter);
    if let Some(place) = after {
        let number = sequence(place.sequence);
        conditions.add_with(
            "d.sequence <= ? AND (d.sequence < ? OR d.webhook > ?)",
            [number.clone(), number, text(place.webhook.as_str())],
        );
    }
    let sql = format!(
        "SELECT {}, d.webhook, d.state, d.attempts, d.next_attempt, d.last_attempt, d.last_answer
         FROM delivery d LEFT JOIN event e ON e.sequence = d.sequence {}
         ORDER BY d.sequence DESC, d.webhook LIMIT ?",
        events::COLUMNS,
        conditions.sql()
    );
    let mut values = conditions.into_values();
    values.push(Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX)));
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(read(row)?);
    }
    Ok(records)
}

/// Applies `command` to the next deliveries after `after` that match the filter. Within a write transaction.
pub(super) fn batch(
    connection: &Connection,
    filter: &DeliveryFilter,
    command: OutboxCommand,
    after: Option<&DeliveryCursor>,
) -> Result<VisitedBatch, SqliteError> {
    let visited = cursors(connection, filter, after)?;
    let mut statement = connection.prepare_cached(command.sql())?;
    let mut changed = 0;
    for cursor in &visited {
        let row = params![cursor.sequence.cast_signed(), cursor.webhook.as_str()];
        changed += statement.execute(row)? as u64;
    }
    Ok(VisitedBatch { visited, changed })
}

fn cursors(
    connection: &Connection,
    filter: &DeliveryFilter,
    after: Option<&DeliveryCursor>,
) -> Result<Vec<DeliveryCursor>, SqliteError> {
    let mut conditions = conditions(filter);
    conditions.add("(d.state = 'pending' OR d.state = 'dead')");
    if let Some(last) = after {
        let number = sequence(last.sequence);
        conditions.add_with(
            "d.sequence >= ? AND (d.sequence > ? OR d.webhook > ?)",
            [number.clone(), number, text(last.webhook.as_str())],
        );
    }
    let sql = format!(
        "SELECT d.sequence, d.webhook FROM delivery d JOIN event e ON e.sequence = d.sequence {}
         ORDER BY d.sequence, d.webhook LIMIT {BATCH_ROWS}",
        conditions.sql()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(conditions.into_values()))?;
    let mut cursors = Vec::new();
    while let Some(row) = rows.next()? {
        cursors.push(DeliveryCursor {
            sequence: count(row, 0)?,
            webhook: WebhookName(row.get(1)?),
        });
    }
    Ok(cursors)
}

/// On `delivery d` joined with its `event e`.
fn conditions(filter: &DeliveryFilter) -> WhereClause {
    let mut conditions = WhereClause::default();
    conditions.one_of("d.webhook", filter.webhooks.iter().map(WebhookName::as_str));
    // Spelt out: a parameter would keep SQLite from the indexes of the pending and the dead.
    let states = filter.states.iter();
    let states = states.map(|state| (format!("d.state = '{state}'"), Vec::new()));
    conditions.any_of(states.collect());
    conditions.one_of("e.type", events::words(&filter.types));
    conditions.any_of(filter.events.iter().map(named).collect());
    conditions
}

fn named(event: &EventRef) -> (String, Vec<Value>) {
    match event {
        EventRef::Sequence(number) => ("d.sequence = ?".to_owned(), vec![sequence(*number)]),
        // Its end is its sequence, which is quicker to find than an id.
        EventRef::Id(id) => {
            let end = id.get(id.len().saturating_sub(16)..).unwrap_or_default();
            let number = u64::from_str_radix(end, 16).unwrap_or_default();
            (
                "(d.sequence = ? AND e.id = ?)".to_owned(),
                vec![sequence(number), text(id)],
            )
        }
    }
}

fn read(row: &Row<'_>) -> Result<DeliveryRecord, SqliteError> {
    let event = events::read(row, 0)?;
    let of_event = event.sequence;
    let read = || -> Result<DeliveryRecord, SqliteError> {
        let first = events::COLUMN_COUNT;
        Ok(DeliveryRecord {
            webhook: WebhookName(row.get(first)?),
            state: delivery_state(row, first + 1)?,
            attempts: row.get(first + 2)?,
            next_attempt: optional_time(row, first + 3)?,
            last_attempt: optional_time(row, first + 4)?,
            last_answer: row.get(first + 5)?,
            event,
        })
    };
    read().map_err(|error| error.in_row(|| format!("delivery of event {of_event}")))
}
