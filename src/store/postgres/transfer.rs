//! Copies of a whole shared state: each direction is one transaction, in which no instance and no command writes.

use std::ops::ControlFlow;
use std::time::Duration;

use tokio_postgres::Row;

use super::error::PostgresError;
use super::session::{Role, Session, Transaction};
use super::snapshot::Columns;
use super::url::ConnectUrl;
use super::values::{
    count, delivery_state, escape, number, optional_time, seconds, small_count, time, to_bigint,
    unescape,
};
use super::{outbox, schema, snapshot, state_lock};
use crate::clock::CancelToken;
use crate::domain::model::{Fingerprint, TargetName, TaskId, WebhookName};
use crate::store::transfer::{
    CHUNK_ROWS, COUNTS, Chunk, ContentHash, DeliveryRow, EventRow, ExportSource, ImportTarget,
    RowCounts, Sink, StoreIdentity, TargetRow, TaskRow, not_empty,
};
use crate::store::{StoreError, TaskUpsert};

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

const SET_LAST_SEQUENCE: &str = "UPDATE last_event SET sequence = $1";
const ADD_TASKS: &str = "INSERT INTO task
    (number, target, changed, id, type, status, created, first_seen, stalled, missed_polls, vanished, in_flight,
        url_count, fingerprint, urls)
    OVERRIDING SYSTEM VALUE
    SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::bigint[],
        $8::bigint[], $9::boolean[], $10::bigint[], $11::boolean[], $12::boolean[], $13::bigint[], $14::bigint[],
        $15::text[])";
/// The next task gets the number after the last, or 1 if there is no task.
const CONTINUE_NUMBERS: &str =
    "SELECT setval(pg_get_serial_sequence('task', 'number'), coalesce(max(number), 1),
    max(number) IS NOT NULL) FROM task";
/// A delivery's target is its event's.
const ADD_DELIVERIES: &str = "INSERT INTO delivery
    (sequence, webhook, target, state, attempts, next_attempt, last_attempt, last_answer)
    SELECT d.sequence, d.webhook, e.target, d.state, d.attempts, d.next_attempt, d.last_attempt, d.last_answer
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[])
        AS d (sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer)
    JOIN event e ON e.sequence = d.sequence";

/// Longer than any transfer takes. The operator may end it at any time.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A shared state, to be exported.
#[derive(Debug)]
pub struct PostgresExport(TransferSession);

/// A shared state, to be imported into.
#[derive(Debug)]
pub struct PostgresImport(TransferSession);

#[derive(Debug)]
struct TransferSession {
    address: ConnectUrl,
    session: Session,
}

impl TransferSession {
    fn connect(address: &ConnectUrl, stop: &CancelToken) -> Result<Self, StoreError> {
        let session = Session::open(address, Role::Transfer, stop)
            .map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self {
            address: address.clone(),
            session,
        })
    }
}

fn error(address: &ConnectUrl, fault: PostgresError, action: &'static str) -> StoreError {
    fault.into_error(address.said(), action, schema::LATEST)
}

impl PostgresExport {
    /// Connects. Neither makes the schema nor changes it.
    pub fn open(address: &ConnectUrl, stop: &CancelToken) -> Result<Self, StoreError> {
        let mut session = TransferSession::connect(address, stop)?;
        let checked = session.session.write(async |tx| {
            schema::check(tx, address.schema()).await?;
            // Tried early, so that no destination is created in vain.
            state_lock::lock_exclusive(tx).await
        });
        checked.map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self(session))
    }
}

impl ExportSource for PostgresExport {
    fn export(&mut self, sink: &mut Sink<'_>) -> Result<(), StoreError> {
        let TransferSession { address, session } = &mut self.0;
        let read = session.write_within(TRANSFER_TIMEOUT, async |tx| {
            state_lock::lock_exclusive(tx).await?;
            read_all(tx, sink).await
        });
        read.map_err(|fault| error(address, fault, "read it"))
    }
}

impl PostgresImport {
    /// Connects, and makes the schema if there is none.
    pub fn open(address: &ConnectUrl, stop: &CancelToken) -> Result<Self, StoreError> {
        let mut session = TransferSession::connect(address, stop)?;
        schema::prepare(&mut session.session, address.schema())
            .map_err(|fault| error(address, fault, "open its database"))?;
        Ok(Self(session))
    }
}

