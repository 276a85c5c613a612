//! `check`, `query`, `test-webhook`, `simulate`, `completions`, `man` and `--help`.

use std::fs;
use std::path::Path;

use serde_json::Value;
use ucdn_simulator::{Effect, Fault, HttpResponse};

use crate::harness::{Program, Receiver, Scene, task};

const COMMANDS: [&str; 11] = [
    "check",
    "query",
    "wait",
    "tasks",
    "events",
    "deliveries",
    "completions",
    "man",
    "test-webhook",
    "simulate",
    "demo",
];

fn run(arguments: &[&str]) -> crate::harness::Ended {
    Program::start(arguments, &[]).wait()
}

#[test]
fn help_and_version_work_without_a_config() {
    let ended = run(&["--help"]).with_code(0);
    for word in COMMANDS.iter().chain(&["--once", "--config"]) {
        assert!(ended.stdout.contains(*word), "no {word}: {ended}");
    }
    for command in COMMANDS {
        let ended = run(&[command, "--help"]).with_code(0);
        assert!(ended.stdout.contains("Usage"), "{ended}");
        assert_eq!(ended.stderr, "");
    }
    let ended = run(&["--version"]).with_code(0);
    assert!(ended.stdout.contains(env!("CARGO_PKG_VERSION")), "{ended}");
}

