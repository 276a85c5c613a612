//! Workers of one config: a poller per target, a supervised delivery thread per webhook.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::SetupError;
use super::supervisor::{Worker, WorkerId, WorkerSupervisor};
use crate::clock::{CancelToken, Clock, Notify};
use crate::config::{Config, Webhook};
use crate::deliver::{DeliveryWorker, WorkerStatus};
use crate::domain::model::{AccountName, TargetName, Timestamp, WebhookName};
use crate::metrics::Metrics;
use crate::poll::routing::Router;
use crate::poll::{PollContext, Poller};
use crate::store::Store;
use crate::ucdn::client::ApiClient;

/// Makes the workers of a config.
#[derive(Clone, Copy, Debug)]
pub(super) struct WorkerBuilder<'a> {
    pub(super) config: &'a Config,
    pub(super) store: &'a Arc<dyn Store>,
    pub(super) clock: &'a Arc<dyn Clock>,
    pub(super) stop: &'a CancelToken,
    pub(super) metrics: &'a Arc<Metrics>,
}

/// Pollers and delivery threads.
#[derive(Debug)]
pub(super) struct WorkerSet {
    pub(super) pollers: BTreeMap<TargetName, Arc<Poller>>,
    deliveries: BTreeMap<WebhookName, DeliveryThread>,
    /// Threads of removed webhooks, until they exit. A reload may bring a webhook back before that.
    leaving: BTreeMap<WebhookName, WorkerSupervisor>,
}

#[derive(Debug)]
struct DeliveryThread {
    supervisor: WorkerSupervisor,
    /// Shared by the delivery workers that follow each other here.
    status: Arc<WorkerStatus>,
}

impl WorkerSet {
    /// Makes all workers, and starts none.
    pub(super) fn new(builder: WorkerBuilder<'_>) -> Result<Self, SetupError> {
        let thread = |(name, worker): (WebhookName, DeliveryWorker)| {
            let thread = builder.delivery_thread(&name, worker)?;
            Some((name, thread))
        };
        let workers = builder.delivery_workers()?;
        let deliveries: BTreeMap<_, _> = workers.into_iter().filter_map(thread).collect();
        let notifiers = deliveries.values();
        let notifiers = notifiers.map(|thread| thread.supervisor.notifier().clone());
        Ok(Self {
            pollers: builder.pollers(notifiers.collect())?,
            deliveries,
            leaving: BTreeMap::new(),
        })
    }

    /// Replaces the workers of the previous config. A delivery thread of `old` ends after the call under way, and only then
    /// the new one of the same webhook starts: two at once would break the order of events.
    pub(super) fn take_over(&mut self, old: Self) {
        for (name, poller) in &self.pollers {
            if let Some(previous) = old.pollers.get(name) {
                poller.take_over(previous);
            }
        }
        let previous = old.deliveries.into_iter();
        let previous = previous.map(|(name, thread)| (name, thread.supervisor));
        for (name, previous) in previous.chain(old.leaving) {
            if let Some(thread) = self.deliveries.get_mut(&name) {
                thread.supervisor.take_over(previous);
            } else {
                previous.request_stop();
                self.leaving.insert(name, previous);
            }
        }
    }

    /// Starts delivery threads that are not running; see [`WorkerSupervisor::ensure_running`].
    pub(super) fn restart_exited(&mut self, now: Duration, daemon: &Notify) {
        for thread in self.deliveries.values_mut() {
            thread.supervisor.ensure_running(now, daemon);
        }
        self.leaving.retain(|_, leaving| !leaving.has_exited());
    }

    /// When to call [`Self::restart_exited`] next, if no thread exits before.
    pub(super) fn restart_due(&self) -> Option<Duration> {
        let threads = self.deliveries.values();
        threads
            .filter_map(|thread| thread.supervisor.restart_due())
            .min()
    }

    pub(super) fn webhooks(&self) -> impl Iterator<Item = &WebhookName> {
        self.deliveries.keys()
    }

    /// Status of each delivery worker.
    pub(super) fn delivery_status(&self) -> BTreeMap<WebhookName, Arc<WorkerStatus>> {
        let threads = self.deliveries.iter();
        threads
            .map(|(name, thread)| (name.clone(), Arc::clone(&thread.status)))
            .collect()
    }

    /// Whether a delivery worker has made no progress for `limit` beyond what its call may take.
    pub(super) fn has_stuck_delivery(&self, now: Duration, limit: Duration) -> bool {
        let mut threads = self.deliveries.values();
        threads.any(|thread| thread.is_stuck(now, limit))
    }

    /// Stops all delivery threads and ends their calls.
    pub(super) fn stop(&self) {
        let current = self.deliveries.values().map(|thread| &thread.supervisor);
        current
            .chain(self.leaving.values())
            .for_each(WorkerSupervisor::stop_now);
    }

