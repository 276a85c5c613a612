//! The state in one SQLite file, for one instance. Owns the file, its lock, its journal and its damage.
//!
//! One connection writes, so commits queue up behind each other and sequences have no gaps; another reads, so that no
//! reader waits for a commit's way to the disk, but a poll, which is about to commit. Either is behind a mutex; both are let go before the lock is.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, TransactionBehavior};

use self::fault::Fault;
use self::file::StateFile;
use self::lock::{LastUse, StateLock};
pub use self::loss::{Loss, SetAside};
use self::open::{Database, Origin};
use self::seal::Seal;
use super::{
    Attempt, Commit, Delivery, OutboxBacklog, PageCapacity, RecentSpan, Store, StoreError,
    TargetState, TaskInFlight, steps,
};
use crate::domain::model::{
    KnownTask, TargetName, TaskLookup, TaskRowId, TaskSummary, Timestamp, WebhookName,
};

mod checksum;
mod copy;
mod fault;
mod file;
mod footprint;
mod lock;
mod loss;
mod meta;
mod open;
mod outbox;
mod prune;
mod records;
mod row;
mod seal;
mod snapshot;
#[cfg(test)]
mod tests;

pub use copy::{SqliteDestination, SqliteSource};
pub use records::{SqliteOutbox, SqliteRecords};

/// A state in a file. Dropped, it folds its journal in, seals the file and lets the lock go. One that nothing was
/// written to stays as it is.
#[derive(Debug)]
pub struct SqliteStore {
    file: StateFile,
    /// Makes this state's event ids differ from any other's.
    state_id: u64,
    fingerprint_seed: u64,
    /// Whether the file is as its seal says: nothing was written yet.
    sealed: AtomicBool,
    /// Whether the database has its journal for writing.
    has_wal: AtomicBool,
    writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    /// Damage was met: the file is not sealed, so that the next open checks everything and sets it aside.
    damaged: AtomicBool,
    /// The last field, for fields are dropped in order.
    lock: StateLock,
}

/// What [`open()`] found or made.
#[derive(Debug)]
pub struct Opened {
    /// The state, ready for use.
    pub store: SqliteStore,
    /// Something that was known is not any more: say so loudly.
    pub loss: Option<Loss>,
}

/// Opens the state at `path`, or creates it with its directory. Does not wait for another instance to let it go.
///
/// Unless it was closed well and not touched since, everything in it is checked. A damaged file is set aside under a
/// name with `now` in it; a file that can't be opened, read or written for another reason stays where it is, and so
/// does one of a later version or of another program.
pub fn open(path: &Path, now: Timestamp) -> Result<Opened, StoreError> {
    let file = StateFile::find(path)?;
    let (lock, last_use) = StateLock::take(&file)?;
    let (database, loss) = match open::open(&file, &last_use) {
        Err(StoreError::Damaged { what, .. }) => {
            let set_aside = Loss::SetAside(file.set_aside(now, what)?);
            let new = open::open(&file, &LastUse::default());
            // Otherwise the caller says it.
            let new = new.inspect_err(|_| log::error!("{set_aside}"))?;
            (new, Some(set_aside))
        }
        opened => catch_up(&file, opened?, &last_use)?,
    };
    match database.origin {
        Origin::New => lock.note_new(),
        Origin::Found => lock.note(database.last_sequence),
    }
    let store = SqliteStore::new(file, database, lock);
    Ok(Opened { store, loss })
}

/// A database that has come less far than it had is an old copy, or has lost its journal. It is sound, and what it has
/// forgotten will be seen again; but the ids of events that were sent must not be given to others.
fn catch_up(
    file: &StateFile,
    mut database: Database,
    last_use: &LastUse,
) -> Result<(Database, Option<Loss>), StoreError> {
    let had = last_use.last_sequence.unwrap_or_default();
    let has = database.last_sequence;
    if database.origin == Origin::New || has >= had {
        return Ok((database, None));
    }
    outbox::set_last_sequence(&database.writer, had)
        .map_err(|fault| fault.into_error(file.said(), "skip the sequences of lost events"))?;
    database.last_sequence = had;
    database.sealed = false;
    Ok((database, Some(Loss::RolledBack { has, had })))
}

