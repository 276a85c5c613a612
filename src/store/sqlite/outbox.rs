//! The outbox: events and their deliveries as rows.

use rusqlite::{Connection, Row, params};

use super::error::SqliteError;
use super::meta::{last_sequence, set_last_sequence};
use super::values::{count, optional_time, seconds, time};
use crate::domain::model::{Timestamp, WebhookName};
use crate::store::outbox::AttemptRow;
use crate::store::{Attempt, Delivery, NewEvent, OutboxBacklog};

pub(super) const ADD_EVENT: &str =
    "INSERT INTO event (sequence, id, type, time, recorded, target, task, document)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const ADD_WEBHOOK: &str = "INSERT INTO webhook (name) VALUES (?1) ON CONFLICT DO NOTHING";
const ADD_DELIVERY: &str =
    "INSERT INTO delivery (sequence, webhook) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
/// LEFT JOIN, because a delivery without its event is damage and must not be skipped.
pub(super) const PENDING: &str = "SELECT d.sequence, e.id, e.type, e.document, e.recorded, d.attempts, d.next_attempt, d.last_attempt
    FROM delivery d LEFT JOIN event e ON e.sequence = d.sequence
    WHERE d.webhook = ?1 AND d.state = 'pending' ORDER BY d.sequence LIMIT ?2";
const ALL_PENDING: &str = "SELECT d.sequence, e.id, e.type, e.document, e.recorded, d.attempts, d.next_attempt, d.last_attempt
    FROM delivery d LEFT JOIN event e ON e.sequence = d.sequence WHERE d.state = 'pending'";
const MAX_EVENT: &str = "SELECT coalesce(max(sequence), 0) FROM event";
const RECORD_ATTEMPT: &str = "UPDATE delivery
    SET state = ?3, attempts = attempts + ?4, next_attempt = ?5, last_attempt = ?6, last_answer = ?7
    WHERE sequence = ?1 AND webhook = ?2 AND state = 'pending'";
pub(super) const OWED: &str = "SELECT w.name,
    (SELECT count(*) FROM delivery d WHERE d.webhook = w.name AND d.state = 'pending'),
    (SELECT count(*) FROM delivery d WHERE d.webhook = w.name AND d.state = 'dead'),
    (SELECT recorded FROM event WHERE sequence =
        (SELECT min(d.sequence) FROM delivery d WHERE d.webhook = w.name AND d.state = 'pending'))
    FROM webhook w ORDER BY w.name";

/// Everything above, to be prepared at open.
pub(super) const STATEMENTS: &[&str] = &[
    ADD_EVENT,
    ADD_WEBHOOK,
    ADD_DELIVERY,
    PENDING,
    ALL_PENDING,
    MAX_EVENT,
    RECORD_ATTEMPT,
    OWED,
];

/// Gives events their sequences, ids and documents, and adds their deliveries. Returns the last sequence that it gave. Only within a
/// write transaction, so that no other commit gives the same sequences.
pub(super) fn add_events(
    connection: &Connection,
    state_id: u64,
    events: &[NewEvent],
    now: Timestamp,
) -> Result<Option<u64>, SqliteError> {
    if events.is_empty() {
        return Ok(None);
    }
    let mut sequence = last_sequence(connection)?.cast_signed();
    for event in events {
        sequence += 1;
        add_event(connection, state_id, sequence, event, now)?;
        add_deliveries(connection, sequence, &event.subscribers)?;
    }
    set_last_sequence(connection, sequence.unsigned_abs())?;
    Ok(Some(sequence.unsigned_abs()))
}

/// See [`crate::store::Store::pending`].
pub(super) fn pending(
    connection: &Connection,
    webhook: &WebhookName,
    limit: usize,
) -> Result<Vec<Delivery>, SqliteError> {
    let mut statement = connection.prepare_cached(PENDING)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![webhook.as_str(), limit])?;
    let mut pending = Vec::new();
    while let Some(row) = rows.next()? {
        pending.push(read_delivery(row)?);
    }
    Ok(pending)
}

