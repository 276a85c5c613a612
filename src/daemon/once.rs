//! `--once`: every target is polled once, what is due is delivered, and that is told.

use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use super::workers::Crew;
use super::{Control, JOIN_WITHIN, MAX_POLLS, SetupError, StoreHandles, leases};
use crate::clock::{Clock, Notify, Woken};
use crate::config::{self, Config};
use crate::deliver::{DeliveryWorker, DrainReport};
use crate::domain::model::{TargetName, WebhookName};
use crate::heartbeat::Heartbeat;
use crate::metrics::Metrics;
use crate::metrics::textfile::Textfile;
use crate::poll::{PollReport, Poller};
use crate::store::{OutboxBacklog, Store, StoreError};

/// What came of one round.
#[derive(Debug)]
pub struct OnceReport {
    /// One for each target that was polled, in the order of names.
    pub polls: Vec<(TargetName, PollReport)>,
    /// Targets that were not polled, because another instance holds them.
    pub held_elsewhere: Vec<TargetName>,
    /// Targets whose poll did not come to an end: there was a stop, or no thread, or a fault of the program's own.
    pub unfinished: Vec<TargetName>,
    /// One for each webhook.
    pub deliveries: Vec<(WebhookName, Result<DrainReport, StoreError>)>,
    /// What is owed after it to the webhooks of the config.
    pub owed: Result<Vec<OutboxBacklog>, StoreError>,
    /// Whether a stop cut it short.
    pub was_stopped: bool,
}

/// Why there was no round.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// The config makes no program.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The state does not say which targets are ours.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Does one round.
pub fn run(
    config: &Config,
    StoreHandles { store, queries }: &StoreHandles,
    clock: &Arc<dyn Clock>,
    control: &Control,
    lost_state: Option<&str>,
) -> Result<OnceReport, OnceError> {
    let heartbeat = config.heartbeat.as_ref().map(heartbeat).transpose()?;
    let metrics = Arc::new(Metrics::new(Arc::clone(queries), Arc::clone(clock)));
    metrics.set_config(config);
    let mut crew = Crew::of(config, store, clock, &control.stop, &metrics)?;
    let wanted: BTreeSet<TargetName> = crew.pollers.keys().cloned().collect();
    let tended = store.renew_leases(&wanted, &BTreeSet::new())?;
    metrics.set_owned_targets(tended.owned.iter());
    tended.capacity_error.as_deref().map(leases::tell_of);
    let keep = Keep {
        store: &**store,
        // All of them are as good as under way until the round is over.
        held: &tended.owned,
        within: tended.renew_within,
    };
    if let Some(reason) = lost_state {
        metrics.record_state_loss();
        for poller in crew.pollers.values() {
            if let Err(error) = poller.report_lost_state(reason) {
                log::error!("can't record that the state was lost: {error}");
            }
        }
    }
    let pollers: Vec<_> = crew
        .pollers
        .iter()
        .filter(|(name, _)| tended.owned.contains(name))
        .map(|(name, poller)| (name.clone(), Arc::clone(poller)))
        .collect();
    let cut_polls = || pollers.iter().for_each(|(_, poller)| poller.cut());
    let polled = side_by_side(
        pollers.clone(),
        |(name, poller): (TargetName, Arc<Poller>)| (name, poller.poll()),
        control,
        &keep,
        cut_polls,
    );
    let mut polls = polled;
    polls.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, report) in &polls {
        metrics.record_poll(name, report);
    }
    if let Some(present) = crew.vouched_now()
        && let Err(error) = store.prune(present.saturating_sub(config.retention))
    {
        log::warn!("can't forget what is older than the retention: {error}");
    }
    let couriers = crew.take_couriers();
    let stop = control.stop.clone();
    let deliveries = side_by_side(
        couriers,
        move |(name, mut courier): (WebhookName, DeliveryWorker)| {
            let report = courier.drain_once(&stop);
            (name, report)
        },
        control,
        &keep,
        || crew.stop_couriers(),
    );
    if let Some(path) = &config.textfile {
        write_textfile(path, &metrics);
    }
    // What another instance holds, that one tells of.
    let is_whole = !polls.is_empty() && polls.len() == pollers.len();
    if let Some(heartbeat) = heartbeat
        && is_whole
        && polls.iter().all(|(_, report)| report.result.is_ok())
    {
        beat(heartbeat, control, &keep);
    }
    let has_ended = |name: &&TargetName| polls.iter().any(|(polled, _)| polled == *name);
    let begun = pollers.iter().map(|(name, _)| name);
    let unfinished = begun.filter(|name| !has_ended(name)).cloned().collect();
    let owed = store.owed().map(|owed| {
        owed.into_iter()
            .filter(|owed| config.webhooks.contains_key(&owed.webhook))
            .collect()
    });
    Ok(OnceReport {
        polls,
        unfinished,
        held_elsewhere: wanted.difference(&tended.owned).cloned().collect(),
        deliveries,
        owed,
        was_stopped: control.stop.is_cancelled(),
    })
}

