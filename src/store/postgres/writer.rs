//! The session that holds locks and writes: what it may write, and what becomes of it when it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::LOOK_EVERY;
use super::fault::Fault;
use super::session::{Session, Work};
use super::tenure::{Hold, Tenure};
use crate::model::{TargetName, WebhookName};
use crate::store::Tended;

/// The session that holds locks and writes, and what it holds.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) session: Option<Session>,
    pub(super) tenure: Tenure,
    /// Under which hold a target's poll began: what it read is good for no other.
    pub(super) polls: BTreeMap<TargetName, Hold>,
    /// Whose events a webhook's courier has in hand.
    pub(super) in_hand: BTreeMap<WebhookName, BTreeSet<TargetName>>,
    pub(super) looked: Option<Duration>,
    pub(super) reconnect_at: Duration,
}

impl Writer {
    /// Takes a new session into use. What was held under the one before is gone.
    pub(super) fn enlist(&mut self, mut session: Session) -> Result<(), Fault> {
        self.lose();
        let tenure = &mut self.tenure;
        session.write(async |work| tenure.enlist(work).await)?;
        self.session = Some(session);
        Ok(())
    }

    fn lose(&mut self) {
        self.session = None;
        self.looked = None;
        self.in_hand.clear();
        self.tenure.begin_anew();
    }

    /// Runs one transaction in the session. A session that it breaks is given up, and all that it held.
    pub(super) fn write<T>(
        &mut self,
        work: impl AsyncFnOnce(&Work<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let session = self.session.as_mut().ok_or(Fault::Away)?;
        let result = session.write(work);
        if !session.is_sound() {
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
        let session = self.session.as_mut().ok_or(Fault::Away)?;
        let tenure = &mut self.tenure;
        let looked = session.write(async |work| tenure.tend(work, wanted, &busy).await);
        if looked.is_err() {
            // Also a sound session's: what it holds is not known any more.
            self.lose();
        }
        looked
    }

    pub(super) fn tended(&self) -> Tended {
        Tended {
            held: self.tenure.held().keys().cloned().collect(),
            again_within: Some(LOOK_EVERY),
        }
    }
}