    /// The delivery threads, to be joined after [`Self::stop`].
    pub(super) fn take_threads(&mut self) -> Vec<JoinHandle<()>> {
        let current = self.deliveries.values_mut();
        let current = current.map(|thread| &mut thread.supervisor);
        current
            .chain(self.leaving.values_mut())
            .filter_map(WorkerSupervisor::take_thread)
            .collect()
    }
}

impl DeliveryThread {
    fn is_stuck(&self, now: Duration, limit: Duration) -> bool {
        let status = self.status.snapshot();
        let until = status.last_turn.max(status.busy_until.unwrap_or_default());
        // Zero until the first turn of a worker that has just started.
        let has_turned = !self.supervisor.has_exited() && !status.last_turn.is_zero();
        has_turned && now > until.saturating_add(limit)
    }
}

impl WorkerBuilder<'_> {
    /// A poller per target. Each commit of events wakes `delivery_notifiers`.
    pub(super) fn pollers(
        &self,
        delivery_notifiers: Vec<Notify>,
    ) -> Result<BTreeMap<TargetName, Arc<Poller>>, SetupError> {
        let router = Arc::new(Router::new(&self.config.webhooks, delivery_notifiers));
        let clients = self.api_clients()?;
        let poller = |(name, target): (&TargetName, &crate::config::Target)| {
            let client = Arc::clone(clients.get(&target.account)?);
            let context = PollContext {
                client,
                store: Arc::clone(self.store),
                router: Arc::clone(&router),
                clock: Arc::clone(self.clock),
                retention: self.config.retention,
            };
            let poller = Poller::new(name.clone(), target.clone(), context);
            Some((name.clone(), Arc::new(poller)))
        };
        Ok(self.config.targets.iter().filter_map(poller).collect())
    }

    /// A delivery worker per webhook.
    pub(super) fn delivery_workers(
        &self,
    ) -> Result<BTreeMap<WebhookName, DeliveryWorker>, SetupError> {
        let worker = |(name, webhook): (&WebhookName, &Webhook)| {
            let worker = delivery_worker(name, webhook, self.store, self.clock)?;
            let (metrics, counted) = (Arc::clone(self.metrics), name.clone());
            worker
                .status()
                .on_attempt(move |outcome| metrics.record_delivery(&counted, outcome));
            Ok((name.clone(), worker))
        };
        self.config.webhooks.iter().map(worker).collect()
    }

    /// Supervises `first` and those that follow it after a panic. `None` if the config has no such webhook.
    fn delivery_thread(&self, name: &WebhookName, first: DeliveryWorker) -> Option<DeliveryThread> {
        let webhook = self.config.webhooks.get(name)?.clone();
        let (store, clock) = (Arc::clone(self.store), Arc::clone(self.clock));
        let status = first.status();
        let (next_name, next_status) = (name.clone(), Arc::clone(&status));
        let factory = move || {
            let next = delivery_worker(&next_name, &webhook, &store, &clock)?;
            Ok(supervised(next.resume_from(&next_status)))
        };
        let id = WorkerId::Delivery(name.clone());
        Some(DeliveryThread {
            supervisor: WorkerSupervisor::new(id, supervised(first), Box::new(factory)),
            status,
        })
    }

    fn api_clients(&self) -> Result<BTreeMap<AccountName, Arc<ApiClient>>, SetupError> {
        let client = |(name, account)| {
            let name: &AccountName = name;
            let client = ApiClient::new(account, Arc::clone(self.clock), self.stop.clone());
            let client = client.map_err(|error| SetupError {
                what: format!("account `{name}`"),
                source: error.into(),
            })?;
            let (metrics, account) = (Arc::clone(self.metrics), name.clone());
            let client =
                client.on_outcome(move |outcome| metrics.record_request(&account, outcome));
            Ok((name.clone(), Arc::new(client)))
        };
        self.config.accounts.iter().map(client).collect()
    }
}

/// The earliest of the pollers' [`Poller::conservative_now`]. `None` before the first answer of any API.
pub(super) fn conservative_now<'a>(
    pollers: impl Iterator<Item = &'a Arc<Poller>>,
) -> Option<Timestamp> {
    pollers.filter_map(|poller| poller.conservative_now()).min()
}

fn delivery_worker(
    name: &WebhookName,
    webhook: &Webhook,
    store: &Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
) -> Result<DeliveryWorker, SetupError> {
    DeliveryWorker::new(name.clone(), webhook, Arc::clone(store), Arc::clone(clock)).map_err(
        |error| SetupError {
            what: format!("webhook `{name}`"),
            source: error.into(),
        },
    )
}

fn supervised(mut worker: DeliveryWorker) -> Worker {
    let endpoint = worker.endpoint();
    Worker {
        run: Box::new(move |notify| worker.run(notify)),
        abort: Box::new(move || endpoint.abort()),
    }
}
