//! Signals and systemd: stop, reload, sudden death, notifications.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use ucdn_simulator::{Effect, Fault, HttpResponse};

use crate::harness::{Program, Receiver, Scene, Stopwatch, eventually, task, types};

/// Longest stop that the contract allows.
const STOP: Duration = Duration::from_secs(2);

#[track_caller]
pub(crate) fn assert_stops_in_time(mut watcher: Program) {
    let (ended, took) = watcher.stop();
    assert!(took < STOP, "{took:?}: {ended}");
    ended.with_code(0);
}

#[test]
fn a_stop_aborts_a_slow_api_call() {
    for effect in [Effect::DelayMs(600_000), Effect::DripMs(5_000)] {
        let scene = Scene::new();
        scene.api.add_fault(Fault::always(effect));
        let watcher = scene.watch();
        scene.wait_for_polls(1);
        assert_stops_in_time(watcher);
    }
}

#[test]
fn a_stop_aborts_a_hanging_delivery_and_keeps_the_event() {
    let scene = Scene::new();
    scene.hook.answer_next([HttpResponse::hang()]);
    scene.api.add_task(task("t"));
    let watcher = scene.watch();
    let first = scene.hook.wait_for_deliveries(1);
    assert_stops_in_time(watcher);
    scene.once().with_code(0);
    let events = scene.hook.events();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["id"], first[0].header("webhook-id"));
}

#[test]
fn a_stop_ends_long_waits() {
    let scene = Scene::with(|config| config.text("poll", "interval", "1h"));
    scene
        .hook
        .answer_always(HttpResponse::status(503).with_header("Retry-After", "3600"));
    scene.api.add_task(task("t"));
    let watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    assert_stops_in_time(watcher);
}

