//! The commands that read the state and change its outbox: `tasks`, `events`, `deliveries`.

use serde_json::Value;

use ucdn_simulator::HttpResponse;

use crate::harness::{ConfigText, Ended, Scene, eventually, task};

/// A state with two tasks, of which `good` succeeded and `bad` failed. Each has two events.
fn watched(change: impl FnOnce(ConfigText) -> ConfigText) -> Scene {
    let scene = Scene::with(change);
    for id in ["good", "bad"] {
        scene.api.add_task(task(id));
    }
    scene.once();
    scene.change("good", "success");
    scene.change("bad", "failure");
    scene.once();
    scene
}

fn usual(config: ConfigText) -> ConfigText {
    config
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended}"))
}

/// The first column, without its header.
fn first_words(ended: &Ended) -> Vec<&str> {
    let lines = ended.stdout.lines().skip(1);
    lines
        .map(|line| line.split_whitespace().next().unwrap_or_default())
        .collect()
}

#[test]
fn tasks_prints_one_line_per_task() {
    let scene = watched(usual);
    let before = scene.api.request_count();
    let ended = scene.run(&["tasks"]).with_code(0);
    assert_eq!(ended.stdout.lines().count(), 3, "{ended}");
    for word in ["good", "bad", "success", "failure", "s ago", "0/2", "2/2"] {
        assert!(ended.stdout.contains(word), "no {word}: {ended}");
    }
    assert!(
        !ended.stdout.contains('\u{1b}'),
        "colour in a pipe: {ended}"
    );
    assert_eq!(scene.api.request_count(), before, "the API is not asked");
}

