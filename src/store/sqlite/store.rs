//! `SqliteStore`: the state in one SQLite file, for one instance.
//!
//! One connection writes, so commits queue behind each other and sequences have no gaps. Another reads, so that a reader does
//! not wait while a commit is synced to disk.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::Connection;

use super::connection::SharedConnection;
use super::error::SqliteError;
use super::file::StateFile;
use super::lock::{FileStamp, StateLock};
use super::open::{self, Database};
use super::recovery::DataLoss;
use super::schema::MIGRATIONS;
use super::{footprint, outbox, prune, snapshot};
use crate::domain::model::{
    KnownTask, TargetName, TaskLookup, TaskRowId, TaskSummary, Timestamp, WebhookName,
};
use crate::store::{
    Attempt, Commit, Delivery, OutboxBacklog, PageCapacity, RecentSpan, Store, StoreError,
    TargetState, TaskInFlight, batched,
};

/// How long [`Store::close`] waits for a transaction under way, of ours or of another program: a stop has two seconds for
/// everything.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// A state in a file. Dropping it closes it: see [`Store::close`].
#[derive(Debug)]
pub struct SqliteStore {
    file: StateFile,
    /// Makes this state's event ids differ from any other's.
    state_id: u64,
    fingerprint_seed: u64,
    /// Whether the lock file's stamp describes the file: nothing has been written yet.
    stamp_holds: AtomicBool,
    writer: SharedConnection,
    reader: SharedConnection,
    /// Damage was found: no stamp is written, so that the next open checks everything and sets the file aside.
    damaged: AtomicBool,
    lock: StateLock,
}

/// What [`open()`] found or made.
#[derive(Debug)]
pub struct Opened {
    /// The state, ready for use.
    pub store: SqliteStore,
    /// Something that was known is lost: the caller must report it loudly.
    pub loss: Option<DataLoss>,
}

/// Opens the state at `path`, or creates it with its directory. Does not wait for another instance to close it.
///
/// Everything in it is checked unless it was closed cleanly and has not changed since. A damaged file is set aside under a
/// name that contains `now`. A file that can't be opened, read or written for another reason stays where it is, and so
/// does one of a later version or of another program.
pub fn open(path: &Path, now: Timestamp) -> Result<Opened, StoreError> {
    open_with(path, now, MIGRATIONS)
}

pub(super) fn open_with(
    path: &Path,
    now: Timestamp,
    migrations: &[&str],
) -> Result<Opened, StoreError> {
    let database = open::open_or_recover(path, now, migrations)?;
    let loss = database.loss.clone();
    let store = SqliteStore::new(database);
    Ok(Opened { store, loss })
}

impl SqliteStore {
    pub(super) fn new(database: Database) -> Self {
        let connections = database.connections;
        Self {
            file: database.file,
            state_id: connections.state_id,
            fingerprint_seed: connections.fingerprint_seed,
            stamp_holds: AtomicBool::new(connections.stamp_holds),
            writer: SharedConnection::new(connections.writer),
            reader: SharedConnection::new(connections.reader),
            damaged: AtomicBool::new(false),
            lock: database.lock,
        }
    }

    /// Reads on the reading connection, in one transaction.
    pub(super) fn read<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, SqliteError>,
    ) -> Result<T, StoreError> {
        let read = self.reader.read(query);
        read.map_err(|error| self.error(error, action))
    }

    /// Reads on the writing connection what a poll needs of each page: the poll is about to write those pages, and each commit
    /// empties the other connection's page cache.
    fn read_to_write<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, SqliteError>,
    ) -> Result<T, StoreError> {
        let read = self.writer.read(query);
        read.map_err(|error| self.error(error, action))
    }

    /// Runs `change` in one transaction. When this returns `Ok`, its writes are committed and on disk.
    pub(super) fn write<T>(
        &self,
        action: &'static str,
        change: impl FnOnce(&Connection) -> Result<T, SqliteError>,
    ) -> Result<T, StoreError> {
        let written = self.writer.write(|state| {
            let before = state.total_changes();
            let outcome = change(state)?;
            if state.total_changes() > before {
                // Before the commit: one that fails half way may have written to the file all the same.
                self.stamp_holds.store(false, Ordering::Relaxed);
            }
            Ok(outcome)
        });
        written.map_err(|error| self.error(error, action))
    }

    /// Notes in the lock file how far the events have come.
    pub(super) fn note_last_sequence(&self, last_sequence: u64) {
        self.lock.note(last_sequence);
    }

    fn error(&self, error: SqliteError, action: &'static str) -> StoreError {
        let error = error.into_error(self.file.said(), action);
        if matches!(error, StoreError::Damaged { .. }) {
            self.damaged.store(true, Ordering::Relaxed);
        }
        error
    }
}

