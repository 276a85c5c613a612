//! The daemon: threads, when to poll, reload and stop. Knows no HTTP, no JSON and no SQL.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::causes::with_causes;
use crate::clock::{Clock, Woken};
use crate::config::Config;
use crate::metrics::Reload;
use crate::model::TargetName;
use crate::poll::PollError;
use crate::store::records::Records;
use crate::store::{Store, StoreError};
use crate::systemd::Supervisor;

mod crew;
mod errand;
mod holding;
pub mod once;
mod orders;
mod outlets;
mod reports;
mod slot;
mod status;

use crew::Crew;
pub use crew::SetupError;
use holding::Holding;
pub use orders::Orders;
use outlets::Outlets;
use reports::{Ended, Reports};
use slot::{Running, Slot};

/// Polls under way at the same time, over all targets.
const MAX_POLLS: usize = 8;

/// Between two clean-ups of what is older than the retention.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// However long there is nothing to do, the daemon turns so often: whoever asks for its health takes silence for death.
const TURN_EVERY: Duration = Duration::from_secs(15);

/// What is left of the 2 s that a stop may take, for threads to end by themselves. One that is still resolving a name or
/// connecting is left behind: what it would have done is done by the next start.
const JOIN_WITHIN: Duration = Duration::from_millis(1500);

/// A poll that makes no progress for so long beyond what its calls may take is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(5 * 60);

/// The running program.
#[derive(Debug)]
pub struct Daemon {
    retention: Duration,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    orders: Orders,
    supervisor: Supervisor,
    outlets: Outlets,
    crew: Crew,
    holding: Holding,
    schedule: BTreeMap<TargetName, Slot>,
    reports: Reports,
    last_prune: Option<Duration>,
}

/// The state, from both sides.
#[derive(Clone, Debug)]
pub struct State {
    /// For those who look on. Before the store, for fields are dropped in order: the last to close a file folds its journal in,
    /// which onlookers don't.
    pub records: Arc<dyn Records>,
    /// For those who work.
    pub store: Arc<dyn Store>,
}

impl Daemon {
    /// Makes everything ready, and starts nothing yet.
    pub fn new(
        config: &Config,
        State { store, records }: State,
        clock: Arc<dyn Clock>,
        orders: Orders,
        supervisor: Supervisor,
    ) -> Result<Self, SetupError> {
        let mut outlets = Outlets::new(records, Arc::clone(&clock));
        let crew = Crew::of(config, &store, &clock, &orders.stop, &outlets.metrics)?;
        outlets.obey(config)?;
        outlets.employ(crew.couriers());
        let mut daemon = Self {
            retention: config.retention,
            store,
            clock,
            orders,
            supervisor,
            outlets,
            crew,
            holding: Holding::default(),
            schedule: BTreeMap::new(),
            reports: Reports::new(),
            last_prune: None,
        };
        daemon.fill_schedule();
        daemon.tend();
        daemon.tell();
        Ok(daemon)
    }

    /// Says in an event of every target that what was known is lost.
    pub fn report_lost_state(&self, reason: &str) -> Result<(), StoreError> {
        self.outlets.state_was_lost(reason);
        self.crew
            .pollers
            .values()
            .try_for_each(|poller| poller.report_lost_state(reason))
    }

    /// Watches until the stop. `reload` reads the config again; none: it is not valid, and nothing changes.
    pub fn run(mut self, mut reload: impl FnMut() -> Option<Config>) -> Result<(), StoreError> {
        self.crew.start_couriers();
        status::tell_of_unknown_webhooks(&*self.store, &self.crew);
        log::info!(
            "watching: targets={} webhooks={}",
            self.crew.pollers.len(),
            self.crew.webhooks().count()
        );
        self.supervisor.ready(&self.status());
        let result = self.turn_until_stopped(&mut reload);
        self.supervisor.stopping();
        log::info!("stopping");
        self.stop();
        result
    }