/// Keeps what is held while others work on it.
struct Keep<'a> {
    store: &'a dyn Store,
    held: &'a BTreeSet<TargetName>,
    within: Option<Duration>,
}

impl Keep<'_> {
    fn wait(&self) -> Duration {
        self.within.unwrap_or(Duration::from_secs(60))
    }

    fn tend(&self) {
        if self.within.is_some()
            && let Err(error) = self.store.renew_leases(self.held, self.held)
        {
            // What it means is said by the polls and deliveries that it stops.
            log::debug!("the targets may not be held any more: {error}");
        }
    }
}

fn heartbeat(settings: &config::HeartbeatSettings) -> Result<Heartbeat, SetupError> {
    Heartbeat::new(settings).map_err(|error| SetupError {
        what: "the heartbeat".to_owned(),
        source: error.into(),
    })
}

fn write_textfile(path: &Path, metrics: &Metrics) {
    let mut textfile = Textfile::new(path.to_owned());
    // This process has polled once: of a target that failed in it, only the file knows when it last did not.
    metrics.restore_last_successes(&textfile.last_successes());
    textfile.write(&metrics.text());
}

fn beat(heartbeat: Heartbeat, control: &Control, keep: &Keep<'_>) {
    let cut = heartbeat.cut();
    let stop = control.stop.clone();
    let work = move |mut heartbeat: Heartbeat| heartbeat.beat(&stop);
    side_by_side(vec![heartbeat], work, control, keep, cut);
}

/// Rings when it is dropped.
struct Ring(Notify);

impl Drop for Ring {
    fn drop(&mut self) {
        self.0.notify();
    }
}

/// Works on all items with a few threads. At a stop, `cut` is called and what does not end soon is left behind.
fn side_by_side<T: Send + 'static, R: Send + 'static>(
    items: Vec<T>,
    work: impl Fn(T) -> R + Clone + Send + 'static,
    control: &Control,
    keep: &Keep<'_>,
    cut: impl Fn(),
) -> Vec<R> {
    let expected = items.len();
    let queue = Arc::new(Mutex::new(VecDeque::from(items)));
    let (sender, receiver) = mpsc::channel();
    for _ in 0..MAX_POLLS.min(expected) {
        let (queue, sender, work) = (Arc::clone(&queue), sender.clone(), work.clone());
        let (stop, bell) = (control.stop.clone(), control.bell.clone());
        let started = std::thread::Builder::new()
            .name("once".to_owned())
            .spawn(move || {
                let _at_the_end = Ring(bell.clone());
                // Gone before it rings, also in a panic.
                let sender = sender;
                loop {
                    let item = queue.lock().pop_front();
                    let Some(item) = item.filter(|_| !stop.is_cancelled()) else {
                        break;
                    };
                    if sender.send(work(item)).is_err() {
                        break;
                    }
                    bell.notify();
                }
            });
        if let Err(error) = started {
            log::error!("no thread to work with: {error}");
        }
    }
    drop(sender);
    let mut results = Vec::new();
    loop {
        match receiver.try_recv() {
            Ok(result) => results.push(result),
            Err(mpsc::TryRecvError::Disconnected) => return results,
            Err(mpsc::TryRecvError::Empty) => {
                if control.bell.wait(Some(keep.wait())) == Woken::Stopped {
                    cut();
                    results.extend(last_results(&receiver));
                    return results;
                }
                keep.tend();
            }
        }
    }
}

fn last_results<R>(receiver: &mpsc::Receiver<R>) -> Vec<R> {
    let mut results = Vec::new();
    while let Ok(result) = receiver.recv_timeout(JOIN_WITHIN) {
        results.push(result);
    }
    results
}
