//! Those who tell the outside how things are: the HTTP listener, the textfile, the heartbeat. Owns what a round is.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::background::Errand;
use super::workers::SetupError;
use crate::clock::Clock;
use crate::config::{self, Config, Listen};
use crate::deliver::WorkerStatus;
use crate::domain::model::{TargetName, WebhookName};
use crate::heartbeat::Heartbeat;
use crate::metrics::textfile::Textfile;
use crate::metrics::{Metrics, ReloadResult};
use crate::poll::PollReport;
use crate::store::queries::StateQueries;
use crate::web::{AppState, ConfigStatus, DaemonHealth, LastPoll, OverviewCache, Server};

/// Everybody who tells. What a reload does not change goes on as it is.
#[derive(Debug)]
pub(super) struct Outlets {
    pub(super) metrics: Arc<Metrics>,
    health: Arc<DaemonHealth>,
    records: Arc<dyn StateQueries>,
    clock: Arc<dyn Clock>,
    listening: Option<Kept<Listen, Server>>,
    textfile: Option<Kept<PathBuf, Errand>>,
    heartbeat: Option<Kept<config::HeartbeatSettings, Errand>>,
    round: Round,
}

/// What is to be polled well between two heartbeats.
#[derive(Debug, Default)]
struct Round {
    targets: BTreeSet<TargetName>,
    /// Those of them that were, since the last heartbeat, and have not failed after that.
    polled: BTreeSet<TargetName>,
}

/// Something at work, and the settings that made it.
#[derive(Debug)]
struct Kept<S, T> {
    settings: S,
    at_work: T,
}

/// What new settings ask for.
enum Change<K> {
    Nothing,
    To(Option<K>),
}

impl Outlets {
    /// Nobody tells anything yet; see [`Outlets::obey`].
    pub(super) fn new(records: Arc<dyn StateQueries>, clock: Arc<dyn Clock>) -> Self {
        Self {
            metrics: Arc::new(Metrics::new(Arc::clone(&records), Arc::clone(&clock))),
            health: Arc::default(),
            records,
            clock,
            listening: None,
            textfile: None,
            heartbeat: None,
            round: Round::default(),
        }
    }

    /// Does what this config says from now on, or changes nothing.
    pub(super) fn obey(&mut self, config: &Config) -> Result<(), SetupError> {
        let heartbeat = change(
            self.heartbeat.as_ref(),
            config.heartbeat.as_ref(),
            start_heartbeat,
        )?;
        let textfile = change(self.textfile.as_ref(), config.textfile.as_ref(), |path| {
            start_textfile(path, &self.metrics)
        })?;
        // The last one that may fail.
        self.listen(config.http.as_ref())?;
        heartbeat.make(&mut self.heartbeat);
        textfile.make(&mut self.textfile);
        self.metrics.set_config(config);
        self.health.set_config(config);
        if let Some(textfile) = &config.textfile {
            self.metrics
                .restore_last_successes(&Textfile::new(textfile.clone()).last_successes());
        }
        Ok(())
    }

    /// Has these couriers looked at from now on.
    pub(super) fn employ(&self, couriers: BTreeMap<WebhookName, Arc<WorkerStatus>>) {
        self.health.set_workers(couriers);
    }

    /// A config was read again.
    pub(super) fn reloaded(&mut self, reload: ReloadResult) {
        self.metrics.record_reload(reload);
        self.health.set_config_status(match reload {
            ReloadResult::Applied => ConfigStatus::Current,
            ReloadResult::Rejected => ConfigStatus::Outdated,
        });
        self.pass_on();
    }

    /// A damaged state was set aside at the start of this process.
    pub(super) fn state_was_lost(&self, reason: &str) {
        self.metrics.record_state_loss();
        self.health.record_state_loss(reason);
    }

    /// All loops turn.
    pub(super) fn turned(&self) {
        self.health.mark_alive(self.clock.monotonic());
    }

    /// A poll ended, and its target now stands so; none: it is not this instance's any more.
    pub(super) fn polled(
        &mut self,
        name: &TargetName,
        report: &PollReport,
        last: Option<&LastPoll>,
    ) {
        self.metrics.record_poll(name, report);
        if let Some(last) = last {
            self.health.record_poll(name, last);
        }
        if report.result.is_ok() {
            self.round.succeeded(name);
        } else {
            self.round.failed(name);
        }
    }

    /// These targets are this instance's from now on, and stand so; with a `fault`, the state does not say which are.
    pub(super) fn watch_over(
        &mut self,
        targets: BTreeMap<TargetName, Option<LastPoll>>,
        fault: Option<&str>,
    ) {
        self.metrics.set_owned_targets(targets.keys());
        self.round.watch_over(targets.keys().cloned().collect());
        self.health.set_targets(targets, fault);
        self.pass_on();
    }

    /// Has what was noted here passed on to those who wait for it.
    pub(super) fn pass_on(&mut self) {
        let is_over = self.round.take_if_over();
        if let Some(textfile) = &self.textfile {
            textfile.at_work.notify();
        }
        if let Some(heartbeat) = self.heartbeat.as_ref().filter(|_| is_over) {
            heartbeat.at_work.notify();
        }
    }

