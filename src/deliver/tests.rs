//! The courier against a real socket, a store in memory and a clock that tests turn.

mod batches;
mod courier;
mod fake_store;
mod give_up;
mod heard;
mod journal;
mod outside;
mod running;
mod stub_receiver;

use std::sync::Arc;
use std::time::Duration;

use fake_store::FakeStore;
use outside::{ManualClock, webhook};
use stub_receiver::{Reply, StubReceiver};

use super::DeliveryWorker;
use crate::clock::{CancelToken, Clock};
use crate::config::Webhook;
use crate::domain::model::WebhookName;

/// A courier and everything that it touches.
struct Scene {
    store: Arc<FakeStore>,
    clock: Arc<ManualClock>,
    receiver: StubReceiver,
    webhook: Webhook,
    courier: DeliveryWorker,
    stop: CancelToken,
}

/// The name of a scene's webhook.
const OPS: &str = "ops";

impl Scene {
    /// With `events` owed, answered by `replies` in order; the last one goes on for ever.
    fn new(events: u64, replies: &[Reply]) -> Self {
        Self::with(events, replies, |_| ())
    }

    fn with(events: u64, replies: &[Reply], adjust: impl FnOnce(&mut Webhook)) -> Self {
        let receiver = StubReceiver::start(replies);
        let mut webhook = webhook(&receiver.url());
        adjust(&mut webhook);
        let store = Arc::new(FakeStore::default());
        let clock = Arc::new(ManualClock::default());
        store.owe(OPS, events, clock.now());
        let courier = courier(&webhook, &store, &clock);
        Self {
            store,
            clock,
            receiver,
            webhook,
            courier,
            stop: CancelToken::default(),
        }
    }

    /// Another process takes over, with the clock at hand.
    fn restart(&mut self) {
        self.courier = courier(&self.webhook, &self.store, &self.clock);
    }

    /// The same after so many seconds in which nothing ran.
    fn reboot(&mut self, seconds: u64) {
        let wall = self
            .clock
            .now()
            .saturating_add(Duration::from_secs(seconds));
        self.clock = Arc::new(ManualClock::at(wall));
        self.restart();
    }

    /// So many more events are owed as of now.
    fn owe(&self, events: u64) {
        self.store.owe(OPS, events, self.clock.now());
    }

    fn drain(&mut self) -> super::DrainReport {
        self.courier.drain_once(&self.stop).unwrap()
    }

    /// Lets so many seconds pass on both clocks.
    fn pass(&self, seconds: u64) {
        self.clock.pass(Duration::from_secs(seconds));
    }

    /// Somebody sets the wall clock ahead.
    fn step(&self, seconds: u64) {
        let ahead = self
            .clock
            .now()
            .saturating_add(Duration::from_secs(seconds));
        self.clock.set_wall(ahead);
    }

    /// Somebody sets the wall clock back.
    fn step_back(&self, seconds: u64) {
        let back = self
            .clock
            .now()
            .saturating_sub(Duration::from_secs(seconds));
        self.clock.set_wall(back);
    }
}

fn courier(webhook: &Webhook, store: &Arc<FakeStore>, clock: &Arc<ManualClock>) -> DeliveryWorker {
    let name = WebhookName::from(OPS);
    DeliveryWorker::new(name, webhook, store.clone(), clock.clone()).unwrap()
}
