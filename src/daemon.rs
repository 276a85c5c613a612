//! The daemon: starts polls when they are due, keeps worker threads running, reloads the config and stops.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Woken};
use crate::config::Config;
use crate::domain::model::TargetName;
use crate::domain::text::with_causes;
use crate::metrics::ReloadResult;
use crate::poll::{PollError, PollReport, Poller};
use crate::store::StoreError;
use crate::systemd::SystemdNotifier;

mod error;
mod leases;
pub mod once;
mod poll_threads;
mod reporters;
mod scheduler;
pub mod signals;
mod store_handles;
mod supervisor;
mod systemd_status;
mod workers;

pub use error::SetupError;
use leases::{LeaseChange, TargetLeases};
use poll_threads::PollThreads;
use reporters::Reporters;
use scheduler::PollScheduler;
pub use signals::Control;
pub use store_handles::StoreHandles;
use supervisor::{JOIN_TIMEOUT, join_all};
use workers::{WorkerBuilder, WorkerSet, conservative_now};

/// Between two deletions of what is older than the retention.
const PRUNE_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Longest delay before systemd gets a new status. The status covers all targets, so it is not made anew for each poll.
const STATUS_DELAY: Duration = Duration::from_secs(1);

/// Longest wait of the main loop. `/healthz` reports a longer silence as a hang.
const MAX_LOOP_WAIT: Duration = Duration::from_secs(15);

/// A worker that makes no progress for this long, beyond what its call may take, is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(5 * 60);

/// The running program.
#[derive(Debug)]
pub struct Daemon {
    retention: Duration,
    handles: StoreHandles,
    clock: Arc<dyn Clock>,
    control: Control,
    systemd: SystemdNotifier,
    reporters: Reporters,
    workers: WorkerSet,
    leases: TargetLeases,
    scheduler: PollScheduler,
    poll_threads: PollThreads,
    /// When systemd gets a new status. `None` if it has the latest.
    status_due: Option<Duration>,
    last_prune: Option<Duration>,
}

impl Daemon {
    /// Makes all workers and binds the HTTP listener. Polls and deliveries start in [`Daemon::run`].
    pub fn new(
        config: &Config,
        handles: StoreHandles,
        clock: Arc<dyn Clock>,
        control: Control,
        systemd: SystemdNotifier,
    ) -> Result<Self, SetupError> {
        let mut reporters = Reporters::new(Arc::clone(&handles.queries), Arc::clone(&clock));
        let workers = WorkerSet::new(WorkerBuilder {
            config,
            store: &handles.store,
            clock: &clock,
            stop: &control.stop,
            metrics: reporters.metrics(),
        })?;
        reporters.apply_config(config)?;
        reporters.set_workers(workers.delivery_status());
        let mut daemon = Self {
            retention: config.retention,
            handles,
            clock,
            poll_threads: PollThreads::new(control.notify.clone()),
            control,
            systemd,
            reporters,
            workers,
            leases: TargetLeases::default(),
            scheduler: PollScheduler::default(),
            status_due: None,
            last_prune: None,
        };
        // Before anything is reported: until the store has said which targets this instance owns, it does not own none.
        daemon.renew_leases();
        daemon.set_targets();
        Ok(daemon)
    }

    /// Commits an event per target that says that the state was lost.
    pub fn report_lost_state(&self, reason: &str) -> Result<(), StoreError> {
        self.reporters.state_was_lost(reason);
        let mut pollers = self.workers.pollers.values();
        pollers.try_for_each(|poller| poller.report_lost_state(reason))
    }

    /// Runs until the stop, then closes the state. `reload` reads the config again; it returns `None` if the config is
    /// invalid, and then nothing changes.
    pub fn run(mut self, mut reload: impl FnMut() -> Option<Config>) -> Result<(), StoreError> {
        self.warn_about_unknown_webhooks();
        log::info!(
            "watching: targets={} webhooks={}",
            self.workers.pollers.len(),
            self.workers.webhooks().count()
        );
        self.systemd.ready(&self.status());
        let result = self.run_loop(&mut reload);
        self.systemd.stopping();
        log::info!("stopping");
        self.shut_down();
        result
    }

    fn run_loop(&mut self, reload: &mut impl FnMut() -> Option<Config>) -> Result<(), StoreError> {
        loop {
            let wait = self.turn(reload)?;
            if self.control.notify.wait(Some(wait)) == Woken::Stopped {
                return Ok(());
            }
        }
    }

