//! The session that holds locks and writes: what it may write, and what becomes of it when it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::LOOK_EVERY;
use super::fault::Fault;
use super::last_look::LastLook;
use super::reconnecting::Reconnecting;
use super::session::{Session, Work};
use super::tenure::{Hold, Tenure};
use crate::domain::model::{TargetName, WebhookName};
use crate::store::LeaseStatus;

/// The session that holds locks and writes, and what it holds.
#[derive(Debug)]
pub(super) struct Writer {
    session: Reconnecting,
    pub(super) tenure: Tenure,
    /// Under which hold a target's poll began: what it read is good for no other.
    pub(super) polls: BTreeMap<TargetName, Hold>,
    /// Whose events a webhook's courier has in hand.
    pub(super) in_hand: BTreeMap<WebhookName, BTreeSet<TargetName>>,
    last_look: Arc<LastLook>,
}

impl Writer {
    /// Takes a session into use that is new; holds nothing yet. Those who must not wait for a commit see in `last_look` what becomes of it.
    pub(super) fn begin(
        mut session: Reconnecting,
        last_look: Arc<LastLook>,
    ) -> Result<Self, Fault> {
        let mut tenure = Tenure::default();
        let enlist = async |work: &Work<'_>| tenure.enlist(work).await;
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
    pub(super) fn connect(&mut self) -> Result<(), Fault> {
        if self.session.sound().is_ok() {
            return Ok(());
        }
        self.lose();
        let tenure = &mut self.tenure;
        let enlist = |session: &mut Session| session.write(async |work| tenure.enlist(work).await);
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
        work: impl AsyncFnOnce(&Work<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let session = self.session.sound();
        let result = session.and_then(|session| session.write(work));
        if self.session.sound().is_err() {
            self.lose();
        }
        result
    }

    /// What a poll read under another hold, or under none, may be out of date.
    pub(super) fn check_hold(&self, target: &TargetName) -> Result<(), Fault> {
        let held = self.tenure.held().get(target);
        let began = self.polls.get(target);
        if held.is_some() && (began.is_none() || began == held) {
            return Ok(());
        }
        Err(Fault::NotOurs(target.clone()))
    }

    pub(super) fn look(
        &mut self,
        wanted: &BTreeSet<TargetName>,
        under_way: &BTreeSet<TargetName>,
    ) -> Result<(), Fault> {
        let mut busy = under_way.clone();
        busy.extend(self.in_hand.values().flatten().cloned());
        let tenure = &mut self.tenure;
        let look = async |work: &Work<'_>| tenure.renew_leases(work, wanted, &busy).await;
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