/// One of [`crate::store::Store::record_attempts`].
pub(super) fn record_attempt(
    connection: &Connection,
    webhook: &WebhookName,
    one: &Attempt,
) -> Result<(), SqliteError> {
    let row = AttemptRow::from(&one.result);
    connection.prepare_cached(RECORD_ATTEMPT)?.execute(params![
        // No event has a sequence beyond SQLite's integers.
        i64::try_from(one.sequence).unwrap_or(i64::MAX),
        webhook.as_str(),
        row.state.as_str(),
        row.failed,
        seconds(row.next_attempt),
        row.at.unix_seconds(),
        row.answer,
    ])?;
    Ok(())
}

/// See [`crate::store::Store::outbox_backlog`].
pub(super) fn outbox_backlog(connection: &Connection) -> Result<Vec<OutboxBacklog>, SqliteError> {
    let mut statement = connection.prepare_cached(OWED)?;
    let mut rows = statement.query([])?;
    let mut backlog = Vec::new();
    while let Some(row) = rows.next()? {
        backlog.push(OutboxBacklog {
            webhook: WebhookName(row.get(0)?),
            pending: count(row, 1)?,
            dead: count(row, 2)?,
            oldest_pending: optional_time(row, 3)?,
        });
    }
    Ok(backlog)
}

/// Reads every row once that deliveries still need, and compares the counter of sequences with the events.
pub(super) fn check_rows(connection: &Connection) -> Result<(), SqliteError> {
    let last = last_sequence(connection)?;
    let max = connection
        .prepare_cached(MAX_EVENT)?
        .query_row([], |row| row.get::<_, i64>(0))?;
    if max > last.cast_signed() {
        return Err(SqliteError::Damaged(format!(
            "meta `last_sequence` is {last}, and there is an event {max}"
        )));
    }
    outbox_backlog(connection)?;
    let mut statement = connection.prepare_cached(ALL_PENDING)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        read_delivery(row)?;
    }
    Ok(())
}

fn add_event(
    connection: &Connection,
    state_id: u64,
    sequence: i64,
    event: &NewEvent,
    now: Timestamp,
) -> Result<(), SqliteError> {
    let draft = &event.draft;
    let id = format!("evt_{state_id:016x}{sequence:016x}");
    let document = draft.document(&id, sequence.unsigned_abs());
    connection.prepare_cached(ADD_EVENT)?.execute(params![
        sequence,
        id,
        draft.r#type.as_str(),
        draft.time.unix_seconds(),
        now.unix_seconds(),
        draft.target.as_str(),
        draft.task.as_ref().map(|task| task.id.as_str()),
        document,
    ])?;
    Ok(())
}

/// Registers a webhook that gets a delivery.
pub(super) fn add_webhook(connection: &Connection, name: &WebhookName) -> Result<(), SqliteError> {
    connection
        .prepare_cached(ADD_WEBHOOK)?
        .execute([name.as_str()])?;
    Ok(())
}

fn add_deliveries(
    connection: &Connection,
    sequence: i64,
    subscribers: &[WebhookName],
) -> Result<(), SqliteError> {
    let mut add_delivery = connection.prepare_cached(ADD_DELIVERY)?;
    for webhook in subscribers {
        add_webhook(connection, webhook)?;
        add_delivery.execute(params![sequence, webhook.as_str()])?;
    }
    Ok(())
}

fn read_delivery(row: &Row<'_>) -> Result<Delivery, SqliteError> {
    let sequence = count(row, 0)?;
    let read = || -> Result<Delivery, SqliteError> {
        Ok(Delivery {
            sequence,
            event_id: row.get(1)?,
            event_type: row.get(2)?,
            document: row.get(3)?,
            recorded: time(row, 4)?,
            attempts: row.get(5)?,
            next_attempt: optional_time(row, 6)?,
            last_attempt: optional_time(row, 7)?,
        })
    };
    read().map_err(|error| error.in_row(|| format!("delivery of event {sequence}")))
}
