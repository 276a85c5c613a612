//! Reading everything, each kind of row in the order of its key, in portions that a cursor gives.

use std::ops::ControlFlow;

use tokio_postgres::Row;

use crate::domain::model::{Fingerprint, TargetName, TaskId, WebhookName};
use crate::store::TaskUpsert;
use crate::store::postgres::error::PostgresError;
use crate::store::postgres::queries::delivery_state;
use crate::store::postgres::session::Transaction;
use crate::store::postgres::values::{as_it_came, count, number, optional_time, small_count, time};
use crate::store::postgres::{outbox, schema, snapshot};
use crate::store::transfer::{
    CHUNK_ROWS, COUNTS, Chunk, DeliveryRow, EventRow, RowCounts, Sink, StoreIdentity, TargetRow,
    TaskRow,
};

/// The first columns are what [`snapshot::read_target`] reads.
const TARGETS: &str =
    "SELECT list, first_polled, baseline, failed_polls, failing_reported, paging, name
    FROM target ORDER BY name";
/// The first columns are what [`snapshot::read_task`] reads.
const TASKS: &str =
    "SELECT id, type, status, created, first_seen, stalled, missed_polls, vanished, urls,
    number, target, changed, fingerprint FROM task ORDER BY number";
const EVENTS: &str = "SELECT sequence, id, type, time, recorded, target, task, document
    FROM event ORDER BY sequence";
const WEBHOOKS: &str = "SELECT name FROM webhook ORDER BY name";
const DELIVERIES: &str =
    "SELECT sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer
    FROM delivery ORDER BY sequence, webhook";

/// Hands out all of it, until the receiver breaks off.
pub(super) async fn all(
    tx: &Transaction<'_>,
    receiver: &mut Sink<'_>,
) -> Result<(), PostgresError> {
    if receiver(Chunk::Identity(origin(tx).await?)).is_break()
        || rows(tx, TARGETS, target, Chunk::Targets, receiver)
            .await?
            .is_break()
        || rows(tx, TASKS, task, Chunk::Tasks, receiver)
            .await?
            .is_break()
        || rows(tx, EVENTS, event, Chunk::Events, receiver)
            .await?
            .is_break()
        || rows(tx, WEBHOOKS, webhook, Chunk::Webhooks, receiver)
            .await?
            .is_break()
    {
        return Ok(());
    }
    rows(tx, DELIVERIES, delivery, Chunk::Deliveries, receiver)
        .await
        .map(|_| ())
}

/// What it is, and how much it holds.
pub(super) async fn origin(tx: &Transaction<'_>) -> Result<StoreIdentity, PostgresError> {
    let row = tx.query_first(COUNTS, &[]).await?;
    let row = row.ok_or_else(|| PostgresError::Damage("its rows can't be counted".to_owned()))?;
    Ok(StoreIdentity {
        fingerprint_seed: schema::fingerprint_seed(tx).await?,
        last_sequence: outbox::last_sequence(tx).await?,
        counts: RowCounts {
            targets: count(&row, 0)?,
            tasks: count(&row, 1)?,
            events: count(&row, 2)?,
            webhooks: count(&row, 3)?,
            deliveries: count(&row, 4)?,
        },
    })
}

async fn rows<T>(
    tx: &Transaction<'_>,
    sql: &str,
    read: fn(&Row) -> Result<T, PostgresError>,
    portion: fn(Vec<T>) -> Chunk,
    receiver: &mut Sink<'_>,
) -> Result<ControlFlow<()>, PostgresError> {
    tx.batch(&format!("DECLARE part NO SCROLL CURSOR FOR {sql}"))
        .await?;
    let fetch = format!("FETCH {CHUNK_ROWS} FROM part");
    loop {
        let rows = tx.query_once(&fetch, &[]).await?;
        if rows.is_empty() {
            tx.batch("CLOSE part").await?;
            return Ok(ControlFlow::Continue(()));
        }
        let together = rows.iter().map(read).collect::<Result<_, _>>()?;
        if receiver(portion(together)).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

fn target(row: &Row) -> Result<TargetRow, PostgresError> {
    let name: String = row.try_get(6)?;
    let state = snapshot::read_target(row);
    Ok(TargetRow {
        state: state.map_err(|error| error.in_row(|| format!("target {name:?}")))?,
        name: TargetName(name),
    })
}

fn task(row: &Row) -> Result<TaskRow, PostgresError> {
    let task = snapshot::read_task(row)?;
    let fingerprint: Option<i64> = row.try_get(12)?;
    Ok(TaskRow {
        number: number(row, 9)?,
        target: TargetName(row.try_get(10)?),
        changed: time(row, 11)?,
        learned: TaskUpsert {
            fingerprint: fingerprint.map(Fingerprint::from_bits),
            ..task.into()
        },
    })
}

fn event(row: &Row) -> Result<EventRow, PostgresError> {
    let sequence = count(row, 0)?;
    let read = || -> Result<EventRow, PostgresError> {
        let task: Option<&str> = row.try_get(6)?;
        Ok(EventRow {
            sequence,
            id: row.try_get(1)?,
            event_type: row.try_get(2)?,
            time: time(row, 3)?,
            recorded: time(row, 4)?,
            target: TargetName(row.try_get(5)?),
            task: task.map(|id| TaskId(as_it_came(id))),
            document: row.try_get(7)?,
        })
    };
    read().map_err(|error| error.in_row(|| format!("event {sequence}")))
}

fn webhook(row: &Row) -> Result<WebhookName, PostgresError> {
    Ok(WebhookName(row.try_get(0)?))
}

fn delivery(row: &Row) -> Result<DeliveryRow, PostgresError> {
    let sequence = count(row, 0)?;
    let read = || -> Result<DeliveryRow, PostgresError> {
        let last_answer: Option<&str> = row.try_get(6)?;
        Ok(DeliveryRow {
            sequence,
            webhook: WebhookName(row.try_get(1)?),
            state: delivery_state(row, 2)?,
            attempts: small_count(row, 3)?,
            next_attempt: optional_time(row, 4)?,
            last_attempt: optional_time(row, 5)?,
            last_answer: last_answer.map(as_it_came),
        })
    };
    read().map_err(|error| error.in_row(|| format!("delivery of event {sequence}")))
}
