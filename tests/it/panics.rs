//! Faults of the program's own: what the system refuses where nobody reckons with it. None of them gives a secret away, is
//! taken for success, or ends more than what it hit.

use std::fs;

use serde_json::Value;
use ucdn_simulator::{Delivery, HttpResponse, Settings};

use crate::harness::{Ended, Program, Scene, can_trace, eventually, task, types};

const CANARY: &str = "canary";

/// With a canary in the place of every secret, of which all but the environment's are read when the program starts.
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

/// Some calls of the program's to the kernel fail with this error: those of these numbers, which
/// strace counts for each thread.
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

/// What strace calls a fault instead of some calls.
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

/// Without chance from the kernel, the standard library panics where a thread makes its first map: a poll does.
#[test]
fn a_panic_shows_no_secret_and_is_no_success() {
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
    // The main thread's first is for its memory, which does without.
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
    let told = "poll panicked, retrying: target=shop";
    eventually("a second try", || {
        (watcher.log().matches(told).count() > 1).then_some(())
    });
    let (ended, _) = watcher.stop();
    assert!(ended.stderr.contains("stack backtrace"), "{ended}");
    assert_silent(&scene, &ended.with_code(0));
}

/// The library that makes the calls would panic.
#[test]
fn where_there_is_no_thread_to_be_had_it_is_said_and_tried_again() {
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
    let ended = no_thread("1+", &["test-webhook"]).with_code(69);
    let said = "ops: the connection failed: no thread to look the host name up with";
    assert!(ended.stdout.starts_with(said), "{ended}");
    // The first one waits for signals.
    let ended = no_thread("2+", &["--once"]).with_code(75);
    let said = "shop: the poll did not finish; the log says why";
    assert!(ended.stdout.starts_with(said), "{ended}");
    scene.once().with_code(0);
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
}

/// The kernel's word that it has read more than there was room for is more than the HTTP library bears: the receiver has
/// what was sent, and nobody notes it.
#[test]
fn a_webhook_gets_all_that_it_is_owed_in_order_though_its_couriers_panic() {
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
    let told = "worker panicked, restarting: worker=delivery webhook=ops";
    eventually("a second death", || {
        (watcher.log().matches(told).count() > 1).then_some(())
    });
    watcher.stop_tracing();
    scene.change("t", "failure");
    eventually("the last event", || {
        let events = scene.hook.events();
        types(&events).contains(&"task.failure").then_some(())
    });
    let (ended, _) = watcher.stop();
    let mut told = scene.hook.deliveries().split_off(before);
    let repeated = told.len();
    told.dedup_by(|one, other| {
        let again = one.header("webhook-id") == other.header("webhook-id");
        assert!(!again || one.body == other.body, "{one:?} {other:?}");
        again
    });
    assert!(repeated >= told.len() + 2, "{ended}");
    let told: Vec<Value> = told.iter().map(Delivery::event).collect();
    assert_eq!(types(&told), ["task.wait", "task.success", "task.failure"]);
    assert_silent(&scene, &ended.with_code(0));
}

#[test]
fn where_there_is_no_thread_for_a_courier_it_begins_later() {
    if !can_trace() {
        return;
    }
    let scene = scene();
    // The first one waits for signals.
    let mut watcher = start_refusing(&scene, "clone,clone3", "EAGAIN", "2", &[]);
    assert_eq!(types(&scene.hook.wait_for_events(1)), ["task.wait"]);
    let (ended, _) = watcher.stop();
    let told = "can't start a worker, retrying: worker=delivery webhook=ops";
    assert_eq!(ended.stderr.matches(told).count(), 1, "{ended}");
    assert_silent(&scene, &ended.with_code(0));
}