impl ImportTarget for PostgresImport {
    fn import(
        &mut self,
        chunks: &mut dyn Iterator<Item = Chunk>,
    ) -> Result<ContentHash, StoreError> {
        let TransferSession { address, session } = &mut self.0;
        let taken = session.write_within(TRANSFER_TIMEOUT, async |tx| {
            state_lock::lock_exclusive(tx).await?;
            let identity = identity(tx).await?;
            if identity.counts != RowCounts::default() || identity.last_sequence > 0 {
                return Err(PostgresError::Refused(not_empty(identity.counts)));
            }
            let mut imported = ContentHash::default();
            for chunk in chunks {
                imported.add(&chunk);
                write_chunk(tx, &chunk).await?;
            }
            continue_numbers(tx).await?;
            let mut read_back = ContentHash::default();
            read_all(tx, &mut |chunk| {
                read_back.add(&chunk);
                ControlFlow::Continue(())
            })
            .await?;
            imported
                .difference(&read_back)
                .map_or(Ok(read_back), |difference| {
                    Err(PostgresError::Refused(difference))
                })
        });
        taken.map_err(|fault| error(address, fault, "copy another one into it"))
    }
}

/// Passes all of it to the sink, each kind of row in the order of its key, until the sink breaks off.
async fn read_all(tx: &Transaction<'_>, sink: &mut Sink<'_>) -> Result<(), PostgresError> {
    if sink(Chunk::Identity(identity(tx).await?)).is_break()
        || rows(tx, TARGETS, target, Chunk::Targets, sink)
            .await?
            .is_break()
        || rows(tx, TASKS, task, Chunk::Tasks, sink).await?.is_break()
        || rows(tx, EVENTS, event, Chunk::Events, sink)
            .await?
            .is_break()
        || rows(tx, WEBHOOKS, webhook, Chunk::Webhooks, sink)
            .await?
            .is_break()
    {
        return Ok(());
    }
    rows(tx, DELIVERIES, delivery, Chunk::Deliveries, sink)
        .await
        .map(|_| ())
}

/// The state's identity, and how many rows it holds.
async fn identity(tx: &Transaction<'_>) -> Result<StoreIdentity, PostgresError> {
    let row = tx.query_first(COUNTS, &[]).await?;
    let row =
        row.ok_or_else(|| PostgresError::Unreadable("its rows can't be counted".to_owned()))?;
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
    chunk: fn(Vec<T>) -> Chunk,
    sink: &mut Sink<'_>,
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
        let chunk_rows = rows.iter().map(read).collect::<Result<_, _>>()?;
        if sink(chunk(chunk_rows)).is_break() {
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
            task: task.map(|id| TaskId(unescape(id))),
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
            last_answer: last_answer.map(unescape),
        })
    };
    read().map_err(|error| error.in_row(|| format!("delivery of event {sequence}")))
}

/// Adds rows to an empty state.
async fn write_chunk(tx: &Transaction<'_>, chunk: &Chunk) -> Result<(), PostgresError> {
    match chunk {
        Chunk::Identity(identity) => set_identity(tx, identity).await,
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

/// Sets the sequence of task numbers, after all tasks are imported.
async fn continue_numbers(tx: &Transaction<'_>) -> Result<(), PostgresError> {
    tx.query(CONTINUE_NUMBERS, &[]).await.map(|_| ())
}

async fn set_identity(tx: &Transaction<'_>, identity: &StoreIdentity) -> Result<(), PostgresError> {
    schema::set_fingerprint_seed(tx, identity.fingerprint_seed).await?;
    let last = to_bigint(identity.last_sequence);
    tx.execute(SET_LAST_SEQUENCE, &[&last]).await.map(|_| ())
}

async fn add_tasks(tx: &Transaction<'_>, rows: &[TaskRow]) -> Result<(), PostgresError> {
    let mut columns = Columns::default();
    for row in rows {
        columns.push(&row.learned)?;
    }
    let numbers: Vec<i64> = rows.iter().map(|row| to_bigint(row.number.0)).collect();
    let targets: Vec<&str> = rows.iter().map(|row| row.target.as_str()).collect();
    let changed: Vec<i64> = rows.iter().map(|row| row.changed.unix_seconds()).collect();
    let parameters = columns.after([&numbers, &targets, &changed]);
    tx.execute(ADD_TASKS, &parameters).await.map(|_| ())
}

async fn add_deliveries(tx: &Transaction<'_>, rows: &[DeliveryRow]) -> Result<(), PostgresError> {
    let sequences: Vec<i64> = rows.iter().map(|row| to_bigint(row.sequence)).collect();
    let webhooks: Vec<&str> = rows.iter().map(|row| row.webhook.as_str()).collect();
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    let attempts: Vec<i64> = rows.iter().map(|row| i64::from(row.attempts)).collect();
    let next: Vec<Option<i64>> = rows.iter().map(|row| seconds(row.next_attempt)).collect();
    let last: Vec<Option<i64>> = rows.iter().map(|row| seconds(row.last_attempt)).collect();
    let answer = |row: &DeliveryRow| row.last_answer.as_deref().map(escape);
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
