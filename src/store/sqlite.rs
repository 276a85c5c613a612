//! The state in one SQLite file, for one instance: opening, transactions, closing. Owns the file, its lock and its
//! write-ahead log.
//!
//! One connection writes, so commits queue behind each other and sequences have no gaps. Another reads, so that a reader does
//! not wait while a commit is synced to disk.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};

use self::fault::Fault;
use self::file::StateFile;
use self::lock::{LastUse, StateLock};
pub use self::loss::{Loss, SetAside};
use self::open::{Database, MIGRATIONS, Origin};
use self::seal::Seal;
use super::{
    Attempt, Commit, Delivery, OutboxBacklog, PageCapacity, RecentSpan, Store, StoreError,
    TargetState, TaskInFlight, steps,
};
use crate::domain::model::{
    KnownTask, ListOrder, ListPosition, Remembered, TargetName, TaskLookup, TaskRowId, TaskSummary,
    Timestamp, WebhookName,
};

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

/// How long [`Store::close`] waits for a transaction under way, of ours or of another program: a stop has two seconds for
/// everything.
const CLOSE_WITHIN: Duration = Duration::from_millis(200);

/// A state in a file. Dropping it closes it: see [`Store::close`].
#[derive(Debug)]
pub struct SqliteStore {
    file: StateFile,
    /// Makes this state's event ids differ from any other's.
    state_id: u64,
    fingerprint_seed: u64,
    /// Whether the lock file's stamp describes the file: nothing has been written yet.
    stamp_holds: AtomicBool,
    /// `None` after [`Store::close`].
    writer: Mutex<Option<Connection>>,
    /// `None` after [`Store::close`].
    reader: Mutex<Option<Connection>>,
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
    pub loss: Option<Loss>,
}

/// Opens the state at `path`, or creates it with its directory. Does not wait for another instance to close it.
///
/// Everything in it is checked unless it was closed cleanly and has not changed since. A damaged file is set aside under a
/// name that contains `now`. A file that can't be opened, read or written for another reason stays where it is, and so
/// does one of a later version or of another program.
pub fn open(path: &Path, now: Timestamp) -> Result<Opened, StoreError> {
    open_with(path, now, MIGRATIONS)
}

fn open_with(path: &Path, now: Timestamp, migrations: &[&str]) -> Result<Opened, StoreError> {
    let file = StateFile::find(path)?;
    let (lock, last_use) = StateLock::take(&file)?;
    let (database, loss) = match open::open(&file, &last_use, migrations) {
        Err(StoreError::Damaged { what, .. }) => {
            let set_aside = Loss::SetAside(file.set_aside(now, what)?);
            let new = open::open(&file, &LastUse::default(), migrations);
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

/// Skips the sequences of lost events. A database whose last sequence is lower than the lock file's is an old copy, or has
/// lost its write-ahead log. It is sound, and the next poll sees again what it has lost; but the ids of events that were
/// sent must not be given to other events.
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
    database.stamp_holds = false;
    Ok((database, Some(Loss::RolledBack { has, had })))
}

impl SqliteStore {
    fn new(file: StateFile, database: Database, lock: StateLock) -> Self {
        Self {
            file,
            state_id: database.state_id,
            fingerprint_seed: database.fingerprint_seed,
            stamp_holds: AtomicBool::new(database.stamp_holds),
            writer: Mutex::new(Some(database.writer)),
            reader: Mutex::new(Some(database.reader)),
            damaged: AtomicBool::new(false),
            lock,
        }
    }

    /// Runs `query` in one read transaction, so that all its statements see the same moment.
    fn read<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        read_by(&self.reader, query).map_err(|fault| self.error(fault, action))
    }

    /// The same on the writing connection, for what a poll reads of each page: the poll is about to write those pages, and each
    /// commit empties the other connection's page cache.
    fn read_to_write<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        read_by(&self.writer, query).map_err(|fault| self.error(fault, action))
    }

    /// Runs `change` in one transaction. When this returns `Ok`, its writes are committed and on disk.
    fn write<T>(
        &self,
        action: &'static str,
        change: impl FnOnce(&Connection) -> Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let write = |writer: &mut Connection| {
            // Immediate: a deferred transaction that reads first may find later that it can't write.
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let before = transaction.total_changes();
            let outcome = change(&transaction)?;
            if transaction.total_changes() > before {
                // Before the commit: one that fails half way may have written to the file all the same.
                self.stamp_holds.store(false, Ordering::Relaxed);
            }
            transaction.commit()?;
            Ok(outcome)
        };
        with_connection(&mut self.writer.lock(), write).map_err(|fault| self.error(fault, action))
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
    connection: &Mutex<Option<Connection>>,
    query: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    with_connection(&mut connection.lock(), |connection| {
        query(&*connection.transaction()?)
    })
}

/// Lends the connection, with no transaction open. A transaction in which a thread panicked was rolled back when it was
/// dropped; if that failed too, it is rolled back here.
fn with_connection<T>(
    connection: &mut MutexGuard<'_, Option<Connection>>,
    work: impl FnOnce(&mut Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    let Some(connection) = connection.as_mut() else {
        return Err(Fault::Refused("it is closed".to_owned()));
    };
    if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
        log::debug!("state: a transaction was left open; the next statement will say why");
    }
    work(connection)
}

/// Copies the write-ahead log into the database. If that fails, the next open does it.
fn checkpoint(writer: &Connection) {
    let waits = writer.busy_timeout(CLOSE_WITHIN);
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

    fn remembered(
        &self,
        target: &TargetName,
        order: ListOrder,
        beyond: Option<&ListPosition>,
        at_most: usize,
    ) -> Result<Vec<Remembered>, StoreError> {
        self.read_to_write("remember tasks", |state| {
            footprint::remembered(state, target, order, beyond, at_most)
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

    fn close(&self) {
        let (Some(mut writer), Some(mut reader)) = (
            self.writer.try_lock_for(CLOSE_WITHIN),
            self.reader.try_lock_for(CLOSE_WITHIN),
        ) else {
            log::debug!(
                "state: a transaction is under way at close, the next start checks everything"
            );
            return;
        };
        let Some(connection) = writer.take() else {
            return;
        };
        let is_sound = !self.damaged.load(Ordering::Relaxed);
        let stamp_holds = self.stamp_holds.load(Ordering::Relaxed);
        if !stamp_holds {
            checkpoint(&connection);
        }
        // The last connection to close removes the write-ahead log.
        drop(reader.take());
        drop(connection);
        if !(is_sound && stamp_holds) {
            let seal = Seal::of(self.file.path()).filter(|_| is_sound);
            self.lock.seal(seal.as_ref());
        }
        self.lock.release();
    }
}
