//! Those who do the work of one config: a poller a target, a courier a webhook.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::clock::{Bell, Clock, Stop};
use crate::config::Config;
use crate::deliver::{Courier, CourierStatus};
use crate::metrics::Metrics;
use crate::model::{AccountName, TargetName, Timestamp, WebhookName};
use crate::poll::routes::Routes;
use crate::poll::{Poller, Surroundings};
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
}

/// A courier's place: the courier itself until it is started, and what it is reached by.
struct Desk {
    courier: Option<Courier>,
    bell: Bell,
    status: Arc<CourierStatus>,
    /// Ends the call under way.
    cut: Box<dyn Fn() + Send>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Crew {
    /// Everybody that the config asks for. Nobody works yet.
    pub(super) fn of(
        config: &Config,
        store: &Arc<dyn Store>,
        clock: &Arc<dyn Clock>,
        stop: &Stop,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, SetupError> {
        let desks = desks(config, store, clock, metrics)?;
        let bells = desks.values().map(|desk| desk.bell.clone()).collect();
        let routes = Arc::new(Routes::new(&config.webhooks, bells));
        let clients = clients(config, clock, stop, metrics)?;
        let mut pollers = BTreeMap::new();
        for (name, target) in &config.targets {
            let Some(client) = clients.get(&target.account) else {
                continue;
            };
            let surroundings = Surroundings {
                client: Arc::clone(client),
                store: Arc::clone(store),
                routes: Arc::clone(&routes),
                clock: Arc::clone(clock),
                retention: config.retention,
            };
            let poller = Poller::new(name.clone(), target.clone(), surroundings);
            pollers.insert(name.clone(), Arc::new(poller));
        }
        Ok(Self { pollers, desks })
    }

    /// What each courier is doing.
    pub(super) fn couriers(&self) -> BTreeMap<WebhookName, Arc<CourierStatus>> {
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

    pub(super) fn start_couriers(&mut self) {
        for (name, desk) in &mut self.desks {
            desk.start(name, None);
        }
    }

    /// Takes over from the crew of the config before. A courier whose predecessor is still at a delivery begins when
    /// that has ended: two of them would break the order.
    pub(super) fn succeed_to(&mut self, old: &mut Self) {
        for (name, poller) in &self.pollers {
            if let Some(predecessor) = old.pollers.get(name) {
                poller.succeed_to(predecessor);
            }
        }
        for desk in old.desks.values() {
            desk.bell.stop().request();
        }
        for (name, desk) in &mut self.desks {
            let predecessor = old.desks.get_mut(name).and_then(|desk| desk.thread.take());
            desk.start(name, predecessor);
        }
    }

    /// Hands the couriers out, for whoever lets each of them work once.
    pub(super) fn take_couriers(&mut self) -> Vec<(WebhookName, Courier)> {
        self.desks
            .iter_mut()
            .filter_map(|(name, desk)| Some((name.clone(), desk.courier.take()?)))
            .collect()
    }

    pub(super) fn stop_couriers(&self) {
        for desk in self.desks.values() {
            // In this order: a call that is cut must not be taken for a failed try.
            desk.bell.stop().request();
            (desk.cut)();
        }
    }

    /// Waits for couriers that were told to stop, and for these others, but not for longer than this.
    pub(super) fn join_couriers(&mut self, others: Vec<JoinHandle<()>>, within: Duration) {
        let desks = self.desks.values_mut();
        let couriers = desks.filter_map(|desk| desk.thread.take());
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
        self.desks
            .values()
            .filter(|desk| desk.thread.is_some())
            .any(|desk| {
                let status = desk.status.snapshot();
                let until = status.last_turn.max(status.busy_until.unwrap_or_default());
                // A courier that waits for its predecessor has not turned at all.
                !status.last_turn.is_zero() && now > until.saturating_add(after)
            })
    }
}

impl Desk {
    fn start(&mut self, name: &WebhookName, predecessor: Option<JoinHandle<()>>) {
        let Some(mut courier) = self.courier.take() else {
            return;
        };
        let bell = self.bell.clone();
        let started = Builder::new()
            .name(format!("deliver {name}"))
            .spawn(move || {
                if let Some(predecessor) = predecessor {
                    let _ = predecessor.join();
                }
                courier.run(&bell);
            });
        match started {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => {
                log::error!(
                    "no thread for deliveries, which are kept until a reload: webhook={name} reason={error}"
                );
            }
        }
    }
}

fn desks(
    config: &Config,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> Result<BTreeMap<WebhookName, Desk>, SetupError> {
    let desk = |(name, webhook)| {
        let name: &WebhookName = name;
        let courier = Courier::new(name.clone(), webhook, Arc::clone(store), Arc::clone(clock))
            .map_err(|error| SetupError {
                what: format!("webhook `{name}`"),
                source: error.into(),
            })?;
        let (metrics, webhook) = (Arc::clone(metrics), name.clone());
        courier
            .status()
            .tell(move |outcome| metrics.delivered(&webhook, outcome));
        let client = courier.http_client();
        let desk = Desk {
            bell: Bell::new(&Stop::default()),
            status: courier.status(),
            cut: Box::new(move || client.shut_down()),
            courier: Some(courier),
            thread: None,
        };
        Ok((name.clone(), desk))
    };
    config.webhooks.iter().map(desk).collect()
}

fn clients(
    config: &Config,
    clock: &Arc<dyn Clock>,
    stop: &Stop,
    metrics: &Arc<Metrics>,
) -> Result<BTreeMap<AccountName, Arc<ApiClient>>, SetupError> {
    let client = |(name, account)| {
        let name: &AccountName = name;
        ApiClient::new(account, Arc::clone(clock), stop.clone())
            .map(|client| {
                let (metrics, account) = (Arc::clone(metrics), name.clone());
                let client = client.told_to(move |outcome| metrics.requested(&account, outcome));
                (name.clone(), Arc::new(client))
            })
            .map_err(|error| SetupError {
                what: format!("account `{name}`"),
                source: error.into(),
            })
    };
    config.accounts.iter().map(client).collect()
}
