//! `wait`: with and without a config, each exit code, output and progress.

use std::ffi::OsString;

use rustix::process::Signal;
use serde_json::Value;
use ucdn_simulator::{Effect, Fault, MaxWindow, Options, Settings, TaskIdRule};

use crate::harness::{Ended, Program, Scene, eventually, seconds_ago, task};

const QUICK: [&str; 2] = ["--interval", "100ms"];

/// Starts `wait` without config and state: keys from the environment, the endpoint from an option.
fn start(scene: &Scene, arguments: &[&str]) -> Program {
    let keys: [(&str, OsString); 2] = [
        ("UCDN_PUBLIC_KEY", scene.api.public_key().into()),
        ("UCDN_PRIVATE_KEY", scene.api.private_key().into()),
    ];
    start_with(scene, arguments, &keys)
}

fn start_with(scene: &Scene, arguments: &[&str], keys: &[(&str, OsString)]) -> Program {
    let endpoint = scene.api.endpoint();
    let all = [&["wait", "--endpoint", &endpoint], &QUICK[..], arguments].concat();
    Program::start(&all, keys)
}

fn run(scene: &Scene, arguments: &[&str]) -> Ended {
    start(scene, arguments).wait()
}

fn with_options(options: Options) -> Scene {
    let settings = Settings {
        options,
        ..Settings::default()
    };
    Scene::started(settings, |config| config)
}

fn wait_for(scene: &Scene, requests: u64) {
    eventually("requests", || {
        (scene.api.request_count() >= requests).then_some(())
    });
}

#[test]
fn the_wait_ends_when_all_tasks_have_succeeded() {
    let scene = Scene::new();
    for id in ["a", "b"] {
        scene.api.add_task(task(id));
    }
    let mut waiting = start(&scene, &["a", "b"]);
    waiting.wait_for_log("a: wait, 0 of 2 URLs");
    scene.change("a", "process");
    waiting.wait_for_log("a: process");
    scene.change("a", "success");
    waiting.wait_for_log("a: success, 2 of 2 URLs");
    scene.change("b", "success");
    let ended = waiting.wait().with_code(0);
    assert!(
        ended.stdout.starts_with("a: success, 2 of 2 URLs"),
        "{ended}"
    );
    assert_eq!(ended.stdout.lines().count(), 2);
    let lines = ended
        .stderr
        .lines()
        .filter(|line| line.contains("a: process"))
        .count();
    assert_eq!(lines, 1, "one line per change: {ended}");
    assert!(!scene.state_path().exists());
}

#[test]
fn a_failed_task_or_url_ends_with_1_and_is_named() {
    let scene = Scene::new();
    for id in ["bad", "half", "good"] {
        scene.api.add_task(task(id));
        scene.change(id, if id == "bad" { "failure" } else { "success" });
    }
    scene.change_url("half", 1, "failure");
    let ended = run(&scene, &["bad", "good"]).with_code(1);
    assert!(
        ended.stdout.contains("failed: http://example.com/bad/a"),
        "{ended}"
    );
    let ended = run(&scene, &["half"]).with_code(1);
    assert!(
        ended
            .stdout
            .contains("half: success, 1 of 2 URLs, 1 failed"),
        "{ended}"
    );
    run(&scene, &["good"]).with_code(0);
}

#[test]
fn a_timeout_reports_each_tasks_last_status() {
    let scene = Scene::new();
    for id in ["stuck", "queued"] {
        scene.api.add_task(task(id));
    }
    scene.change("stuck", "process");
    let both = ["stuck", "queued", "--timeout", "1s"];
    let ended = run(&scene, &both).with_code(124);
    assert!(
        ended
            .stderr
            .contains("timed out after 1 s: 1 process, 1 wait"),
        "{ended}"
    );
    assert!(
        ended.stdout.contains("stuck: process, 0 of 2 URLs"),
        "{ended}"
    );
    let ended = run(&scene, &[&both[..], &["--json"]].concat()).with_code(124);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["outcome"], "timeout");
    assert_eq!(document["tasks"][0]["status"], "process");
    assert_eq!(document["tasks"][1]["seen"], true);
}

#[test]
fn a_task_that_never_appears_ends_with_66_and_a_hint() {
    let scene = Scene::new();
    scene.api.add_task(task("stuck"));
    scene.change("stuck", "process");
    for limit in [["--timeout", "1s"], ["--appear-timeout", "500ms"]] {
        let arguments = [&["stuck", "unheard-of", "--json"], &limit[..]].concat();
        let ended = run(&scene, &arguments).with_code(66);
        for hint in ["1 process, 1 never listed", "--prefetch", "--project-id"] {
            assert!(ended.stderr.contains(hint), "no {hint}: {ended}");
        }
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(document["outcome"], "not_listed");
        assert_eq!(document["tasks"][0]["status"], "process");
        assert_eq!(document["tasks"][1]["seen"], false);
        assert_eq!(document["tasks"][1]["status"], Value::Null);
        let ended = run(&scene, &[&arguments[..2], &limit[..]].concat()).with_code(66);
        assert!(ended.stdout.contains("unheard-of: never listed"), "{ended}");
    }
    scene.change("stuck", "failure");
    let ended = run(&scene, &["stuck", "unheard-of", "--timeout", "1s"]);
    ended.with_code(1);
}

