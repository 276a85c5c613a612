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
pub struct DaemonHealth {
    state: Mutex<HealthSnapshot>,
    workers: Mutex<BTreeMap<WebhookName, Arc<WorkerStatus>>>,
}

/// How things are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthSnapshot {
    /// When all loops last turned, by the monotonic clock.
    pub last_progress: Duration,
    /// Every webhook of the config, and what its worker is doing.
    pub webhooks: BTreeMap<WebhookName, WorkerSnapshot>,
    /// Whether the config that was read last is in effect.
    pub config: ConfigStatus,
    /// What was lost when the state was opened, if it was damaged.
    pub lost_state: Option<String>,
    /// Why the state does not say which targets are this instance's, without secrets; none: it does.
    pub ownership_fault: Option<String>,
    /// Every target of the config, and what its tasks do.
    pub kinds: BTreeMap<TargetName, TaskKind>,
    /// Those of them that this instance polls, and how the last poll ended; none: not polled yet.
    pub targets: BTreeMap<TargetName, Option<LastPoll>>,
}

/// Which config is in effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConfigStatus {
    /// The one that was read last.
    #[default]
    Current,
    /// One of before: the one that was read last was refused.
    Outdated,
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

impl DaemonHealth {
    /// How things are now.
    #[must_use]
    pub fn snapshot(&self) -> HealthSnapshot {
        let mut snapshot = self.lock().clone();
        let workers = self.workers.lock();
        let webhooks = workers.iter();
        snapshot.webhooks = webhooks
            .map(|(name, worker)| (name.clone(), worker.snapshot()))
            .collect();
        snapshot
    }

    /// From now on these workers make the deliveries.
    pub fn set_workers(&self, workers: BTreeMap<WebhookName, Arc<WorkerStatus>>) {
        *self.workers.lock() = workers;
    }

    /// A config was read again.
    pub fn set_config_status(&self, config: ConfigStatus) {
        self.lock().config = config;
    }

    /// A damaged state was set aside at the start of this process.
    pub fn record_state_loss(&self, reason: &str) {
        self.lock().lost_state = Some(reason.to_owned());
    }

    /// All loops turn, as of now. Not to be called while one is stuck.
    pub fn mark_alive(&self, now: Duration) {
        self.lock().last_progress = now;
    }

    /// From now on this config counts. Until it is told of the first one's targets, none of them was polled.
    pub fn set_config(&self, config: &Config) {
        let kinds = config.targets.iter();
        let kinds = kinds.map(|(name, target)| (name.clone(), target.tasks));
        let mut snapshot = self.lock();
        if snapshot.kinds.is_empty() {
            let names = config.targets.keys();
            snapshot.targets = names.map(|name| (name.clone(), None)).collect();
        }
        snapshot.kinds = kinds.collect();
    }

    /// Says anew which targets are this instance's, and how they are, or why the state does not say which. Both at once:
    /// no target and no fault would be an instance that is well.
    pub fn set_targets(
        &self,
        targets: BTreeMap<TargetName, Option<LastPoll>>,
        ownership_fault: Option<&str>,
    ) {
        let ownership_fault = ownership_fault.map(ToOwned::to_owned);
        let mut snapshot = self.lock();
        snapshot.targets = targets;
        snapshot.ownership_fault = ownership_fault;
    }

    /// Says how one of them is now.
    pub fn record_poll(&self, target: &TargetName, last: &LastPoll) {
        self.lock()
            .targets
            .insert(target.clone(), Some(last.clone()));
    }

    /// Nothing between two assignments can panic: nobody has left it half-written.
    fn lock(&self) -> MutexGuard<'_, HealthSnapshot> {
        self.state.lock()
    }
}
