//! Writing what another state holds, as it is: a portion is one statement, and a column an array.

use crate::domain::model::WebhookName;
use crate::store::postgres::error::PostgresError;
use crate::store::postgres::session::Transaction;
use crate::store::postgres::snapshot::{self, Columns};
use crate::store::postgres::values::{kept, seconds, text};
use crate::store::postgres::{outbox, schema};
use crate::store::transfer::{Chunk, DeliveryRow, StoreIdentity, TaskRow};

const SET_LAST_SEQUENCE: &str = "UPDATE last_event SET sequence = $1";
const ADD_TASKS: &str = "INSERT INTO task
    (number, target, changed, id, type, status, created, first_seen, stalled, missed_polls, vanished, in_flight,
        url_count, fingerprint, urls)
    OVERRIDING SYSTEM VALUE
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[],
        $8::bigint[], $9::boolean[], $10::bigint[], $11::boolean[], $12::boolean[], $13::bigint[], $14::bigint[],
        $15::text[])";
/// The next task gets the number after the last; without a task the first.
const NUMBERS_GO_ON: &str =
    "SELECT setval(pg_get_serial_sequence('task', 'number'), coalesce(max(number), 1),
    max(number) IS NOT NULL) FROM task";
/// The target is the event's.
const ADD_DELIVERIES: &str = "INSERT INTO delivery
    (sequence, webhook, target, state, attempts, next_attempt, last_attempt, last_answer)
    SELECT d.sequence, d.webhook, e.target, d.state, d.attempts, d.next_attempt, d.last_attempt, d.last_answer
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
        AS d (sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer)
    JOIN event e ON e.sequence = d.sequence";

/// Adds it to an empty state.
pub(super) async fn portion(tx: &Transaction<'_>, portion: &Chunk) -> Result<(), PostgresError> {
    match portion {
        Chunk::Identity(origin) => set_origin(tx, origin).await,
        Chunk::Targets(rows) => {
            for row in rows {
                snapshot::set_target(tx, &row.name, &row.state).await?;
            }
            Ok(())
        }
        Chunk::Tasks(rows) => add_tasks(tx, rows).await,
        Chunk::Events(rows) => outbox::insert_events(tx, rows).await,
        Chunk::Webhooks(names) => {
            let names: Vec<&str> = names.iter().map(WebhookName::as_str).collect();
            outbox::add_webhooks(tx, &names).await
        }
        Chunk::Deliveries(rows) => add_deliveries(tx, rows).await,
    }
}

/// When all tasks are there.
pub(super) async fn numbers_go_on(tx: &Transaction<'_>) -> Result<(), PostgresError> {
    tx.query(NUMBERS_GO_ON, &[]).await.map(|_| ())
}

async fn set_origin(tx: &Transaction<'_>, origin: &StoreIdentity) -> Result<(), PostgresError> {
    schema::set_fingerprint_seed(tx, origin.fingerprint_seed).await?;
    let last = kept(origin.last_sequence);
    tx.execute(SET_LAST_SEQUENCE, &[&last]).await.map(|_| ())
}

async fn add_tasks(tx: &Transaction<'_>, rows: &[TaskRow]) -> Result<(), PostgresError> {
    let mut columns = Columns::default();
    for row in rows {
        columns.push(&row.learned)?;
    }
    let numbers: Vec<i64> = rows.iter().map(|row| kept(row.number.0)).collect();
    let targets: Vec<&str> = rows.iter().map(|row| row.target.as_str()).collect();
    let changed: Vec<i64> = rows.iter().map(|row| row.changed.unix_seconds()).collect();
    let parameters = columns.after([&numbers, &targets, &changed]);
    tx.execute(ADD_TASKS, &parameters).await.map(|_| ())
}

async fn add_deliveries(tx: &Transaction<'_>, rows: &[DeliveryRow]) -> Result<(), PostgresError> {
    let sequences: Vec<i64> = rows.iter().map(|row| kept(row.sequence)).collect();
    let webhooks: Vec<&str> = rows.iter().map(|row| row.webhook.as_str()).collect();
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    let attempts: Vec<i64> = rows.iter().map(|row| i64::from(row.attempts)).collect();
    let next: Vec<Option<i64>> = rows.iter().map(|row| seconds(row.next_attempt)).collect();
    let last: Vec<Option<i64>> = rows.iter().map(|row| seconds(row.last_attempt)).collect();
    let answer = |row: &DeliveryRow| row.last_answer.as_deref().map(text);
    let answers: Vec<Option<String>> = rows.iter().map(answer).collect();
    tx.execute(
        ADD_DELIVERIES,
        &[
            &sequences, &webhooks, &states, &attempts, &next, &last, &answers,
        ],
    )
    .await
    .map(|_| ())
}