#[test]
fn what_no_submission_returns_is_wrong_usage_at_once() {
    let scene = Scene::new();
    for id in ["", " ", "null", "\"t\"", "a,b", "a b", "a\nb", "a\u{202e}b"] {
        let ended = run(&scene, &["t", id]).with_code(2);
        assert!(ended.stderr.contains("not a task id"), "{id:?}: {ended}");
    }
    assert_eq!(scene.api.request_count(), 0);
}

#[test]
fn fail_fast_ends_at_the_first_failure() {
    let scene = Scene::new();
    for id in ["slow", "bad"] {
        scene.api.add_task(task(id));
    }
    let mut waiting = start(&scene, &["slow", "bad", "--fail-fast", "--json"]);
    waiting.wait_for_log("bad: wait");
    scene.change_url("bad", 0, "failure");
    let ended = waiting.wait().with_code(1);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["outcome"], "failure");
    assert_eq!(document["tasks"][0]["status"], "wait");
}

#[test]
fn the_timeout_also_ends_a_request_that_hangs() {
    let scene = Scene::new();
    scene.api.add_fault(Fault::always(Effect::DelayMs(60_000)));
    let ended = run(&scene, &["t", "--timeout", "500ms"]).with_code(124);
    assert!(ended.stderr.contains("1 never listed"), "{ended}");
}

#[test]
fn a_task_that_is_not_listed_yet_is_waited_for() {
    let scene = Scene::new();
    let mut waiting = start(&scene, &["late"]);
    waiting.wait_for_log("late: not listed yet");
    wait_for(&scene, 3);
    scene.api.add_task(task("late"));
    scene.change("late", "success");
    waiting.wait().with_code(0);
}

#[test]
fn transient_errors_are_retried_and_reported_once() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.change("t", "success");
    scene.api.add_fault(Fault::next(
        3,
        Effect::Status {
            code: 503,
            retry_after: None,
        },
    ));
    let ended = run(&scene, &["t"]).with_code(0);
    assert_eq!(ended.stderr.matches("HTTP 503").count(), 1, "{ended}");
    for effect in [
        Effect::Reset,
        Effect::NotJson,
        Effect::RetCode {
            code: 150,
            message: None,
        },
    ] {
        scene.api.add_fault(Fault::next(1, effect));
        run(&scene, &["t"]).with_code(0);
    }
}

