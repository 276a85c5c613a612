//! Prometheus metrics: counters since the start of the process, and gauges of the state. Label values come from the config
//! and from fixed words, never from the API.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{Age, Clock};
use crate::config::Config;
use crate::deliver::AttemptOutcome;
use crate::domain::model::{AccountName, TargetName, Timestamp, WebhookName};
use crate::poll::{PollError, PollReport};
use crate::store::queries::{StateQueries, TaskCount};
use crate::ucdn::error::CallOutcome;

mod families;
mod labels;
#[cfg(test)]
mod tests;
pub mod textfile;

use families::Families;
use labels::{ByEvent, ByStatus, ByTarget, ByWebhook, Delivered, PollOutcome, Polled, Requested};

/// All metrics. Shared by the threads that count and those that export.
pub struct Metrics {
    families: Families,
    records: Arc<dyn StateQueries>,
    clock: Arc<dyn Clock>,
    config: Mutex<ConfigView>,
    /// Locked while a text is made, because gauges are set for it.
    task_counts: Mutex<CachedTaskCounts>,
    /// Number of finished polls.
    polls: AtomicU64,
}

/// The last count of tasks.
#[derive(Debug, Default)]
struct CachedTaskCounts {
    /// `None` if the state could not be read.
    counts: Option<Vec<TaskCount>>,
    /// Number of polls that had finished by then.
    polls: u64,
    /// Earliest time of the next count, by the monotonic clock.
    not_before: Duration,
}

/// After a count that took `t`, the next one starts `t` × this later at the earliest. Counting a million tasks takes a while.
const COUNT_PAUSE_FACTOR: u32 = 20;

/// What the config names. Gauges of what it no longer names are removed.
#[derive(Debug, Default)]
struct ConfigView {
    targets: BTreeMap<TargetName, PollHistory>,
    /// Targets that another instance polls and reports on.
    elsewhere: BTreeSet<TargetName>,
    webhooks: BTreeSet<WebhookName>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PollHistory {
    last_success: Option<Timestamp>,
    failed_polls: u32,
}

/// Result of reading the config again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// The new config is in effect.
    Applied,
    /// The new config was invalid or could not be applied; the previous one stays in effect.
    Rejected,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Metrics {
    /// All counters at 0.
    #[must_use]
    pub fn new(records: Arc<dyn StateQueries>, clock: Arc<dyn Clock>) -> Self {
        Self {
            families: Families::new(),
            records,
            clock,
            config: Mutex::default(),
            task_counts: Mutex::default(),
            polls: AtomicU64::new(1),
        }
    }

    /// Applies a config. Counters of everything that it names start at 0, because a rate needs a first value.
    pub fn set_config(&self, config: &Config) {
        let families = &self.families;
        for target in config.targets.keys() {
            families.show_target(target);
        }
        for account in config.accounts.keys() {
            for outcome in CallOutcome::ALL {
                drop(
                    families
                        .requests
                        .get_or_create(&Requested::of(account, outcome)),
                );
            }
        }
        for webhook in config.webhooks.keys() {
            for outcome in AttemptOutcome::ALL {
                drop(
                    families
                        .deliveries
                        .get_or_create(&Delivered::of(webhook, outcome)),
                );
            }
        }
        let mut view = self.config.lock();
        let before = std::mem::take(&mut view.targets);
        let history = |name: &TargetName| before.get(name).copied().unwrap_or_default();
        view.targets = config
            .targets
            .keys()
            .map(|name| (name.clone(), history(name)))
            .collect();
        view.webhooks = config.webhooks.keys().cloned().collect();
    }

    /// Sets which of the config's targets this instance polls. All of them until the first call.
    pub fn set_owned_targets<'a>(&self, targets: impl Iterator<Item = &'a TargetName>) {
        let owned: BTreeSet<&TargetName> = targets.collect();
        let config = &mut *self.config.lock();
        let names = config.targets.keys();
        let elsewhere = names.filter(|name| !owned.contains(name));
        config.elsewhere = elsewhere.cloned().collect();
    }

    /// Restores last successes of an earlier process, which `--once` left in its textfile.
    pub fn restore_last_successes(&self, last_successes: &BTreeMap<TargetName, Timestamp>) {
        for (name, history) in &mut self.config.lock().targets {
            if history.last_success.is_none() {
                history.last_success = last_successes.get(name).copied();
            }
        }
    }

