//! Reporters: the HTTP listener, the metrics textfile and the heartbeat. They report on polls and deliveries, each on a
//! thread of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::SetupError;
use super::supervisor::{Worker, WorkerId, WorkerSupervisor};
use crate::clock::{Clock, Notify, Woken};
use crate::config::{self, Config, Listen};
use crate::deliver::WorkerStatus;
use crate::domain::model::{TargetName, WebhookName};
use crate::heartbeat::Heartbeat;
use crate::metrics::textfile::Textfile;
use crate::metrics::{Metrics, ReloadResult};
use crate::poll::PollReport;
use crate::store::queries::StateQueries;
use crate::web::{AppState, ConfigStatus, DaemonHealth, HttpServer, LastPoll, OverviewCache};

/// All reporters of the running config. A reload keeps those whose settings did not change.
#[derive(Debug)]
pub(super) struct Reporters {
    metrics: Arc<Metrics>,
    health: Arc<DaemonHealth>,
    queries: Arc<dyn StateQueries>,
    clock: Arc<dyn Clock>,
    listener: Option<Listener>,
    textfile: Option<Supervised<PathBuf>>,
    heartbeat: Option<Supervised<config::HeartbeatSettings>>,
    polled: PolledTargets,
}

#[derive(Debug)]
struct Listener {
    settings: Listen,
    server: HttpServer,
}

/// A supervised thread and the settings that it was made from.
#[derive(Debug)]
struct Supervised<S> {
    settings: S,
    supervisor: WorkerSupervisor,
}

/// What a reload makes of a [`Supervised`] thread.
enum Change<S> {
    Keep,
    Replace(Option<Supervised<S>>),
}