#[test]
fn an_interrupt_stops_too() {
    let scene = Scene::new();
    let mut watcher = scene.watch();
    scene.wait_for_polls(2);
    watcher.signal(Signal::INT);
    let ended = watcher.wait().with_code(0);
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_second_signal_stops_at_once() {
    let scene = Scene::new();
    scene.hook.answer_always(HttpResponse::hang());
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    let watch = Stopwatch::start();
    watcher.signal(Signal::TERM);
    watcher.signal(Signal::INT);
    let ended = watcher.wait();
    assert!(watch.elapsed() < STOP, "{ended}");
}

#[test]
fn a_run_once_is_stopped_too() {
    let scene = Scene::new();
    scene.api.add_fault(Fault::always(Effect::DelayMs(600_000)));
    let mut run = scene.start(&["--once"], &[]);
    scene.wait_for_polls(1);
    let (ended, took) = run.stop();
    assert!(took < STOP, "{took:?}: {ended}");
}

#[test]
fn after_a_sudden_death_the_same_event_is_delivered_again() {
    let scene = Scene::new();
    scene.hook.answer_next([HttpResponse::hang()]);
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    let first = scene.hook.wait_for_deliveries(1);
    watcher.kill();
    let _watcher = scene.watch();
    scene.hook.wait_for_events(1);
    let all = scene.hook.deliveries();
    assert_eq!(all[1].body, first[0].body);
    scene.wait_for_polls(4);
    assert_eq!(scene.hook.deliveries().len(), 2);
}

/// Killed at many moments, the watcher loses no transition and invents none.
#[test]
fn repeated_kills_lose_and_invent_nothing() {
    let scene = Scene::with(|config| config.text("poll", "interval", "100ms"));
    let tasks = ["a", "b", "c", "d", "e", "f"];
    for id in tasks {
        scene.api.add_task(task(id));
    }
    for (step, status) in (0..).zip(["wait", "process", "failure", "process", "success"]) {
        for id in tasks {
            scene.change(id, status);
        }
        let received = scene.hook.deliveries().len();
        let mut watcher = scene.watch();
        scene.hook.wait_for_deliveries(received + 1 + step);
        watcher.kill();
        // The rest of this step, before the next one hides it.
        eventually("a run without remainder", || {
            matches!(scene.once().code, Some(0 | 1)).then_some(())
        });
    }
    let mut by_task: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in scene.hook.events() {
        let events = by_task.entry(event["task"]["id"].to_string()).or_default();
        // At least once, and always as the same event.
        if !events.contains(&event) {
            events.push(event);
        }
    }
    assert_eq!(by_task.len(), tasks.len());
    let expected = [
        "task.wait",
        "task.process",
        "task.failure",
        "task.process",
        "task.success",
    ];
    for events in by_task.values() {
        assert_eq!(types(events), expected);
    }
}

#[test]
fn a_reload_takes_effect_and_loses_nothing() {
    let scene = Scene::new();
    let other = Receiver::start();
    scene.hook.answer_next([HttpResponse::status(500)]);
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    let first = scene.hook.wait_for_deliveries(1);
    scene.configure(|config| {
        config
            .text("webhooks.other", "url", &other.url())
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
    });
    watcher.signal(Signal::HUP);
    let kept = scene.hook.wait_for_events(1);
    assert_eq!(kept[0]["id"], first[0].header("webhook-id"));
    eventually("a poll of the new target", || {
        let requests = scene.api.requests();
        let prefetch = |action: &String| action.contains("Prefetch");
        requests
            .iter()
            .any(|it| it.action.as_ref().is_some_and(prefetch))
            .then_some(())
    });
    scene.change("t", "process");
    assert_eq!(types(&other.wait_for_events(1)), ["task.process"]);
    assert_eq!(
        types(&scene.hook.wait_for_events(2)),
        ["task.wait", "task.process"]
    );
    watcher.stop().0.with_code(0);
}

#[test]
fn a_reload_of_an_invalid_config_changes_nothing_and_is_logged() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    scene.hook.wait_for_events(1);
    scene.write_config("[pol]\nintervall = '1s'\n");
    watcher.signal(Signal::HUP);
    watcher.wait_for_log("config.toml");
    scene.change("t", "process");
    assert_eq!(types(&scene.hook.wait_for_events(2))[1], "task.process");
    watcher.stop().0.with_code(0);
}

#[test]
fn a_target_that_a_reload_removes_is_no_longer_polled() {
    let scene = Scene::with(|config| {
        config
            .table("targets.gone")
            .text("targets.gone", "project_id", "org-gone")
    });
    let watcher = scene.watch();
    scene.wait_for_polls(4);
    scene.configure(|config| config);
    watcher.signal(Signal::HUP);
    eventually("ten requests without the old target", || {
        let requests = scene.api.requests();
        let last = requests.iter().rev().take(10);
        let gone = last.filter(|it| it.project_id.is_some()).count();
        (requests.len() > 10 && gone == 0).then_some(())
    });
}

/// Longest message in bytes that systemd reads: its `NOTIFY_BUFFER_MAX`.
const MAX_MESSAGE_BYTES: usize = 4096;

/// Stands in for systemd: collects the assignments of all messages.
struct ServiceManager {
    socket: UnixDatagram,
    assignments: Vec<String>,
}

impl ServiceManager {
    fn listen(scene: &Scene) -> (Self, OsString) {
        let path = scene.folder().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let assignments = Vec::new();
        (
            Self {
                socket,
                assignments,
            },
            path.into(),
        )
    }

    /// Waits for an assignment with this `beginning`, and removes it and those before it.
    fn wait_for(&mut self, beginning: &str) -> String {
        eventually(&format!("{beginning} in a message"), || {
            let mut buffer = [0; MAX_MESSAGE_BYTES + 1];
            while let Ok(length) = self.socket.recv(&mut buffer) {
                assert!(length <= MAX_MESSAGE_BYTES, "systemd does not read this");
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                self.assignments.extend(message.lines().map(str::to_owned));
            }
            let found = self
                .assignments
                .iter()
                .position(|it| it.starts_with(beginning))?;
            self.assignments.drain(..=found).next_back()
        })
    }
}

