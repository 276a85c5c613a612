//! Tests of the worker on a thread: notifications, stops and faults of the state.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::fake_store::FakeStore;
use super::fixtures::webhook;
use super::stub_receiver::{ScriptedReceiver, StubReply, wait_until};
use crate::clock::{CancelToken, Clock, Notify, SystemClock};
use crate::deliver::{DeliveryWorker, Endpoint, WorkerStatus};
use crate::domain::model::WebhookName;

struct WorkerThread {
    thread: JoinHandle<()>,
    notify: Notify,
    endpoint: Arc<dyn Endpoint>,
    status: Arc<WorkerStatus>,
}

impl WorkerThread {
    fn start(
        name: &str,
        store: &Arc<FakeStore>,
        receiver: &ScriptedReceiver,
        stop: &CancelToken,
    ) -> Self {
        let clock = Arc::new(SystemClock::start());
        let webhook = webhook(&receiver.url());
        let name = WebhookName::from(name);
        let mut worker = DeliveryWorker::new(name, &webhook, store.clone(), clock).unwrap();
        let notify = Notify::new(stop);
        Self {
            endpoint: worker.endpoint(),
            status: worker.status(),
            notify: notify.clone(),
            thread: thread::spawn(move || worker.run(&notify)),
        }
    }

    fn finish(self, stop: &CancelToken) {
        stop.cancel();
        self.endpoint.abort();
        self.thread.join().unwrap();
    }
}

fn store_with(webhook: &str, events: u64) -> Arc<FakeStore> {
    let store = Arc::new(FakeStore::default());
    store.commit_events(webhook, events, SystemClock::start().now());
    store
}

#[test]
fn a_failed_attempt_is_retried_and_a_notification_wakes_the_worker() {
    let stop = CancelToken::default();
    let store = store_with("ops", 1);
    let receiver = ScriptedReceiver::start(&[StubReply::Status(500), StubReply::Status(200)]);
    let running = WorkerThread::start("ops", &store, &receiver, &stop);
    wait_until(|| store.row(1).is_delivered());
    store.commit_events("ops", 1, SystemClock::start().now());
    running.notify.notify();
    wait_until(|| store.row(2).is_delivered());
    let status = running.status.snapshot();
    assert_eq!((status.attempts.failed, status.fault), (1, None));
    running.finish(&stop);
    assert_eq!(receiver.ids(), ["evt_1", "evt_1", "evt_2"]);
}

#[test]
fn a_stop_aborts_a_hanging_call_and_records_nothing() {
    let stop = CancelToken::default();
    let store = store_with("ops", 1);
    let receiver = ScriptedReceiver::start(&[StubReply::Hang]);
    let running = WorkerThread::start("ops", &store, &receiver, &stop);
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
fn a_hanging_webhook_delays_no_other() {
    let stop = CancelToken::default();
    let store = store_with("stuck", 1);
    store.commit_events("well", 1, SystemClock::start().now());
    let hanging = ScriptedReceiver::start(&[StubReply::Hang]);
    let working = ScriptedReceiver::start(&[StubReply::Status(200)]);
    let stuck = WorkerThread::start("stuck", &store, &hanging, &stop);
    hanging.wait_for_requests(1);
    let well = WorkerThread::start("well", &store, &working, &stop);
    wait_until(|| store.row(2).is_delivered());
    stuck.finish(&stop);
    well.finish(&stop);
    assert_eq!(working.ids(), ["evt_2"]);
}

#[test]
fn the_worker_survives_a_fault_of_the_state() {
    let stop = CancelToken::default();
    let store = store_with("ops", 2);
    store.fail_reads(1);
    store.fail_records(1);
    let receiver = ScriptedReceiver::start(&[StubReply::Status(200)]);
    let running = WorkerThread::start("ops", &store, &receiver, &stop);
    wait_until(|| store.row(2).is_delivered());
    running.finish(&stop);
    assert_eq!(receiver.ids(), ["evt_1", "evt_2"]);
}
