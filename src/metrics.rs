//! Metrics in Prometheus' text format: what was counted since the start, and what the state holds. Owns their names,
//! and the promise that no label's value comes from the API. Decides nothing.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
mod text;
pub mod textfile;

use families::Families;
use labels::{ByEvent, ByStatus, ByTarget, ByWebhook, Delivered, Polled, Requested};

/// Everything that is counted. Shared by those who count and those who ask.
pub struct Metrics {
    families: Families,
    records: Arc<dyn StateQueries>,
    clock: Arc<dyn Clock>,
    watched: Mutex<Watched>,
    /// Held while a text is made: gauges are set for it.
    counted: Mutex<Counted>,
    /// Polls that ended.
    polls: AtomicU64,
}

/// What tasks there were when they were last counted.
#[derive(Debug, Default)]
struct Counted {
    /// None: the state could not be read.
    tasks: Option<Vec<TaskCount>>,
    /// How many polls had ended by then.
    polls: u64,
    /// By the monotonic clock.
    not_before: Duration,
}

/// Counting takes one part of the time, and leaves so many.
const COUNTING_SHARE: u32 = 20;

/// What the config names, and how its targets are: gauges of what it no longer names must go.
#[derive(Debug, Default)]
struct Watched {
    targets: BTreeMap<TargetName, Health>,
    /// Targets that another instance polls, which tells how they are.
    elsewhere: BTreeSet<TargetName>,
    webhooks: BTreeSet<WebhookName>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Health {
    last_success: Option<Timestamp>,
    failed_polls: u32,
}

/// Whether the config that was read last is in effect.
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
            .field("watched", &self.watched)
            .finish_non_exhaustive()
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(records: Arc<dyn StateQueries>, clock: Arc<dyn Clock>) -> Self {
        Self {
            families: Families::new(),
            records,
            clock,
            watched: Mutex::default(),
            counted: Mutex::default(),
            polls: AtomicU64::new(1),
        }
    }