    /// Does everything that is due, and returns how long to wait for the next turn. Never blocks on the network.
    fn turn(
        &mut self,
        reload: &mut impl FnMut() -> Option<Config>,
    ) -> Result<Duration, StoreError> {
        if self.control.take_reload() {
            self.reload(reload());
        }
        self.take_poll_results()?;
        if self.renew_leases() == LeaseChange::Changed {
            self.set_targets();
        }
        self.restart_exited();
        self.start_due_polls();
        self.report_status();
        self.prune();
        if !self.is_stuck() {
            self.reporters.mark_alive();
            self.systemd.keep_alive();
        }
        Ok(self.until_next_turn())
    }

    fn reload(&mut self, config: Option<Config>) {
        self.systemd.reloading();
        let mut outcome = ReloadResult::Rejected;
        if let Some(config) = config {
            match self.apply_config(&config) {
                Ok(()) => {
                    outcome = ReloadResult::Applied;
                    log::info!("the config was reloaded");
                }
                Err(error) => {
                    let error = with_causes(&error);
                    log::error!("the new config can't be used, and the old one stays: {error}");
                }
            }
        }
        self.reporters.config_reloaded(outcome);
        self.systemd.ready(&self.status());
    }

    /// Replaces the config, or changes nothing.
    fn apply_config(&mut self, config: &Config) -> Result<(), SetupError> {
        let workers = WorkerSet::new(WorkerBuilder {
            config,
            store: &self.handles.store,
            clock: &self.clock,
            stop: &self.control.stop,
            metrics: self.reporters.metrics(),
        })?;
        self.reporters.apply_config(config)?;
        let old = std::mem::replace(&mut self.workers, workers);
        self.workers.take_over(old);
        self.reporters.set_workers(self.workers.delivery_status());
        self.retention = config.retention;
        self.leases.renew_soon();
        self.set_targets();
        self.warn_about_unknown_webhooks();
        Ok(())
    }

    fn take_poll_results(&mut self) -> Result<(), StoreError> {
        let mut any = false;
        while let Some(finished) = self.poll_threads.try_result() {
            any = true;
            let target = &finished.target;
            match finished.report {
                Some(report) => self.handle_report(target, report)?,
                None => self.handle_panic(target),
            }
        }
        if any {
            self.reporters.flush();
            let soon = self.clock.monotonic().saturating_add(STATUS_DELAY);
            self.status_due.get_or_insert(soon);
        }
        Ok(())
    }

    fn handle_report(&mut self, target: &TargetName, report: PollReport) -> Result<(), StoreError> {
        self.scheduler
            .poll_finished(target, Some(&report), &*self.clock);
        let last = self.scheduler.last(target);
        self.reporters.poll_finished(target, &report, last);
        match report.result {
            Err(PollError::Store(error @ StoreError::Damaged { .. })) => Err(error),
            _ => Ok(()),
        }
    }

    fn handle_panic(&mut self, target: &TargetName) {
        log::error!("poll panicked, retrying: target={target}");
        self.scheduler.poll_finished(target, None, &*self.clock);
        let last = self.scheduler.last(target);
        self.reporters.poll_panicked(target, last);
    }

    fn renew_leases(&mut self) -> LeaseChange {
        let wanted = self.workers.pollers.keys();
        let polling = self.scheduler.running().map(|(name, _)| name);
        let now = self.clock.monotonic();
        self.leases
            .renew_if_due(&*self.handles.store, now, wanted, polling)
    }

    /// Schedules and reports the targets that the config has and this instance owns.
    fn set_targets(&mut self) {
        let now = self.clock.monotonic();
        self.scheduler
            .set_targets(&self.workers.pollers, self.leases.owned(), now);
        let owned = self.scheduler.owned();
        let owned = owned.map(|(name, last)| (name.clone(), last.cloned()));
        self.reporters
            .set_targets(owned.collect(), self.leases.store_error());
    }

    fn restart_exited(&mut self) {
        let now = self.clock.monotonic();
        self.workers.restart_exited(now, &self.control.notify);
        self.reporters.restart_exited(now, &self.control.notify);
    }