impl SqliteStore {
    fn new(file: StateFile, database: Database, lock: StateLock) -> Self {
        Self {
            file,
            state_id: database.state_id,
            fingerprint_seed: database.fingerprint_seed,
            sealed: AtomicBool::new(database.sealed),
            has_wal: AtomicBool::new(database.has_wal),
            writer: Mutex::new(database.writer),
            reader: Mutex::new(database.reader),
            damaged: AtomicBool::new(false),
            lock,
        }
    }

    /// What `query` reads is of one moment, however many statements it runs.
    fn read<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        read_by(&self.reader, query).map_err(|fault| self.error(fault, action))
    }

    /// The same by the connection that writes: for what a poll reads of each page. What it reads is what it is about to write
    /// anew, and is then at hand; and each commit makes the other connection read its own anew.
    fn read_to_write<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        read_by(&self.writer, query).map_err(|fault| self.error(fault, action))
    }

    /// What `change` writes is committed and on disk at the end, or undone.
    fn write<T>(
        &self,
        action: &'static str,
        change: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let mut writer = lock_connection(&self.writer);
        let write = |writer: &mut Connection| {
            if !self.has_wal.load(Ordering::Relaxed) {
                let has_wal = open::begin_writing(writer)?;
                self.has_wal.store(has_wal, Ordering::Relaxed);
            }
            // Immediate: a transaction that reads before it writes could otherwise find that it may not write.
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let before = transaction.total_changes();
            let outcome = change(&transaction)?;
            if transaction.total_changes() > before {
                // Before the commit: if that fails half way, the file may have been written to all the same.
                self.sealed.store(false, Ordering::Relaxed);
            }
            transaction.commit()?;
            Ok(outcome)
        };
        write(&mut writer).map_err(|fault| self.error(fault, action))
    }

    fn error(&self, fault: Fault, action: &'static str) -> StoreError {
        let error = fault.into_error(self.file.said(), action);
        if matches!(error, StoreError::Damaged { .. }) {
            self.damaged.store(true, Ordering::Relaxed);
        }
        error
    }
}

/// See [`SqliteStore::read`].
fn read_by<T>(
    connection: &Mutex<Connection>,
    query: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    query(&*lock_connection(connection).transaction()?)
}

/// A thread that panicked with a connection in hand left no harm: its transaction was rolled back when it was
/// dropped. If that failed too, it is rolled back here.
fn lock_connection(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    let connection = connection.lock();
    if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
        log::debug!("state: a transaction was left open; the next statement will say why");
    }
    connection
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        let sound = !self.damaged.load(Ordering::Relaxed);
        if sound && self.sealed.load(Ordering::Relaxed) {
            return;
        }
        open::close(&lock_connection(&self.writer));
        // Only the last to have it open can put a database at rest: the reader goes first.
        if sound && let Ok(nothing) = Connection::open_in_memory() {
            let reader = self.reader.get_mut();
            *reader = nothing;
            open::rest(&lock_connection(&self.writer));
        }
        let seal = Seal::of(self.file.path()).filter(|_| sound);
        self.lock.seal(seal.as_ref());
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

    fn reach(
        &self,
        target: &TargetName,
        room: PageCapacity,
        from: Timestamp,
    ) -> Result<RecentSpan, StoreError> {
        self.read("read the newest tasks", |state| {
            footprint::reach(state, target, room, from)
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
                .try_for_each(|one| outbox::record_try(state, webhook, one))
        })
    }

    fn owed(&self) -> Result<Vec<OutboxBacklog>, StoreError> {
        self.read("count the outbox", outbox::owed)
    }

    fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        for (any, sql) in [
            (prune::ANY_TASKS, prune::TASKS),
            (prune::ANY_EVENTS, prune::EVENTS),
        ] {
            if !self.read("look for what is old", |state| {
                prune::any(state, any, before)
            })? {
                continue;
            }
            gone += steps::delete(|| {
                self.write("forget what is old", |state| {
                    prune::batch(state, sql, before)
                })
            })?;
        }
        Ok(gone)
    }
}