#[test]
fn wrong_usage_ends_with_2() {
    for arguments in [
        &["--onse"][..],
        &["chekc"],
        &["-v", "-q"],
        &["query", "--limit", "many"],
    ] {
        let ended = run(arguments).with_code(2);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn the_environment_can_name_the_config() {
    let scene = Scene::new();
    let variable = [("UCDN_WATCH_CONFIG", scene.config_path().into())];
    Program::start(&["check"], &variable).wait().with_code(0);
}

#[test]
fn check_accepts_a_valid_config_and_refuses_an_invalid_one() {
    let scene = Scene::new();
    let ended = scene.run(&["check"]).with_code(0);
    assert!(ended.stdout.contains("shop"), "{ended}");
    assert_eq!(scene.api.request_count(), 0);
    scene.write_config("[targets.shop]\ntask = 'refresh'\n");
    let ended = scene.run(&["check"]).with_code(78);
    assert!(ended.stderr.contains("config.toml:2:1"), "{ended}");
    assert!(ended.stderr.contains("tasks"), "{ended}");
}

#[test]
fn the_shipped_example_passes_check() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.example.toml");
    let variables = [("OPS_SECRET", "s".into()), ("OPS_SECRET_OLD", "s".into())];
    let arguments = ["check", "--config", example.to_str().unwrap()];
    Program::start(&arguments, &variables).wait().with_code(0);
}

#[test]
fn check_online_sends_one_request_per_target() {
    let scene = Scene::with(|config| {
        config
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
    });
    let ended = scene.run(&["check", "--online"]).with_code(0);
    assert_eq!(scene.api.request_count(), 2, "{ended}");
    assert!(!scene.state_path().exists());
}

#[test]
fn check_online_reports_a_wrong_key_and_an_unreachable_address() {
    let scene = Scene::with(|config| config.text("accounts.main", "private_key", "wrong"));
    let ended = scene.run(&["check", "--online"]);
    assert_ne!(ended.code, Some(0), "{ended}");
    let all = format!("{}{}", ended.stdout, ended.stderr);
    assert!(all.contains("171") && all.contains("shop"), "{ended}");
    scene.configure(|config| config.text("accounts.main", "endpoint", "http://127.0.0.1:1/"));
    scene.run(&["check", "--online"]).with_code(69);
}

#[test]
fn query_prints_a_table_of_tasks() {
    let scene = Scene::new();
    for id in ["t-1", "t-2"] {
        scene.api.add_task(task(id));
    }
    scene.change("t-2", "failure");
    let ended = scene.run(&["query"]).with_code(0);
    for word in ["t-1", "t-2", "wait", "failure"] {
        assert!(ended.stdout.contains(word), "no {word}: {ended}");
    }
    assert!(
        !ended.stdout.contains('\u{1b}'),
        "colour in a pipe: {ended}"
    );
    assert!(!scene.state_path().exists());
}

#[test]
fn query_prints_one_document_of_json() {
    let scene = Scene::new();
    scene.api.add_task(task("t-1"));
    let ended = scene.run(&["query", "shop", "--json"]).with_code(0);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let text = document.to_string();
    assert!(
        text.contains("t-1") && text.contains("http://example.com/t-1/a"),
        "{text}"
    );
}

#[test]
fn query_sends_every_parameter() {
    let scene = Scene::new();
    let ended = scene.run(&[
        "query",
        "--status",
        "failure",
        "--task-id",
        "a",
        "--task-id",
        "b",
        "--begin",
        "2026-11-20T00:00:00Z",
        "--end",
        "1795219200",
        "--offset",
        "3",
        "--limit",
        "7",
        "--dcdn",
        "--project-id",
        "org-x",
    ]);
    ended.with_code(0);
    let request = scene.api.requests().remove(0);
    assert_eq!(
        request.action.as_deref(),
        Some("DescribeNewUcdnRefreshCacheTask")
    );
    assert_eq!(request.status.as_deref(), Some("failure"));
    assert_eq!(request.task_ids, ["a", "b"]);
    assert_eq!(
        (request.begin, request.end),
        (Some(1_795_132_800), Some(1_795_219_200))
    );
    assert_eq!((request.offset, request.limit), (Some(3), Some(7)));
    assert_eq!(request.is_dcdn, Some(true));
    assert_eq!(request.project_id.as_deref(), Some("org-x"));
    scene
        .run(&["query", "--prefetch", "--begin", "2h"])
        .with_code(0);
    let request = scene.api.requests().pop().unwrap();
    assert_eq!(
        request.action.as_deref(),
        Some("DescribeNewUcdnPrefetchCacheTask")
    );
    assert!(request.begin.is_some());
}

#[test]
fn query_all_reads_all_pages() {
    let scene = Scene::with(|config| config.set("poll", "page_size", 3));
    let ids: Vec<String> = (10..20).map(|number| format!("t-{number}")).collect();
    for id in &ids {
        scene.api.add_task(task(id));
    }
    let ended = scene.run(&["query", "--all"]).with_code(0);
    for id in &ids {
        assert!(ended.stdout.contains(id.as_str()), "no {id}: {ended}");
    }
}

#[test]
fn query_reports_an_api_error_and_an_unreachable_api() {
    let scene = Scene::new();
    scene.api.add_fault(Fault::always(Effect::RetCode {
        code: 292,
        message: None,
    }));
    let ended = scene.run(&["query"]);
    assert_ne!(ended.code, Some(0), "{ended}");
    assert!(ended.stderr.contains("292"), "{ended}");
    assert_eq!(ended.stdout, "");
    scene.configure(|config| config.text("accounts.main", "endpoint", "http://127.0.0.1:1/"));
    let ended = scene.run(&["query"]).with_code(69);
    assert_eq!(ended.stdout, "");
    scene.run(&["query", "shopp"]).with_code(2);
}

#[test]
fn test_webhook_sends_a_test_event_and_prints_the_answer() {
    let scene = Scene::with(|config| config.text("webhooks.ops", "secret", "s"));
    let ended = scene.run(&["test-webhook"]).with_code(0);
    assert!(
        ended.stdout.contains("ops") && ended.stdout.contains("204"),
        "{ended}"
    );
    assert!(ended.stdout.contains(" ms"), "{ended}");
    let delivery = &scene.hook.deliveries()[0];
    assert_eq!(delivery.event()["type"], "test");
    assert!(delivery.header("webhook-signature").starts_with("v1,"));
    assert!(!scene.state_path().exists());
}

#[test]
fn test_webhook_reports_a_receiver_that_refuses_the_event() {
    let other = Receiver::start();
    let scene = Scene::with(|config| config.text("webhooks.other", "url", &other.url()));
    scene.hook.answer_always(HttpResponse::status(401));
    let ended = scene.run(&["test-webhook"]).with_code(69);
    assert!(
        ended.stdout.contains("401") && ended.stdout.contains("204"),
        "{ended}"
    );
    scene.run(&["test-webhook", "other"]).with_code(0);
    scene.run(&["test-webhook", "unheard-of"]).with_code(2);
}

#[test]
fn simulate_prints_a_config_that_works() {
    let scene = Scene::new();
    let simulator = Program::start(&["simulate", "--tasks", "3"], &[]);
    let block = crate::harness::eventually("the simulator's keys", || {
        Some(simulator.printed())
            .filter(|text| text.contains("private_key") && text.ends_with('\n'))
    });
    fs::write(
        scene.config_path(),
        format!("state = 's.db'\n{block}\n[targets.shop]\n"),
    )
    .unwrap();
    let ended = scene.run(&["query", "--json"]).with_code(0);
    assert!(ended.stdout.contains("http://example.com/2/a"), "{ended}");
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = run(&["completions", shell]).with_code(0);
        for word in ["test-webhook", "deliveries", "retry", "timeout"] {
            assert!(ended.stdout.contains(word), "{shell}: no {word}");
        }
        assert_eq!(ended.stderr, "");
    }
    run(&["completions", "cmd.exe"]).with_code(2);
    let script = run(&["completions", "bash"]).stdout;
    let checked = std::process::Command::new("bash")
        .args(["-n", "-c", &script])
        .output();
    let checked = checked.unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn both_manual_pages_are_printed() {
    let program = run(&["man"]).with_code(0).stdout;
    assert!(
        program.contains("\n.TH ucdn-watch 1 \"\" \"ucdn-watch "),
        "{program}"
    );
    assert!(
        program.contains(".SH \"UCDN\\-WATCH DELIVERIES RETRY\"\n"),
        "{program}"
    );
    assert_eq!(
        program.matches("\n\\fB\\-c\\fR, ").count(),
        1,
        "global options are listed once"
    );
    assert!(run(&["man", "1"]).stdout == program);
    let config = run(&["man", "5"]).with_code(0).stdout;
    assert!(
        config.contains("\n.TH ucdn\\-watch 5 \"\" \"ucdn-watch "),
        "{config}"
    );
    assert!(config.contains("\n.SH [poll]\n"), "{config}");
    run(&["man", "8"]).with_code(2);
}
