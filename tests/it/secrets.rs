//! Secrets do not leak: not into logs, output, pages, metrics, the state or the command line.

use std::fs;

use ucdn_simulator::{Delivery, Effect, Fault, HttpResponse, Settings};

use crate::harness::visitor::{PAGES, address_of, get};
use crate::harness::{ConfigText, Ended, Scene, eventually, task};

const PUBLIC_KEY: &str = "canary+public/key=";
const PRIVATE_KEY: &str = "canary-private-key";
const TOKEN: &str = "canary-security-token";
const HEADER: &str = "canary-header";
const URL_PATH: &str = "canary-url-path";
const SECRET: &str = "canary-secret";

fn settings() -> Settings {
    Settings {
        public_key: PUBLIC_KEY.to_owned(),
        private_key: PRIVATE_KEY.to_owned(),
        security_token: Some(TOKEN.to_owned()),
        ..Settings::default()
    }
}

fn with_canaries(config: ConfigText, hook: &str) -> ConfigText {
    let headers = format!("{{ x-channel = '{HEADER}' }}");
    config
        .text("accounts.main", "security_token", TOKEN)
        .set("accounts.main", "headers", &headers)
        .text(
            "webhooks.ops",
            "url",
            &format!("{hook}/{URL_PATH}?{URL_PATH}"),
        )
        .set("webhooks.ops", "headers", &headers)
        .text("webhooks.ops", "secret", SECRET)
}

fn scene() -> Scene {
    let scene = Scene::started(settings(), |config| config);
    let hook = scene.hook.url();
    scene.configure(|config| with_canaries(config, &hook));
    scene
}

/// Finds canaries in any case, also form-encoded or in a URL.
pub(crate) fn assert_no_canary(text: &str, place: &str) {
    let text = text.to_ascii_lowercase();
    for canary in ["canary", "whsec_"] {
        let Some(at) = text.find(canary) else {
            continue;
        };
        let around = text[at..].chars().take(60).collect::<String>();
        panic!("a secret is in {place}: {around}");
    }
}

pub(crate) fn assert_no_canary_in_output(ended: &Ended, place: &str) {
    assert_no_canary(&ended.stdout, &format!("stdout of {place}"));
    assert_no_canary(&ended.stderr, &format!("stderr of {place}"));
}

fn assert_no_canary_in_state(scene: &Scene) {
    for entry in fs::read_dir(scene.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path != scene.config_path() {
            let bytes = fs::read(&path).unwrap();
            assert_no_canary(&String::from_utf8_lossy(&bytes), "the state");
        }
    }
}

#[test]
fn successful_polls_and_deliveries_show_no_secret() {
    let scene = scene();
    scene.api.add_task(task("t"));
    let ended = scene.run(&["--once", "--verbose"]).with_code(0);
    assert_eq!(scene.hook.events().len(), 1);
    assert_no_canary_in_output(&ended, "--once");
    assert_no_canary_in_state(&scene);
}

#[test]
fn failed_polls_show_no_secret() {
    for effect in [
        Effect::Status {
            code: 500,
            retry_after: None,
        },
        Effect::Html,
        Effect::Reset,
        Effect::Truncated,
        Effect::RetCode {
            code: 171,
            message: Some(format!("wrong: {PUBLIC_KEY} {PRIVATE_KEY}")),
        },
    ] {
        let scene = scene();
        scene.api.add_fault(Fault::always(effect.clone()));
        let ended = scene.run(&["--once", "--verbose"]).with_code(75);
        assert_no_canary_in_output(&ended, &format!("{effect:?}"));
        assert_no_canary_in_state(&scene);
    }
}

#[test]
fn failed_deliveries_show_no_secret() {
    let scene = scene();
    scene.api.add_task(task("t"));
    scene.hook.answer_next([HttpResponse::status(500)]);
    let ended = scene.run(&["--once", "--verbose"]).with_code(75);
    assert_no_canary_in_output(&ended, "a failed delivery");
    scene.configure(|config| with_canaries(config, "http://127.0.0.1:1"));
    scene.change("t", "failure");
    let ended = scene.run(&["--once", "--verbose"]).with_code(75);
    assert_no_canary_in_output(&ended, "a delivery that is refused");
    assert_no_canary_in_state(&scene);
}

