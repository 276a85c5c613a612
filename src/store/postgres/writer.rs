//! The session that holds locks and writes: what it may write, and what becomes of it when it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::LOOK_EVERY;
use super::error::PostgresError;
use super::lease_heartbeat::LeaseHeartbeat;
use super::leases::{Lease, LeaseTable};
use super::reconnect::Reconnect;
use super::session::{Session, Transaction};
use crate::domain::model::{TargetName, WebhookName};
use crate::store::LeaseStatus;

/// The session that holds locks and writes, and what it holds.
#[derive(Debug)]
pub(super) struct Writer {
    session: Reconnect,
    pub(super) tenure: LeaseTable,
    /// Under which hold a target's poll began: what it read is good for no other.
    pub(super) polls: BTreeMap<TargetName, Lease>,
    /// Whose events a webhook's courier has in hand.
    pub(super) in_hand: BTreeMap<WebhookName, BTreeSet<TargetName>>,
    last_look: Arc<LeaseHeartbeat>,
}

impl Writer {
    /// Takes a session into use that is new; holds nothing yet. Those who must not wait for a commit see in `last_look` what becomes of it.
    pub(super) fn begin(
        mut session: Reconnect,
        last_look: Arc<LeaseHeartbeat>,
    ) -> Result<Self, PostgresError> {
        let mut tenure = LeaseTable::default();
        let enlist = async |tx: &Transaction<'_>| tenure.enlist(tx).await;
        session.sound()?.write(enlist)?;
        Ok(Self {
            session,
            tenure,
            polls: BTreeMap::new(),
            in_hand: BTreeMap::new(),
            last_look,
        })
    }

    /// Sees to it that there is a session. What was held under the one before is gone.
    pub(super) fn connect(&mut self) -> Result<(), PostgresError> {
        if self.session.sound().is_ok() {
            return Ok(());
        }
        self.lose();
        let tenure = &mut self.tenure;
        let enlist = |session: &mut Session| session.write(async |tx| tenure.enlist(tx).await);
        self.session.renewed(enlist).map(|_| ())
    }

    /// Gives the session up for good, and with it all locks.
    pub(super) fn end(&mut self) {
        self.lose();
        self.session.end();
    }

    fn lose(&mut self) {
        self.session.close();
        self.last_look.forget();
        self.in_hand.clear();
        self.tenure.begin_anew();
    }

    /// Runs one transaction in the session. A session that it breaks is given up, and all that it held.
    pub(super) fn write<T>(
        &mut self,
        tx: impl AsyncFnOnce(&Transaction<'_>) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        let session = self.session.sound();
        let result = session.and_then(|session| session.write(tx));
        if self.session.sound().is_err() {
            self.lose();
        }
        result
    }

    /// What a poll read under another hold, or under none, may be out of date.
    pub(super) fn check_hold(&self, target: &TargetName) -> Result<(), PostgresError> {
        let held = self.tenure.held().get(target);
        let began = self.polls.get(target);
        if held.is_some() && (began.is_none() || began == held) {
            return Ok(());
        }
        Err(PostgresError::NotOurs(target.clone()))
    }

    pub(super) fn look(
        &mut self,
        wanted: &BTreeSet<TargetName>,
        under_way: &BTreeSet<TargetName>,
    ) -> Result<(), PostgresError> {
        let mut busy = under_way.clone();
        busy.extend(self.in_hand.values().flatten().cloned());
        let tenure = &mut self.tenure;
        let look = async |tx: &Transaction<'_>| tenure.renew_leases(tx, wanted, &busy).await;
        let session = self.session.sound();
        let looked = session.and_then(|session| session.write(look));
        if looked.is_err() {
            // Also a sound session's: what it holds is not known any more.
            self.lose();
        }
        looked
    }

    pub(super) fn lease_status(&self) -> LeaseStatus {
        LeaseStatus {
            owned: self.tenure.held().keys().cloned().collect(),
            renew_within: Some(LOOK_EVERY),
            capacity_error: self.tenure.capacity_error(),
        }
    }
}
