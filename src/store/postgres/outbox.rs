//! The outbox: events and their deliveries as rows.

use std::collections::BTreeSet;

use tokio_postgres::Row;

use super::error::PostgresError;
use super::session::Transaction;
use super::values::{count, escape, optional_time, seconds, small_count, time, to_bigint};
use crate::domain::model::{TargetName, Timestamp, WebhookName};
use crate::store::outbox::AttemptRow;
use crate::store::transfer::EventRow;
use crate::store::{Attempt, Delivery, NewEvent, OutboxBacklog};

/// Locks the row until the commit: another instance that adds events waits.
const NEXT_SEQUENCES: &str =
    "UPDATE last_event SET sequence = sequence + $1 RETURNING sequence - $1";
const LAST_SEQUENCE: &str = "SELECT sequence FROM last_event";
const ADD_EVENTS: &str = "INSERT INTO event (sequence, id, type, time, recorded, target, task, document)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[],
        $8::text[])";
const ADD_WEBHOOKS: &str = "INSERT INTO webhook (name)
    SELECT name FROM unnest($1::text[]) AS name ON CONFLICT DO NOTHING";
const ADD_DELIVERIES: &str = "INSERT INTO delivery (sequence, webhook, target)
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING";
const PENDING: &str = "SELECT d.sequence, e.id, e.type, e.document, e.recorded, d.attempts, d.last_attempt, d.next_attempt, d.target
    FROM delivery d JOIN event e ON e.sequence = d.sequence
    WHERE d.webhook = $1 AND d.state = 'pending' AND d.target = ANY($2)
    ORDER BY d.sequence LIMIT $3";