    /// Counts a finished poll.
    pub fn record_poll(&self, target: &TargetName, report: &PollReport) {
        if report.result.as_ref().err().is_some_and(PollError::is_stop) {
            return;
        }
        let families = &self.families;
        let outcome = PollOutcome::of(report);
        families
            .polls
            .get_or_create(&Polled::of(target, outcome))
            .inc();
        let by_target = ByTarget::of(target);
        families
            .poll_durations
            .get_or_create(&by_target)
            .observe(report.took.as_secs_f64());
        for (r#type, count) in &report.types {
            families
                .events
                .get_or_create(&ByEvent::of(target, *r#type))
                .inc_by(*count);
            if let Some(transition) = ByStatus::of_event(target, *r#type) {
                families
                    .transitions
                    .get_or_create(&transition)
                    .inc_by(*count);
            }
        }
        let refreshes = families.refresh_durations.get_or_create(&by_target);
        for duration in &report.durations {
            refreshes.observe(duration.as_secs_f64());
        }
        drop(refreshes);
        self.set_outcome(target, outcome, report.failed_polls);
        self.polls.fetch_add(1, Ordering::Relaxed);
    }

    fn set_outcome(&self, target: &TargetName, outcome: PollOutcome, failed_polls: u32) {
        if let Some(history) = self.config.lock().targets.get_mut(target) {
            match outcome {
                PollOutcome::Success => {
                    *history = PollHistory {
                        last_success: Some(self.clock.now()),
                        failed_polls: 0,
                    }
                }
                PollOutcome::ApiError | PollOutcome::ListError => {
                    history.failed_polls = failed_polls;
                }
                // The state has not recorded it either.
                PollOutcome::StateError => {}
            }
        }
    }

    /// Counts a finished call to the API.
    pub fn record_request(&self, account: &AccountName, outcome: CallOutcome) {
        self.families
            .requests
            .get_or_create(&Requested::of(account, outcome))
            .inc();
    }

    /// Counts a finished delivery attempt.
    pub fn record_delivery(&self, webhook: &WebhookName, outcome: AttemptOutcome) {
        self.families
            .deliveries
            .get_or_create(&Delivered::of(webhook, outcome))
            .inc();
    }

    /// Records the result of a reload.
    pub fn record_reload(&self, reload: ReloadResult) {
        self.families
            .reload_success
            .set(i64::from(reload == ReloadResult::Applied));
    }

    /// Records that a damaged state was set aside at the start.
    pub fn record_state_loss(&self) {
        self.families.state_set_aside.set(1);
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut cached = self.task_counts.lock();
        self.count_tasks(&mut cached);
        self.set_tasks(cached.counts.as_deref());
        self.set_poll_history();
        self.set_backlog();
        self.families.text()
    }

    /// Counts tasks again if a poll has ended since the last count. Only polls change tasks.
    fn count_tasks(&self, cached: &mut CachedTaskCounts) {
        let polls = self.polls.load(Ordering::Relaxed);
        let begun = self.clock.monotonic();
        if cached.polls == polls || begun < cached.not_before {
            return;
        }
        cached.counts = self.records.task_counts().ok();
        cached.polls = polls;
        let now = self.clock.monotonic();
        let took = now.saturating_sub(begun);
        cached.not_before = now.saturating_add(took.saturating_mul(COUNT_PAUSE_FACTOR));
    }

    /// Without counts the gauges are left out, because 0 would be wrong.
    fn set_tasks(&self, counts: Option<&[TaskCount]>) {
        let (tasks, stalled) = (&self.families.tasks, &self.families.stalled_tasks);
        tasks.clear();
        stalled.clear();
        let Some(counts) = counts else { return };
        for target in self.config.lock().targets.keys() {
            for status in ByStatus::all(target) {
                drop(tasks.get_or_create(&status));
            }
            drop(stalled.get_or_create(&ByTarget::of(target)));
            for count in counts.iter().filter(|count| count.target == *target) {
                let shown = count.total.saturating_sub(count.vanished);
                let status = ByStatus::of(target, &count.status);
                tasks.get_or_create(&status).inc_by(gauge(shown));
                let target = ByTarget::of(target);
                stalled.get_or_create(&target).inc_by(gauge(count.stalled));
            }
        }
    }

    fn set_poll_history(&self) {
        let (successes, failed) = (&self.families.last_success, &self.families.failed_polls);
        successes.clear();
        failed.clear();
        let config = self.config.lock();
        let is_owned = |name: &TargetName| !config.elsewhere.contains(name);
        self.families.owned.clear();
        for name in config.targets.keys() {
            let owned = self.families.owned.get_or_create(&ByTarget::of(name));
            owned.set(is_owned(name).into());
        }
        for (name, history) in config.targets.iter().filter(|(name, _)| is_owned(name)) {
            let target = ByTarget::of(name);
            let seconds = history.last_success.map_or(0, Timestamp::unix_seconds);
            successes.get_or_create(&target).set(seconds);
            failed
                .get_or_create(&target)
                .set(history.failed_polls.into());
        }
    }

    /// If the state can't be read, the gauges are left out, because 0 would be wrong.
    fn set_backlog(&self) {
        let families = &self.families;
        for gauge in [&families.pending, &families.dead, &families.oldest_pending] {
            gauge.clear();
        }
        let Ok(backlogs) = self.records.outbox_backlog() else {
            return;
        };
        for webhook in &self.config.lock().webhooks {
            let backlog = backlogs.iter().find(|backlog| backlog.webhook == *webhook);
            let age = backlog.and_then(|backlog| backlog.oldest_pending).map_or(
                Duration::ZERO,
                |oldest| match self.clock.age(oldest) {
                    Age::Observed(age) | Age::Reported { age, .. } => age,
                },
            );
            let by_webhook = ByWebhook::of(webhook);
            let set = |family: &families::Gauges<ByWebhook>, value: u64| {
                family.get_or_create(&by_webhook).set(gauge(value));
            };
            set(
                &families.pending,
                backlog.map_or(0, |backlog| backlog.pending),
            );
            set(&families.dead, backlog.map_or(0, |backlog| backlog.dead));
            set(&families.oldest_pending, age.as_secs());
        }
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
