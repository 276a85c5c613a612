//! Panics and threads that can't be started. None of them reveals a secret, counts as success, or stops another worker.

use std::fs;

use serde_json::Value;
use ucdn_simulator::{Delivery, HttpResponse, Settings};

use crate::harness::{Ended, Program, Receiver, Scene, can_trace, eventually, task, types};

const CANARY: &str = "canary";

/// A canary stands for every secret.
fn scene() -> Scene {
    let settings = Settings {
        public_key: "canary+public/key=".to_owned(),
        private_key: "canary-private-key".to_owned(),
        security_token: Some("canary-token".to_owned()),
        ..Settings::default()
    };
    let scene = Scene::started(settings, |config| config);
    let hook = format!("{}/canary-path", scene.hook.url());
    scene.configure(|config| {
        config
            .text("accounts.main", "security_token", "canary-token")
            .set("accounts.main", "headers", "{ x = 'canary-header' }")
            .text("webhooks.ops", "url", &hook)
            .text("webhooks.ops", "secret", "canary-secret")
    });
    scene.api.add_task(task("t"));
    scene
}

/// Lets some system calls of the program fail with this error. `which` are their numbers, which strace counts per thread.
fn start_refusing(
    scene: &Scene,
    calls: &str,
    error: &str,
    which: &str,
    command: &[&str],
) -> Program {
    start_with_faults(
        scene,
        calls,
        &format!("error={error}:when={which}"),
        command,
    )
}

/// Injects a fault of strace's into some system calls.
fn start_with_faults(scene: &Scene, calls: &str, fault: &str, command: &[&str]) -> Program {
    let inject = format!("inject={calls}:{fault}");
    let trace = format!("trace={calls}");
    let trouble = scene.folder().join("trace");
    let options = ["-E", "RUST_BACKTRACE=full", "-e", &trace, "-e", &inject];
    let output = ["-o", trouble.to_str().unwrap()];
    scene.start_traced(&[&options[..], &output].concat(), command)
}

#[track_caller]
fn assert_silent(scene: &Scene, ended: &Ended) {
    for entry in fs::read_dir(scene.folder()).unwrap() {
        let path = entry.unwrap().path();
        let kept = String::from_utf8_lossy(&fs::read(&path).unwrap()).to_ascii_lowercase();
        assert!(
            path == scene.config_path() || !kept.contains(CANARY),
            "{}",
            path.display()
        );
    }
    let shown = format!("{}{}", ended.stdout, ended.stderr).to_ascii_lowercase();
    assert!(!shown.contains(CANARY), "{ended}");
}

/// Without random numbers from the kernel, the standard library panics when a thread makes its first map. A poll makes one.
#[test]
fn a_panic_reveals_no_secret_and_is_no_success() {
    if !can_trace() {
        return;
    }
    let scene = scene();
    let command = ["--once", "--verbose"];
    let ended = start_refusing(&scene, "getrandom", "EIO", "1", &command).wait();
    assert!(ended.stderr.contains("thread 'once'"), "{ended}");
    assert!(ended.stderr.contains("stack backtrace"), "{ended}");
    assert!(
        ended.stdout.starts_with("shop: the poll did not finish"),
        "{ended}"
    );
    assert_silent(&scene, &ended.with_code(75));
    // The main thread's first call is the allocator's, which works without.
    let ended = start_refusing(&scene, "getrandom", "EIO", "2", &command).wait();
    assert!(ended.stderr.contains("thread 'main'"), "{ended}");
    assert_silent(&scene, &ended.with_code(101));
}

#[test]
fn a_watcher_outlives_polls_that_panic() {
    if !can_trace() {
        return;
    }
    let scene = scene();
    let mut watcher = start_refusing(&scene, "getrandom", "EIO", "1", &[]);
    let expected = "poll panicked, retrying: target=shop";
    eventually("a second try", || {
        (watcher.log().matches(expected).count() > 1).then_some(())
    });
    let (ended, _) = watcher.stop();
    assert!(ended.stderr.contains("stack backtrace"), "{ended}");
    assert_silent(&scene, &ended.with_code(0));
}