const RECORD_ATTEMPTS: &str = "UPDATE delivery AS d
    SET state = t.state, attempts = d.attempts + t.failed, next_attempt = t.next_attempt, last_attempt = t.at, last_answer = t.answer
    FROM unnest($2::bigint[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
        AS t (sequence, state, failed, next_attempt, at, answer)
    WHERE d.sequence = t.sequence AND d.webhook = $1 AND d.state = 'pending'";
const OWED: &str = "SELECT w.name,
    (SELECT count(*) FROM delivery d WHERE d.webhook = w.name AND d.state = 'pending'),
    (SELECT count(*) FROM delivery d WHERE d.webhook = w.name AND d.state = 'dead'),
    (SELECT recorded FROM event WHERE sequence =
        (SELECT min(d.sequence) FROM delivery d WHERE d.webhook = w.name AND d.state = 'pending'))
    FROM webhook w ORDER BY w.name";

/// A pending delivery, and its event's target.
pub(super) struct PendingRow {
    pub(super) target: TargetName,
    pub(super) delivery: Delivery,
}

/// Gives events their sequences, ids and documents, and adds their deliveries. Takes the same few statements for any number of
/// events, because other instances that add events wait meanwhile.
pub(super) async fn add_events(
    tx: &Transaction<'_>,
    state_id: u64,
    events: &[NewEvent],
    now: Timestamp,
) -> Result<(), PostgresError> {
    if events.is_empty() {
        return Ok(());
    }
    // Always in the same order: two commits that add the same names must not deadlock.
    let webhooks: BTreeSet<&str> = events
        .iter()
        .flat_map(|event| event.subscribers.iter().map(WebhookName::as_str))
        .collect();
    if !webhooks.is_empty() {
        let webhooks: Vec<&str> = webhooks.into_iter().collect();
        add_webhooks(tx, &webhooks).await?;
    }
    let added = to_bigint(events.len() as u64);
    let row = tx.query_first(NEXT_SEQUENCES, &[&added]).await?;
    let row =
        row.ok_or_else(|| PostgresError::Unreadable("no last sequence is kept".to_owned()))?;
    let first = count(&row, 0)? + 1;
    let rows: Vec<EventRow> = (first..)
        .zip(events)
        .map(|(sequence, event)| event_row(state_id, sequence, event, now))
        .collect();
    insert_events(tx, &rows).await?;
    add_deliveries(tx, (first..).zip(events)).await
}

fn event_row(state_id: u64, sequence: u64, event: &NewEvent, now: Timestamp) -> EventRow {
    let draft = &event.draft;
    let id = format!("evt_{state_id:016x}{sequence:016x}");
    EventRow {
        sequence,
        document: draft.document(&id, sequence),
        id,
        event_type: draft.r#type.as_str().to_owned(),
        time: draft.time,
        recorded: now,
        target: draft.target.clone(),
        task: draft.task.as_ref().map(|task| task.id.clone()),
    }
}

/// Adds complete event rows.
pub(super) async fn insert_events(
    tx: &Transaction<'_>,
    rows: &[EventRow],
) -> Result<(), PostgresError> {
    let sequences: Vec<i64> = rows.iter().map(|row| to_bigint(row.sequence)).collect();
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let types: Vec<&str> = rows.iter().map(|row| row.event_type.as_str()).collect();
    let times: Vec<i64> = rows.iter().map(|row| row.time.unix_seconds()).collect();
    let recorded: Vec<i64> = rows.iter().map(|row| row.recorded.unix_seconds()).collect();
    let targets: Vec<&str> = rows.iter().map(|row| row.target.as_str()).collect();
    let task = |row: &EventRow| row.task.as_ref().map(|id| escape(id.as_str()));
    let tasks: Vec<Option<String>> = rows.iter().map(task).collect();
    let documents: Vec<&str> = rows.iter().map(|row| row.document.as_str()).collect();
    tx.execute(
        ADD_EVENTS,
        &[
            &sequences, &ids, &types, &times, &recorded, &targets, &tasks, &documents,
        ],
    )
    .await
    .map(|_| ())
}

async fn add_deliveries(
    tx: &Transaction<'_>,
    events: impl Iterator<Item = (u64, &NewEvent)>,
) -> Result<(), PostgresError> {
    let (mut sequences, mut webhooks, mut targets) = (Vec::new(), Vec::new(), Vec::new());
    for (sequence, event) in events {
        for webhook in &event.subscribers {
            sequences.push(to_bigint(sequence));
            webhooks.push(webhook.as_str());
            targets.push(event.draft.target.as_str());
        }
    }
    if sequences.is_empty() {
        return Ok(());
    }
    tx.execute(ADD_DELIVERIES, &[&sequences, &webhooks, &targets])
        .await
        .map(|_| ())
}

/// See [`crate::store::Store::pending`]: those of the targets that this instance owns.
pub(super) async fn pending(
    tx: &Transaction<'_>,
    webhook: &WebhookName,
    held: &[&str],
    limit: usize,
) -> Result<Vec<PendingRow>, PostgresError> {
    let limit = to_bigint(limit as u64);
    let rows = tx
        .query(PENDING, &[&webhook.as_str(), &held, &limit])
        .await?;
    rows.iter().map(read_pending).collect()
}

/// See [`crate::store::Store::record_attempts`].
pub(super) async fn record_attempts(
    tx: &Transaction<'_>,
    webhook: &WebhookName,
    attempts: &[Attempt],
) -> Result<(), PostgresError> {
    let mut rest = attempts;
    while !rest.is_empty() {
        // One statement changes a row only once.
        let mut met = BTreeSet::new();
        let repeat = rest.iter().position(|one| !met.insert(one.sequence));
        let (once, again) = rest.split_at(repeat.unwrap_or(rest.len()));
        record_once(tx, webhook, once).await?;
        rest = again;
    }
    Ok(())
}

/// At most one attempt of each delivery.
async fn record_once(
    tx: &Transaction<'_>,
    webhook: &WebhookName,
    attempts: &[Attempt],
) -> Result<(), PostgresError> {
    let sequences: Vec<i64> = attempts.iter().map(|one| to_bigint(one.sequence)).collect();
    let rows: Vec<AttemptRow<'_>> = attempts
        .iter()
        .map(|one| AttemptRow::from(&one.result))
        .collect();
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    let failed: Vec<i64> = rows.iter().map(|row| row.failed).collect();
    let next: Vec<Option<i64>> = rows.iter().map(|row| seconds(row.next_attempt)).collect();
    let at: Vec<i64> = rows.iter().map(|row| row.at.unix_seconds()).collect();
    let answers: Vec<String> = rows.iter().map(|row| escape(row.answer)).collect();
    tx.execute(
        RECORD_ATTEMPTS,
        &[
            &webhook.as_str(),
            &sequences,
            &states,
            &failed,
            &next,
            &at,
            &answers,
        ],
    )
    .await
    .map(|_| ())
}

/// See [`crate::store::Store::outbox_backlog`].
pub(super) async fn outbox_backlog(
    tx: &Transaction<'_>,
) -> Result<Vec<OutboxBacklog>, PostgresError> {
    let rows = tx.query(OWED, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(OutboxBacklog {
                webhook: WebhookName(row.try_get(0)?),
                pending: count(row, 1)?,
                dead: count(row, 2)?,
                oldest_pending: optional_time(row, 3)?,
            })
        })
        .collect()
}

/// See [`crate::store::queries::StateQueries::last_sequence`].
pub(super) async fn last_sequence(tx: &Transaction<'_>) -> Result<u64, PostgresError> {
    let row = tx.query_first(LAST_SEQUENCE, &[]).await?;
    row.map_or(Ok(0), |row| count(&row, 0))
}

/// Registers webhooks that get a delivery.
pub(super) async fn add_webhooks(
    tx: &Transaction<'_>,
    names: &[&str],
) -> Result<(), PostgresError> {
    tx.execute(ADD_WEBHOOKS, &[&names]).await.map(|_| ())
}

fn read_pending(row: &Row) -> Result<PendingRow, PostgresError> {
    let sequence = count(row, 0)?;
    let read = || -> Result<PendingRow, PostgresError> {
        Ok(PendingRow {
            target: TargetName(row.try_get(8)?),
            delivery: Delivery {
                sequence,
                event_id: row.try_get(1)?,
                event_type: row.try_get(2)?,
                document: row.try_get(3)?,
                recorded: time(row, 4)?,
                attempts: small_count(row, 5)?,
                last_attempt: optional_time(row, 6)?,
                next_attempt: optional_time(row, 7)?,
            },
        })
    };
    read().map_err(|error| error.in_row(|| format!("delivery of event {sequence}")))
}