    /// Stops listening, tells the others to end, and gives the threads that are to be waited for.
    pub(super) fn end(&mut self) -> Vec<JoinHandle<()>> {
        self.listening = None;
        let textfile = self.textfile.take().and_then(|kept| kept.at_work.end());
        let heartbeat = self.heartbeat.take().and_then(|kept| kept.at_work.end());
        textfile.into_iter().chain(heartbeat).collect()
    }

    fn listen(&mut self, settings: Option<&Listen>) -> Result<(), SetupError> {
        let Some(settings) = settings else {
            self.listening = None;
            return Ok(());
        };
        let server = match &self.listening {
            Some(old) if old.settings == *settings => return Ok(()),
            Some(old) if old.at_work.address() == settings.address => {
                old.at_work.hand_over(self.app_state(settings))
            }
            _ => self.open(settings),
        };
        let server = server.map_err(|error| cannot_listen(settings, &error))?;
        log::info!("listening: address={}", server.address());
        self.listening = Some(Kept {
            settings: settings.clone(),
            at_work: server,
        });
        Ok(())
    }

    /// Listens at a new address. The old one stays until that is done, unless it is what is in the way: 127.0.0.1 and
    /// 0.0.0.0 can't share a port.
    fn open(&mut self, settings: &Listen) -> io::Result<Server> {
        let address = settings.address;
        let opened = Server::listen(address, self.app_state(settings));
        if !matches!(&opened, Err(error) if error.kind() == io::ErrorKind::AddrInUse) {
            return opened;
        }
        let is_in_the_way =
            |old: &mut Kept<Listen, Server>| old.at_work.address().port() == address.port();
        let Some(old) = self.listening.take_if(is_in_the_way) else {
            return opened;
        };
        let old_address = old.at_work.address();
        drop(old.at_work);
        Server::listen(address, self.app_state(settings)).inspect_err(|_| {
            self.listening = Server::listen(old_address, self.app_state(&old.settings))
                .inspect_err(|error| log::error!("nothing is listened to any more: {error}"))
                .map(|at_work| Kept {
                    settings: old.settings,
                    at_work,
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
            records: Arc::clone(&self.records),
            overview: OverviewCache::default(),
            metrics: Box::new(move || metrics.text()),
        }
    }
}

impl Round {
    fn watch_over(&mut self, targets: BTreeSet<TargetName>) {
        self.polled.retain(|target| targets.contains(target));
        self.targets = targets;
    }

    fn succeeded(&mut self, target: &TargetName) {
        if self.targets.contains(target) {
            self.polled.insert(target.clone());
        }
    }

    fn failed(&mut self, target: &TargetName) {
        self.polled.remove(target);
    }

    /// Whether it held all targets, and at least one: then the next one begins.
    fn take_if_over(&mut self) -> bool {
        let is_over = !self.polled.is_empty() && self.polled.len() == self.targets.len();
        if is_over {
            self.polled.clear();
        }
        is_over
    }
}

impl<K> Change<K> {
    fn make(self, slot: &mut Option<K>) {
        if let Self::To(new) = self {
            *slot = new;
        }
    }
}

fn change<S: Clone + PartialEq, T>(
    old: Option<&Kept<S, T>>,
    new: Option<&S>,
    start: impl FnOnce(&S) -> Result<T, SetupError>,
) -> Result<Change<Kept<S, T>>, SetupError> {
    match (old, new) {
        (Some(old), Some(new)) if old.settings == *new => Ok(Change::Nothing),
        (_, Some(new)) => Ok(Change::To(Some(Kept {
            settings: new.clone(),
            at_work: start(new)?,
        }))),
        (_, None) => Ok(Change::To(None)),
    }
}

fn start_heartbeat(settings: &config::HeartbeatSettings) -> Result<Errand, SetupError> {
    let failed = |source| SetupError {
        what: "the heartbeat".to_owned(),
        source,
    };
    let mut heartbeat = Heartbeat::new(settings).map_err(|error| failed(error.into()))?;
    let cut = heartbeat.cut();
    Errand::start("heartbeat", cut, move |stop| heartbeat.beat(stop))
        .map_err(|error| failed(error.into()))
}

fn start_textfile(path: &Path, metrics: &Arc<Metrics>) -> Result<Errand, SetupError> {
    let mut textfile = Textfile::new(path.to_owned());
    let metrics = Arc::clone(metrics);
    Errand::start("textfile", || {}, move |_| textfile.write(&metrics.text())).map_err(|error| {
        SetupError {
            what: "the textfile".to_owned(),
            source: error.into(),
        }
    })
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
    fn a_round_is_over_when_each_target_was_polled_well_and_has_not_failed_since() {
        let [a, b] = ["a", "b"].map(TargetName::from);
        let mut round = Round::default();
        round.watch_over(BTreeSet::from([a.clone(), b.clone()]));
        round.succeeded(&a);
        assert!(!round.take_if_over());
        round.failed(&a);
        round.succeeded(&b);
        assert!(!round.take_if_over());
        round.succeeded(&a);
        assert!(round.take_if_over());
        assert!(!round.take_if_over());
        round.succeeded(&a);
        // A reload took `b` away, whose last poll ends after that.
        round.watch_over(BTreeSet::from([a]));
        round.succeeded(&b);
        assert!(round.take_if_over());
        // An instance that holds no target has nothing to say.
        round.watch_over(BTreeSet::new());
        assert!(!round.take_if_over());
    }
}