/// The fault hits a thread from its eighth read on, which no poll reaches. The thread of the heartbeat reaches it.
#[test]
fn heartbeats_are_sent_again_after_their_worker_panicked() {
    if !can_trace() {
        return;
    }
    let scene = scene();
    let monitor = Receiver::start();
    let config = fs::read_to_string(scene.config_path()).unwrap();
    let heartbeat = format!("\n[heartbeat]\nurl = '{}/canary'\n", monitor.url());
    scene.write_config(&(config + &heartbeat));
    let mut watcher = start_with_faults(&scene, "recvfrom", "retval=1000000:when=8+", &[]);
    let panicked = "worker panicked, restarting: worker=heartbeat in=";
    eventually("a second panic", || {
        (watcher.log().matches(panicked).count() > 1).then_some(())
    });
    let before = monitor.deliveries().len();
    monitor.wait_for_deliveries(before + 2);
    scene.change("t", "success");
    assert_eq!(
        types(&scene.hook.wait_for_events(2)),
        ["task.wait", "task.success"]
    );
    let (ended, _) = watcher.stop();
    assert!(!ended.stderr.contains("poll panicked"), "{ended}");
    assert_silent(&scene, &ended.with_code(0));
}

/// The HTTP library would panic.
#[test]
fn a_thread_that_can_not_be_started_is_reported_and_the_next_run_continues() {
    if !can_trace() {
        return;
    }
    let scene = scene();
    let no_thread = |from: &str, command: &[&str]| {
        let ended = start_refusing(&scene, "clone,clone3", "EAGAIN", from, command).wait();
        assert!(!ended.stderr.contains("panicked"), "{ended}");
        assert_silent(&scene, &ended);
        ended
    };
    let config = fs::read_to_string(scene.config_path()).unwrap();
    let address = scene.hook.url();
    // An IP address needs no lookup.
    let name = address.replace("127.0.0.1", "localhost");
    scene.write_config(&config.replace(&address, &name));
    let ended = no_thread("1+", &["test-webhook"]).with_code(69);
    let said = "ops: the connection failed: no thread to look the host name up with";
    assert!(ended.stdout.starts_with(said), "{ended}");
    scene.write_config(&config);
    // The first two threads write the log and wait for signals.
    let ended = no_thread("3+", &["--once"]).with_code(75);
    let said = "shop: the poll did not finish; the log says why";
    assert!(ended.stdout.starts_with(said), "{ended}");
    scene.once().with_code(0);
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
}

/// The HTTP library panics when the kernel says that it has read more than fits. The receiver has got the event, but the
/// attempt is not recorded.
#[test]
fn a_webhook_gets_every_event_in_order_although_its_workers_panic() {
    if !can_trace() {
        return;
    }
    let scene = scene();
    scene.hook.answer_always(HttpResponse::status(500));
    scene.once().with_code(75);
    scene.change("t", "success");
    scene.once().with_code(75);
    let before = scene.hook.deliveries().len();
    scene.hook.answer_always(HttpResponse::status(204));
    let mut watcher = start_with_faults(&scene, "recvfrom", "retval=1000000:when=1", &[]);
    let panicked = "worker panicked, restarting: worker=delivery webhook=ops";
    eventually("a second panic", || {
        (watcher.log().matches(panicked).count() > 1).then_some(())
    });
    watcher.stop_tracing();
    scene.change("t", "failure");
    eventually("the last event", || {
        let events = scene.hook.events();
        types(&events).contains(&"task.failure").then_some(())
    });
    let (ended, _) = watcher.stop();
    let mut received = scene.hook.deliveries().split_off(before);
    let attempts = received.len();
    received.dedup_by(|one, other| {
        let again = one.header("webhook-id") == other.header("webhook-id");
        assert!(!again || one.body == other.body, "{one:?} {other:?}");
        again
    });
    assert!(attempts >= received.len() + 2, "{ended}");
    let events: Vec<Value> = received.iter().map(Delivery::event).collect();
    assert_eq!(
        types(&events),
        ["task.wait", "task.success", "task.failure"]
    );
    assert_silent(&scene, &ended.with_code(0));
}

#[test]
fn a_delivery_thread_that_can_not_be_started_starts_later() {
    if !can_trace() {
        return;
    }
    let scene = scene();
    // The first two threads write the log and wait for signals.
    let mut watcher = start_refusing(&scene, "clone,clone3", "EAGAIN", "3", &[]);
    assert_eq!(types(&scene.hook.wait_for_events(1)), ["task.wait"]);
    let (ended, _) = watcher.stop();
    let failed = "can't start a worker, retrying: worker=delivery webhook=ops";
    assert_eq!(ended.stderr.matches(failed).count(), 1, "{ended}");
    assert_silent(&scene, &ended.with_code(0));
}
