//! Copies of a whole state out of a file and into one, with the file's lock held. A damaged state, or one of another program,
//! is refused and stays as it is.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, params};

use super::connection::open_beside;
use super::error::SqliteError;
use super::file::StateFile;
use super::footprint::number;
use super::lock::StateLock;
use super::open::{self, Database};
use super::recovery::check_pages;
use super::store::SqliteStore;
use super::values::{count, delivery_state, optional_time, seconds, time};
use super::{meta, outbox, schema, snapshot};
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
        number, target, changed, fingerprint
    FROM task ORDER BY number";
const EVENTS: &str = "SELECT sequence, id, type, time, recorded, target, task, document
    FROM event ORDER BY sequence";
const WEBHOOKS: &str = "SELECT name FROM webhook ORDER BY name";
const DELIVERIES: &str =
    "SELECT sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer
    FROM delivery ORDER BY sequence, webhook";

const ADD_DELIVERY: &str =
    "INSERT INTO delivery (sequence, webhook, state, attempts, next_attempt, last_attempt, last_answer)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// A state in a file, to be exported.
#[derive(Debug)]
pub struct SqliteExport {
    file: StateFile,
    connection: Connection,
    _lock: StateLock,
}

/// A state in a file, to be imported into.
#[derive(Debug)]
pub struct SqliteImport(SqliteStore);

impl SqliteExport {
    /// Opens it read-only, and checks its pages. Changes no byte of it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::existing(path)?;
        let (lock, _) = StateLock::take(&file)?;
        let connection = open_beside(&file, OpenFlags::SQLITE_OPEN_READ_ONLY, schema::LATEST)?;
        check_pages(&connection).map_err(|error| error.into_error(file.said(), "check it"))?;
        Ok(Self {
            file,
            connection,
            _lock: lock,
        })
    }
}

impl ExportSource for SqliteExport {
    fn export(&mut self, sink: &mut Sink<'_>) -> Result<(), StoreError> {
        let mut read = |connection: &mut Connection| read_all(&*connection.transaction()?, sink);
        read(&mut self.connection).map_err(|error| error.into_error(self.file.said(), "read it"))
    }
}

impl SqliteImport {
    /// Creates an empty state, or opens one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::find(path)?;
        let (lock, last_use) = StateLock::take(&file)?;
        if std::fs::metadata(file.path()).is_ok_and(|found| found.len() > 0) {
            // Before it is opened for writing, which would migrate it.
            let found = open_beside(&file, OpenFlags::SQLITE_OPEN_READ_ONLY, schema::LATEST)?;
            check_is_empty(&found).map_err(|error| error.into_error(file.said(), COPY_INTO))?;
        }
        let connections = open::open(&file, &last_use, schema::MIGRATIONS)?;
        // The imported state brings a last sequence of its own.
        lock.note_new();
        Ok(Self(SqliteStore::new(Database {
            file,
            lock,
            connections,
            loss: None,
        })))
    }
}

impl ImportTarget for SqliteImport {
    fn import(
        &mut self,
        chunks: &mut dyn Iterator<Item = Chunk>,
    ) -> Result<ContentHash, StoreError> {
        let (hash, last_sequence) = self.0.write(COPY_INTO, |state| {
            check_is_empty(state)?;
            let mut imported = ContentHash::default();
            for chunk in chunks {
                imported.add(&chunk);
                write_chunk(state, &chunk)?;
            }
            let mut read_back = ContentHash::default();
            read_all(state, &mut |chunk| {
                read_back.add(&chunk);
                ControlFlow::Continue(())
            })?;
            if let Some(difference) = imported.difference(&read_back) {
                return Err(SqliteError::Refused(difference));
            }
            Ok((read_back, meta::last_sequence(state)?))
        })?;
        self.0.note_last_sequence(last_sequence);
        Ok(hash)
    }
}

const COPY_INTO: &str = "copy another one into it";

