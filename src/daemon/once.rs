//! `--once`: polls every target once, makes the deliveries that are due, and reports how that went.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::error::SetupError;
use super::leases::log_capacity_error;
use super::reporters::new_heartbeat;
use super::scheduler::MAX_CONCURRENT_POLLS;
use super::signals::Control;
use super::store_handles::StoreHandles;
use super::supervisor::{JOIN_TIMEOUT, spawn_guarded};
use super::workers::{WorkerBuilder, conservative_now};
use crate::clock::{Clock, Woken};
use crate::config::Config;
use crate::deliver::{DeliveryWorker, DrainReport};
use crate::domain::model::{TargetName, WebhookName};
use crate::heartbeat::Heartbeat;
use crate::metrics::Metrics;
use crate::metrics::textfile::Textfile;
use crate::poll::{PollReport, Poller};
use crate::store::{OutboxBacklog, Store, StoreError};

/// Renewal interval of a state whose leases need none.
const IDLE_WAIT: Duration = Duration::from_secs(60);

/// Result of a run.
#[derive(Debug)]
pub struct OnceReport {
    /// One per target that was polled, in the order of names.
    pub polls: Vec<(TargetName, PollReport)>,
    /// Targets that were not polled, because another instance owns them.
    pub owned_elsewhere: Vec<TargetName>,
    /// Targets whose poll did not finish because of a stop, a panic or a lack of threads.
    pub unfinished: Vec<TargetName>,
    /// One per webhook.
    pub deliveries: Vec<(WebhookName, Result<DrainReport, StoreError>)>,
    /// Deliveries of the config's webhooks that are left.
    pub backlog: Result<Vec<OutboxBacklog>, StoreError>,
    /// Whether a stop cut the run short.
    pub was_stopped: bool,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The config can't be put into effect.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The store does not say which targets this instance owns.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs once and closes the state. `lost_state` says what was lost if a damaged state was set aside.
pub fn run(
    config: &Config,
    handles: &StoreHandles,
    clock: &Arc<dyn Clock>,
    control: &Control,
    lost_state: Option<&str>,
) -> Result<OnceReport, OnceError> {
    let result = poll_and_deliver(config, handles, clock, control, lost_state);
    handles.close();
    result
}

fn poll_and_deliver(
    config: &Config,
    handles: &StoreHandles,
    clock: &Arc<dyn Clock>,
    control: &Control,
    lost_state: Option<&str>,
) -> Result<OnceReport, OnceError> {
    let store = &handles.store;
    let heartbeat = config.heartbeat.as_ref().map(new_heartbeat).transpose()?;
    let metrics = Arc::new(Metrics::new(
        Arc::clone(&handles.queries),
        Arc::clone(clock),
    ));
    metrics.set_config(config);
    let builder = WorkerBuilder {
        config,
        store,
        clock,
        stop: &control.stop,
        metrics: &metrics,
    };
    let delivery_workers = builder.delivery_workers()?;
    let mut pollers = builder.pollers(Vec::new())?;

    let wanted: BTreeSet<TargetName> = pollers.keys().cloned().collect();
    let leases = store.renew_leases(&wanted, &BTreeSet::new())?;
    metrics.set_owned_targets(leases.owned.iter());
    leases.capacity_error.as_deref().map(log_capacity_error);
    if let Some(reason) = lost_state {
        metrics.record_state_loss();
        report_lost_state(&pollers, reason);
    }
    pollers.retain(|target, _| leases.owned.contains(target));
    let runner = ParallelRunner {
        control,
        store: &**store,
        owned: &leases.owned,
        renew_within: leases.renew_within,
    };

    let polls = poll_all(&runner, &pollers);
    for (target, report) in &polls {
        metrics.record_poll(target, report);
    }
    prune(&**store, config, &pollers);
    let deliveries = deliver_all(&runner, delivery_workers);
    if let Some(path) = &config.textfile {
        write_textfile(path, &metrics);
    }
    // Targets that another instance owns are reported by its heartbeat.
    let is_complete = !polls.is_empty() && polls.len() == pollers.len();
    if let Some(heartbeat) = heartbeat
        && is_complete
        && polls.iter().all(|(_, report)| report.result.is_ok())
    {
        send_heartbeat(&runner, heartbeat);
    }

    let has_finished = |target: &&TargetName| polls.iter().any(|(polled, _)| polled == *target);
    let started = pollers.keys();
    let unfinished = started.filter(|target| !has_finished(target)).cloned();
    Ok(OnceReport {
        unfinished: unfinished.collect(),
        polls,
        owned_elsewhere: wanted.difference(&leases.owned).cloned().collect(),
        deliveries,
        backlog: left_over(&**store, config),
        was_stopped: control.stop.is_cancelled(),
    })
}

fn report_lost_state(pollers: &BTreeMap<TargetName, Arc<Poller>>, reason: &str) {
    for poller in pollers.values() {
        if let Err(error) = poller.report_lost_state(reason) {
            log::error!("can't record that the state was lost: {error}");
        }
    }
}

fn poll_all(
    runner: &ParallelRunner<'_>,
    pollers: &BTreeMap<TargetName, Arc<Poller>>,
) -> Vec<(TargetName, PollReport)> {
    let polls = pollers.iter();
    let polls = polls.map(|(target, poller)| (target.clone(), Arc::clone(poller)));
    let mut reports = runner.run_all(
        polls.collect(),
        |(target, poller)| {
            let report = poller.poll();
            (target, report)
        },
        || pollers.values().for_each(|poller| poller.abort()),
    );
    reports.sort_by(|(a, _), (b, _)| a.cmp(b));
    reports
}

fn prune(store: &dyn Store, config: &Config, pollers: &BTreeMap<TargetName, Arc<Poller>>) {
    if let Some(present) = conservative_now(pollers.values())
        && let Err(error) = store.prune(present.saturating_sub(config.retention))
    {
        log::warn!("can't delete what is older than the retention: {error}");
    }
}

fn deliver_all(
    runner: &ParallelRunner<'_>,
    workers: BTreeMap<WebhookName, DeliveryWorker>,
) -> Vec<(WebhookName, Result<DrainReport, StoreError>)> {
    let endpoints: Vec<_> = workers.values().map(DeliveryWorker::endpoint).collect();
    let stop = runner.control.stop.clone();
    runner.run_all(
        workers.into_iter().collect(),
        move |(webhook, mut worker)| {
            let report = worker.drain_once(&stop);
            (webhook, report)
        },
        || {
            for endpoint in &endpoints {
                endpoint.abort();
            }
        },
    )
}

fn write_textfile(path: &Path, metrics: &Metrics) {
    let mut textfile = Textfile::new(path.to_owned());
    // This process has polled once. If that failed, only the old file knows the time of the last success.
    metrics.restore_last_successes(&textfile.last_successes());
    textfile.write(&metrics.text());
}

fn send_heartbeat(runner: &ParallelRunner<'_>, heartbeat: Heartbeat) {
    let abort = heartbeat.abort_handle();
    let stop = runner.control.stop.clone();
    let ping = move |mut heartbeat: Heartbeat| heartbeat.ping(&stop);
    runner.run_all(VecDeque::from([heartbeat]), ping, abort);
}

/// Deliveries that are left. Those of webhooks that the config does not have are not counted.
fn left_over(store: &dyn Store, config: &Config) -> Result<Vec<OutboxBacklog>, StoreError> {
    let mut backlog = store.outbox_backlog()?;
    backlog.retain(|backlog| config.webhooks.contains_key(&backlog.webhook));
    Ok(backlog)
}

/// Runs work on a few threads, and renews the leases meanwhile.
struct ParallelRunner<'a> {
    control: &'a Control,
    store: &'a dyn Store,
    /// All of them count as being polled until the run ends.
    owned: &'a BTreeSet<TargetName>,
    renew_within: Option<Duration>,
}

