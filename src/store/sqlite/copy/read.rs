//! Reading everything, each kind of row in the order of its key.

use std::ops::ControlFlow;

use rusqlite::{Connection, Row};

use crate::domain::model::{Fingerprint, TargetName, TaskId, WebhookName};
use crate::store::TaskUpsert;
use crate::store::copy::{
    COUNTS, Counts, DeliveryRow, EventRow, Origin, PORTION_ROWS, Portion, Receiver, TargetRow,
    TaskRow,
};
use crate::store::sqlite::fault::Fault;
use crate::store::sqlite::footprint::number;
use crate::store::sqlite::records::delivery_state;
use crate::store::sqlite::row::{count, optional_time, time};
use crate::store::sqlite::{open, outbox, snapshot};

/// The first columns are what [`snapshot::read_target`] reads.
const TARGETS: &str =
    "SELECT list, first_polled, baseline, failed_polls, failing_reported, paging, name
    FROM target ORDER BY name";
/// The first columns are what [`snapshot::read_task`] reads.
const TASKS: &str =
    "SELECT id, type, status, created, first_seen, stalled, missed_polls, vanished, urls,
        number, target, changed, fingerprint
    FROM task ORDER BY number";
const EVENTS: &str = "SELECT sequence, id, type, time, recorded, target, task, document
    FROM event ORDER BY sequence";
const WEBHOOKS: &str = "SELECT name FROM webhook ORDER BY name";
const DELIVERIES: &str =
    "SELECT sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer
    FROM delivery ORDER BY sequence, webhook";

/// Hands out all of it, until the receiver breaks off.
pub(super) fn all(state: &Connection, receiver: &mut Receiver<'_>) -> Result<(), Fault> {
    let mut receive = |portion| receiver(portion);
    if receive(Portion::Origin(origin(state)?)).is_break()
        || rows(state, TARGETS, target, Portion::Targets, &mut receive)?.is_break()
        || rows(state, TASKS, task, Portion::Tasks, &mut receive)?.is_break()
        || rows(state, EVENTS, event, Portion::Events, &mut receive)?.is_break()
        || rows(state, WEBHOOKS, webhook, Portion::Webhooks, &mut receive)?.is_break()
    {
        return Ok(());
    }
    rows(
        state,
        DELIVERIES,
        delivery,
        Portion::Deliveries,
        &mut receive,
    )
    .map(|_| ())
}

/// What it is, and how much it holds.
pub(super) fn origin(state: &Connection) -> Result<Origin, Fault> {
    let counts = state.query_row_and_then(COUNTS, [], |row| {
        Ok::<_, Fault>(Counts {
            targets: count(row, 0)?,
            tasks: count(row, 1)?,
            events: count(row, 2)?,
            webhooks: count(row, 3)?,
            deliveries: count(row, 4)?,
        })
    })?;
    Ok(Origin {
        fingerprint_seed: open::number_of(state, open::FINGERPRINT_SEED)?,
        last_sequence: outbox::last_sequence(state)?,
        counts,
    })
}

fn rows<T>(
    state: &Connection,
    sql: &str,
    read: fn(&Row<'_>) -> Result<T, Fault>,
    portion: fn(Vec<T>) -> Portion,
    receive: &mut dyn FnMut(Portion) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Fault> {
    let mut statement = state.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut together = Vec::new();
    while let Some(row) = rows.next()? {
        together.push(read(row)?);
        if together.len() == PORTION_ROWS
            && receive(portion(std::mem::take(&mut together))).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
    }
    if together.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    Ok(receive(portion(together)))
}

fn target(row: &Row<'_>) -> Result<TargetRow, Fault> {
    let name: String = row.get(6)?;
    let state = snapshot::read_target(row);
    Ok(TargetRow {
        state: state.map_err(|fault| fault.in_row(|| format!("target {name:?}")))?,
        name: TargetName(name),
    })
}

fn task(row: &Row<'_>) -> Result<TaskRow, Fault> {
    let task = snapshot::read_task(row)?;
    let fingerprint: Option<i64> = row.get(12)?;
    Ok(TaskRow {
        number: number(row, 9)?,
        target: TargetName(row.get(10)?),
        changed: time(row, 11)?,
        learned: TaskUpsert {
            fingerprint: fingerprint.map(Fingerprint::from_bits),
            ..task.into()
        },
    })
}

fn event(row: &Row<'_>) -> Result<EventRow, Fault> {
    let sequence = count(row, 0)?;
    let read = || -> Result<EventRow, Fault> {
        Ok(EventRow {
            sequence,
            id: row.get(1)?,
            event_type: row.get(2)?,
            time: time(row, 3)?,
            recorded: time(row, 4)?,
            target: TargetName(row.get(5)?),
            task: row.get::<_, Option<String>>(6)?.map(TaskId),
            document: row.get(7)?,
        })
    };
    read().map_err(|fault| fault.in_row(|| format!("event {sequence}")))
}

fn webhook(row: &Row<'_>) -> Result<WebhookName, Fault> {
    Ok(WebhookName(row.get(0)?))
}

fn delivery(row: &Row<'_>) -> Result<DeliveryRow, Fault> {
    let sequence = count(row, 0)?;
    let read = || -> Result<DeliveryRow, Fault> {
        Ok(DeliveryRow {
            sequence,
            webhook: WebhookName(row.get(1)?),
            state: delivery_state(row, 2)?,
            attempts: row.get(3)?,
            next_attempt: optional_time(row, 4)?,
            last_attempt: optional_time(row, 5)?,
            last_answer: row.get(6)?,
        })
    };
    read().map_err(|fault| fault.in_row(|| format!("delivery of event {sequence}")))
}
