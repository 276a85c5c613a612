//! Tests of the delivery worker with a real socket, a store in memory and a manual clock.

mod batches;
mod captured_log;
mod fake_store;
mod fixtures;
mod give_up;
mod log;
mod running;
mod stub_receiver;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use fake_store::FakeStore;
use fixtures::{TestClock, webhook};
use stub_receiver::{ScriptedReceiver, StubReply};

use super::DeliveryWorker;
use crate::clock::{CancelToken, Clock};
use crate::config::Webhook;
use crate::domain::model::WebhookName;

/// A worker, its store, clock and receiver.
struct WorkerFixture {
    store: Arc<FakeStore>,
    clock: Arc<TestClock>,
    receiver: ScriptedReceiver,
    webhook: Webhook,
    worker: DeliveryWorker,
    stop: CancelToken,
}

/// The webhook's name.
const OPS: &str = "ops";

impl WorkerFixture {
    /// With `events` pending. The receiver answers with `replies` in order and repeats the last one.
    fn new(events: u64, replies: &[StubReply]) -> Self {
        Self::with(events, replies, |_| ())
    }

    fn with(events: u64, replies: &[StubReply], adjust: impl FnOnce(&mut Webhook)) -> Self {
        let receiver = ScriptedReceiver::start(replies);
        let mut webhook = webhook(&receiver.url());
        adjust(&mut webhook);
        let store = Arc::new(FakeStore::default());
        let clock = Arc::new(TestClock::default());
        store.commit_events(OPS, events, clock.now());
        let worker = worker(&webhook, &store, &clock);
        Self {
            store,
            clock,
            receiver,
            webhook,
            worker,
            stop: CancelToken::default(),
        }
    }

    /// A new process starts, with the same clock.
    fn restart(&mut self) {
        self.worker = worker(&self.webhook, &self.store, &self.clock);
    }

    /// A new process starts after so many seconds in which none ran.
    fn reboot(&mut self, seconds: u64) {
        let wall = self
            .clock
            .now()
            .saturating_add(Duration::from_secs(seconds));
        self.clock = Arc::new(TestClock::at(wall));
        self.restart();
    }

    /// Commits more events.
    fn commit_events(&self, events: u64) {
        self.store.commit_events(OPS, events, self.clock.now());
    }

    fn drain(&mut self) -> super::DrainReport {
        self.worker.drain_once(&self.stop).unwrap()
    }

    /// Both clocks advance.
    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// The wall clock is set ahead.
    fn set_ahead(&self, seconds: u64) {
        let ahead = self
            .clock
            .now()
            .saturating_add(Duration::from_secs(seconds));
        self.clock.set_wall(ahead);
    }

    /// The wall clock is set back.
    fn set_back(&self, seconds: u64) {
        let back = self
            .clock
            .now()
            .saturating_sub(Duration::from_secs(seconds));
        self.clock.set_wall(back);
    }
}

fn worker(webhook: &Webhook, store: &Arc<FakeStore>, clock: &Arc<TestClock>) -> DeliveryWorker {
    let name = WebhookName::from(OPS);
    DeliveryWorker::new(name, webhook, store.clone(), clock.clone()).unwrap()
}
