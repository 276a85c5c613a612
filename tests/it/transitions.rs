//! Transitions of tasks at the API and their events: types, order and fields.

use std::time::Duration;

use serde_json::{Value, json};
use ucdn_simulator::{Effect, Fault, ListShape, Script, TaskSpec, UrlOrder};

use crate::harness::{Scene, eventually, only, seconds_ago, task, types};

#[test]
fn a_task_is_followed_from_wait_to_failure() {
    // The API's clock is years behind, so times in events must come from it.
    let scene = Scene::with(|config| config.text("poll", "retention", "3000d"));
    scene.api.set_now_seconds(1_700_000_000);
    scene.api.freeze();
    scene.api.add_task(task("t-1"));
    let wait = only(scene.news(), "task.wait");
    assert_eq!(wait["task"]["previous_status"], Value::Null);
    scene.api.advance(Duration::from_secs(2));
    scene.change("t-1", "process");
    let process = only(scene.news(), "task.process");
    assert_eq!(process["task"]["previous_status"], "wait");
    scene.api.advance(Duration::from_secs(4));
    let failed = Script::new().failure(&[1]).steps.remove(0);
    assert!(scene.api.change_task("t-1", failed));
    let failure = only(scene.news(), "task.failure");

    let sequences = [&wait, &process, &failure].map(|event| event["sequence"].as_u64().unwrap());
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    assert!(failure["id"].as_str().unwrap().starts_with("evt_"));
    humantime::parse_rfc3339(failure["time"].as_str().unwrap()).unwrap();
    let expected = json!({
        "version": 1,
        "id": failure["id"],
        "sequence": failure["sequence"],
        "type": "task.failure",
        "time": failure["time"],
        "target": "shop",
        "summary": "shop: refresh task t-1 failed (process → failure) after 6s: 1 of 2 URLs failed",
        "task": {
            "id": "t-1", "kind": "refresh", "type": "file",
            "status": "failure", "previous_status": "process",
            "created": "2023-11-14T22:13:20Z",
            "urls": { "total": 2, "success": 1, "failure": 1 },
        },
        "changes": [
            { "url": "http://example.com/t-1/b", "status": "failure", "previous_status": "process",
              "progress": 40, "finished": "2023-11-14T22:13:26Z" },
            { "url": "http://example.com/t-1/a", "status": "success", "previous_status": "process",
              "progress": 100, "finished": "2023-11-14T22:13:26Z" },
        ],
        "changes_omitted": 0,
    });
    assert_eq!(failure, expected);
}

#[test]
fn no_event_is_repeated_over_many_polls() {
    let scene = Scene::new();
    for id in ["a", "b", "c"] {
        scene.api.add_task(task(id));
    }
    scene.change("b", "process");
    let _watcher = scene.watch();
    scene.hook.wait_for_events(3);
    scene.wait_for_polls(6);
    scene.change("a", "success");
    scene.change("b", "failure");
    scene.hook.wait_for_events(5);
    scene
        .api
        .change_options(|options| options.url_order = UrlOrder::Shuffled);
    scene.wait_for_polls(10);
    let mut seen: Vec<_> = scene.hook.events();
    assert_eq!(scene.hook.deliveries().len(), 5);
    seen.sort_by_key(|event| event["task"]["id"].to_string());
    let expected = [
        "task.wait",
        "task.success",
        "task.process",
        "task.failure",
        "task.wait",
    ];
    assert_eq!(types(&seen), expected);
}

#[test]
fn a_finished_task_may_change_again() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.news();
    for (status, r#type) in [
        ("failure", "task.failure"),
        ("process", "task.process"),
        ("success", "task.success"),
        ("wait", "task.wait"),
        ("failure", "task.failure"),
    ] {
        scene.change("t", status);
        only(scene.news(), r#type);
    }
}

#[test]
fn an_unknown_status_word_is_kept() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.news();
    for word in ["paused", "unkonw", "unknow", "succeeded"] {
        scene.change("t", word);
        let event = only(scene.news(), "task.unknown");
        assert_eq!(event["task"]["status"], word);
    }
    scene.change("t", "success");
    let event = only(scene.news(), "task.success");
    assert_eq!(event["task"]["previous_status"], "succeeded");
}

