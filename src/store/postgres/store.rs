//! `PostgresStore`: the state in a PostgreSQL schema that several instances share.
//!
//! The instance whose writing session has a target's advisory lock owns the target: it alone polls it and makes its deliveries. All
//! its writes go through that session, so an instance that loses the session loses the locks and can't write. Instances
//! agree on nothing else. Another session reads, so that no reader waits for a commit.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::error::PostgresError;
use super::leases::POOLED;
use super::schema::Identity;
use super::session::{self, Reconnect, Role, Transaction};
use super::url::ConnectUrl;
use super::writer::{LeaseHeartbeat, RENEW_INTERVAL, Writer};
use super::{footprint, outbox, prune, schema, snapshot};
use crate::clock::{CancelToken, Clock};
use crate::domain::model::{
    KnownTask, TargetName, TaskLookup, TaskRowId, TaskSummary, Timestamp, WebhookName,
};
use crate::store::{
    Attempt, Commit, Delivery, LeaseStatus, OutboxBacklog, PageCapacity, RecentSpan, Store,
    StoreError, TargetState, TaskInFlight, batched,
};

/// How long [`Store::close`] waits for a call under way. After that the locks last as long as the process.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// A state that instances share.
#[derive(Debug)]
pub struct PostgresStore {
    address: ConnectUrl,
    identity: Identity,
    clock: Arc<dyn Clock>,
    heartbeat: Arc<LeaseHeartbeat>,
    writer: Mutex<Writer>,
    reader: Mutex<Reconnect>,
}

/// Connects, and migrates the schema. Owns no target yet: see [`Store::renew_leases`]. After `stop` no call waits long.
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
    // Before anything is written: a pool could give our locks to other clients.
    if first.shares_backend_with(second) {
        return Err(error(PostgresError::Refused(POOLED.to_owned())));
    }
    let identity = schema::prepare(first, address.schema()).map_err(error)?;
    let heartbeat = Arc::new(LeaseHeartbeat::default());
    let writer = Writer::begin(session, Arc::clone(&heartbeat)).map_err(error)?;
    Ok(PostgresStore {
        address: address.clone(),
        identity,
        clock,
        heartbeat,
        writer: Mutex::new(writer),
        reader: Mutex::new(reader),
    })
}

impl PostgresStore {
    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock()
    }

    fn write<T>(
        &self,
        action: &'static str,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, StoreError> {
        let result = self.writer().write(work);
        result.map_err(|error| self.error(error, action))
    }

    fn read<T>(
        &self,
        action: &'static str,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, StoreError> {
        let mut reader = self.reader.lock();
        let session = reader.renewed(|_| Ok(()));
        let result = session.and_then(|session| session.read(work));
        result.map_err(|error| self.error(error, action))
    }

    fn error(&self, error: PostgresError, action: &'static str) -> StoreError {
        error.into_error(self.address.said(), action, schema::LATEST)
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
        if self.heartbeat.is_within(RENEW_INTERVAL, now) {
            return Ok(writer.lease_status());
        }
        let renewed = writer
            .connect()
            .and_then(|()| writer.renew(wanted, under_way));
        renewed.map_err(|error| self.error(error, "renew its leases"))?;
        // The time before the renewal: the server counts our silence from its answer, which came later.
        self.heartbeat.note(now);
        Ok(writer.lease_status())
    }

    fn lease_is_valid(&self) -> bool {
        let now = self.clock.steady();
        self.heartbeat.is_within(session::LEASE_VALID_FOR, now)
    }

    fn fingerprint_seed(&self) -> u64 {
        self.identity.fingerprint_seed
    }

    fn target(&self, target: &TargetName) -> Result<TargetState, StoreError> {
        let mut writer = self.writer();
        match writer.leases.owned().get(target).copied() {
            Some(lease) => writer.polls.insert(target.clone(), lease),
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
        let written = writer.check_lease(target).and_then(|()| {
            writer.write(async |tx| {
                snapshot::set_tasks(tx, target, &commit.tasks, commit.time).await?;
                snapshot::retouch(tx, target, &commit.fingerprints).await?;
                if let Some(state) = &commit.target {
                    snapshot::set_target(tx, target, state).await?;
                }
                // Last: other instances that add events wait from here to the commit.
                outbox::add_events(tx, state_id, &commit.events, commit.time).await
            })
        });
        written.map_err(|error| self.error(error, "commit what a poll saw"))
    }

    fn forget_target(&self, target: &TargetName) -> Result<(), StoreError> {
        let mut writer = self.writer();
        let written = writer
            .check_lease(target)
            .and_then(|()| writer.write(async |tx| snapshot::forget_target(tx, target).await));
        written.map_err(|error| self.error(error, "forget a target"))
    }

    fn pending(&self, webhook: &WebhookName, limit: usize) -> Result<Vec<Delivery>, StoreError> {
        let owned: Vec<TargetName> = self.writer().leases.owned().keys().cloned().collect();
        let names: Vec<&str> = owned.iter().map(TargetName::as_str).collect();
        let pending = self.read("read the outbox", async |tx| {
            outbox::pending(tx, webhook, &names, limit).await
        })?;
        let mut writer = self.writer();
        // Another instance delivers what was released meanwhile.
        let (targets, pending): (BTreeSet<TargetName>, Vec<Delivery>) = pending
            .into_iter()
            .filter(|one| writer.leases.owned().contains_key(&one.target))
            .map(|one| (one.target, one.delivery))
            .unzip();
        writer.deliveries_in_hand.insert(webhook.clone(), targets);
        Ok(pending)
    }

    fn record_attempts(
        &self,
        webhook: &WebhookName,
        attempts: &[Attempt],
    ) -> Result<(), StoreError> {
        // No lease is needed: what was delivered stays delivered, also if another instance owns the target now.
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
        if let Some(mut writer) = self.writer.try_lock_for(CLOSE_TIMEOUT) {
            writer.end();
        }
        if let Some(mut reader) = self.reader.try_lock_for(CLOSE_TIMEOUT) {
            reader.end();
        }
    }
}