/// Copies the write-ahead log into the database. If that fails, the next open does it.
fn checkpoint(writer: &Connection) {
    let waits = writer.busy_timeout(CLOSE_TIMEOUT);
    let done =
        waits.and_then(|()| writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
    if let Err(error) = done {
        log::debug!("state: no checkpoint at close, the next start makes it: {error}");
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

impl Store for SqliteStore {
    fn target(&self, target: &TargetName) -> Result<TargetState, StoreError> {
        self.read("read a target", |state| snapshot::target(state, target))
    }

    fn known_tasks(
        &self,
        target: &TargetName,
        numbers: &[TaskRowId],
    ) -> Result<BTreeMap<TaskRowId, KnownTask>, StoreError> {
        self.read_to_write("read tasks", |state| {
            snapshot::known_tasks(state, target, numbers)
        })
    }

    fn fingerprint_seed(&self) -> u64 {
        self.fingerprint_seed
    }

    fn task_summaries(
        &self,
        target: &TargetName,
        sought: &[TaskLookup<'_>],
    ) -> Result<Vec<Option<TaskSummary>>, StoreError> {
        if sought.is_empty() {
            return Ok(Vec::new());
        }
        self.read_to_write("look for tasks", |state| {
            footprint::task_summaries(state, target, sought)
        })
    }

    fn in_flight_after(
        &self,
        target: &TargetName,
        after: TaskRowId,
        at_most: u32,
    ) -> Result<Vec<TaskInFlight>, StoreError> {
        self.read("read the tasks in flight", |state| {
            snapshot::in_flight_after(state, target, after, at_most)
        })
    }

    fn count_in_flight(&self, target: &TargetName) -> Result<u64, StoreError> {
        self.read("count the tasks in flight", |state| {
            snapshot::count_in_flight(state, target)
        })
    }

    fn last_task_row_id(&self) -> Result<TaskRowId, StoreError> {
        self.read("read the last task's number", footprint::last_number)
    }

    fn recent_span(
        &self,
        target: &TargetName,
        room: PageCapacity,
        from: Timestamp,
    ) -> Result<RecentSpan, StoreError> {
        self.read("read the newest tasks", |state| {
            footprint::recent_span(state, target, room, from)
        })
    }

    fn commit(&self, target: &TargetName, commit: &Commit) -> Result<(), StoreError> {
        if commit.is_empty() {
            return Ok(());
        }
        let last_sequence = self.write("commit what a poll saw", |state| {
            snapshot::set_tasks(state, target, &commit.tasks, commit.time)?;
            snapshot::retouch(state, target, &commit.fingerprints)?;
            if let Some(new) = &commit.target {
                snapshot::set_target(state, target, new)?;
            }
            outbox::add_events(state, self.state_id, &commit.events, commit.time)
        })?;
        if let Some(last_sequence) = last_sequence {
            self.lock.note(last_sequence);
        }
        Ok(())
    }

    fn forget_target(&self, target: &TargetName) -> Result<(), StoreError> {
        self.write("forget a target", |state| {
            snapshot::forget_target(state, target)
        })
    }

    fn pending(&self, webhook: &WebhookName, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        self.read("read the outbox", |state| {
            outbox::pending(state, webhook, limit)
        })
    }

    fn record_attempts(
        &self,
        webhook: &WebhookName,
        attempts: &[Attempt],
    ) -> Result<(), StoreError> {
        if attempts.is_empty() {
            return Ok(());
        }
        self.write("record deliveries", |state| {
            attempts
                .iter()
                .try_for_each(|one| outbox::record_attempt(state, webhook, one))
        })
    }

    fn outbox_backlog(&self) -> Result<Vec<OutboxBacklog>, StoreError> {
        self.read("count the outbox", outbox::outbox_backlog)
    }

    fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        for sql in [prune::TASKS, prune::EVENTS] {
            gone += batched::delete(|| {
                self.write("forget what is old", |state| {
                    prune::batch(state, sql, before)
                })
            })?;
        }
        Ok(gone)
    }

    fn close(&self) {
        let Some(writer) = self.writer.take(CLOSE_TIMEOUT) else {
            return;
        };
        let is_sound = !self.damaged.load(Ordering::Relaxed);
        let stamp_holds = self.stamp_holds.load(Ordering::Relaxed);
        if !stamp_holds {
            checkpoint(&writer);
        }
        // The last connection to close removes the write-ahead log.
        drop(self.reader.take(CLOSE_TIMEOUT));
        drop(writer);
        if !(is_sound && stamp_holds) {
            let stamp = FileStamp::of(self.file.path()).filter(|_| is_sound);
            self.lock.set_stamp(stamp.as_ref());
        }
        self.lock.release();
    }
}
