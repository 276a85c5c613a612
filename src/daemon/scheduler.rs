//! Poll scheduler: when each target is polled next. Polls nothing itself.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::model::TargetName;
use crate::domain::schedule::poll_delay;
use crate::poll::{PollReport, Poller};
use crate::web::LastPoll;

/// Polls under way at the same time, over all targets.
pub(super) const MAX_CONCURRENT_POLLS: usize = 8;

/// Due times of all targets of the config, and of those that a reload removed while they were polled. Times are monotonic.
#[derive(Debug, Default)]
pub(super) struct PollScheduler {
    targets: BTreeMap<TargetName, ScheduledTarget>,
    overload: OverloadMonitor,
}

/// One target's schedule.
#[derive(Debug)]
struct ScheduledTarget {
    poller: Arc<Poller>,
    due: Duration,
    running: Option<RunningPoll>,
    last: Option<LastPoll>,
    /// Whether the config has this target and this instance owns it.
    owned: bool,
}

/// A poll under way.
#[derive(Debug)]
pub(super) struct RunningPoll {
    /// After a reload, perhaps the poller of the previous config.
    pub(super) poller: Arc<Poller>,
    pub(super) started: Duration,
}

impl PollScheduler {
    /// Replaces the targets: polls those of `pollers` that are `owned`. A new or newly owned target is due at once, because
    /// it may not have been polled for a while. The others keep their due times.
    pub(super) fn set_targets(
        &mut self,
        pollers: &BTreeMap<TargetName, Arc<Poller>>,
        owned: &BTreeSet<TargetName>,
        now: Duration,
    ) {
        self.targets
            .retain(|name, target| pollers.contains_key(name) || target.running.is_some());
        for (name, poller) in pollers {
            match self.targets.entry(name.clone()) {
                Entry::Vacant(vacant) => {
                    vacant.insert(ScheduledTarget::new(Arc::clone(poller), now));
                }
                Entry::Occupied(mut target) => target.get_mut().set_poller(poller, now),
            }
        }
        for (name, target) in &mut self.targets {
            let was_owned = target.owned;
            target.owned = pollers.contains_key(name) && owned.contains(name);
            if target.owned && !was_owned {
                target.due = target.due.min(now);
            }
        }
    }

    /// When the next poll is due, which may be in the past. `None` while no further poll may start: the end of one
    /// notifies the daemon.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let (_, next) = self.longest_due().filter(|_| self.may_start())?;
        Some(next.due)
    }

    /// The target to poll now: the one that has been due the longest.
    pub(super) fn next_poll(&self, now: Duration) -> Option<(TargetName, Arc<Poller>)> {
        let (name, next) = self.longest_due().filter(|_| self.may_start())?;
        (next.due <= now).then(|| (name.clone(), Arc::clone(&next.poller)))
    }

    /// Records that the target's poll has started.
    pub(super) fn poll_started(&mut self, name: &TargetName, now: Duration) {
        if let Some(target) = self.targets.get_mut(name) {
            target.running = Some(RunningPoll {
                poller: Arc::clone(&target.poller),
                started: now,
            });
        }
    }

    /// Records how the target's poll ended, and schedules the next one. `None` if the poll panicked.
    pub(super) fn poll_finished(
        &mut self,
        name: &TargetName,
        report: Option<&PollReport>,
        clock: &dyn Clock,
    ) {
        if let Some(target) = self.targets.get_mut(name) {
            match report {
                Some(report) => target.update(report, clock),
                None => target.handle_panic(clock),
            }
        }
    }

    /// Puts a poll that could not be started off by one interval.
    pub(super) fn postpone(&mut self, name: &TargetName, now: Duration) {
        if let Some(target) = self.targets.get_mut(name) {
            target.due = now.saturating_add(target.poller.target().poll.interval.get());
        }
    }

    /// Logs when polls start late for long, and when they no longer do. To be called after the polls that may start have
    /// started.
    pub(super) fn log_overload(&mut self, now: Duration) {
        let waiting = self.longest_due().filter(|(_, target)| target.due <= now);
        let waiting = waiting.map(|(name, target)| {
            let interval = target.poller.target().poll.interval.get();
            (name.clone(), interval)
        });
        self.overload.update(waiting, now);
    }

    /// How the last poll of an owned target ended. `None` also before the first poll.
    pub(super) fn last(&self, name: &TargetName) -> Option<&LastPoll> {
        let target = self.targets.get(name).filter(|target| target.owned)?;
        target.last.as_ref()
    }

    /// Polls under way.
    pub(super) fn running(&self) -> impl Iterator<Item = (&TargetName, &RunningPoll)> {
        let targets = self.targets.iter();
        targets.filter_map(|(name, target)| Some((name, target.running.as_ref()?)))
    }

    /// The targets that this instance owns, and how the last poll of each ended.
    pub(super) fn owned(&self) -> impl Iterator<Item = (&TargetName, Option<&LastPoll>)> {
        let owned = self.targets.iter().filter(|(_, target)| target.owned);
        owned.map(|(name, target)| (name, target.last.as_ref()))
    }

    /// All pollers, with those of a previous config that are still polling.
    pub(super) fn pollers(&self) -> impl Iterator<Item = &Poller> {
        self.targets.values().flat_map(|target| {
            let running = target.running.as_ref().map(|running| &*running.poller);
            running.into_iter().chain([&*target.poller])
        })
    }

    fn may_start(&self) -> bool {
        self.running().count() < MAX_CONCURRENT_POLLS
    }

    /// Of the targets that may be polled, the one with the earliest due time.
    fn longest_due(&self) -> Option<(&TargetName, &ScheduledTarget)> {
        let ready = |target: &ScheduledTarget| target.owned && target.running.is_none();
        let ready = self.targets.iter().filter(|(_, target)| ready(target));
        ready.min_by_key(|(_, target)| target.due)
    }
}