#[test]
fn a_known_status_word_counts_in_any_case_and_with_blanks() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.news();
    for (word, r#type) in [
        ("Process", "task.process"),
        ("FAILURE", "task.failure"),
        ("process ", "task.process"),
        ("Success", "task.success"),
    ] {
        scene.change("t", word);
        let event = only(scene.news(), r#type);
        let status = event["task"]["status"].as_str().unwrap();
        assert_eq!(status, word.trim().to_lowercase());
    }
    scene.change("t", "success");
    assert_eq!(
        types(&scene.news()),
        [""; 0],
        "the same status in another case"
    );
}

#[test]
fn a_url_that_fails_while_the_task_continues_is_reported() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.change("t", "process");
    scene.news();
    scene.change_url("t", 1, "failure");
    let event = only(scene.news(), "task.url_failure");
    assert_eq!(event["task"]["status"], "process");
    assert_eq!(
        event["task"]["urls"],
        json!({"total": 2, "success": 0, "failure": 1})
    );
    assert_eq!(event["changes"].as_array().unwrap().len(), 1);
    assert_eq!(event["changes"][0]["url"], "http://example.com/t/b");
    assert_eq!(event["changes"][0]["previous_status"], "process");
    assert!(scene.news().is_empty());
}

#[test]
fn a_url_that_succeeds_while_the_task_continues_is_progress() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.change("t", "process");
    scene.news();
    scene.change_url("t", 0, "success");
    let event = only(scene.news(), "task.progress");
    assert_eq!(event["changes"][0]["status"], "success");
    assert!(scene.news().is_empty());
}

#[test]
fn a_task_that_is_not_finished_in_time_is_stalled_once() {
    let scene = Scene::new();
    scene.once().with_code(0);
    let created = seconds_ago(&scene, 601);
    scene.api.add_task(task("old").created_at(created));
    scene.api.add_task(task("done").created_at(created));
    scene.change("done", "success");
    scene.api.add_task(task("new"));
    let mut events = scene.news();
    events.retain(|event| event["task"]["id"] == "old");
    assert_eq!(types(&events), ["task.wait", "task.stalled"]);
    assert_eq!(events[1]["task"]["status"], "wait");
    assert!(scene.news().is_empty());
    scene.change("old", "process");
    only(scene.news(), "task.process");
    scene.change("old", "success");
    only(scene.news(), "task.success");
}

#[test]
fn a_task_that_is_first_seen_finished_is_reported() {
    let scene = Scene::new();
    scene.once().with_code(0);
    scene.api.add_task(task("t"));
    scene.change("t", "success");
    let event = only(scene.news(), "task.success");
    assert_eq!(event["task"]["previous_status"], Value::Null);
    assert_eq!(event["changes"][0]["previous_status"], Value::Null);
}

#[test]
fn a_url_listed_twice_in_a_task_counts_once() {
    let scene = Scene::new();
    let urls = [
        "http://example.com/a",
        "http://example.com/b",
        "http://example.com/a",
    ];
    scene
        .api
        .add_task(TaskSpec::new(urls, Script::new()).with_id("t"));
    let event = only(scene.news(), "task.wait");
    assert_eq!(event["task"]["urls"]["total"], 2);
    scene.change("t", "process");
    let event = only(scene.news(), "task.process");
    assert_eq!(event["changes"].as_array().unwrap().len(), 2);
    scene
        .api
        .change_options(|options| options.url_order = UrlOrder::Reversed);
    assert!(scene.news().is_empty());
}