impl Reporters {
    /// Reports nothing yet; see [`Self::apply_config`].
    pub(super) fn new(queries: Arc<dyn StateQueries>, clock: Arc<dyn Clock>) -> Self {
        Self {
            metrics: Arc::new(Metrics::new(Arc::clone(&queries), Arc::clone(&clock))),
            health: Arc::default(),
            queries,
            clock,
            listener: None,
            textfile: None,
            heartbeat: None,
            polled: PolledTargets::default(),
        }
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Reports as `config` says, or changes nothing.
    pub(super) fn apply_config(&mut self, config: &Config) -> Result<(), SetupError> {
        let heartbeat = change(
            self.heartbeat.as_ref(),
            config.heartbeat.as_ref(),
            supervise_heartbeat,
        )?;
        let textfile = change(self.textfile.as_ref(), config.textfile.as_ref(), |path| {
            Ok(supervise_textfile(path, &self.metrics))
        })?;
        // The last step that may fail.
        self.listen(config.http.as_ref())?;
        heartbeat.apply(&mut self.heartbeat);
        textfile.apply(&mut self.textfile);
        self.metrics.set_config(config);
        self.health.set_config(config);
        if let Some(path) = &config.textfile {
            let textfile = Textfile::new(path.clone());
            self.metrics
                .restore_last_successes(&textfile.last_successes());
        }
        Ok(())
    }

    /// Replaces the delivery workers that are reported on.
    pub(super) fn set_workers(&self, workers: BTreeMap<WebhookName, Arc<WorkerStatus>>) {
        self.health.set_workers(workers);
    }

    /// Replaces the targets that this instance owns, with the last poll of each. `store_error` says why the store can't
    /// name them.
    pub(super) fn set_targets(
        &mut self,
        targets: BTreeMap<TargetName, Option<LastPoll>>,
        store_error: Option<&str>,
    ) {
        self.metrics.set_owned_targets(targets.keys());
        self.polled.set_targets(targets.keys().cloned().collect());
        self.health.set_targets(targets, store_error);
        self.flush();
    }

    /// A config was read again.
    pub(super) fn config_reloaded(&mut self, reload: ReloadResult) {
        self.metrics.record_reload(reload);
        self.health.set_config_status(match reload {
            ReloadResult::Applied => ConfigStatus::Current,
            ReloadResult::Rejected => ConfigStatus::Outdated,
        });
        self.flush();
    }

    /// A damaged state was set aside when this process started.
    pub(super) fn state_was_lost(&self, reason: &str) {
        self.metrics.record_state_loss();
        self.health.record_state_loss(reason);
    }

    /// A poll ended. `last` is `None` if this instance no longer owns the target.
    pub(super) fn poll_finished(
        &mut self,
        target: &TargetName,
        report: &PollReport,
        last: Option<&LastPoll>,
    ) {
        self.metrics.record_poll(target, report);
        if report.result.is_ok() {
            self.polled.succeeded(target);
        } else {
            self.polled.failed(target);
        }
        self.set_last_poll(target, last);
    }

    /// A poll panicked: its target is reported as failing.
    pub(super) fn poll_panicked(&mut self, target: &TargetName, last: Option<&LastPoll>) {
        self.polled.failed(target);
        self.set_last_poll(target, last);
    }

    fn set_last_poll(&self, target: &TargetName, last: Option<&LastPoll>) {
        if let Some(last) = last {
            self.health.record_poll(target, last);
        }
    }

    /// Every worker makes progress; `/healthz` counts the time since the last call.
    pub(super) fn mark_alive(&self) {
        self.health.mark_alive(self.clock.monotonic());
    }

    /// Has the textfile written with what was reported since the last call. Sends the heartbeat if all targets were polled.
    pub(super) fn flush(&mut self) {
        if let Some(textfile) = &self.textfile {
            textfile.supervisor.notifier().notify();
        }
        if self.polled.take_if_complete()
            && let Some(heartbeat) = &self.heartbeat
        {
            heartbeat.supervisor.notifier().notify();
        }
    }

    /// Starts threads that are not running; see [`WorkerSupervisor::ensure_running`].
    pub(super) fn restart_exited(&mut self, now: Duration, daemon: &Notify) {
        for supervisor in self.supervisors_mut() {
            supervisor.ensure_running(now, daemon);
        }
    }

    /// When to call [`Self::restart_exited`] next, if no thread exits before.
    pub(super) fn restart_due(&self) -> Option<Duration> {
        let textfile = self.textfile.as_ref().map(|it| &it.supervisor);
        let heartbeat = self.heartbeat.as_ref().map(|it| &it.supervisor);
        let supervisors = textfile.into_iter().chain(heartbeat);
        supervisors.filter_map(WorkerSupervisor::restart_due).min()
    }

    /// Stops all reporters. Returns the threads to be joined.
    pub(super) fn stop(&mut self) -> Vec<JoinHandle<()>> {
        self.listener = None;
        let supervisors = self.supervisors_mut();
        let threads = supervisors.filter_map(|supervisor| {
            supervisor.stop_now();
            supervisor.take_thread()
        });
        threads.collect()
    }

    fn supervisors_mut(&mut self) -> impl Iterator<Item = &mut WorkerSupervisor> {
        let textfile = self.textfile.as_mut().map(|it| &mut it.supervisor);
        let heartbeat = self.heartbeat.as_mut().map(|it| &mut it.supervisor);
        textfile.into_iter().chain(heartbeat)
    }

    fn listen(&mut self, settings: Option<&Listen>) -> Result<(), SetupError> {
        let Some(settings) = settings else {
            self.listener = None;
            return Ok(());
        };
        let server = match &self.listener {
            Some(old) if old.settings == *settings => return Ok(()),
            Some(old) if old.server.address() == settings.address => {
                old.server.hand_over(self.app_state(settings))
            }
            _ => self.bind(settings),
        };
        let server = server.map_err(|error| cannot_listen(settings, &error))?;
        log::info!("listening: address={}", server.address());
        self.listener = Some(Listener {
            settings: settings.clone(),
            server,
        });
        Ok(())
    }

    /// Listens at a new address. The old listener stays until that has succeeded, unless it occupies the new address:
    /// 127.0.0.1 and 0.0.0.0 can't share a port.
    fn bind(&mut self, settings: &Listen) -> io::Result<HttpServer> {
        let address = settings.address;
        let bound = HttpServer::listen(address, self.app_state(settings));
        if !matches!(&bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
            return bound;
        }
        let shares_port = |old: &mut Listener| old.server.address().port() == address.port();
        let Some(old) = self.listener.take_if(shares_port) else {
            return bound;
        };
        let old_address = old.server.address();
        drop(old.server);
        HttpServer::listen(address, self.app_state(settings)).inspect_err(|_| {
            self.listener = HttpServer::listen(old_address, self.app_state(&old.settings))
                .inspect_err(|error| {
                    log::error!(
                        "the HTTP listener is down until the next reload: its old address can't be bound again: \
                         address={old_address} reason={error}"
                    );
                })
                .map(|server| Listener {
                    settings: old.settings,
                    server,
                })
                .ok();
        })
    }

    fn app_state(&self, settings: &Listen) -> AppState {
        let metrics = Arc::clone(&self.metrics);
        AppState {
            hosts: settings.hosts.clone(),
            health: Arc::clone(&self.health),
            clock: Arc::clone(&self.clock),
            records: Arc::clone(&self.queries),
            overview: OverviewCache::default(),
            metrics: Box::new(move || metrics.text()),
        }
    }
}

/// Targets that were polled since the last heartbeat.
#[derive(Debug, Default)]
struct PolledTargets {
    all: BTreeSet<TargetName>,
    /// Those whose last poll since then succeeded.
    succeeded: BTreeSet<TargetName>,
}

impl PolledTargets {
    fn set_targets(&mut self, targets: BTreeSet<TargetName>) {
        self.succeeded.retain(|target| targets.contains(target));
        self.all = targets;
    }

