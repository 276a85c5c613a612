//! `--once`: one poll per target, due deliveries, summary lines and exit codes.

use ucdn_simulator::{Effect, Fault, HttpResponse, WindowField};

use crate::harness::{Receiver, Scene, eventually, task, types};

#[test]
fn the_first_run_reports_no_finished_task() {
    let scene = Scene::new();
    for id in ["old-1", "old-2"] {
        scene.api.add_task(task(id));
    }
    scene.change("old-1", "failure");
    scene.change("old-2", "success");
    scene.once().with_code(0);
    scene.once().with_code(0);
    assert!(scene.hook.deliveries().is_empty());
}

#[test]
fn the_first_run_reports_tasks_in_flight() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
}

#[test]
fn the_first_run_reports_old_failures_if_configured() {
    let scene = Scene::with(|config| config.text("poll", "first_run", "failures"));
    for (id, status) in [("bad", "failure"), ("good", "success")] {
        scene.api.add_task(task(id));
        scene.change(id, status);
    }
    scene.once().with_code(1);
    let events = scene.hook.events();
    assert_eq!(types(&events), ["task.failure"]);
    assert_eq!(events[0]["task"]["id"], "bad");
    scene.once().with_code(0);
    assert_eq!(scene.hook.deliveries().len(), 1);
}

/// The window may apply to another time than the creation, so an old task may be new in the list.
#[test]
fn a_task_created_years_ago_is_reported_like_any_other() {
    let scene = Scene::new();
    scene.once().with_code(0);
    scene
        .api
        .change_options(|options| options.window_field = WindowField::Finished);
    scene.api.add_task(task("t").created_at(1_548_051_097));
    scene.change("t", "failure");
    scene.once().with_code(1);
    assert_eq!(types(&scene.hook.events()), ["task.failure"]);
    scene.once().with_code(0);
}

#[test]
fn the_first_run_reports_everything_if_configured() {
    let scene = Scene::with(|config| config.text("poll", "first_run", "all"));
    for (id, status) in [("bad", "failure"), ("good", "success")] {
        scene.api.add_task(task(id));
        scene.change(id, status);
    }
    scene.once().with_code(1);
    let mut found = scene.hook.events();
    found.sort_by_key(|event| event["type"].to_string());
    assert_eq!(types(&found), ["task.failure", "task.success"]);
}

#[test]
fn a_new_failure_ends_with_1_and_is_an_event() {
    let scene = Scene::new();
    scene.once().with_code(0);
    scene.api.add_task(task("t"));
    scene.change("t", "failure");
    scene.once().with_code(1);
    let events = scene.hook.events();
    assert_eq!(types(&events), ["task.failure"]);
    assert_eq!(events[0]["task"]["id"], "t");
    scene.once().with_code(0);
    assert_eq!(scene.hook.deliveries().len(), 1);
}

#[test]
fn a_new_failure_of_a_url_ends_with_1() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.once().with_code(0);
    scene.change_url("t", 1, "failure");
    scene.once().with_code(1);
    scene.once().with_code(0);
}

#[test]
fn an_unreachable_api_ends_with_75() {
    let scene =
        Scene::with(|config| config.text("accounts.main", "endpoint", "http://127.0.0.1:1/"));
    let ended = scene.once().with_code(75);
    assert!(ended.stderr.contains("shop"), "{ended}");
    assert_eq!(ended.stdout.lines().count(), 1, "{ended}");
}

#[test]
fn an_api_error_ends_with_75_and_says_what_to_check() {
    let scene = Scene::with(|config| config.text("accounts.main", "private_key", "wrong"));
    let ended = scene.once().with_code(75);
    assert!(ended.stderr.contains("171"), "{ended}");
    assert!(ended.stderr.contains("key"), "{ended}");
}

#[test]
fn a_pending_delivery_ends_with_75_and_a_later_run_makes_it_unchanged() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.hook.answer_next([HttpResponse::status(500)]);
    scene.once().with_code(75);
    let first = scene.hook.deliveries();
    assert_eq!(first.len(), 1);
    eventually("a run that makes the delivery", || {
        let ended = scene.once();
        (ended.code != Some(75)).then(|| ended.with_code(0))
    });
    let all = scene.hook.deliveries();
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].body, first[0].body);
    assert_eq!(all[1].header("webhook-id"), first[0].header("webhook-id"));
}

#[test]
fn a_pending_delivery_outranks_a_failed_task() {
    let scene = Scene::new();
    scene.once().with_code(0);
    scene.api.add_task(task("t"));
    scene.change("t", "failure");
    scene.hook.answer_next([HttpResponse::status(500)]);
    scene.once().with_code(75);
}