    fn turn_until_stopped(
        &mut self,
        reload: &mut impl FnMut() -> Option<Config>,
    ) -> Result<(), StoreError> {
        loop {
            if self.orders.take_reload() {
                self.reload(reload());
            }
            self.take_reports()?;
            self.tend();
            self.start_due_polls();
            self.prune();
            if !self.is_stuck() {
                self.outlets.turned();
                self.supervisor.keep_alive();
            }
            if self.orders.bell.wait(Some(self.wait())) == Woken::Stopped {
                return Ok(());
            }
        }
    }

    /// A target that is new is polled at once; the others keep their times.
    fn fill_schedule(&mut self) {
        let now = self.clock.monotonic();
        self.schedule
            .retain(|name, slot| self.crew.pollers.contains_key(name) || slot.running.is_some());
        for (name, poller) in &self.crew.pollers {
            if let Some(slot) = self.schedule.get_mut(name) {
                // Of a new config only: a back-off or a `Retry-After` may well be longer than the interval.
                if !Arc::ptr_eq(&slot.poller, poller) {
                    slot.poller = Arc::clone(poller);
                    slot.due = slot
                        .due
                        .min(now.saturating_add(poller.target().poll.interval));
                }
                continue;
            }
            let slot = Slot {
                poller: Arc::clone(poller),
                due: now,
                running: None,
                last: None,
            };
            self.schedule.insert(name.clone(), slot);
        }
    }

    fn reload(&mut self, config: Option<Config>) {
        self.supervisor.reloading();
        let mut reload = Reload::Refused;
        if let Some(config) = config {
            match self.take_over(&config) {
                Ok(()) => {
                    reload = Reload::Taken;
                    log::info!("the config was reloaded");
                }
                Err(error) => {
                    let error = with_causes(&error);
                    log::error!("the new config can't be used, and the old one stays: {error}");
                }
            }
        }
        self.outlets.reloaded(reload);
        self.tell();
        self.supervisor.ready(&self.status());
    }

    /// Sees to it that the targets are ours. One that is newly held is polled at once: nobody may have done so for a while.
    fn tend(&mut self) {
        let now = self.clock.monotonic();
        let wanted = self.crew.pollers.keys();
        let under_way = self
            .schedule
            .iter()
            .filter(|(_, slot)| slot.running.is_some());
        let under_way = under_way.map(|(name, _)| name);
        for name in self.holding.tend(&*self.store, now, wanted, under_way) {
            if let Some(slot) = self.schedule.get_mut(&name) {
                slot.due = slot.due.min(now);
            }
        }
    }

    /// Works for this config from now on, or changes nothing.
    fn take_over(&mut self, config: &Config) -> Result<(), SetupError> {
        let metrics = &self.outlets.metrics;
        let mut crew = Crew::of(config, &self.store, &self.clock, &self.orders.stop, metrics)?;
        self.outlets.obey(config)?;
        crew.succeed_to(&mut self.crew);
        self.crew = crew;
        self.outlets.employ(self.crew.couriers());
        self.retention = config.retention;
        self.holding.look_again();
        self.fill_schedule();
        status::tell_of_unknown_webhooks(&*self.store, &self.crew);
        Ok(())
    }

    /// Tells the outside how the targets are: those of the config that are this instance's.
    fn tell(&mut self) {
        let targets = self.schedule.iter();
        let ours = targets
            .filter(|(name, _)| self.crew.pollers.contains_key(*name) && self.holding.holds(name));
        let standing = ours.map(|(name, slot)| (name.clone(), slot.last.clone()));
        self.outlets.tell(standing.collect());
    }

    fn start_due_polls(&mut self) {
        let now = self.clock.monotonic();
        let mut running = self
            .schedule
            .values()
            .filter(|slot| slot.running.is_some())
            .count();
        for (name, slot) in &mut self.schedule {
            let is_ours = self.crew.pollers.contains_key(name) && self.holding.holds(name);
            if running >= MAX_POLLS || slot.running.is_some() || slot.due > now || !is_ours {
                continue;
            }
            let poller = Arc::clone(&slot.poller);
            let bell = self.orders.bell.clone();
            let messenger = self.reports.messenger(name.clone(), bell);
            let started = std::thread::Builder::new()
                .name(format!("poll {name}"))
                .spawn(move || messenger.tell(poller.poll()));
            match started {
                Ok(_) => {
                    slot.running = Some(Running {
                        poller: Arc::clone(&slot.poller),
                        since: now,
                    });
                    running += 1;
                }
                Err(error) => {
                    log::error!("no thread for a poll, trying again later: {error}");
                    slot.due = now.saturating_add(slot.poller.target().poll.interval);
                }
            }
        }
    }

