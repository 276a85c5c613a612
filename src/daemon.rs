//! The daemon: threads, when to poll, reload and stop. Knows no HTTP, no JSON and no SQL.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Woken};
use crate::config::Config;
use crate::domain::text::with_causes;
use crate::metrics::Reload;
use crate::poll::{PollError, Poller};
use crate::store::queries::StateQueries;
use crate::store::{Store, StoreError};
use crate::systemd::SystemdNotifier;

mod background;
mod backlog;
mod leases;
pub mod once;
mod poll_results;
mod reporters;
mod scheduler;
mod signals;
mod slot;
mod supervisor;
mod systemd_status;
mod workers;

use backlog::{Backlog, Waiting};
use leases::{Held, Holding};
use poll_results::{Ended, Reports};
use reporters::Outlets;
use scheduler::Roster;
pub use signals::Control;
use workers::Crew;
pub use workers::SetupError;

/// Polls under way at the same time, over all targets.
const MAX_POLLS: usize = 8;

/// Between two clean-ups of what is older than the retention.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// The service manager hears of news within so long: a line tells of all targets, and is not to be made for each of them.
const STATUS_WITHIN: Duration = Duration::from_secs(1);

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
    control: Control,
    supervisor: SystemdNotifier,
    outlets: Outlets,
    crew: Crew,
    holding: Holding,
    roster: Roster,
    backlog: Backlog,
    reports: Reports,
    /// When the service manager is to hear how things are; none: it has.
    status_due: Option<Duration>,
    last_prune: Option<Duration>,
}

/// The state, from both sides.
#[derive(Clone, Debug)]
pub struct StoreHandles {
    /// For those who look on. Before the store, for fields are dropped in order: the last to close a file folds its journal in,
    /// which onlookers don't.
    pub queries: Arc<dyn StateQueries>,
    /// For those who work.
    pub store: Arc<dyn Store>,
}

