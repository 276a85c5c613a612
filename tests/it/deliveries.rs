//! Deliveries to webhooks: signatures, order, filters, retries, and isolation of webhooks from each other.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use standardwebhooks::Webhook;

use ucdn_simulator::{Delivery, HttpResponse};

use crate::harness::{Receiver, Scene, task, types};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const PLAIN_SECRET: &str = "a plain secret";

fn verifies(delivery: &Delivery, key: &Webhook) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, delivery.header(name).parse().unwrap());
    }
    key.verify(delivery.body.as_bytes(), &headers).is_ok()
}

fn ids(events: &[Value]) -> Vec<&str> {
    let ids = events.iter().map(|event| event["task"]["id"].as_str());
    ids.map(Option::unwrap).collect()
}

#[test]
fn a_delivery_is_a_post_of_json_with_its_id() {
    let scene = Scene::with(|config| config.set("webhooks.ops", "headers", "{ x-team = 'cdn' }"));
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    let delivery = &scene.hook.deliveries()[0];
    assert_eq!(
        (delivery.method.as_str(), delivery.path.as_str()),
        ("POST", "/hook")
    );
    assert!(
        delivery
            .header("content-type")
            .starts_with("application/json")
    );
    assert_eq!(delivery.header("webhook-id"), delivery.event()["id"]);
    assert_eq!(delivery.header("x-team"), "cdn");
    assert!(delivery.header("webhook-timestamp").parse::<u64>().is_ok());
    assert_eq!(delivery.header("webhook-signature"), "");
}

#[test]
fn a_delivery_is_signed_with_the_secret() {
    let plain = Webhook::from_bytes(PLAIN_SECRET.as_bytes().to_vec()).unwrap();
    let coded = Webhook::new(SECRET).unwrap();
    for (secret, right, wrong) in [(SECRET, &coded, &plain), (PLAIN_SECRET, &plain, &coded)] {
        let scene = Scene::with(|config| config.text("webhooks.ops", "secret", secret));
        scene.api.add_task(task("t"));
        scene.once().with_code(0);
        let delivery = &scene.hook.deliveries()[0];
        assert!(verifies(delivery, right), "{delivery:?}");
        assert!(!verifies(delivery, wrong), "{delivery:?}");
    }
}

#[test]
fn during_rotation_both_secrets_verify() {
    let secrets = format!("['{SECRET}', '{PLAIN_SECRET}']");
    let scene = Scene::with(|config| config.set("webhooks.ops", "secret", secrets));
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    let delivery = &scene.hook.deliveries()[0];
    assert!(verifies(delivery, &Webhook::new(SECRET).unwrap()));
    let plain = Webhook::from_bytes(PLAIN_SECRET.as_bytes().to_vec()).unwrap();
    assert!(verifies(delivery, &plain));
}

#[test]
fn each_attempt_has_a_new_signature_and_the_same_body() {
    let scene = Scene::with(|config| config.text("webhooks.ops", "secret", SECRET));
    scene.api.add_task(task("t"));
    // The usual first delay can be less than a second, and timestamps are whole seconds.
    let later = HttpResponse::status(503).with_header("Retry-After", "2");
    scene.hook.answer_next([later]);
    let _watcher = scene.watch();
    let attempts = scene.hook.wait_for_deliveries(2);
    let key = Webhook::new(SECRET).unwrap();
    assert!(attempts.iter().all(|delivery| verifies(delivery, &key)));
    assert_eq!(attempts[0].body, attempts[1].body);
    assert_eq!(
        attempts[0].header("webhook-id"),
        attempts[1].header("webhook-id")
    );
    assert_ne!(
        attempts[0].header("webhook-timestamp"),
        attempts[1].header("webhook-timestamp")
    );
}

#[test]
fn a_webhook_gets_only_the_types_in_its_on_list() {
    let scene = Scene::with(|config| {
        config.set(
            "webhooks.ops",
            "on",
            "['task.failure', 'watch.*', 'task.s*']",
        )
    });
    for id in ["bad", "good"] {
        scene.api.add_task(task(id));
    }
    scene.once().with_code(0);
    assert!(scene.hook.deliveries().is_empty());
    scene.change("bad", "failure");
    scene.change("good", "success");
    scene.once().with_code(1);
    let events = scene.hook.events();
    let mut types = types(&events);
    types.sort_unstable();
    assert_eq!(types, ["task.failure", "task.success"]);
}

#[test]
fn a_webhook_gets_only_its_targets() {
    let other = Receiver::start();
    let scene = Scene::with(|config| {
        config
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
            .set("webhooks.ops", "targets", "['shop']")
            .text("webhooks.other", "url", &other.url())
    });
    scene.api.add_task(task("r"));
    scene.api.add_task(task("p").prefetch());
    scene.once().with_code(0);
    assert_eq!(ids(&scene.hook.events()), ["r"]);
    assert_eq!(other.events().len(), 2);
}

