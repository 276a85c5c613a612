//! The courier on its own thread: bells, stops and faults of the state.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::fake_store::FakeStore;
use super::outside::webhook;
use super::stub_receiver::{Reply, StubReceiver, wait_until};
use crate::clock::{CancelToken, Clock, Notify, SystemClock};
use crate::deliver::{DeliveryWorker, WorkerStatus};
use crate::domain::model::WebhookName;
use crate::http::HttpClient;

struct Running {
    thread: JoinHandle<()>,
    bell: Notify,
    client: HttpClient,
    status: Arc<WorkerStatus>,
}

impl Running {
    fn start(
        name: &str,
        store: &Arc<FakeStore>,
        receiver: &StubReceiver,
        stop: &CancelToken,
    ) -> Self {
        let clock = Arc::new(SystemClock::start());
        let webhook = webhook(&receiver.url());
        let name = WebhookName::from(name);
        let mut courier = DeliveryWorker::new(name, &webhook, store.clone(), clock).unwrap();
        let bell = Notify::new(stop);
        Self {
            client: courier.http_client(),
            status: courier.status(),
            bell: bell.clone(),
            thread: thread::spawn(move || courier.run(&bell)),
        }
    }

    fn finish(self, stop: &CancelToken) {
        stop.cancel();
        self.client.shut_down();
        self.thread.join().unwrap();
    }
}

fn store_with(webhook: &str, events: u64) -> Arc<FakeStore> {
    let store = Arc::new(FakeStore::default());
    store.owe(webhook, events, SystemClock::start().now());
    store
}

#[test]
fn a_failed_try_is_made_again_and_a_bell_brings_new_events_out() {
    let stop = CancelToken::default();
    let store = store_with("ops", 1);
    let receiver = StubReceiver::start(&[Reply::Status(500), Reply::Status(200)]);
    let running = Running::start("ops", &store, &receiver, &stop);
    wait_until(|| store.row(1).is_delivered());
    store.owe("ops", 1, SystemClock::start().now());
    running.bell.notify();
    wait_until(|| store.row(2).is_delivered());
    let status = running.status.snapshot();
    assert_eq!((status.attempts.failed, status.fault), (1, None));
    running.finish(&stop);
    assert_eq!(receiver.ids(), ["evt_1", "evt_1", "evt_2"]);
}

#[test]
fn a_stop_cuts_a_hanging_call_off_and_records_nothing() {
    let stop = CancelToken::default();
    let store = store_with("ops", 1);
    let receiver = StubReceiver::start(&[Reply::Hang]);
    let running = Running::start("ops", &store, &receiver, &stop);
    receiver.wait_for_requests(1);
    let status = running.status.clone();
    let busy_until = status.snapshot().busy_until.unwrap();
    assert!(busy_until > Duration::from_secs(19));
    let clock = SystemClock::start();
    running.finish(&stop);
    assert!(clock.monotonic() < Duration::from_secs(2));
    assert!(store.row(1).results.is_empty());
    assert_eq!(status.snapshot().busy_until, None);
}

#[test]
fn one_webhooks_trouble_delays_no_other() {
    let stop = CancelToken::default();
    let store = store_with("stuck", 1);
    store.owe("well", 1, SystemClock::start().now());
    let hanging = StubReceiver::start(&[Reply::Hang]);
    let working = StubReceiver::start(&[Reply::Status(200)]);
    let stuck = Running::start("stuck", &store, &hanging, &stop);
    hanging.wait_for_requests(1);
    let well = Running::start("well", &store, &working, &stop);
    wait_until(|| store.row(2).is_delivered());
    stuck.finish(&stop);
    well.finish(&stop);
    assert_eq!(working.ids(), ["evt_2"]);
}

#[test]
fn a_fault_of_the_state_is_outlived() {
    let stop = CancelToken::default();
    let store = store_with("ops", 2);
    store.fail_reads(1);
    store.fail_records(1);
    let receiver = StubReceiver::start(&[Reply::Status(200)]);
    let running = Running::start("ops", &store, &receiver, &stop);
    wait_until(|| store.row(2).is_delivered());
    running.finish(&stop);
    assert_eq!(receiver.ids(), ["evt_1", "evt_2"]);
}