impl Daemon {
    /// Makes everything ready, and starts nothing yet.
    pub fn new(
        config: &Config,
        StoreHandles { store, queries }: StoreHandles,
        clock: Arc<dyn Clock>,
        control: Control,
        supervisor: SystemdNotifier,
    ) -> Result<Self, SetupError> {
        let mut outlets = Outlets::new(queries, Arc::clone(&clock));
        let crew = Crew::of(config, &store, &clock, &control.stop, &outlets.metrics)?;
        outlets.obey(config)?;
        outlets.employ(crew.couriers());
        let mut daemon = Self {
            retention: config.retention,
            store,
            clock,
            control,
            supervisor,
            outlets,
            crew,
            holding: Holding::default(),
            roster: Roster::default(),
            backlog: Backlog::default(),
            reports: Reports::new(),
            status_due: None,
            last_prune: None,
        };
        // In this order: until the state has said which targets are ours, nobody is to hear that none is.
        daemon.tend();
        daemon.enlist();
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
        self.tend_couriers();
        systemd_status::tell_of_unknown_webhooks(&*self.store, &self.crew);
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
            if self.control.take_reload() {
                self.reload(reload());
            }
            self.take_reports()?;
            if self.tend() == Held::Others {
                self.enlist();
            }
            self.start_due_polls();
            self.note_backlog();
            self.tend_couriers();
            self.report_status();
            self.prune();
            if !self.is_stuck() {
                self.outlets.turned();
                self.supervisor.keep_alive();
            }
            if self.control.bell.wait(Some(self.wait())) == Woken::Stopped {
                return Ok(());
            }
        }
    }

    /// Works for the targets of this config that are held, and tells the outside how those are.
    fn enlist(&mut self) {
        let now = self.clock.monotonic();
        let pollers = &self.crew.pollers;
        self.roster.enlist(pollers, self.holding.held(), now);
        let ours = self.roster.ours();
        let standing = ours.map(|(name, last)| (name.clone(), last.cloned()));
        self.outlets
            .watch_over(standing.collect(), self.holding.fault());
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
        self.supervisor.ready(&self.status());
    }

    /// Sees to it that the targets are ours.
    fn tend(&mut self) -> Held {
        let now = self.clock.monotonic();
        let wanted = self.crew.pollers.keys();
        let under_way = self.roster.running().map(|(name, _)| name);
        self.holding.tend(&*self.store, now, wanted, under_way)
    }

    /// Works for this config from now on, or changes nothing.
    fn take_over(&mut self, config: &Config) -> Result<(), SetupError> {
        let metrics = &self.outlets.metrics;
        let crew = Crew::of(
            config,
            &self.store,
            &self.clock,
            &self.control.stop,
            metrics,
        )?;
        self.outlets.obey(config)?;
        let old = std::mem::replace(&mut self.crew, crew);
        self.crew.succeed_to(old);
        self.outlets.employ(self.crew.couriers());
        self.retention = config.retention;
        self.holding.look_again();
        self.enlist();
        systemd_status::tell_of_unknown_webhooks(&*self.store, &self.crew);
        Ok(())
    }

    fn tend_couriers(&mut self) {
        let now = self.clock.monotonic();
        self.crew.tend_couriers(now, &self.control.bell);
    }

    fn start_due_polls(&mut self) {
        let now = self.clock.monotonic();
        while self.may_start_polls() {
            let Some((name, poller)) = self.roster.due(now) else {
                return;
            };
            let bell = self.control.bell.clone();
            let messenger = self.reports.messenger(name.clone(), bell);
            let started = std::thread::Builder::new()
                .name(format!("poll {name}"))
                .spawn(move || messenger.tell(poller.poll()));
            match started {
                Ok(_) => self.roster.poll_began(&name, now),
                Err(error) => {
                    log::error!("no thread for a poll, trying again later: {error}");
                    self.roster.note(&name, |slot| slot.put_off(now));
                }
            }
        }
    }

    fn note_backlog(&mut self) {
        let now = self.clock.monotonic();
        let due = self.roster.due(now);
        let waiting = due.as_ref().map(|(target, poller)| Waiting {
            target,
            interval: poller.target().poll.interval.get(),
        });
        self.backlog.note(waiting, now);
    }

    fn may_start_polls(&self) -> bool {
        self.roster.running().count() < MAX_POLLS
    }

    fn take_reports(&mut self) -> Result<(), StoreError> {
        let mut news = false;
        while let Ok(Ended { target, report }) = self.reports.receiver.try_recv() {
            news = true;
            let clock = &*self.clock;
            let Some(report) = report else {
                log::error!(
                    "a poll died of a fault of this program, trying again later: target={target}"
                );
                let now = clock.monotonic();
                self.roster.note(&target, |slot| slot.put_off(now));
                continue;
            };
            self.roster
                .note(&target, |slot| slot.poll_ended(&report, clock));
            let last = self.roster.last(&target);
            self.outlets.polled(&target, &report, last);
            if let Err(PollError::Store(error @ StoreError::Damaged { .. })) = report.result {
                return Err(error);
            }
        }
        if news {
            self.outlets.pass_on();
            let soon = self.clock.monotonic().saturating_add(STATUS_WITHIN);
            self.status_due.get_or_insert(soon);
        }
        Ok(())
    }

    fn report_status(&mut self) {
        let now = self.clock.monotonic();
        if self.status_due.is_some_and(|due| due <= now) {
            self.status_due = None;
            self.supervisor.status(|| self.status());
        }
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
        // While no other poll may start, the end of one is what to wait for, and that rings the bell.
        let next_poll = self.roster.next_due().filter(|_| self.may_start_polls());
        let couriers = self.crew.couriers_due();
        let due = [next_poll, self.holding.due(), self.status_due, couriers];
        let due = due.into_iter().flatten().min();
        let keep_alive = self.supervisor.keep_alive_interval();
        let at_most = keep_alive.map_or(TURN_EVERY, |often| often.min(TURN_EVERY));
        due.map_or(at_most, |due| due.saturating_sub(now).min(at_most))
    }

    /// Whether some loop has not turned for longer than anything it does may take.
    fn is_stuck(&self) -> bool {
        let now = self.clock.monotonic();
        let stuck_poll = self
            .roster
            .running()
            .map(|(_, running)| {
                running.poller.last_turn().max(running.since) + running.poller.patience()
            })
            .any(|until| now > until.saturating_add(STUCK_AFTER));
        stuck_poll || self.crew.has_stuck_courier(now, STUCK_AFTER)
    }

    fn status(&self) -> String {
        let owed = self.store.owed().unwrap_or_default();
        let pending = owed.iter().map(|owed| owed.pending).sum();
        systemd_status::line(self.roster.ours(), pending)
    }

    fn stop(&mut self) {
        self.roster.pollers().for_each(Poller::cut);
        self.crew.stop_couriers();
        let deadline = self.clock.monotonic().saturating_add(JOIN_WITHIN);
        let told = self.outlets.end();
        while self.roster.running().next().is_some() {
            let left = deadline.saturating_sub(self.clock.monotonic());
            let Ok(Ended { target, .. }) = self.reports.receiver.recv_timeout(left) else {
                log::warn!("a poll did not end in time, and is left behind");
                break;
            };
            let now = self.clock.monotonic();
            self.roster.note(&target, |slot| slot.put_off(now));
        }
        let left = deadline.saturating_sub(self.clock.monotonic());
        self.crew.join_couriers(told, left);
    }
}