#[test]
fn events_keep_their_order_during_a_retry() {
    let scene = Scene::new();
    scene.hook.answer_next([HttpResponse::status(500)]);
    for id in ["a", "b", "c"] {
        scene.api.add_task(task(id));
    }
    let _watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    scene.change("b", "process");
    let events = scene.hook.wait_for_events(4);
    let sequences: Vec<_> = events
        .iter()
        .map(|event| event["sequence"].as_u64())
        .collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    let first = &scene.hook.deliveries()[0];
    assert_eq!(first.header("webhook-id"), events[0]["id"]);
}

#[test]
fn retry_after_delays_the_next_attempt() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    let later = HttpResponse::status(429).with_header("Retry-After", "3");
    scene.hook.answer_next([later]);
    let _watcher = scene.watch();
    let attempts = scene.hook.wait_for_deliveries(2);
    let pause = attempts[1].at.saturating_sub(attempts[0].at);
    assert!(
        pause >= Duration::from_millis(2900),
        "tried again after {pause:?}"
    );
}

#[test]
fn transient_failures_are_retried() {
    for status in [302, 401, 403, 404, 408, 425, 429, 500, 503] {
        let scene = Scene::new();
        scene.api.add_task(task("t"));
        scene.hook.answer_next([HttpResponse::status(status)]);
        let ended = scene.once();
        assert_eq!(ended.code, Some(75), "{status}: {ended}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let scene = Scene::new();
    let elsewhere = Receiver::start();
    scene.api.add_task(task("t"));
    scene
        .hook
        .answer_next([HttpResponse::status(307).with_header("Location", &elsewhere.url())]);
    let _watcher = scene.watch();
    scene.hook.wait_for_events(1);
    assert!(elsewhere.deliveries().is_empty());
}

#[test]
fn a_webhook_that_hangs_delays_no_other_and_no_poll() {
    let other = Receiver::start();
    let scene = Scene::with(|config| config.text("webhooks.other", "url", &other.url()));
    scene.hook.answer_always(HttpResponse::hang());
    scene.api.add_task(task("t"));
    let _watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    for (count, status) in (2..).zip(["process", "failure", "success"]) {
        scene.change("t", status);
        other.wait_for_events(count);
    }
    assert_eq!(scene.hook.deliveries().len(), 1);
}

#[test]
fn a_dead_event_does_not_block_later_events() {
    let scene = Scene::with(|config| config.text("webhooks.ops", "give_up_after", "1s"));
    let later = HttpResponse::status(503).with_header("Retry-After", "3600");
    scene.hook.answer_next([later]);
    for id in ["a", "b"] {
        scene.api.add_task(task(id));
    }
    let watcher = scene.watch();
    let events = scene.hook.wait_for_events(1);
    let attempts = scene.hook.deliveries();
    assert_ne!(attempts[0].header("webhook-id"), events[0]["id"]);
    watcher.wait_for_log(attempts[0].header("webhook-id"));
}

#[test]
fn status_410_pauses_a_webhook_until_a_reload() {
    let other = Receiver::start();
    let scene = Scene::with(|config| config.text("webhooks.other", "url", &other.url()));
    scene.hook.answer_next([HttpResponse::status(410)]);
    scene.api.add_task(task("t"));
    let watcher = scene.watch();
    let first = scene.hook.wait_for_deliveries(1);
    scene.change("t", "process");
    other.wait_for_events(2);
    scene.wait_for_polls(3);
    assert_eq!(scene.hook.deliveries().len(), 1);
    watcher.signal(Signal::HUP);
    let events = scene.hook.wait_for_events(2);
    assert_eq!(types(&events), ["task.wait", "task.process"]);
    assert_eq!(events[0]["id"], first[0].header("webhook-id"));
}

/// The old worker hung in a request, and the new worker sent the same one beside it.
#[test]
fn a_webhook_that_is_removed_and_added_again_never_has_two_requests_in_progress() {
    let timeout = Duration::from_secs(3);
    let scene = Scene::with(|config| config.text("webhooks.ops", "timeout", "3s"));
    scene.hook.answer_next([HttpResponse::hang()]);
    scene.api.add_task(task("t"));
    let config = fs::read_to_string(scene.config_path()).unwrap();
    let mut watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    scene.configure(|config| config.without("webhooks.ops"));
    watcher.signal(Signal::HUP);
    watcher.wait_for_log("the config was reloaded");
    scene.write_config(&config);
    watcher.signal(Signal::HUP);
    let deliveries = scene.hook.wait_for_deliveries(2);
    let between = deliveries[1].at.saturating_sub(deliveries[0].at);
    // Its time runs from a little before it arrives.
    let arrival = Duration::from_secs(1);
    assert!(between + arrival > timeout, "{between:?}");
    assert_eq!(deliveries[0].body, deliveries[1].body);
    watcher.stop().0.with_code(0);
}