    fn succeeded(&mut self, target: &TargetName) {
        if self.all.contains(target) {
            self.succeeded.insert(target.clone());
        }
    }

    fn failed(&mut self, target: &TargetName) {
        self.succeeded.remove(target);
    }

    /// Whether every target was polled successfully, and there is at least one. If so, counting starts again.
    fn take_if_complete(&mut self) -> bool {
        let is_complete = !self.succeeded.is_empty() && self.succeeded.len() == self.all.len();
        if is_complete {
            self.succeeded.clear();
        }
        is_complete
    }
}

impl<S> Change<S> {
    fn apply(self, slot: &mut Option<Supervised<S>>) {
        if let Self::Replace(new) = self
            && let Some(old) = std::mem::replace(slot, new)
        {
            old.supervisor.stop_now();
        }
    }
}

fn change<S: Clone + PartialEq>(
    old: Option<&Supervised<S>>,
    new: Option<&S>,
    supervise: impl FnOnce(&S) -> Result<WorkerSupervisor, SetupError>,
) -> Result<Change<S>, SetupError> {
    match (old, new) {
        (Some(old), Some(new)) if old.settings == *new => Ok(Change::Keep),
        (_, Some(new)) => Ok(Change::Replace(Some(Supervised {
            settings: new.clone(),
            supervisor: supervise(new)?,
        }))),
        (_, None) => Ok(Change::Replace(None)),
    }
}

fn supervise_heartbeat(
    settings: &config::HeartbeatSettings,
) -> Result<WorkerSupervisor, SetupError> {
    let settings = settings.clone();
    let make = move || {
        let mut heartbeat = new_heartbeat(&settings)?;
        Ok(Worker {
            abort: Box::new(heartbeat.abort_handle()),
            run: Box::new(move |notify| {
                while notify.wait(None) != Woken::Stopped {
                    heartbeat.ping(notify.stop());
                }
            }),
        })
    };
    let first = make()?;
    Ok(WorkerSupervisor::new(
        WorkerId::Heartbeat,
        first,
        Box::new(make),
    ))
}

pub(super) fn new_heartbeat(settings: &config::HeartbeatSettings) -> Result<Heartbeat, SetupError> {
    Heartbeat::new(settings).map_err(|error| SetupError {
        what: "the heartbeat".to_owned(),
        source: error.into(),
    })
}

fn supervise_textfile(path: &Path, metrics: &Arc<Metrics>) -> WorkerSupervisor {
    let (path, metrics) = (path.to_owned(), Arc::clone(metrics));
    let make = move || {
        let (mut textfile, metrics) = (Textfile::new(path.clone()), Arc::clone(&metrics));
        Worker {
            abort: Box::new(|| {}),
            run: Box::new(move |notify| {
                while notify.wait(None) != Woken::Stopped {
                    textfile.write(&metrics.text());
                }
            }),
        }
    };
    let first = make();
    let factory = Box::new(move || Ok(make()));
    WorkerSupervisor::new(WorkerId::Textfile, first, factory)
}

fn cannot_listen(settings: &Listen, error: &io::Error) -> SetupError {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there: stop that one, or choose another port".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "permission denied: a port below 1024 takes a privilege, so choose another one"
                .to_owned()
        }
        _ => error.to_string(),
    };
    SetupError {
        what: format!("`listen` of [http], {},", settings.address),
        source: why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_complete_when_the_last_poll_of_each_succeeded() {
        let [a, b] = ["a", "b"].map(TargetName::from);
        let mut polled = PolledTargets::default();
        polled.set_targets(BTreeSet::from([a.clone(), b.clone()]));
        polled.succeeded(&a);
        assert!(!polled.take_if_complete());
        polled.failed(&a);
        polled.succeeded(&b);
        assert!(!polled.take_if_complete());
        polled.succeeded(&a);
        assert!(polled.take_if_complete());
        assert!(!polled.take_if_complete());
        polled.succeeded(&a);
        // The last poll of `b` ends after a reload removed it.
        polled.set_targets(BTreeSet::from([a]));
        polled.succeeded(&b);
        assert!(polled.take_if_complete());
        // An instance that owns no target reports nothing.
        polled.set_targets(BTreeSet::new());
        assert!(!polled.take_if_complete());
    }
}