impl ParallelRunner<'_> {
    /// Does `work` on each item and returns the results. Those of work that panicked are missing. At a stop no more work
    /// starts, `abort` is called, and what does not end within [`JOIN_TIMEOUT`] is left behind.
    fn run_all<T: Send + 'static, R: Send + 'static>(
        &self,
        mut waiting: VecDeque<T>,
        work: impl Fn(T) -> R + Clone + Send + 'static,
        abort: impl Fn(),
    ) -> Vec<R> {
        let (sender, receiver) = mpsc::channel();
        let mut results = Vec::new();
        let mut running = 0;
        loop {
            while running < MAX_CONCURRENT_POLLS
                && !self.control.stop.is_cancelled()
                && let Some(item) = waiting.pop_front()
            {
                let (work, sender) = (work.clone(), sender.clone());
                let notify = self.control.notify.clone();
                let report = move |result: Option<R>| {
                    if result.is_none() {
                        log::error!("a poll or delivery panicked; the run continues without it");
                    }
                    let _ = sender.send(result);
                    notify.notify();
                };
                match spawn_guarded("once".to_owned(), move || work(item), report) {
                    Ok(_) => running += 1,
                    Err(error) => log::error!("can't start a thread: {error}"),
                }
            }
            if running == 0 {
                return results;
            }
            if self.wait() == Woken::Stopped {
                abort();
                while running > 0
                    && let Ok(result) = receiver.recv_timeout(JOIN_TIMEOUT)
                {
                    running -= 1;
                    results.extend(result);
                }
                return results;
            }
            while let Ok(result) = receiver.try_recv() {
                running -= 1;
                results.extend(result);
            }
        }
    }

    /// Waits for the end of some work, and renews the leases.
    fn wait(&self) -> Woken {
        let wait = self.renew_within.unwrap_or(IDLE_WAIT);
        let woken = self.control.notify.wait(Some(wait));
        if woken != Woken::Stopped
            && self.renew_within.is_some()
            && let Err(error) = self.store.renew_leases(self.owned, self.owned)
        {
            // The polls and deliveries that it stops say what follows.
            log::debug!("the leases may be lost: {error}");
        }
        woken
    }
}
