//! Heartbeat: sent when every target was polled successfully, and only then.

use std::time::Duration;

use ucdn_simulator::{Effect, Fault, HttpResponse};

use crate::harness::{ConfigText, Receiver, Scene, task};

fn with_heartbeat(to: &Receiver) -> impl Fn(ConfigText) -> ConfigText {
    |config| config.text("heartbeat", "url", &format!("{}/CANARY", to.url()))
}

fn unavailable() -> Fault {
    Fault::always(Effect::Status {
        code: 503,
        retry_after: None,
    })
}

#[test]
fn a_successful_single_run_sends_one_heartbeat_and_a_failed_one_none() {
    let monitor = Receiver::start();
    let scene = Scene::with(with_heartbeat(&monitor));
    scene.once().with_code(0);
    let heartbeats = monitor.deliveries();
    assert_eq!(heartbeats.len(), 1);
    assert_eq!(
        (&*heartbeats[0].method, &*heartbeats[0].path),
        ("GET", "/hook/CANARY")
    );
    scene.api.add_fault(unavailable());
    scene.once().with_code(75);
    assert_eq!(monitor.deliveries().len(), 1);
}

#[test]
fn a_single_run_with_a_failed_target_sends_no_heartbeat() {
    let monitor = Receiver::start();
    let scene = Scene::with(|config| {
        with_heartbeat(&monitor)(config)
            .text("accounts.down", "endpoint", "http://127.0.0.1:1/")
            .text("accounts.down", "public_key", "k")
            .text("accounts.down", "private_key", "k")
            .text("targets.shop", "account", "main")
            .text("targets.other", "account", "down")
    });
    scene.once().with_code(75);
    assert!(monitor.deliveries().is_empty());
}

#[test]
fn a_failed_heartbeat_is_logged_without_its_url_and_affects_nothing_else() {
    let monitor = Receiver::start();
    monitor.answer_always(HttpResponse::status(500));
    let scene = Scene::with(with_heartbeat(&monitor));
    let ended = scene.once().with_code(0);
    assert!(
        ended
            .stderr
            .contains("heartbeat failed: to=http://127.0.0.1"),
        "{ended}"
    );
    assert!(ended.stderr.contains("reason=HTTP 500"), "{ended}");
    assert!(!ended.stderr.contains("CANARY"), "{ended}");
}

#[test]
fn the_daemon_sends_heartbeats_and_logs_an_ongoing_failure_once() {
    let monitor = Receiver::start();
    let scene = Scene::with(|config| {
        with_heartbeat(&monitor)(config).text("targets.cold", "tasks", "prefetch")
    });
    let watcher = scene.watch();
    monitor.wait_for_deliveries(3);
    monitor.answer_always(HttpResponse::status(404));
    watcher.wait_for_log("heartbeat failed");
    let seen = monitor.deliveries().len();
    monitor.wait_for_deliveries(seen + 2);
    monitor.answer_always(HttpResponse::status(204));
    watcher.wait_for_log("heartbeat succeeds again");
    let log = watcher.log();
    assert_eq!(log.matches("heartbeat failed").count(), 1, "{log}");
    assert!(!log.contains("CANARY"), "{log}");
}

#[test]
fn no_heartbeat_comes_while_a_target_fails() {
    let monitor = Receiver::start();
    let scene = Scene::with(with_heartbeat(&monitor));
    let watcher = scene.watch();
    monitor.wait_for_deliveries(1);
    scene.api.add_fault(unavailable());
    watcher.wait_for_log("poll failed");
    // One that was under way may still arrive.
    scene.wait_for_polls(1);
    let before = monitor.deliveries().len();
    scene.wait_for_polls(3);
    assert_eq!(monitor.deliveries().len(), before);
    scene.api.clear_faults();
    monitor.wait_for_deliveries(before + 1);
}

#[test]
fn a_heartbeat_that_hangs_delays_neither_polls_nor_deliveries_nor_the_stop() {
    let monitor = Receiver::start();
    monitor.answer_always(HttpResponse::hang());
    let scene = Scene::with(with_heartbeat(&monitor));
    let mut watcher = scene.watch();
    monitor.wait_for_deliveries(1);
    scene.wait_for_polls(5);
    scene.api.add_task(task("t"));
    scene.hook.wait_for_events(1);
    assert_eq!(monitor.deliveries().len(), 1);
    let (ended, took) = watcher.stop();
    assert!(took < Duration::from_secs(2), "{took:?}: {ended}");
    let ended = ended.with_code(0);
    assert!(!ended.stderr.contains("heartbeat failed"), "{ended}");
    assert!(!ended.stderr.contains("did not stop in time"), "{ended}");
}