impl ScheduledTarget {
    /// A target that was never polled.
    fn new(poller: Arc<Poller>, due: Duration) -> Self {
        Self {
            poller,
            due,
            running: None,
            last: None,
            owned: false,
        }
    }

    /// Takes the poller of the current config. A backoff or `Retry-After` may exceed the interval, so only new settings cut
    /// it short.
    fn set_poller(&mut self, poller: &Arc<Poller>, now: Duration) {
        if !Arc::ptr_eq(&self.poller, poller) {
            self.poller = Arc::clone(poller);
            let interval = poller.target().poll.interval.get();
            self.due = self.due.min(now.saturating_add(interval));
        }
    }

    fn update(&mut self, report: &PollReport, clock: &dyn Clock) {
        let now = clock.monotonic();
        let started = self.running.take().map_or(now, |running| running.started);
        self.last = Some(LastPoll {
            at: clock.now(),
            in_flight: report.in_flight,
            failed_polls: report.failed_polls,
            fault: report.result.as_ref().err().map(ToString::to_string),
        });
        let settings = &self.poller.target().poll;
        let pause = if report.in_flight > 0 {
            settings.active_interval.get()
        } else {
            settings.interval.get()
        };
        self.due = match &report.result {
            // Counted from the start of the poll, so that slow answers don't stretch the interval. After a poll that took
            // longer than the interval one poll follows at once, not each missed one.
            Ok(()) => started
                .saturating_add(poll_delay(
                    pause,
                    settings.interval.get(),
                    0,
                    fastrand::f64(),
                ))
                .max(now),
            Err(error) => {
                let failed = report.failed_polls;
                let delay = poll_delay(pause, settings.interval.get(), failed, fastrand::f64());
                now.saturating_add(delay.max(error.retry_after().unwrap_or_default()))
            }
        };
    }

    /// Backs off as after a failed poll.
    fn handle_panic(&mut self, clock: &dyn Clock) {
        self.running = None;
        let last = self.last.as_ref();
        let failed_polls = last.map_or(0, |last| last.failed_polls).saturating_add(1);
        self.last = Some(LastPoll {
            at: clock.now(),
            in_flight: last.map_or(0, |last| last.in_flight),
            failed_polls,
            fault: Some("the poll panicked; the log says where".to_owned()),
        });
        let interval = self.poller.target().poll.interval.get();
        let delay = poll_delay(interval, interval, failed_polls, fastrand::f64());
        self.due = clock.monotonic().saturating_add(delay);
    }
}

/// Notices when polls start late because [`MAX_CONCURRENT_POLLS`] are under way.
#[derive(Debug, Default)]
struct OverloadMonitor {
    /// Since when some target has been due without a poll, by the monotonic clock.
    since: Option<Duration>,
    logged: bool,
}

