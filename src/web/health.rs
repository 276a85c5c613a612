//! Health of daemon, targets and webhooks: written by the daemon's threads, read by the HTTP server. In memory only.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::config::Config;
use crate::deliver::{WorkerSnapshot, WorkerStatus};
use crate::domain::model::{TargetName, TaskKind, Timestamp, WebhookName};

/// Current health. Shared by the daemon and the HTTP server.
#[derive(Debug, Default)]
pub struct DaemonHealth {
    state: Mutex<HealthSnapshot>,
    workers: Mutex<BTreeMap<WebhookName, Arc<WorkerStatus>>>,
}

/// Health at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthSnapshot {
    /// When all workers were last known to make progress, by the monotonic clock.
    pub last_progress: Duration,
    /// Every webhook of the config, with the state of its delivery worker.
    pub webhooks: BTreeMap<WebhookName, WorkerSnapshot>,
    /// Whether the last config that was read is in effect.
    pub config: ConfigStatus,
    /// What was lost when the state was opened. `None` if it was intact.
    pub lost_state: Option<String>,
    /// Why this instance can't tell which targets it owns, without secrets. `None` if it can.
    pub ownership_fault: Option<String>,
    /// Every target of the config, with the kind of its tasks.
    pub kinds: BTreeMap<TargetName, TaskKind>,
    /// The targets that this instance polls, with their last polls. `None` before the first poll.
    pub targets: BTreeMap<TargetName, Option<LastPoll>>,
}

/// Which config is in effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConfigStatus {
    /// The one that was read last.
    #[default]
    Current,
    /// An older one, because the last one was invalid.
    Outdated,
}

/// Result of a target's last poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastPoll {
    /// When it ended, by the local clock.
    pub at: Timestamp,
    /// Tasks in flight after it.
    pub in_flight: u64,
    /// Consecutive failed polls.
    pub failed_polls: u32,
    /// Why it failed, without secrets. `None` if it succeeded.
    pub fault: Option<String>,
}

impl DaemonHealth {
    /// Health now.
    #[must_use]
    pub fn snapshot(&self) -> HealthSnapshot {
        let mut snapshot = self.state.lock().clone();
        let workers = self.workers.lock();
        let webhooks = workers.iter();
        snapshot.webhooks = webhooks
            .map(|(name, worker)| (name.clone(), worker.snapshot()))
            .collect();
        snapshot
    }

    /// When all workers were last known to make progress, by the monotonic clock.
    pub(super) fn last_progress(&self) -> Duration {
        self.state.lock().last_progress
    }

    /// Replaces the delivery workers.
    pub fn set_workers(&self, workers: BTreeMap<WebhookName, Arc<WorkerStatus>>) {
        *self.workers.lock() = workers;
    }

    /// Records the result of a reload.
    pub fn set_config_status(&self, config: ConfigStatus) {
        self.state.lock().config = config;
    }

    /// Records that a damaged state was set aside at the start.
    pub fn record_state_loss(&self, reason: &str) {
        self.state.lock().lost_state = Some(reason.to_owned());
    }

    /// Records that all workers make progress. Must not be called while one hangs.
    pub fn mark_alive(&self, now: Duration) {
        self.state.lock().last_progress = now;
    }

    /// Applies a config. The first one's targets count as not polled yet until [`Self::set_targets`].
    pub fn set_config(&self, config: &Config) {
        let kinds = config.targets.iter();
        let kinds = kinds.map(|(name, target)| (name.clone(), target.tasks));
        let mut snapshot = self.state.lock();
        if snapshot.kinds.is_empty() {
            let names = config.targets.keys();
            snapshot.targets = names.map(|name| (name.clone(), None)).collect();
        }
        snapshot.kinds = kinds.collect();
    }

    /// Sets the targets that this instance owns, or why it can't tell which. Both in one step, because no target and no
    /// fault would look healthy.
    pub fn set_targets(
        &self,
        targets: BTreeMap<TargetName, Option<LastPoll>>,
        ownership_fault: Option<&str>,
    ) {
        let ownership_fault = ownership_fault.map(ToOwned::to_owned);
        let mut snapshot = self.state.lock();
        snapshot.targets = targets;
        snapshot.ownership_fault = ownership_fault;
    }

    /// Records a target's last poll.
    pub fn record_poll(&self, target: &TargetName, last: &LastPoll) {
        self.state
            .lock()
            .targets
            .insert(target.clone(), Some(last.clone()));
    }
}
