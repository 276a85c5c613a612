//! The session that owns locks and writes: which targets it may write, and what is lost when it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::error::PostgresError;
use super::leases::{Lease, LeaseTable};
use super::session::{Reconnect, Session, Transaction};
use crate::domain::model::{TargetName, WebhookName};
use crate::store::LeaseStatus;

/// How often leases are renewed. Each renewal also keeps the server from ending the session as idle. A free target waits about
/// this long for an owner.
pub(super) const RENEW_INTERVAL: Duration = Duration::from_secs(1);

/// The session that owns locks and writes, and its leases.
#[derive(Debug)]
pub(super) struct Writer {
    session: Reconnect,
    pub(super) leases: LeaseTable,
    /// The lease under which each target's poll began: what the poll read is valid only under that lease.
    pub(super) polls: BTreeMap<TargetName, Lease>,
    /// Targets of the deliveries that each webhook's worker got last.
    pub(super) deliveries_in_hand: BTreeMap<WebhookName, BTreeSet<TargetName>>,
    heartbeat: Arc<LeaseHeartbeat>,
}

impl Writer {
    /// Registers a new session. It owns no target yet. `heartbeat` shows threads that must not wait for a commit when the leases
    /// were last renewed.
    pub(super) fn begin(
        mut session: Reconnect,
        heartbeat: Arc<LeaseHeartbeat>,
    ) -> Result<Self, PostgresError> {
        let mut leases = LeaseTable::default();
        let register = async |tx: &Transaction<'_>| leases.register(tx).await;
        session.usable()?.write(register)?;
        Ok(Self {
            session,
            leases,
            polls: BTreeMap::new(),
            deliveries_in_hand: BTreeMap::new(),
            heartbeat,
        })
    }

    /// Reconnects if necessary. The leases of the earlier session are lost.
    pub(super) fn connect(&mut self) -> Result<(), PostgresError> {
        if self.session.usable().is_ok() {
            return Ok(());
        }
        self.drop_session();
        let leases = &mut self.leases;
        let register = |session: &mut Session| session.write(async |tx| leases.register(tx).await);
        self.session.renewed(register).map(|_| ())
    }

    /// Drops the session for good, and with it all locks.
    pub(super) fn end(&mut self) {
        self.drop_session();
        self.session.end();
    }

    fn drop_session(&mut self) {
        self.session.close();
        self.heartbeat.forget();
        self.deliveries_in_hand.clear();
        self.leases.reset();
    }

    /// Runs one transaction. If that breaks the session, the session and its leases are dropped.
    pub(super) fn write<T>(
        &mut self,
        work: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        let session = self.session.usable();
        let result = session.and_then(|session| session.write(work));
        if self.session.usable().is_err() {
            self.drop_session();
        }
        result
    }

    /// Fails if the target is not owned, or if the lease has changed since the poll began: what the poll read may be out of date.
    pub(super) fn check_lease(&self, target: &TargetName) -> Result<(), PostgresError> {
        let lease = self.leases.owned().get(target);
        let at_start = self.polls.get(target);
        if lease.is_some() && (at_start.is_none() || at_start == lease) {
            return Ok(());
        }
        Err(PostgresError::LeaseLost(target.clone()))
    }

    /// Renews the leases. On error this instance owns nothing.
    pub(super) fn renew(
        &mut self,
        wanted: &BTreeSet<TargetName>,
        under_way: &BTreeSet<TargetName>,
    ) -> Result<(), PostgresError> {
        let mut busy = under_way.clone();
        busy.extend(self.deliveries_in_hand.values().flatten().cloned());
        let leases = &mut self.leases;
        let renew = async |tx: &Transaction<'_>| leases.renew(tx, wanted, &busy).await;
        let session = self.session.usable();
        let renewed = session.and_then(|session| session.write(renew));
        if renewed.is_err() {
            // Even if the session works: it is unknown which locks it has.
            self.drop_session();
        }
        renewed
    }

    pub(super) fn lease_status(&self) -> LeaseStatus {
        LeaseStatus {
            owned: self.leases.owned().keys().cloned().collect(),
            renew_within: Some(RENEW_INTERVAL),
            capacity_error: self.leases.capacity_error(),
        }
    }
}

/// When leases were last renewed, by [`crate::clock::Clock::steady`], rounded down to a millisecond. Delivery workers read it
/// before each request, without waiting for a commit.
#[derive(Debug)]
pub(super) struct LeaseHeartbeat(AtomicU64);

/// Never, or the session was lost since.
const NONE: u64 = u64::MAX;

impl Default for LeaseHeartbeat {
    fn default() -> Self {
        Self(AtomicU64::new(NONE))
    }
}

impl LeaseHeartbeat {
    pub(super) fn note(&self, at: Duration) {
        let millis = u64::try_from(at.as_millis()).unwrap_or(NONE);
        self.0.store(millis, Ordering::Release);
    }

    pub(super) fn forget(&self) {
        self.0.store(NONE, Ordering::Release);
    }

    /// Whether the last renewal is less than `span` before `now`.
    pub(super) fn is_within(&self, span: Duration, now: Duration) -> bool {
        match self.0.load(Ordering::Acquire) {
            NONE => false,
            millis => now < Duration::from_millis(millis).saturating_add(span),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_is_valid_for_its_span_and_no_longer() {
        let (heartbeat, second) = (LeaseHeartbeat::default(), Duration::from_secs(1));
        assert!(!heartbeat.is_within(second, Duration::ZERO), "before any");
        heartbeat.note(Duration::from_secs(2));
        assert!(heartbeat.is_within(second, Duration::from_millis(2_999)));
        assert!(!heartbeat.is_within(second, Duration::from_secs(3)));
        heartbeat.forget();
        assert!(!heartbeat.is_within(second, Duration::from_secs(2)));
    }
}