#[test]
fn an_event_lists_a_hundred_changes_failures_first_and_counts_the_rest() {
    let scene = Scene::new();
    let urls: Vec<String> = (0..150)
        .map(|n| format!("http://example.com/{n}"))
        .collect();
    let spec = TaskSpec::new(urls.iter().map(String::as_str), Script::new());
    scene.api.add_task(spec.with_id("t"));
    scene.news();
    let failed = Script::new().failure(&[120, 149]).steps.remove(0);
    scene.api.change_task("t", failed);
    let event = only(scene.news(), "task.failure");
    let changes = event["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 100);
    assert_eq!(event["changes_omitted"], 50);
    assert_eq!(
        event["task"]["urls"],
        json!({"total": 150, "success": 148, "failure": 2})
    );
    let statuses: Vec<_> = changes
        .iter()
        .map(|change| change["status"].clone())
        .collect();
    assert_eq!(statuses[..3], ["failure", "failure", "success"]);
}

#[test]
fn odd_list_shapes_and_numbers_as_strings_cause_no_event() {
    use ucdn_simulator::{KeyCase, NumberShape, Presence, Unfinished};
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.change("t", "process");
    scene.news();
    scene.api.change_options(|options| {
        options.numbers = NumberShape::Text;
        options.ret_code = NumberShape::Text;
        options.key_case = KeyCase::Lower;
        options.extra_field = Presence::Present;
        options.unfinished_time = Unfinished::Text;
        options.unfinished_progress = Unfinished::Null;
    });
    assert!(scene.news().is_empty());
    for shape in [ListShape::Missing, ListShape::Null, ListShape::Object] {
        scene.api.change_options(|options| options.url_list = shape);
        assert!(scene.news().is_empty());
    }
    scene
        .api
        .change_options(|options| options.url_list = ListShape::Array);
    scene.change("t", "success");
    only(scene.news(), "task.success");
}

#[test]
fn prefetch_tasks_are_reported_as_such() {
    let scene = Scene::with(|config| config.text("targets.shop", "tasks", "prefetch"));
    scene.api.add_task(task("r"));
    scene.api.add_task(task("p").prefetch());
    let event = only(scene.news(), "task.wait");
    assert_eq!(event["task"]["id"], "p");
    assert_eq!(event["task"]["kind"], "prefetch");
}

#[test]
fn failing_polls_and_their_recovery_are_reported_once_over_many_runs() {
    let scene = Scene::with(|config| config.set("poll", "fail_after", 3));
    scene.once().with_code(0);
    scene.api.add_fault(Fault::always(Effect::RetCode {
        code: 150,
        message: None,
    }));
    for _ in 0..2 {
        scene.once().with_code(75);
        assert!(scene.hook.deliveries().is_empty());
    }
    scene.once().with_code(75);
    let failing = only(scene.hook.events(), "watch.failing");
    assert_eq!(failing["target"], "shop");
    assert!(
        failing["reason"].as_str().unwrap().contains("150"),
        "{failing}"
    );
    assert_eq!(failing.get("task"), None);
    scene.once().with_code(75);
    scene.api.clear_faults();
    scene.once().with_code(0);
    scene.once().with_code(0);
    let events = scene.hook.events();
    assert_eq!(types(&events), ["watch.failing", "watch.recovered"]);
    assert!(!events[1]["reason"].as_str().unwrap().is_empty());
}

#[test]
fn a_daemon_reports_failing_polls_once_and_continues() {
    let scene = Scene::with(|config| config.text("poll", "interval", "100ms"));
    let mut watcher = scene.watch();
    scene.wait_for_polls(2);
    scene.api.add_fault(Fault::always(Effect::Html));
    scene.hook.wait_for_events(1);
    scene.api.clear_faults();
    let events = scene.hook.wait_for_events(2);
    assert_eq!(types(&events), ["watch.failing", "watch.recovered"]);
    scene.api.add_task(task("t"));
    assert_eq!(types(&scene.hook.wait_for_events(3))[2], "task.wait");
    watcher.stop().0.with_code(0);
}

#[test]
fn a_task_is_reported_until_its_end() {
    let scene = Scene::with(|config| config.text("poll", "interval", "100ms"));
    let step = Duration::from_millis(700);
    scene.api.add_task(TaskSpec::new(
        ["http://example.com/"],
        Script::new().wait(step).process(step).success(),
    ));
    let _watcher = scene.watch();
    let last = eventually("the task's end", || {
        scene
            .hook
            .events()
            .pop()
            .filter(|event| event["type"] == "task.success")
    });
    let events = scene.hook.events();
    let sequences: Vec<_> = events
        .iter()
        .map(|event| event["sequence"].as_u64())
        .collect();
    assert!(sequences.is_sorted_by(|a, b| a < b), "{events:#?}");
    assert_eq!(last["task"]["status"], "success");
}