#[test]
fn tasks_are_filtered() {
    let scene = watched(usual);
    let ids = |arguments: &[&str]| {
        let ended = scene
            .run(&[&["tasks", "--json"], arguments].concat())
            .with_code(0);
        let document = json(&ended);
        let tasks = document["tasks"].as_array().unwrap().iter();
        let mut ids: Vec<_> = tasks
            .map(|it| it["id"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&[]), ["bad", "good"]);
    assert_eq!(ids(&["--status", "failure"]), ["bad"]);
    assert_eq!(
        ids(&["--status", "failure", "--status", "success"]),
        ["bad", "good"]
    );
    assert_eq!(ids(&["--status", "in-flight"]), [""; 0]);
    assert_eq!(
        ids(&["--domain", "example.com", "--kind", "refresh"]),
        ["bad", "good"]
    );
    assert_eq!(ids(&["--domain", "example.org"]), [""; 0]);
    assert_eq!(ids(&["--url", "/good/"]), ["good"]);
    assert_eq!(ids(&["--since", "1h"]), ["bad", "good"]);
    assert_eq!(ids(&["--until", "1h"]), [""; 0]);
    assert_eq!(ids(&["--type", "no such type"]), [""; 0]);
    assert_eq!(ids(&["--target", "shop", "--limit", "1"]).len(), 1);
    for wrong in [
        &["--target", "shopp"][..],
        &["--kind", "prefetch"],
        &["--since", "yesterday"],
        &["--domain", "http://example.com/"],
        &["--limit", "0"],
        &["good", "--status", "success"],
    ] {
        scene.run(&[&["tasks"], wrong].concat()).with_code(2);
    }
}

#[test]
fn one_task_is_shown_with_its_urls_and_events() {
    let scene = watched(usual);
    let ended = scene.run(&["tasks", "bad"]).with_code(0);
    for word in [
        "shop",
        "http://example.com/bad/a",
        "task.wait",
        "task.failure",
        "first seen",
    ] {
        assert!(ended.stdout.contains(word), "no {word}: {ended}");
    }
    assert!(!ended.stdout.contains("good"), "{ended}");
    let ended = scene.run(&["tasks", "bad", "--json"]).with_code(0);
    let task = &json(&ended)["tasks"][0];
    assert_eq!(task["status"], "failure");
    assert_eq!(task["urls"].as_array().unwrap().len(), 2);
    assert_eq!(task["events"][1]["type"], "task.failure");
    let ended = scene.run(&["tasks", "unheard-of"]).with_code(2);
    assert!(ended.stderr.contains("query"), "{ended}");
}

#[test]
fn events_are_listed_oldest_first_and_filtered() {
    let scene = watched(usual);
    let ended = scene.run(&["events"]).with_code(0);
    assert_eq!(first_words(&ended), ["1", "2", "3", "4"]);
    let ended = scene.run(&["events", "--json"]).with_code(0);
    let document = json(&ended);
    let sent = scene.hook.events();
    assert_eq!(
        document["events"].as_array().unwrap(),
        &sent,
        "the very documents"
    );
    let sequences = |arguments: &[&str]| {
        let ended = scene.run(&[&["events"], arguments].concat()).with_code(0);
        first_words(&ended)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(sequences(&["--limit", "2"]), ["3", "4"]);
    assert_eq!(sequences(&["--after", "1", "--limit", "2"]), ["2", "3"]);
    assert_eq!(sequences(&["--type", "task.w*"]), ["1", "2"]);
    assert_eq!(sequences(&["--status", "wait"]), ["1", "2"]);
    assert_eq!(
        sequences(&["--status", "success", "--status", "failure"]),
        ["3", "4"]
    );
    assert_eq!(sequences(&["--task", "bad"]).len(), 2);
    assert_eq!(sequences(&["--url", "/bad/"]).len(), 2);
    let ended = scene.run(&["events", "--type", "task.failed"]).with_code(2);
    assert!(ended.stderr.contains("task.url_failure"), "{ended}");
}

#[test]
fn events_are_followed_while_the_watcher_runs() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    let _watcher = scene.watch();
    scene.hook.wait_for_events(1);
    let text = scene.start(&["events", "--follow"], &[]);
    let lines = scene.start(&["events", "--follow", "--json", "--after", "1"], &[]);
    eventually("the first event", || {
        text.printed().contains("task.wait").then_some(())
    });
    scene.change("t", "process");
    eventually("the next event", || {
        text.printed().contains("task.process").then_some(())
    });
    let printed = eventually("a line of JSON", || {
        Some(lines.printed()).filter(|printed| printed.ends_with('\n'))
    });
    let event: Value = serde_json::from_str(printed.lines().next().unwrap()).unwrap();
    assert_eq!(event["type"], "task.process");
    assert!(text.printed().lines().all(|line| line.contains("task.")));
}

/// The watcher sets a damaged state aside; sequence numbers then start again.
#[test]
fn following_continues_with_a_new_state() {
    let scene = watched(usual);
    let following = scene.start(&["events", "--follow"], &[]);
    eventually("the events so far", || {
        (following.printed().lines().count() == 4).then_some(())
    });
    for part in ["", "-wal", "-shm"] {
        let name = |stem: &str| scene.folder().join(format!("{stem}.db{part}"));
        // The journals may be there or not.
        let _ = std::fs::rename(name("state"), name("aside"));
    }
    scene.api.add_task(task("new"));
    scene.once().with_code(0);
    eventually("an event of the new state", || {
        following.printed().contains("task new").then_some(())
    });
}

#[test]
fn a_dead_delivery_is_shown_and_can_be_retried_while_the_watcher_runs() {
    let scene = Scene::new();
    scene.hook.answer_next([HttpResponse::status(400)]);
    scene.api.add_task(task("t"));
    let _watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    let ended = eventually("a dead delivery", || {
        Some(scene.run(&["deliveries", "--state", "dead"])).filter(|it| it.stdout.contains("dead"))
    });
    for word in ["ops", "task.wait", "HTTP 400"] {
        assert!(ended.stdout.contains(word), "no {word}: {ended}");
    }
    assert!(ended.stderr.contains("ops: 0 pending, 1 dead"), "{ended}");
    let ended = scene.run(&["deliveries", "retry", "1"]).with_code(0);
    assert!(ended.stdout.starts_with("1 delivery"), "{ended}");
    let events = scene.hook.wait_for_events(1);
    assert_eq!(events[0]["sequence"], 1);
    let ended = scene.run(&["deliveries", "retry", "--all"]).with_code(0);
    assert!(ended.stdout.contains("nothing"), "{ended}");
}

#[test]
fn drop_deletes_dead_deliveries_and_pending_ones_only_with_an_option() {
    let scene = Scene::new();
    scene
        .hook
        .answer_next([HttpResponse::status(400), HttpResponse::status(503)]);
    for id in ["a", "b"] {
        scene.api.add_task(task(id));
    }
    scene.once().with_code(75);
    let document = json(&scene.run(&["deliveries", "--json"]).with_code(0));
    let deliveries = document["deliveries"].as_array().unwrap();
    let states: Vec<_> = deliveries
        .iter()
        .map(|it| it["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["pending", "dead"]);
    assert_eq!(deliveries[1]["last_answer"], "HTTP 400");
    let dead = deliveries[1]["event"]["id"].as_str().unwrap();

    let ended = scene.run(&["deliveries", "drop", "2"]).with_code(0);
    assert!(ended.stdout.contains("--pending"), "{ended}");
    let ended = scene
        .run(&["deliveries", "drop", dead, "--webhook", "ops"])
        .with_code(0);
    assert_eq!(ended.stdout, "1 delivery dropped\n");
    let ended = scene
        .run(&["deliveries", "drop", "--all", "--pending"])
        .with_code(0);
    assert_eq!(ended.stdout, "1 delivery dropped\n");
    scene.once().with_code(0);
    assert_eq!(
        scene.hook.deliveries().len(),
        2,
        "nothing was sent any more"
    );
}

#[test]
fn retry_and_drop_require_a_selection_of_deliveries() {
    let scene = watched(usual);
    for wrong in [
        &["retry"][..],
        &["drop"],
        &["retry", "1", "--all"],
        &["retry", "99"],
        &["drop", "evt_00"],
        &["retry", "--all", "--webhook", "opps"],
        &["--webhook", "opps"],
        &["retry", "x"],
    ] {
        let ended = scene.run(&[&["deliveries"], wrong].concat()).with_code(2);
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn deliveries_to_a_removed_webhook_can_only_be_dropped() {
    let scene = Scene::new();
    scene.hook.answer_next([HttpResponse::status(400)]);
    scene.api.add_task(task("t"));
    scene.once().with_code(75);
    let url = scene.hook.url();
    scene.configure(|config| {
        config
            .without("webhooks.ops")
            .text("webhooks.new", "url", &url)
    });
    scene
        .run(&["deliveries", "retry", "--all", "--webhook", "ops"])
        .with_code(2);
    let ended = scene.run(&["deliveries", "retry", "--all"]).with_code(0);
    assert!(ended.stderr.contains("`ops`"), "{ended}");
    let ended = scene
        .run(&["deliveries", "drop", "--all", "--webhook", "ops"])
        .with_code(0);
    assert_eq!(ended.stdout, "1 delivery dropped\n");
}

/// An operator's shell lacks the credentials that systemd gives the service.
#[test]
fn the_state_is_readable_without_the_configs_secrets() {
    let scene = watched(usual);
    scene.configure(|config| {
        config
            .set(
                "accounts.main",
                "private_key",
                "{ credential = 'private_key' }",
            )
            .set("webhooks.ops", "url", "{ env = 'NOT_SET' }")
    });
    scene.run(&["check"]).with_code(78);
    for command in ["tasks", "events", "deliveries"] {
        let ended = scene.run(&[command]).with_code(0);
        assert!(ended.stdout.lines().count() >= 3, "{ended}");
    }
    scene.run(&["deliveries", "retry", "--all"]).with_code(0);
}

#[test]
fn a_missing_or_damaged_state_ends_with_74_and_is_not_changed() {
    let scene = Scene::new();
    for command in [
        &["tasks"][..],
        &["events", "--follow"],
        &["deliveries", "drop", "--all"],
    ] {
        let ended = scene.run(command).with_code(74);
        assert!(
            ended.stderr.contains("the state does not exist yet"),
            "{ended}"
        );
        assert_eq!(ended.stdout, "");
    }
    assert!(!scene.state_path().exists());
    let damaged = [b'x'; 10_000];
    std::fs::write(scene.state_path(), damaged).unwrap();
    scene.run(&["tasks"]).with_code(74);
    assert_eq!(std::fs::read(scene.state_path()).unwrap(), damaged);
}

#[test]
fn control_characters_from_outside_are_escaped() {
    let scene = Scene::new();
    let id = "t\u{1b}[2J\n\u{202e}x";
    scene.api.add_task(task(id));
    scene.once();
    for arguments in [&["tasks"][..], &["tasks", id], &["events"], &["deliveries"]] {
        let ended = scene.run(arguments).with_code(0);
        assert!(!ended.stdout.contains(['\u{1b}', '\u{202e}']), "{ended}");
    }
    assert_eq!(scene.run(&["tasks"]).stdout.lines().count(), 2);
}
