//! The state in a PostgreSQL schema that any number of instances share. Owns the sessions with the server.
//!
//! A target is polled, and its events are delivered, by the instance whose writing session holds its advisory lock. What it
//! writes goes through that very session: with the session the lock is gone, and so is the right to write. Nothing
//! else is agreed upon between instances. Another session reads, so that no reader waits for a commit.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use self::error::PostgresError;
use self::lease_heartbeat::LeaseHeartbeat;
use self::leases::POOLED;
use self::reconnect::Reconnect;
use self::schema::Identity;
use self::session::{Role, Transaction};
use self::writer::Writer;
use super::{
    Attempt, Commit, Delivery, LeaseStatus, OutboxBacklog, PageCapacity, RecentSpan, Store,
    StoreError, TargetState, TaskInFlight, batched,
};
use crate::clock::{CancelToken, Clock};
use crate::domain::model::{
    KnownTask, TargetName, TaskLookup, TaskRowId, TaskSummary, Timestamp, WebhookName,
};

mod balance;
mod error;
mod footprint;
mod lease_heartbeat;
mod leases;
mod lock_capacity;
mod outbox;
mod prune;
mod queries;
mod reconnect;
mod schema;
mod session;
mod snapshot;
mod state_lock;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;
mod url;
mod values;
mod writer;

pub use queries::PostgresQueries;
pub use transfer::{PostgresExport, PostgresImport};
pub use url::{ConnectUrl, ConnectUrlError};

/// Between two looks at the lock table. They keep the session from being ended as silent, and are how long a free target waits
/// for somebody to take it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long [`Store::close`] waits for a call under way. After that the locks last as long as the process.
const CLOSE_WITHIN: Duration = Duration::from_millis(200);

/// A state that instances share.
#[derive(Debug)]
pub struct PostgresStore {
    address: ConnectUrl,
    identity: Identity,
    clock: Arc<dyn Clock>,
    last_look: Arc<LeaseHeartbeat>,
    writer: Mutex<Writer>,
    reader: Mutex<Reconnect>,
}

/// Connects, and brings the schema up to date. Holds no target yet: see [`Store::renew_leases`]. After `stop` no call waits long.
pub fn open(
    address: &ConnectUrl,
    clock: Arc<dyn Clock>,
    stop: &CancelToken,
) -> Result<PostgresStore, StoreError> {
    let error = |error: PostgresError| {
        error.into_error(address.said(), "open its database", schema::LATEST)
    };
    let [mut session, mut reader] =
        [Role::Writer, Role::Reader].map(|role| Reconnect::new(address, role, &clock, stop));
    let (first, second) = (
        session.renewed(|_| Ok(())).map_err(error)?,
        reader.renewed(|_| Ok(())).map_err(error)?,
    );
    // Before anything is written: a pool could give our locks to others.
    if first.shares_backend_with(second) {
        return Err(error(PostgresError::Refused(POOLED.to_owned())));
    }
    let identity = schema::prepare(first, address.schema()).map_err(error)?;
    let last_look = Arc::new(LeaseHeartbeat::default());
    let writer = Writer::begin(session, Arc::clone(&last_look)).map_err(error)?;
    Ok(PostgresStore {
        address: address.clone(),
        identity,
        clock,
        last_look,
        writer: Mutex::new(writer),
        reader: Mutex::new(reader),
    })
}