    /// From now on this config counts. What it names is there from the beginning, at 0: a rate needs a first value.
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
        let mut watched = self.watched();
        let before = std::mem::take(&mut watched.targets);
        let kept = |name: &TargetName| before.get(name).copied().unwrap_or_default();
        watched.targets = config
            .targets
            .keys()
            .map(|name| (name.clone(), kept(name)))
            .collect();
        watched.webhooks = config.webhooks.keys().cloned().collect();
    }

    /// Of the config's targets, this instance polls these. Until it is told, all.
    pub fn set_owned_targets<'a>(&self, targets: impl Iterator<Item = &'a TargetName>) {
        let held: BTreeSet<&TargetName> = targets.collect();
        let watched = &mut *self.watched();
        let names = watched.targets.keys();
        let elsewhere = names.filter(|name| !held.contains(name));
        watched.elsewhere = elsewhere.cloned().collect();
    }

    /// When targets were last polled well, from before this process: what `--once` wrote into its textfile.
    pub fn restore_last_successes(&self, last_successes: &BTreeMap<TargetName, Timestamp>) {
        for (name, health) in &mut self.watched().targets {
            if health.last_success.is_none() {
                health.last_success = last_successes.get(name).copied();
            }
        }
    }

    /// A poll ended.
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
        if let Some(health) = self.watched().targets.get_mut(target) {
            match outcome {
                PollOutcome::Success => {
                    *health = Health {
                        last_success: Some(self.clock.now()),
                        failed_polls: 0,
                    }
                }
                PollOutcome::ApiError | PollOutcome::ListError => {
                    health.failed_polls = failed_polls;
                }
                // Not written down, so not counted.
                PollOutcome::StateError => {}
            }
        }
    }

    /// A call to the API ended.
    pub fn record_request(&self, account: &AccountName, outcome: CallOutcome) {
        self.families
            .requests
            .get_or_create(&Requested::of(account, outcome))
            .inc();
    }

    /// A try of a delivery ended.
    pub fn record_delivery(&self, webhook: &WebhookName, outcome: AttemptOutcome) {
        self.families
            .deliveries
            .get_or_create(&Delivered::of(webhook, outcome))
            .inc();
    }

    /// A config was read again.
    pub fn record_reload(&self, reload: ReloadResult) {
        self.families
            .reload_success
            .set(i64::from(reload == ReloadResult::Applied));
    }

    /// A damaged state was set aside at the start of this process.
    pub fn record_state_loss(&self) {
        self.families.state_set_aside.set(1);
    }

    /// All of it, as of now.
    #[must_use]
    pub fn text(&self) -> String {
        let mut counted = self.counted.lock();
        self.count_tasks(&mut counted);
        self.set_tasks(counted.tasks.as_deref());
        self.set_health();
        self.set_owed();
        self.families.text()
    }

    /// Tasks change by polls alone. Among a million of them counting takes a while, so it must not take all of it.
    fn count_tasks(&self, counted: &mut Counted) {
        let polls = self.polls.load(Ordering::Relaxed);
        let begun = self.clock.monotonic();
        if counted.polls == polls || begun < counted.not_before {
            return;
        }
        counted.tasks = self.records.task_counts().ok();
        counted.polls = polls;
        let now = self.clock.monotonic();
        let took = now.saturating_sub(begun);
        counted.not_before = now.saturating_add(took.saturating_mul(COUNTING_SHARE));
    }

    /// What could not be counted is left out: 0 would be wrong.
    fn set_tasks(&self, counts: Option<&[TaskCount]>) {
        let (tasks, stalled) = (&self.families.tasks, &self.families.stalled_tasks);
        tasks.clear();
        stalled.clear();
        let Some(counts) = counts else { return };
        for target in self.watched().targets.keys() {
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

    fn set_health(&self) {
        let (successes, failed) = (&self.families.last_success, &self.families.failed_polls);
        successes.clear();
        failed.clear();
        let watched = self.watched();
        let here = |name: &TargetName| !watched.elsewhere.contains(name);
        self.families.held.clear();
        for name in watched.targets.keys() {
            let held = self.families.held.get_or_create(&ByTarget::of(name));
            held.set(here(name).into());
        }
        for (name, health) in watched.targets.iter().filter(|(name, _)| here(name)) {
            let target = ByTarget::of(name);
            let seconds = health.last_success.map_or(0, Timestamp::unix_seconds);
            successes.get_or_create(&target).set(seconds);
            failed
                .get_or_create(&target)
                .set(health.failed_polls.into());
        }
    }

    /// A state that can't be read leaves these out: they would be wrong.
    fn set_owed(&self) {
        let families = &self.families;
        for gauge in [&families.pending, &families.dead, &families.oldest_pending] {
            gauge.clear();
        }
        let Ok(owed) = self.records.outbox_backlog() else {
            return;
        };
        for webhook in &self.watched().webhooks {
            let owed = owed.iter().find(|owed| owed.webhook == *webhook);
            let age = owed
                .and_then(|owed| owed.oldest_pending)
                .map_or(Duration::ZERO, |oldest| match self.clock.age(oldest) {
                    Age::Observed(age) | Age::Reported { age, .. } => age,
                });
            let by_webhook = ByWebhook::of(webhook);
            let set = |family: &families::Gauges<ByWebhook>, value: u64| {
                family.get_or_create(&by_webhook).set(gauge(value));
            };
            set(&families.pending, owed.map_or(0, |owed| owed.pending));
            set(&families.dead, owed.map_or(0, |owed| owed.dead));
            set(&families.oldest_pending, age.as_secs());
        }
    }

    /// Each change is one assignment: whoever panicked can't have left it half-written.
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock()
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// How a poll ended, in words for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PollOutcome {
    Success,
    ApiError,
    ListError,
    StateError,
}

impl PollOutcome {
    const ALL: [Self; 4] = [
        Self::Success,
        Self::ApiError,
        Self::ListError,
        Self::StateError,
    ];

    fn of(report: &PollReport) -> Self {
        match &report.result {
            Ok(()) => Self::Success,
            Err(PollError::Api(_)) => Self::ApiError,
            Err(PollError::Walk(_)) => Self::ListError,
            Err(PollError::Store(_)) => Self::StateError,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ApiError => "api_error",
            Self::ListError => "list_error",
            Self::StateError => "state_error",
        }
    }
}