#[test]
fn systemd_gets_start_reload_watchdog_and_stop() {
    let scene = Scene::new();
    let (mut manager, socket) = ServiceManager::listen(&scene);
    let variables = [
        ("NOTIFY_SOCKET", socket),
        ("WATCHDOG_USEC", OsString::from("400000")),
    ];
    let mut watcher = scene.start(&[], &variables);
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("STATUS=");
    manager.wait_for("WATCHDOG=1");
    watcher.signal(Signal::HUP);
    manager.wait_for("RELOADING=1");
    let time = manager.wait_for("MONOTONIC_USEC=");
    assert!(
        time["MONOTONIC_USEC=".len()..].parse::<u64>().is_ok(),
        "{time}"
    );
    manager.wait_for("READY=1");
    scene.write_config("nonsense");
    watcher.signal(Signal::HUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    watcher.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    watcher.wait().with_code(0);
}

#[test]
fn the_status_line_says_when_targets_were_polled_and_what_is_pending() {
    let scene = Scene::new();
    let (mut manager, socket) = ServiceManager::listen(&scene);
    scene.hook.answer_always(HttpResponse::status(500));
    scene.api.add_task(task("t"));
    let _watcher = scene.start(&[], &[("NOTIFY_SOCKET", socket)]);
    scene.hook.wait_for_deliveries(1);
    let status = eventually("a status that names target and webhook", || {
        let status = manager.wait_for("STATUS=");
        (status.contains("shop") && status.contains('1')).then_some(status)
    });
    assert!(!status.is_empty());
}

/// The first message once had the status of each target, and was too long for systemd: the service never became ready.
#[test]
fn the_status_of_hundreds_of_targets_is_short_enough_for_systemd() {
    let scene = Scene::with(|config| {
        (0..300).fold(config, |config, number| {
            let table = format!("targets.{number:0>60}");
            config.table(&table).text(&table, "tasks", "prefetch")
        })
    });
    let (mut manager, socket) = ServiceManager::listen(&scene);
    let _watcher = scene.start(&[], &[("NOTIFY_SOCKET", socket)]);
    manager.wait_for("READY=1");
    let status = manager.wait_for("STATUS=");
    assert!(status.contains("293 more, "), "{status}");
    scene.wait_for_polls(3);
    manager.wait_for("STATUS=");
}

#[test]
fn events_of_a_removed_webhook_are_kept_and_logged() {
    let scene = Scene::new();
    scene.hook.answer_always(HttpResponse::status(503));
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    let first = scene.hook.wait_for_deliveries(1);
    scene.configure(|config| config.without("webhooks.ops"));
    watcher.signal(Signal::HUP);
    watcher.wait_for_log("undelivered events are kept for a webhook that is not in the config");
    watcher.wait_for_log("webhook=ops pending=1");
    scene.hook.accept_all();
    scene.configure(|config| config);
    watcher.signal(Signal::HUP);
    let kept = scene.hook.wait_for_events(1);
    assert_eq!(kept[0]["id"], first[0].header("webhook-id"));
    watcher.stop().0.with_code(0);
}

#[test]
fn events_of_a_removed_target_are_still_delivered() {
    let scene = Scene::new();
    scene.hook.answer_always(HttpResponse::status(503));
    scene.api.add_task(task("t"));
    let mut watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    scene.configure(|config| {
        config
            .without("targets.shop")
            .text("targets.other", "project_id", "org-other")
            .text("targets.other", "tasks", "prefetch")
    });
    watcher.signal(Signal::HUP);
    watcher.wait_for_log("the config was reloaded");
    scene.hook.accept_all();
    assert_eq!(types(&scene.hook.wait_for_events(1)), ["task.wait"]);
    watcher.stop().0.with_code(0);
}
