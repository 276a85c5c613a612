//! An unreachable API: connection refused, unknown host, bad certificate, `Retry-After`. Each is logged once, and none delays
//! a stop.

use std::path::Path;
use std::time::Duration;
use std::{fs, thread};

use ucdn_simulator::{Effect, Fault};
use ucdn_watch::clock::{Clock as _, SystemClock};

use crate::harness::{ConfigText, Scene, types};
use crate::tls::{Certificate, Gateway};

/// The longest that a stop may take.
const STOP: Duration = Duration::from_secs(2);

/// Runs the program against `endpoint` with `--once` and as a watcher, and checks what it says.
fn play(endpoint: &str, ca_file: Option<&Path>, says: &[&str]) {
    let scene = Scene::with(|config| {
        let config = config
            .text("poll", "interval", "100ms")
            .text("accounts.main", "endpoint", endpoint)
            .text("accounts.main", "timeout", "3s");
        trusting(config, ca_file)
    });
    let ended = scene.once().with_code(75);
    assert!(ended.stdout.contains("shop: not polled"), "{ended}");
    let said = says.iter().any(|part| ended.stderr.contains(part));
    assert!(said, "{endpoint}: none of {says:?}: {ended}");

    let mut watcher = scene.watch();
    let events = scene.hook.wait_for_events(1);
    assert_eq!(types(&events), ["watch.failing"]);
    let reason = events[0]["reason"].as_str().unwrap();
    assert!(says.iter().any(|part| reason.contains(part)), "{reason}");
    let (ended, took) = watcher.stop();
    let ended = ended.with_code(0);
    assert_eq!(ended.stderr.matches("poll failed").count(), 1, "{ended}");
    // The time of expiry would make each repetition look like a change.
    assert!(!ended.stderr.contains("(UNIX)"), "{ended}");
    assert!(took < STOP, "{endpoint}: the stop took {took:?}");
}

fn trusting(config: ConfigText, ca_file: Option<&Path>) -> ConfigText {
    match ca_file {
        Some(path) => config.text("accounts.main", "ca_file", path.to_str().unwrap()),
        None => config,
    }
}

#[test]
fn a_refused_connection_is_reported_once() {
    play("http://127.0.0.1:1/", None, &["the connection failed"]);
}

/// Without a resolver the look-up may hang until the account's timeout.
#[test]
fn an_unknown_host_is_reported_once() {
    let says = [
        "the host name can't be resolved",
        "timed out while the host name",
    ];
    play("http://ucdn-watch.invalid/", None, &says);
}

#[test]
fn a_bad_certificate_is_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for (number, (certificate, trusted, says)) in [
            (Certificate::of("localhost").expired(), true, "expired"),
            (
                Certificate::of("localhost").not_yet_valid(),
                true,
                "not valid yet",
            ),
            (Certificate::of("localhost"), false, "TLS: "),
            (
                Certificate::of("elsewhere.example"),
                true,
                "not valid for name",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let ca_file = folder.path().join(format!("{number}.pem"));
            scope.spawn(move || {
                let gateway = Gateway::start(&certificate);
                fs::write(&ca_file, &gateway.certificate_pem).unwrap();
                let endpoint = format!("https://localhost:{}/", gateway.port);
                play(&endpoint, trusted.then_some(ca_file.as_path()), &[says]);
            });
        }
    });
}

/// An API that answers once with this `Retry-After`.
fn scene_with_retry_after(retry_after: &str) -> Scene {
    let scene = Scene::with(|config| {
        config
            .text("poll", "interval", "100ms")
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
    });
    scene.api.add_fault(Fault {
        action: Some("DescribeNewUcdnRefreshCacheTask".to_owned()),
        ..Fault::next(
            1,
            Effect::Status {
                code: 429,
                retry_after: Some(retry_after.to_owned()),
            },
        )
    });
    scene
}

fn polls_of(scene: &Scene, kind: &str) -> usize {
    let requests = scene.api.requests().into_iter();
    requests
        .filter(|it| {
            it.action
                .as_deref()
                .is_some_and(|action| action.contains(kind))
        })
        .count()
}

/// The other target of the account is polled many times meanwhile.
#[test]
fn retry_after_delays_its_target_and_no_other() {
    let date =
        httpdate::fmt_http_date((SystemClock::start().now().saturating_add(STOP * 60)).into());
    for asked in ["3600", "99999999999999999999", date.as_str()] {
        let scene = scene_with_retry_after(asked);
        let _watcher = scene.watch();
        scene.wait_for_polls(12);
        assert_eq!(polls_of(&scene, "Refresh"), 1, "{asked}");
        assert!(polls_of(&scene, "Prefetch") > 8, "{asked}");
    }
}

#[test]
fn an_invalid_retry_after_delays_nothing() {
    for asked in ["-5", "soon", "", "1.5", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let scene = scene_with_retry_after(asked);
        let watcher = scene.watch();
        watcher.wait_for_log("polls succeed again: target=shop");
    }
}
