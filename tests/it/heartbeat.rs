//! The heartbeat: it comes when every target was polled well, and not otherwise.

use std::time::Duration;

use ucdn_simulator::{Effect, Fault, HttpResponse};

use crate::harness::{ConfigText, Receiver, Scene, task};

fn beating(to: &Receiver) -> impl Fn(ConfigText) -> ConfigText {
    |config| config.text("heartbeat", "url", &format!("{}/CANARY", to.url()))
}

fn unavailable() -> Fault {
    Fault::always(Effect::Status {
        code: 503,
        retry_after: None,
    })
}

#[test]
fn a_good_single_run_beats_once_and_a_bad_one_not_at_all() {
    let monitor = Receiver::start();
    let scene = Scene::with(beating(&monitor));
    scene.once().with_code(0);
    let beats = monitor.deliveries();
    assert_eq!(beats.len(), 1);
    assert_eq!(
        (&*beats[0].method, &*beats[0].path),
        ("GET", "/hook/CANARY")
    );
    scene.api.add_fault(unavailable());
    scene.once().with_code(75);
    assert_eq!(monitor.deliveries().len(), 1);
}

#[test]
fn a_single_run_with_a_target_that_failed_does_not_beat() {
    let monitor = Receiver::start();
    let scene = Scene::with(|config| {
        beating(&monitor)(config)
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
fn a_heartbeat_that_does_not_get_through_is_told_without_its_url_and_spoils_nothing() {
    let monitor = Receiver::start();
    monitor.answer_always(HttpResponse::status(500));
    let scene = Scene::with(beating(&monitor));
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
fn the_daemon_beats_each_round_and_tells_of_trouble_once() {
    let monitor = Receiver::start();
    let scene =
        Scene::with(|config| beating(&monitor)(config).text("targets.cold", "tasks", "prefetch"));
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
    let scene = Scene::with(beating(&monitor));
    let watcher = scene.watch();
    monitor.wait_for_deliveries(1);
    scene.api.add_fault(unavailable());
    watcher.wait_for_log("poll failed");
    // One that was on its way may still come.
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
    let scene = Scene::with(beating(&monitor));
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