    fn start_due_polls(&mut self) {
        let now = self.clock.monotonic();
        while let Some((target, poller)) = self.scheduler.next_poll(now) {
            match self.poll_threads.spawn(&target, poller) {
                Ok(()) => self.scheduler.poll_started(&target, now),
                Err(error) => {
                    log::error!("can't start a poll, retrying: target={target} reason={error}");
                    self.scheduler.postpone(&target, now);
                }
            }
        }
        self.scheduler.log_overload(now);
    }

    fn report_status(&mut self) {
        let now = self.clock.monotonic();
        if self.status_due.is_some_and(|due| due <= now) {
            self.status_due = None;
            self.systemd.status(|| self.status());
        }
    }

    fn status(&self) -> String {
        let backlog = self.handles.store.outbox_backlog().unwrap_or_default();
        let pending = backlog.iter().map(|backlog| backlog.pending).sum();
        systemd_status::status_line(self.scheduler.owned(), pending)
    }

    /// Deletes what is older than the retention.
    fn prune(&mut self) {
        let now = self.clock.monotonic();
        if self
            .last_prune
            .is_some_and(|last| now < last.saturating_add(PRUNE_INTERVAL))
        {
            return;
        }
        // Before the first answer of an API, only this machine's clock says what is old, and it may be wrong.
        let Some(present) = conservative_now(self.workers.pollers.values()) else {
            return;
        };
        self.last_prune = Some(now);
        match self
            .handles
            .store
            .prune(present.saturating_sub(self.retention))
        {
            Ok(0) => {}
            Ok(rows) => log::debug!("deleted what is older than the retention: rows={rows}"),
            Err(error) => log::warn!(
                "can't delete what is older than the retention, retrying in an hour: {error}"
            ),
        }
    }

    /// Whether a poll or delivery has made no progress for longer than anything it does may take.
    fn is_stuck(&self) -> bool {
        let now = self.clock.monotonic();
        let mut polls = self.scheduler.running().map(|(_, running)| {
            let progress = running.poller.last_request_at().max(running.started);
            progress.saturating_add(running.poller.page_timeout())
        });
        polls.any(|until| now > until.saturating_add(STUCK_AFTER))
            || self.workers.has_stuck_delivery(now, STUCK_AFTER)
    }

    fn until_next_turn(&self) -> Duration {
        let due = [
            self.scheduler.next_due(),
            self.leases.renewal_due(),
            self.status_due,
            self.workers.restart_due(),
            self.reporters.restart_due(),
        ];
        let now = self.clock.monotonic();
        let wait = due.into_iter().flatten().min();
        let wait = wait.map_or(MAX_LOOP_WAIT, |due| due.saturating_sub(now));
        let keep_alive = self.systemd.keep_alive_interval();
        wait.min(keep_alive.unwrap_or(MAX_LOOP_WAIT))
            .min(MAX_LOOP_WAIT)
    }

    /// The store keeps events for a webhook that the config no longer has, but no worker delivers them.
    fn warn_about_unknown_webhooks(&self) {
        for backlog in self.handles.store.outbox_backlog().unwrap_or_default() {
            let is_known = self
                .workers
                .webhooks()
                .any(|known| *known == backlog.webhook);
            if backlog.pending > 0 && !is_known {
                log::warn!(
                    "undelivered events are kept for a webhook that is not in the config; add it again, or drop them with \
                     `ucdn-watch deliveries drop`: webhook={} pending={}",
                    backlog.webhook,
                    backlog.pending
                );
            }
        }
    }

    /// Stops all threads within [`JOIN_TIMEOUT`] and closes the state.
    fn shut_down(mut self) {
        self.scheduler.pollers().for_each(Poller::abort);
        self.workers.stop();
        let deadline = self.clock.monotonic().saturating_add(JOIN_TIMEOUT);
        let clock = Arc::clone(&self.clock);
        let left = || deadline.saturating_sub(clock.monotonic());
        let mut threads = self.reporters.stop();
        threads.extend(self.workers.take_threads());
        for _ in self.scheduler.running() {
            if self.poll_threads.wait_for_result(left()).is_none() {
                log::warn!("a poll did not stop in time; the next start repeats it");
                break;
            }
        }
        if !join_all(threads, left()) {
            log::warn!("a delivery or heartbeat did not stop in time; the next start repeats it");
        }
        self.handles.close();
    }
}