fn check_is_empty(state: &Connection) -> Result<(), SqliteError> {
    let identity = identity(state)?;
    if identity.counts == RowCounts::default() && identity.last_sequence == 0 {
        return Ok(());
    }
    Err(SqliteError::Refused(not_empty(identity.counts)))
}

/// Passes all of it to the sink, each kind of row in the order of its key, until the sink breaks off.
fn read_all(state: &Connection, sink: &mut Sink<'_>) -> Result<(), SqliteError> {
    let mut receive = |chunk| sink(chunk);
    if receive(Chunk::Identity(identity(state)?)).is_break()
        || rows(state, TARGETS, target, Chunk::Targets, &mut receive)?.is_break()
        || rows(state, TASKS, task, Chunk::Tasks, &mut receive)?.is_break()
        || rows(state, EVENTS, event, Chunk::Events, &mut receive)?.is_break()
        || rows(state, WEBHOOKS, webhook, Chunk::Webhooks, &mut receive)?.is_break()
    {
        return Ok(());
    }
    rows(state, DELIVERIES, delivery, Chunk::Deliveries, &mut receive).map(|_| ())
}

/// The state's identity, and how many rows it holds.
fn identity(state: &Connection) -> Result<StoreIdentity, SqliteError> {
    let counts = state.query_row_and_then(COUNTS, [], |row| {
        Ok::<_, SqliteError>(RowCounts {
            targets: count(row, 0)?,
            tasks: count(row, 1)?,
            events: count(row, 2)?,
            webhooks: count(row, 3)?,
            deliveries: count(row, 4)?,
        })
    })?;
    Ok(StoreIdentity {
        fingerprint_seed: meta::number(state, meta::FINGERPRINT_SEED)?,
        last_sequence: meta::last_sequence(state)?,
        counts,
    })
}

fn rows<T>(
    state: &Connection,
    sql: &str,
    read: fn(&Row<'_>) -> Result<T, SqliteError>,
    chunk: fn(Vec<T>) -> Chunk,
    receive: &mut dyn FnMut(Chunk) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, SqliteError> {
    let mut statement = state.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut chunk_rows = Vec::new();
    while let Some(row) = rows.next()? {
        chunk_rows.push(read(row)?);
        if chunk_rows.len() == CHUNK_ROWS
            && receive(chunk(std::mem::take(&mut chunk_rows))).is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
    }
    if chunk_rows.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    Ok(receive(chunk(chunk_rows)))
}

fn target(row: &Row<'_>) -> Result<TargetRow, SqliteError> {
    let name: String = row.get(6)?;
    let state = snapshot::read_target(row);
    Ok(TargetRow {
        state: state.map_err(|error| error.in_row(|| format!("target {name:?}")))?,
        name: TargetName(name),
    })
}

fn task(row: &Row<'_>) -> Result<TaskRow, SqliteError> {
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

fn event(row: &Row<'_>) -> Result<EventRow, SqliteError> {
    let sequence = count(row, 0)?;
    let read = || -> Result<EventRow, SqliteError> {
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
    read().map_err(|error| error.in_row(|| format!("event {sequence}")))
}

fn webhook(row: &Row<'_>) -> Result<WebhookName, SqliteError> {
    Ok(WebhookName(row.get(0)?))
}

fn delivery(row: &Row<'_>) -> Result<DeliveryRow, SqliteError> {
    let sequence = count(row, 0)?;
    let read = || -> Result<DeliveryRow, SqliteError> {
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
    read().map_err(|error| error.in_row(|| format!("delivery of event {sequence}")))
}

/// Adds rows to an empty state.
fn write_chunk(state: &Connection, chunk: &Chunk) -> Result<(), SqliteError> {
    match chunk {
        Chunk::Identity(identity) => set_identity(state, identity),
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

fn set_identity(state: &Connection, identity: &StoreIdentity) -> Result<(), SqliteError> {
    meta::set_number(state, meta::FINGERPRINT_SEED, identity.fingerprint_seed)?;
    meta::set_last_sequence(state, identity.last_sequence)
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