impl PostgresStore {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A thread that panicked in a transaction left it open; the server ends it with the session's silence.
        self.writer.lock()
    }

    fn write<T>(
        &self,
        action: &'static str,
        tx: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, StoreError> {
        let result = self.writer().write(tx);
        result.map_err(|fault| self.error(fault, action))
    }

    fn read<T>(
        &self,
        action: &'static str,
        tx: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, StoreError> {
        let mut reader = self.reader.lock();
        let session = reader.renewed(|_| Ok(()));
        let result = session.and_then(|session| session.read(tx));
        result.map_err(|fault| self.error(fault, action))
    }

    fn error(&self, fault: PostgresError, action: &'static str) -> StoreError {
        fault.into_error(self.address.said(), action, schema::LATEST)
    }
}

impl Store for PostgresStore {
    fn renew_leases(
        &self,
        wanted: &BTreeSet<TargetName>,
        under_way: &BTreeSet<TargetName>,
    ) -> Result<LeaseStatus, StoreError> {
        let mut writer = self.writer();
        let now = self.clock.steady();
        if self.last_look.is_within(LOOK_EVERY, now) {
            return Ok(writer.lease_status());
        }
        let looked = writer
            .connect()
            .and_then(|()| writer.look(wanted, under_way));
        looked.map_err(|fault| self.error(fault, "look which targets are held"))?;
        // From before the look: the server counts our silence from its answer, which came later.
        self.last_look.note(now);
        Ok(writer.lease_status())
    }

    fn lease_is_valid(&self) -> bool {
        let now = self.clock.steady();
        self.last_look.is_within(session::SURELY_HELD_FOR, now)
    }

    fn fingerprint_seed(&self) -> u64 {
        self.identity.fingerprint_seed
    }

    fn target(&self, target: &TargetName) -> Result<TargetState, StoreError> {
        let mut writer = self.writer();
        match writer.tenure.held().get(target).copied() {
            Some(hold) => writer.polls.insert(target.clone(), hold),
            None => writer.polls.remove(target),
        };
        drop(writer);
        self.read("read a target", async |tx| {
            snapshot::target(tx, target).await
        })
    }

    fn known_tasks(
        &self,
        target: &TargetName,
        numbers: &[TaskRowId],
    ) -> Result<BTreeMap<TaskRowId, KnownTask>, StoreError> {
        self.read("read tasks", async |tx| {
            snapshot::known_tasks(tx, target, numbers).await
        })
    }

    fn task_summaries(
        &self,
        target: &TargetName,
        sought: &[TaskLookup<'_>],
    ) -> Result<Vec<Option<TaskSummary>>, StoreError> {
        self.read("look tasks up", async |tx| {
            footprint::task_summaries(tx, target, sought).await
        })
    }

    fn in_flight_after(
        &self,
        target: &TargetName,
        after: TaskRowId,
        at_most: u32,
    ) -> Result<Vec<TaskInFlight>, StoreError> {
        self.read("read the tasks in flight", async |tx| {
            snapshot::in_flight_after(tx, target, after, at_most).await
        })
    }

    fn count_in_flight(&self, target: &TargetName) -> Result<u64, StoreError> {
        self.read("count the tasks in flight", async |tx| {
            snapshot::count_in_flight(tx, target).await
        })
    }

    fn last_task_row_id(&self) -> Result<TaskRowId, StoreError> {
        self.read("read the last task's number", async |tx| {
            footprint::last_number(tx).await
        })
    }

    fn recent_span(
        &self,
        target: &TargetName,
        room: PageCapacity,
        from: Timestamp,
    ) -> Result<RecentSpan, StoreError> {
        self.read("see how far tasks reach", async |tx| {
            footprint::recent_span(tx, target, room, from).await
        })
    }

    fn commit(&self, target: &TargetName, commit: &Commit) -> Result<(), StoreError> {
        if commit.is_empty() {
            return Ok(());
        }
        let state_id = self.identity.state_id;
        let mut writer = self.writer();
        let written = writer.check_hold(target).and_then(|()| {
            writer.write(async |tx| {
                snapshot::set_tasks(tx, target, &commit.tasks, commit.time).await?;
                snapshot::retouch(tx, target, &commit.fingerprints).await?;
                if let Some(state) = &commit.target {
                    snapshot::set_target(tx, target, state).await?;
                }
                // Last: other instances' events wait from here to the commit.
                outbox::add_events(tx, state_id, &commit.events, commit.time).await
            })
        });
        written.map_err(|fault| self.error(fault, "commit what a poll saw"))
    }

    fn forget_target(&self, target: &TargetName) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let written = writer
            .check_hold(target)
            .and_then(|()| writer.write(async |tx| snapshot::forget_target(tx, target).await));
        written.map_err(|fault| self.error(fault, "forget a target"))
    }

    fn pending(&self, webhook: &WebhookName, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        let held: Vec<TargetName> = self.writer().tenure.held().keys().cloned().collect();
        let names: Vec<&str> = held.iter().map(TargetName::as_str).collect();
        let pending = self.read("read the outbox", async |tx| {
            outbox::pending(tx, webhook, &names, limit).await
        })?;
        let mut writer = self.writer();
        // What was let go meanwhile is another's to deliver.
        let (held, pending): (BTreeSet<TargetName>, Vec<Delivery>) = pending
            .into_iter()
            .filter(|one| writer.tenure.held().contains_key(&one.target))
            .map(|one| (one.target, one.delivery))
            .unzip();
        writer.in_hand.insert(webhook.clone(), held);
        Ok(pending)
    }

    fn record_attempts(
        &self,
        webhook: &WebhookName,
        attempts: &[Attempt],
    ) -> Result<(), StoreError> {
        // No hold is asked for: what was delivered was, whoever holds the target now.
        self.write("record deliveries", async |tx| {
            outbox::record_attempts(tx, webhook, attempts).await
        })
    }

    fn outbox_backlog(&self) -> Result<Vec<OutboxBacklog>, StoreError> {
        self.read("count the outbox", async |tx| {
            outbox::outbox_backlog(tx).await
        })
    }

    fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut gone = 0;
        for sql in [prune::TASKS, prune::EVENTS] {
            gone += batched::delete(|| {
                self.write("forget what is old", async |tx| {
                    prune::batch(tx, sql, before).await
                })
            })?;
        }
        Ok(gone)
    }

    fn close(&self) {
        if let Some(mut writer) = self.writer.try_lock_for(CLOSE_WITHIN) {
            writer.end();
        }
        if let Some(mut reader) = self.reader.try_lock_for(CLOSE_WITHIN) {
            reader.end();
        }
    }
}