impl OverloadMonitor {
    /// `waiting` is the target that has been due the longest and can't be polled yet, with its interval.
    fn update(&mut self, waiting: Option<(TargetName, Duration)>, now: Duration) {
        let Some((target, interval)) = waiting else {
            if std::mem::take(self).logged {
                log::info!("poll workers are no longer saturated");
            }
            return;
        };
        let since = *self.since.get_or_insert(now);
        // After a suspension or an outage all targets are due at once, but not for long.
        if !self.logged && now > since.saturating_add(interval) {
            self.logged = true;
            log::warn!(
                "poll workers are saturated, so polls start late: configure fewer targets, raise the intervals or check the \
                 API's latency: target={target}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{CancelToken, SystemClock};
    use crate::config::{self, Environment};
    use crate::domain::model::Timestamp;
    use crate::poll::PollContext;
    use crate::poll::routing::Router;
    use crate::store::sqlite;
    use crate::ucdn::client::ApiClient;

    const ACCOUNT: &str = "[accounts.main]\npublic_key = \"p\"\nprivate_key = \"k\"\n";

    fn name(target: &str) -> TargetName {
        TargetName::from(target)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Pollers with an interval of an hour, whose `poll` is never called.
    fn pollers<const N: usize>(targets: [&str; N]) -> BTreeMap<TargetName, Arc<Poller>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let tables = targets.map(|name| format!("[targets.{name}]\n")).concat();
        let text =
            format!("state = \"/nowhere/state.db\"\n{ACCOUNT}[poll]\ninterval = \"1h\"\n{tables}");
        std::fs::write(&path, text).unwrap();
        let config = config::load(&path, &Environment::default()).unwrap().config;
        let clock = Arc::new(SystemClock::start());
        let account = config.accounts.values().next().unwrap();
        let client = ApiClient::new(account, clock.clone(), CancelToken::default()).unwrap();
        let now = Timestamp::from_unix_seconds(1_700_000_000).unwrap();
        let state = sqlite::open(&folder.path().join("state.db"), now).unwrap();
        let context = PollContext {
            client: Arc::new(client),
            store: Arc::new(state.store),
            router: Arc::new(Router::new(&config.webhooks, Vec::new())),
            clock,
            retention: config.retention,
        };
        let poller = |(name, target): (&TargetName, &config::Target)| {
            let poller = Poller::new(name.clone(), target.clone(), context.clone());
            (name.clone(), Arc::new(poller))
        };
        config.targets.iter().map(poller).collect()
    }

    fn scheduler(
        pollers: &BTreeMap<TargetName, Arc<Poller>>,
        owned: &BTreeSet<TargetName>,
        now: Duration,
    ) -> PollScheduler {
        let mut scheduler = PollScheduler::default();
        scheduler.set_targets(pollers, owned, now);
        scheduler
    }

    fn set_due(scheduler: &mut PollScheduler, target: &str, due: Duration) {
        scheduler.targets.get_mut(&name(target)).unwrap().due = due;
    }

    /// The target's poll ends, and the next one is due an interval later.
    fn finish(scheduler: &mut PollScheduler, target: &str, now: Duration) {
        scheduler.targets.get_mut(&name(target)).unwrap().running = None;
        scheduler.postpone(&name(target), now);
    }

    fn next(scheduler: &PollScheduler, now: Duration) -> Option<TargetName> {
        scheduler.next_poll(now).map(|(name, _)| name)
    }

    #[test]
    fn the_target_that_is_due_the_longest_goes_first_and_a_running_one_is_not_due() {
        let pollers = pollers(["a", "b", "c"]);
        let owned = pollers.keys().cloned().collect();
        let mut scheduler = scheduler(&pollers, &owned, seconds(10));
        set_due(&mut scheduler, "a", seconds(8));
        set_due(&mut scheduler, "c", seconds(7));
        assert_eq!(next(&scheduler, seconds(6)), None);
        let mut started = Vec::new();
        while let Some(name) = next(&scheduler, seconds(10)) {
            scheduler.poll_started(&name, seconds(10));
            started.push(name);
        }
        assert_eq!(started, ["c", "a", "b"].map(name));
        assert_eq!(scheduler.next_due(), None);
        finish(&mut scheduler, "b", seconds(20));
        assert_eq!(scheduler.next_due(), Some(seconds(3620)));
        assert_eq!(scheduler.running().count(), 2);
    }

    #[test]
    fn no_poll_starts_while_the_most_are_under_way() {
        let pollers = pollers(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]);
        let owned = pollers.keys().cloned().collect();
        let mut scheduler = scheduler(&pollers, &owned, seconds(0));
        while let Some(name) = next(&scheduler, seconds(0)) {
            scheduler.poll_started(&name, seconds(0));
        }
        assert_eq!(scheduler.running().count(), MAX_CONCURRENT_POLLS);
        assert_eq!(scheduler.next_due(), None, "the end of a poll notifies");
        finish(&mut scheduler, "a", seconds(1));
        assert_eq!(next(&scheduler, seconds(1)), Some(name("i")));
    }

    #[test]
    fn a_newly_owned_target_is_due_at_once_and_the_others_keep_their_times() {
        let pollers = pollers(["a", "b"]);
        let (one, both) = (
            BTreeSet::from([name("a")]),
            pollers.keys().cloned().collect(),
        );
        let mut scheduler = scheduler(&pollers, &one, seconds(0));
        finish(&mut scheduler, "a", seconds(1));
        assert_eq!(next(&scheduler, seconds(5)), None, "`b` is not owned");
        scheduler.set_targets(&pollers, &both, seconds(5));
        assert_eq!(next(&scheduler, seconds(5)), Some(name("b")));
        finish(&mut scheduler, "b", seconds(5));
        scheduler.set_targets(&pollers, &both, seconds(6));
        assert_eq!(scheduler.next_due(), Some(seconds(3601)));
        scheduler.set_targets(&pollers, &BTreeSet::new(), seconds(7));
        assert_eq!(scheduler.next_due(), None);
        scheduler.set_targets(&pollers, &both, seconds(8));
        assert_eq!(
            next(&scheduler, seconds(8)),
            Some(name("a")),
            "taken back after a loss"
        );
    }

    #[test]
    fn a_removed_target_finishes_its_poll_and_is_then_forgotten() {
        let pollers = pollers(["a", "b"]);
        let owned = pollers.keys().cloned().collect();
        let mut scheduler = scheduler(&pollers, &owned, seconds(0));
        scheduler.poll_started(&name("a"), seconds(0));
        let fewer = BTreeMap::from([(name("b"), Arc::clone(&pollers[&name("b")]))]);
        scheduler.set_targets(&fewer, &owned, seconds(1));
        assert_eq!(scheduler.running().count(), 1);
        assert_eq!(scheduler.owned().count(), 1);
        finish(&mut scheduler, "a", seconds(2));
        assert!(scheduler.last(&name("a")).is_none());
        scheduler.poll_started(&name("b"), seconds(2));
        assert_eq!(scheduler.next_due(), None);
        scheduler.set_targets(&fewer, &owned, seconds(3));
        assert_eq!(scheduler.targets.len(), 1);
    }

    /// A backoff lasts over the end of another target's poll, and over a reload that changes nothing of its target.
    #[test]
    fn after_new_settings_the_next_poll_is_at_most_an_interval_away() {
        let old = pollers(["a"]);
        let owned = old.keys().cloned().collect();
        let mut scheduler = scheduler(&old, &owned, seconds(0));
        set_due(&mut scheduler, "a", seconds(9_000));
        scheduler.set_targets(&old, &owned, seconds(10));
        assert_eq!(scheduler.next_due(), Some(seconds(9_000)));
        scheduler.set_targets(&pollers(["a"]), &owned, seconds(10));
        assert_eq!(scheduler.next_due(), Some(seconds(3_610)));
    }

    #[test]
    fn polls_that_panic_are_failed_polls_with_backoff() {
        let pollers = pollers(["a"]);
        let owned = pollers.keys().cloned().collect();
        let mut scheduler = scheduler(&pollers, &owned, seconds(0));
        let clock = SystemClock::start();
        for failed_polls in 1..=3 {
            scheduler.poll_started(&name("a"), seconds(0));
            scheduler.poll_finished(&name("a"), None, &clock);
            let last = scheduler.last(&name("a")).unwrap();
            assert_eq!(last.failed_polls, failed_polls);
            assert!(last.fault.as_ref().unwrap().contains("panicked"));
        }
        let delay = scheduler
            .next_due()
            .unwrap()
            .saturating_sub(clock.monotonic());
        assert!(delay > seconds(3 * 3600), "{delay:?}");
    }
}
