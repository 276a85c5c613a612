//! Where the daemon says how things are, for those who ask on other threads. Nothing of it is kept on disk.

use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::deliver::{WorkerSnapshot, WorkerStatus};
use crate::domain::model::{TargetName, TaskKind, Timestamp, WebhookName};

/// Shared by the daemon and those who ask.
#[derive(Debug, Default)]
pub struct Board {
    standing: Mutex<Standing>,
    couriers: Mutex<BTreeMap<WebhookName, Arc<WorkerStatus>>>,
}

/// How things are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// When all loops last turned, by the monotonic clock.
    pub turned: Duration,
    /// Every webhook of the config, and what its courier is doing.
    pub webhooks: BTreeMap<WebhookName, WorkerSnapshot>,
    /// Whether the config that was read last is in effect.
    pub config: ConfigInEffect,
    /// What was lost when the state was opened, if it was damaged.
    pub lost_state: Option<String>,
    /// Why the state does not say which targets are this instance's, without secrets; none: it does.
    pub out_of_reach: Option<String>,
    /// Every target of the config, and what its tasks do.
    pub kinds: BTreeMap<TargetName, TaskKind>,
    /// Those of them that this instance polls, and how the last poll ended; none: not polled yet.
    pub targets: BTreeMap<TargetName, Option<LastPoll>>,
}

/// Which config is in effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConfigInEffect {
    /// The one that was read last.
    #[default]
    Latest,
    /// One of before: the one that was read last was refused.
    Former,
}

/// How a target's last poll ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastPoll {
    /// When, by our clock.
    pub at: Timestamp,
    /// Tasks in flight after it.
    pub in_flight: u64,
    /// Polls failed in a row.
    pub failed_polls: u32,
    /// Why it failed, without secrets; none: it was good.
    pub fault: Option<String>,
}

impl Board {
    /// How things are now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut standing = self.lock().clone();
        let couriers = self.couriers.lock();
        let couriers = couriers;
        let webhooks = couriers.iter();
        standing.webhooks = webhooks
            .map(|(name, courier)| (name.clone(), courier.snapshot()))
            .collect();
        standing
    }

    /// From now on these couriers make the deliveries.
    pub fn employ(&self, couriers: BTreeMap<WebhookName, Arc<WorkerStatus>>) {
        *self.couriers.lock() = couriers;
    }

    /// A config was read again.
    pub fn config_was_read(&self, config: ConfigInEffect) {
        self.lock().config = config;
    }

    /// A damaged state was set aside at the start of this process.
    pub fn state_was_lost(&self, reason: &str) {
        self.lock().lost_state = Some(reason.to_owned());
    }

    /// All loops turn, as of now. Not to be called while one is stuck.
    pub fn turned(&self, now: Duration) {
        self.lock().turned = now;
    }

    /// From now on this config counts. Until it is told of the first one's targets, none of them was polled.
    pub fn watch(&self, config: &Config) {
        let kinds = config.targets.iter();
        let kinds = kinds.map(|(name, target)| (name.clone(), target.tasks));
        let mut standing = self.lock();
        if standing.kinds.is_empty() {
            let names = config.targets.keys();
            standing.targets = names.map(|name| (name.clone(), None)).collect();
        }
        standing.kinds = kinds.collect();
    }

    /// Says anew which targets are this instance's, and how they are, or why the state does not say which. Both at once:
    /// no target and no fault would be an instance that is well.
    pub fn tell(
        &self,
        targets: BTreeMap<TargetName, Option<LastPoll>>,
        out_of_reach: Option<&str>,
    ) {
        let out_of_reach = out_of_reach.map(ToOwned::to_owned);
        let mut standing = self.lock();
        standing.targets = targets;
        standing.out_of_reach = out_of_reach;
    }

    /// Says how one of them is now.
    pub fn tell_of(&self, target: &TargetName, last: &LastPoll) {
        self.lock()
            .targets
            .insert(target.clone(), Some(last.clone()));
    }

    /// Nothing between two assignments can panic: nobody has left it half-written.
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock()
    }
}