    fn take_reports(&mut self) -> Result<(), StoreError> {
        let mut news = false;
        while let Ok(Ended { target, report }) = self.reports.receiver.try_recv() {
            news = true;
            let slot = self.schedule.get_mut(&target);
            let Some(report) = report else {
                log::error!(
                    "a poll died of a fault of this program, trying again later: target={target}"
                );
                if let Some(slot) = slot {
                    slot.poll_died(&*self.clock);
                }
                continue;
            };
            self.outlets.polled(&target, &report);
            if let Some(slot) = slot {
                slot.poll_ended(&report, &*self.clock);
            }
            if let Err(PollError::Store(error @ StoreError::Damaged { .. })) = report.result {
                return Err(error);
            }
        }
        if news {
            self.fill_schedule();
            self.tell();
            self.supervisor.status(|| self.status());
        }
        Ok(())
    }

    fn prune(&mut self) {
        let now = self.clock.monotonic();
        if self
            .last_prune
            .is_some_and(|last| now < last.saturating_add(PRUNE_EVERY))
        {
            return;
        }
        // Before the first answer, nobody but our own clock says what is old.
        let Some(present) = self.crew.vouched_now() else {
            return;
        };
        self.last_prune = Some(now);
        match self.store.prune(present.saturating_sub(self.retention)) {
            Ok(0) => {}
            Ok(rows) => log::debug!("forgot what is older than the retention: rows={rows}"),
            Err(error) => log::warn!("can't forget what is older than the retention: {error}"),
        }
    }

    /// Until something is due.
    fn wait(&self) -> Duration {
        let now = self.clock.monotonic();
        let is_free = |(name, slot): &(&TargetName, &Slot)| {
            slot.running.is_none() && self.holding.holds(name)
        };
        let free = self
            .schedule
            .iter()
            .filter(is_free)
            .map(|(_, slot)| slot.due);
        let next_poll = free.chain(self.holding.due()).min();
        let next_poll = next_poll.map(|due| due.saturating_sub(now));
        let keep_alive = self.supervisor.keep_alive_interval();
        let at_most = keep_alive.map_or(TURN_EVERY, |often| often.min(TURN_EVERY));
        next_poll.unwrap_or(at_most).min(at_most)
    }

    /// Whether some loop has not turned for longer than anything it does may take.
    fn is_stuck(&self) -> bool {
        let now = self.clock.monotonic();
        let polls = self
            .schedule
            .values()
            .filter_map(|slot| slot.running.as_ref());
        let stuck_poll = polls
            .map(|running| {
                running.poller.last_turn().max(running.since) + running.poller.patience()
            })
            .any(|until| now > until.saturating_add(STUCK_AFTER));
        stuck_poll || self.crew.has_stuck_courier(now, STUCK_AFTER)
    }

    fn status(&self) -> String {
        status::line(&self.schedule, &*self.store)
    }

    fn stop(&mut self) {
        for slot in self.schedule.values() {
            slot.poller.cut();
            if let Some(running) = &slot.running {
                running.poller.cut();
            }
        }
        self.crew.stop_couriers();
        let deadline = self.clock.monotonic().saturating_add(JOIN_WITHIN);
        let told = self.outlets.end();
        while self.schedule.values().any(|slot| slot.running.is_some()) {
            let left = deadline.saturating_sub(self.clock.monotonic());
            let Ok(Ended { target, .. }) = self.reports.receiver.recv_timeout(left) else {
                log::warn!("a poll did not end in time, and is left behind");
                break;
            };
            if let Some(slot) = self.schedule.get_mut(&target) {
                slot.running = None;
            }
        }
        let left = deadline.saturating_sub(self.clock.monotonic());
        self.crew.join_couriers(told, left);
    }
}