#[test]
fn a_permanent_error_ends_with_69_at_once() {
    let scene = Scene::new();
    let keys = [
        ("UCDN_PUBLIC_KEY", scene.api.public_key().into()),
        ("UCDN_PRIVATE_KEY", "wr0ng".into()),
    ];
    let ended = start_with(&scene, &["t"], &keys).wait().with_code(69);
    assert!(ended.stderr.contains("171"), "{ended}");
    assert!(!ended.stderr.contains("wr0ng"), "{ended}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn a_server_that_ignores_ids_or_limits_windows_is_supported() {
    let day = 24 * 60 * 60;
    for (task_id, max_window) in [
        (TaskIdRule::Ignored, MaxWindow::Unlimited),
        (TaskIdRule::WithinWindow, MaxWindow::Unlimited),
        (
            TaskIdRule::WithinWindow,
            MaxWindow::Refuse(2 * 24 * 60 * 60),
        ),
    ] {
        let scene = with_options(Options {
            task_id,
            max_window,
            ..Options::default()
        });
        for number in 0..450 {
            scene
                .api
                .add_task(task(&format!("other-{number}")).created_at(seconds_ago(&scene, number)));
        }
        let is_wide = max_window == MaxWindow::Unlimited;
        let age = if is_wide { 5 * day } else { day / 2 };
        scene
            .api
            .add_task(task("t").created_at(seconds_ago(&scene, age)));
        let mut waiting = start(&scene, &["t"]);
        waiting.wait_for_log("t: wait");
        scene.change("t", "success");
        waiting.wait().with_code(0);
    }
}

/// Such a server returns the whole list. `wait` must not read a month of it each time.
#[test]
fn after_the_first_lookup_a_server_that_ignores_ids_gets_a_short_window() {
    let scene = with_options(Options {
        task_id: TaskIdRule::Ignored,
        ..Options::default()
    });
    for number in 0..900 {
        let created = seconds_ago(&scene, 86_400 + number);
        scene
            .api
            .add_task(task(&format!("other-{number}")).created_at(created));
    }
    let mut waiting = start(&scene, &["late"]);
    wait_for(&scene, 12);
    let begins: Vec<_> = scene
        .api
        .requests()
        .iter()
        .map(|request| request.begin.unwrap())
        .collect();
    assert!(begins[0] < seconds_ago(&scene, 20 * 86_400));
    assert!(*begins.last().unwrap() > seconds_ago(&scene, 86_400));
    scene.api.add_task(task("late"));
    scene.change("late", "success");
    waiting.wait().with_code(0);
}

#[test]
fn many_tasks_are_looked_up_in_several_requests() {
    let scene = Scene::new();
    let ids: Vec<String> = (0..45).map(|number| format!("t-{number}")).collect();
    for id in &ids {
        scene.api.add_task(task(id));
        scene.change(id, "success");
    }
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let ended = run(&scene, &[&ids[..], &["-q"]].concat()).with_code(0);
    assert_eq!(ended.stdout.lines().count(), 45);
    assert_eq!(ended.stderr, "", "-q is quiet");
    assert!(
        scene
            .api
            .requests()
            .iter()
            .all(|request| request.task_ids.len() <= 20)
    );
}

#[test]
fn with_a_config_the_targets_account_and_list_are_used() {
    let scene = Scene::with(|config| {
        config
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
    });
    scene.api.add_task(task("p").prefetch());
    scene.run(&["wait", "p"]).with_code(2);
    let mut waiting = scene.start(
        &["wait", "p", "--target", "warm", "--interval", "100ms"],
        &[],
    );
    waiting.wait_for_log("p: wait");
    scene.change("p", "success");
    waiting.wait().with_code(0);
    assert!(!scene.state_path().exists());
}

#[test]
fn every_flag_reaches_the_api() {
    let scene = Scene::new();
    let keys = [
        ("A", scene.api.public_key().into()),
        ("B", scene.api.private_key().into()),
    ];
    let arguments = [
        "t",
        "--timeout",
        "500ms",
        "--prefetch",
        "--dcdn",
        "--project-id",
        "org-x",
        "--public-key-env",
        "A",
        "--private-key-env",
        "B",
    ];
    start_with(&scene, &arguments, &keys).wait().with_code(66);
    let request = scene.api.requests().remove(0);
    assert_eq!(
        request.action.as_deref(),
        Some("DescribeNewUcdnPrefetchCacheTask")
    );
    assert_eq!(
        (request.is_dcdn, request.project_id.as_deref()),
        (Some(true), Some("org-x"))
    );
    assert_eq!(request.task_ids, ["t"]);
}

#[test]
fn without_keys_the_error_says_where_to_set_them() {
    let ended = Program::start(&["wait", "t"], &[]).wait().with_code(78);
    assert!(ended.stderr.contains("UCDN_PUBLIC_KEY"), "{ended}");
    let only_one = [("UCDN_PUBLIC_KEY", "s3cret".into())];
    let arguments = ["wait", "t", "--endpoint", "http://127.0.0.1:1/"];
    let ended = Program::start(&arguments, &only_one).wait().with_code(78);
    assert!(
        ended.stderr.contains("UCDN_PRIVATE_KEY is not set"),
        "{ended}"
    );
    assert!(!ended.stderr.contains("s3cret"), "{ended}");
    Program::start(&["wait"], &[]).wait().with_code(2);
    let both = ["-c", "x", "wait", "t", "--endpoint", "http://127.0.0.1:1/"];
    Program::start(&both, &[]).wait().with_code(2);
}

#[test]
fn a_signal_ends_the_wait_with_128_plus_its_number_and_each_tasks_last_status() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let scene = Scene::new();
        scene.api.add_task(task("t"));
        let mut waiting = start(&scene, &["t", "--json"]);
        waiting.wait_for_log("t: wait");
        waiting.signal(signal);
        let ended = waiting.wait().with_code(code);
        let document: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(document["outcome"], "interrupted");
        assert_eq!(document["tasks"][0]["status"], "wait");
    }
}

#[test]
fn the_final_state_is_one_document() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.change("t", "failure");
    let ended = run(&scene, &["t", "--json"]).with_code(1);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(document["outcome"], "failure");
    let task = &document["tasks"][0];
    assert_eq!(
        (&task["id"], &task["status"], &task["seen"]),
        (&"t".into(), &"failure".into(), &true.into())
    );
    assert_eq!(task["counts"]["failure"], 2);
    assert_eq!(task["urls"][0]["url"], "http://example.com/t/a");
}