#[test]
fn a_watcher_shows_no_secret_in_its_command_line_or_log() {
    let scene = scene();
    scene.api.add_task(task("t"));
    let mut watcher = scene.start(&["--verbose", "--log-format", "json"], &[]);
    scene.hook.wait_for_events(1);
    let line = fs::read(format!("/proc/{}/cmdline", watcher.id())).unwrap();
    assert_no_canary(&String::from_utf8_lossy(&line), "the command line");
    let (ended, _) = watcher.stop();
    assert_no_canary_in_output(&ended.with_code(0), "a watcher");
}

#[test]
fn pages_metrics_and_heartbeats_show_no_secret() {
    let scene = scene();
    let (hook, textfile) = (scene.hook.url(), scene.folder().join("ucdn.prom"));
    scene.configure(|config| {
        with_canaries(config, &hook)
            .text("http", "listen", "127.0.0.1:0")
            .text("metrics", "textfile", textfile.to_str().unwrap())
            .text("heartbeat", "url", &format!("{hook}/canary-heartbeat"))
            .set(
                "heartbeat",
                "headers",
                format!("{{ x-channel = '{HEADER}' }}"),
            )
    });
    scene.api.add_task(task("t"));
    let mut watcher = scene.start(&["--verbose"], &[]);
    let heartbeat = |it: &Delivery| it.method == "GET" && it.path.ends_with("canary-heartbeat");
    eventually("a heartbeat, and the textfile", || {
        let beats = scene.hook.deliveries().iter().any(heartbeat);
        (beats && textfile.exists()).then_some(())
    });
    let address = address_of(&watcher);
    for path in PAGES.into_iter().chain(["/no-such-page"]) {
        let page = get(address, path);
        assert_no_canary(&page.body.replace("/no-such-page", ""), path);
    }
    let (ended, _) = watcher.stop();
    assert_no_canary_in_output(&ended.with_code(0), "a watcher");
    assert_no_canary_in_state(&scene);
}

#[test]
fn commands_show_no_secret() {
    let scene = scene();
    scene.api.add_task(task("t"));
    for arguments in [
        &["check"][..],
        &["check", "--online"],
        &["query", "--verbose"],
        &["query", "--json"],
        &["--once", "--verbose"],
        &["tasks", "--verbose"],
        &["tasks", "--json"],
        &["events", "--json"],
        &["deliveries", "--all"],
        &["deliveries", "--all", "--json"],
        &["test-webhook", "--verbose"],
    ] {
        let ended = scene.run(arguments).with_code(0);
        assert_no_canary_in_output(&ended, &arguments.join(" "));
    }
    scene.api.add_fault(Fault::always(Effect::RetCode {
        code: 172,
        message: Some(PUBLIC_KEY.to_owned()),
    }));
    scene.hook.answer_always(HttpResponse::status(401));
    for arguments in [&["check", "--online"][..], &["query"], &["test-webhook"]] {
        let ended = scene.run(arguments);
        assert_ne!(ended.code, Some(0), "{ended}");
        assert_no_canary_in_output(&ended, &arguments.join(" "));
    }
}

#[test]
fn errors_of_an_invalid_config_show_no_secret() {
    let scene = scene();
    let text = fs::read_to_string(scene.config_path()).unwrap();
    for wrong in [
        text.replace("private_key", "privat_key"),
        text.replace("security_token", "securty_token"),
        text.replace(
            &format!("\"{PRIVATE_KEY}\""),
            &format!("[\"{PRIVATE_KEY}\"]"),
        ),
        text.replace(&format!("\"{PRIVATE_KEY}\""), &format!("\"{PRIVATE_KEY}")),
        text.replace("http://127", "htp://127"),
    ] {
        scene.write_config(&wrong);
        let ended = scene.run(&["check"]).with_code(78);
        assert_no_canary_in_output(&ended, "check");
    }
}
