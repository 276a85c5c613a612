//! Writing what another state holds, as it is.

use rusqlite::{Connection, params};

use crate::domain::model::TaskId;
use crate::store::sqlite::error::SqliteError;
use crate::store::sqlite::values::seconds;
use crate::store::sqlite::{meta, open, outbox, snapshot};
use crate::store::transfer::{Chunk, DeliveryRow, EventRow, StoreIdentity};

const ADD_DELIVERY: &str =
    "INSERT INTO delivery (sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// Adds it to an empty state.
pub(super) fn portion(state: &Connection, portion: &Chunk) -> Result<(), SqliteError> {
    match portion {
        Chunk::StoreIdentity(origin) => set_origin(state, origin),
        Chunk::Targets(rows) => rows
            .iter()
            .try_for_each(|row| snapshot::set_target(state, &row.name, &row.state)),
        Chunk::Tasks(rows) => rows
            .iter()
            .try_for_each(|row| snapshot::add_task(state, row)),
        Chunk::Events(rows) => rows.iter().try_for_each(|row| add_event(state, row)),
        Chunk::Webhooks(names) => names
            .iter()
            .try_for_each(|name| outbox::add_webhook(state, name)),
        Chunk::Deliveries(rows) => rows.iter().try_for_each(|row| add_delivery(state, row)),
    }
}

fn set_origin(state: &Connection, origin: &StoreIdentity) -> Result<(), SqliteError> {
    let seed = format!("{:016x}", origin.fingerprint_seed);
    meta::set(state, open::FINGERPRINT_SEED, &seed)?;
    outbox::set_last_sequence(state, origin.last_sequence)
}

fn add_event(state: &Connection, event: &EventRow) -> Result<(), SqliteError> {
    state.prepare_cached(outbox::ADD_EVENT)?.execute(params![
        event.sequence.cast_signed(),
        event.id,
        event.event_type,
        event.time.unix_seconds(),
        event.recorded.unix_seconds(),
        event.target.as_str(),
        event.task.as_ref().map(TaskId::as_str),
        event.document,
    ])?;
    Ok(())
}

fn add_delivery(state: &Connection, delivery: &DeliveryRow) -> Result<(), SqliteError> {
    state.prepare_cached(ADD_DELIVERY)?.execute(params![
        delivery.sequence.cast_signed(),
        delivery.webhook.as_str(),
        delivery.state.as_str(),
        delivery.attempts,
        seconds(delivery.next_attempt),
        seconds(delivery.last_attempt),
        delivery.last_answer,
    ])?;
    Ok(())
}