#[test]
fn a_refused_delivery_is_dead_at_once() {
    for status in [400, 413, 422] {
        let scene = Scene::new();
        scene.api.add_task(task("t"));
        scene.hook.answer_next([HttpResponse::status(status)]);
        // Not every due delivery was made, so the code is not 0, but nothing is left for the next run.
        let ended = scene.once().with_code(75);
        let error = format!("{status}");
        assert!(ended.stderr.contains(&error), "{ended}");
        scene.once().with_code(0);
        scene.change("t", "process");
        scene.once().with_code(0);
        assert_eq!(types(&scene.hook.events()), ["task.process"]);
        assert_eq!(scene.hook.deliveries().len(), 2);
    }
}

#[test]
fn a_state_that_another_instance_holds_ends_with_74_and_names_it() {
    let scene = Scene::new();
    let watcher = scene.watch();
    scene.wait_for_polls(1);
    let ended = scene.once().with_code(74);
    let id = watcher.id().to_string();
    assert!(ended.stderr.contains(&id), "not {id}: {ended}");
    assert!(ended.stderr.contains("state.db"), "{ended}");
}

#[test]
fn a_state_in_an_impossible_place_ends_with_74() {
    let scene = Scene::with(|config| config.text("", "state", "/dev/null/state.db"));
    let ended = scene.once().with_code(74);
    assert!(ended.stderr.contains("/dev/null"), "{ended}");
}

#[test]
fn an_invalid_config_ends_with_78_and_reports_all_its_errors() {
    let scene = Scene::new();
    scene.write_config(
        "[pol]\n[poll]\nintervall = '60s'\nlookback = 3\n[accounts.main]\npublic_key = 'p'\n[targets.shop]\n",
    );
    let ended = scene.once().with_code(78);
    for part in ["intervall", "lookback", "private_key", "pol", ":3:", ":4:"] {
        assert!(ended.stderr.contains(part), "no {part}: {ended}");
    }
    assert_eq!(ended.stdout, "");
    assert!(!scene.state_path().exists());
}

#[test]
fn a_missing_config_ends_with_78() {
    let scene = Scene::new();
    std::fs::remove_file(scene.config_path()).unwrap();
    let ended = scene.once().with_code(78);
    assert!(ended.stderr.contains("config.toml"), "{ended}");
}

#[test]
fn stdout_has_one_line_per_target_and_nothing_else() {
    let scene = Scene::with(|config| {
        config
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
    });
    scene.api.add_task(task("t"));
    let ended = scene.run(&["--once", "--verbose"]).with_code(0);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{ended}");
    for (line, target) in lines.iter().zip(["shop", "warm"]) {
        assert!(line.contains(target), "{ended}");
    }
}

#[test]
fn a_failing_target_does_not_prevent_polls_of_the_others() {
    let scene = Scene::with(|config| {
        config
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
    });
    scene.api.add_task(task("t"));
    scene.api.add_fault(Fault {
        action: Some("DescribeNewUcdnPrefetchCacheTask".to_owned()),
        ..Fault::always(Effect::Html)
    });
    let ended = scene.once().with_code(75);
    assert_eq!(ended.stdout.lines().count(), 2, "{ended}");
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
}

#[test]
fn a_delivery_that_is_not_due_yet_is_still_pending() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    let later = HttpResponse::status(503).with_header("Retry-After", "3600");
    scene.hook.answer_next([later]);
    scene.once().with_code(75);
    scene.once().with_code(75);
    assert_eq!(scene.hook.deliveries().len(), 1);
}

#[test]
fn events_of_a_webhook_that_answers_gone_stay_pending() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.hook.answer_next([HttpResponse::status(410)]);
    scene.once().with_code(75);
    scene.once().with_code(0);
    assert_eq!(scene.hook.events().len(), 1);
}

#[test]
fn pending_events_of_a_removed_webhook_are_no_failure() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.hook.answer_next([HttpResponse::status(500)]);
    scene.once().with_code(75);
    let other = Receiver::start();
    scene.configure(|config| {
        config
            .without("webhooks.ops")
            .text("webhooks.other", "url", &other.url())
    });
    scene.once().with_code(0);
    assert!(other.deliveries().is_empty());
}

#[test]
fn a_target_that_is_added_later_starts_silently_too() {
    let scene = Scene::new();
    scene.once().with_code(0);
    scene.api.add_task(task("p").prefetch());
    scene.change("p", "failure");
    scene.configure(|config| {
        config
            .table("targets.warm")
            .text("targets.warm", "tasks", "prefetch")
    });
    scene.once().with_code(0);
    assert!(scene.hook.deliveries().is_empty());
}
