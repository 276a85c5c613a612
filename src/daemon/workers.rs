//! Those who do the work of one config: a poller a target, a courier a webhook.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::supervisor::{Desk, Hire};
use crate::clock::{CancelToken, Clock, Notify};
use crate::config::{Config, Webhook};
use crate::deliver::{DeliveryWorker, WorkerStatus};
use crate::domain::model::{AccountName, TargetName, Timestamp, WebhookName};
use crate::metrics::Metrics;
use crate::poll::routing::Router;
use crate::poll::{PollContext, Poller};
use crate::store::Store;
use crate::ucdn::client::ApiClient;

/// Why a valid config makes no program: a proxy or a certificate that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} can't be set up")]
pub struct SetupError {
    pub(super) what: String,
    pub(super) source: Box<dyn Error + Send + Sync>,
}

/// Everybody who works for one config.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) pollers: BTreeMap<TargetName, Arc<Poller>>,
    desks: BTreeMap<WebhookName, Desk>,
    /// Of webhooks that the config has no longer, until their couriers have ended: a reload may bring one back before that.
    leaving: BTreeMap<WebhookName, Desk>,
}

impl Crew {
    /// Everybody that the config asks for. Nobody works yet.
    pub(super) fn of(
        config: &Config,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        stop: &CancelToken,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, SetupError> {
        let desks = desks(config, store, clock, metrics)?;
        let bells = desks.values().map(|desk| desk.bell.clone()).collect();
        let routes = Arc::new(Router::new(&config.webhooks, bells));
        let clients = clients(config, clock, stop, metrics)?;
        let mut pollers = BTreeMap::new();
        for (name, target) in &config.targets {
            let Some(client) = clients.get(&target.account) else {
                continue;
            };
            let surroundings = PollContext {
                client: Arc::clone(client),
                store: Arc::clone(store),
                routes: Arc::clone(&routes),
                clock: Arc::clone(clock),
                retention: config.retention,
            };
            let poller = Poller::new(name.clone(), target.clone(), surroundings);
            pollers.insert(name.clone(), Arc::new(poller));
        }
        Ok(Self {
            pollers,
            desks,
            leaving: BTreeMap::new(),
        })
    }

    /// What each courier is doing.
    pub(super) fn couriers(&self) -> BTreeMap<WebhookName, Arc<WorkerStatus>> {
        let desks = self.desks.iter();
        desks
            .map(|(name, desk)| (name.clone(), Arc::clone(&desk.status)))
            .collect()
    }

    pub(super) fn webhooks(&self) -> impl Iterator<Item = &WebhookName> {
        self.desks.keys()
    }

    /// The earliest of the pollers' [`Poller::vouched_now`]; none before any API's first answer.
    pub(super) fn vouched_now(&self) -> Option<Timestamp> {
        self.pollers
            .values()
            .filter_map(|poller| poller.vouched_now())
            .min()
    }

    /// Lets couriers begin where there is none at work; see [`Desk::tend`].
    pub(super) fn tend_couriers(&mut self, now: Duration, daemon: &Notify) {
        for desk in self.desks.values_mut() {
            desk.tend(now, daemon);
        }
        self.leaving.retain(|_, desk| !desk.is_left());
    }

    /// When to tend them again, at the latest.
    pub(super) fn couriers_due(&self) -> Option<Duration> {
        self.desks.values().filter_map(Desk::due).min()
    }

    /// Takes over from the crew of the config before.
    pub(super) fn succeed_to(&mut self, old: Self) {
        for (name, poller) in &self.pollers {
            if let Some(predecessor) = old.pollers.get(name) {
                poller.succeed_to(predecessor);
            }
        }
        for (name, old) in old.desks.into_iter().chain(old.leaving) {
            old.dismiss();
            if let Some(desk) = self.desks.get_mut(&name) {
                desk.succeed_to(old);
            } else {
                self.leaving.insert(name, old);
            }
        }
    }

    /// Hands the couriers out, for whoever lets each of them work once.
    pub(super) fn take_couriers(&mut self) -> Vec<(WebhookName, DeliveryWorker)> {
        self.desks
            .iter_mut()
            .filter_map(|(name, desk)| Some((name.clone(), desk.take_courier()?)))
            .collect()
    }

    pub(super) fn stop_couriers(&self) {
        let desks = self.desks.values().chain(self.leaving.values());
        desks.for_each(Desk::stop);
    }

    /// Waits for couriers that were told to stop, and for these others, but not for longer than this.
    pub(super) fn join_couriers(&mut self, others: Vec<JoinHandle<()>>, within: Duration) {
        let desks = self.desks.values_mut().chain(self.leaving.values_mut());
        let couriers = desks.flat_map(Desk::take_threads);
        let threads: Vec<_> = couriers.chain(others).collect();
        let (sender, joined) = mpsc::channel();
        let waiter = Builder::new().name("join".to_owned()).spawn(move || {
            for thread in threads {
                // A courier that panicked has said so on stderr.
                let _ = thread.join();
            }
            let _ = sender.send(());
        });
        if waiter.is_err() || joined.recv_timeout(within).is_err() {
            log::warn!("a delivery or a heartbeat did not end in time, and is left behind");
        }
    }

    pub(super) fn has_stuck_courier(&self, now: Duration, after: Duration) -> bool {
        self.desks.values().any(|desk| desk.is_stuck(now, after))
    }
}

fn desks(
    config: &Config,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Result<BTreeMap<WebhookName, Desk>, SetupError> {
    let desk = |(name, webhook): (&WebhookName, &Webhook)| {
        let desk = Desk::new(name.clone(), hire(name, webhook, store, clock))?;
        let (metrics, webhook) = (Arc::clone(metrics), name.clone());
        desk.status
            .tell(move |outcome| metrics.record_delivery(&webhook, outcome));
        Ok((name.clone(), desk))
    };
    config.webhooks.iter().map(desk).collect()
}

fn hire(
    name: &WebhookName,
    webhook: &Webhook,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
) -> Hire {
    let (name, webhook) = (name.clone(), webhook.clone());
    let (store, clock) = (Arc::clone(store), Arc::clone(clock));
    Box::new(move || {
        DeliveryWorker::new(
            name.clone(),
            &webhook,
            Arc::clone(&store),
            Arc::clone(&clock),
        )
        .map_err(|error| SetupError {
            what: format!("webhook `{name}`"),
            source: error.into(),
        })
    })
}

fn clients(
    config: &Config,
    clock: &Arc<dyn Clock>,
    stop: &CancelToken,
    metrics: &Arc<Metrics>,
) -> Result<BTreeMap<AccountName, Arc<ApiClient>>, SetupError> {
    let client = |(name, account)| {
        let name: &AccountName = name;
        ApiClient::new(account, Arc::clone(clock), stop.clone())
            .map(|client| {
                let (metrics, account) = (Arc::clone(metrics), name.clone());
                let client =
                    client.told_to(move |outcome| metrics.record_request(&account, outcome));
                (name.clone(), Arc::new(client))
            })
            .map_err(|error| SetupError {
                what: format!("account `{name}`"),
                source: error.into(),
            })
    };
    config.accounts.iter().map(client).collect()
}
