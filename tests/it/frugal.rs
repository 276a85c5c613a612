//! Requests per poll: one page while no task is in flight, ids for older tasks in flight, and the whole list only when needed.

use ucdn_simulator::{
    Effect, Fault, Options, RequestRecord, Script, Settings, TaskSpec, TotalCount, Unit,
};

use crate::harness::{Program, SYNCS, Scene, can_trace, eventually, only, task};

const PAGE: i64 = 10;
const DAY: i64 = 24 * 60 * 60;

/// 100 successful tasks, one per minute until a minute ago, in pages of 10.
fn long_list(options: Options) -> Scene {
    let settings = Settings {
        options,
        ..Settings::default()
    };
    let scene = Scene::started(settings, |config| {
        config
            .set("poll", "page_size", PAGE)
            .text("poll", "active_interval", "200ms")
            .text("poll", "stall_after", "30d")
    });
    for minutes in 1..=100 {
        add(&scene, &format!("old-{minutes}"), minutes * 60, "success");
    }
    scene
}

fn add(scene: &Scene, id: &str, age_seconds: i64, status: &str) {
    let urls = ["a", "b"].map(|name| format!("http://example.com/{id}/{name}"));
    let script = Script::new().becomes(status);
    let spec = TaskSpec::new(urls.iter().map(String::as_str), script).with_id(id);
    let now = scene.api.now_seconds();
    scene.api.add_task(spec.created_at(now - age_seconds));
}

/// The requests of each poll since the last reset, without the last poll, which may still run.
fn polls(scene: &Scene) -> Vec<Vec<RequestRecord>> {
    let mut polls: Vec<Vec<RequestRecord>> = Vec::new();
    for request in scene.api.requests() {
        match polls.last_mut() {
            Some(poll) if !begins_poll(&request) => poll.push(request),
            _ => polls.push(vec![request]),
        }
    }
    polls.pop();
    polls
}

fn begins_poll(request: &RequestRecord) -> bool {
    request.offset == Some(0) && request.task_ids.is_empty()
}

/// Starts the watcher and waits until it has learned the server's paging.
fn settled(scene: &Scene) -> Program {
    let watcher = scene.watch();
    eventually("three polls", || (polls(scene).len() >= 3).then_some(()));
    scene.api.forget_requests();
    watcher
}

/// The requests of the next complete polls.
fn next_polls(scene: &Scene, count: usize) -> Vec<Vec<RequestRecord>> {
    scene.api.forget_requests();
    // The first poll may have begun before the reset.
    let mut polls = eventually("more polls", || {
        let polls = polls(scene);
        (polls.len() > count).then_some(polls)
    });
    polls.drain(..polls.len() - count);
    polls
}

fn span(request: &RequestRecord) -> i64 {
    request.end.unwrap() - request.begin.unwrap()
}

#[test]
fn with_nothing_in_flight_a_poll_of_a_long_list_is_one_request() {
    for (unit, total_count) in [
        (Unit::Tasks, TotalCount::Tasks),
        (Unit::Tasks, TotalCount::Urls),
        (Unit::Urls, TotalCount::Urls),
    ] {
        let scene = long_list(Options {
            unit,
            total_count,
            ..Options::default()
        });
        let mut watcher = settled(&scene);
        for poll in next_polls(&scene, 4) {
            assert_eq!(poll.len(), 1, "{unit:?} {total_count:?}: {poll:#?}");
            assert!(span(&poll[0]) < 3600, "{unit:?}: not the day");
        }
        add(&scene, "new", 0, "failure");
        let event = only(scene.hook.wait_for_events(1), "task.failure");
        assert_eq!(event["task"]["urls"]["total"], 2);
        watcher.stop().0.with_code(0);
    }
}

#[test]
fn a_list_as_long_as_one_page_is_one_request() {
    let scene = Scene::with(|config| config.set("poll", "page_size", PAGE));
    for minutes in 1..=PAGE {
        let url = format!("http://example.com/{minutes}");
        let spec = TaskSpec::new([url.as_str()], Script::new().becomes("success"));
        let created = scene.api.now_seconds() - minutes * 3600;
        scene.api.add_task(spec.created_at(created));
    }
    let mut watcher = settled(&scene);
    for poll in next_polls(&scene, 3) {
        assert_eq!(poll.len(), 1, "{poll:#?}");
    }
    watcher.stop().0.with_code(0);
}

#[test]
fn an_old_task_in_flight_is_queried_by_id() {
    let scene = long_list(Options::default());
    add(&scene, "slow", 10 * 3600, "process");
    let mut watcher = settled(&scene);
    for poll in next_polls(&scene, 3) {
        assert_eq!(poll.len(), 2, "{poll:#?}");
        assert_eq!(poll[1].task_ids, ["slow"]);
    }
    scene.hook.wait_for_events(1);
    scene.change("slow", "failure");
    let events = scene.hook.wait_for_events(2);
    assert_eq!(events[1]["type"], "task.failure");
    assert_eq!(events[1]["task"]["previous_status"], "process");
    eventually("polls of one request", || {
        let polls = next_polls(&scene, 1);
        (polls[0].len() == 1).then_some(())
    });
    watcher.stop().0.with_code(0);
}

#[test]
fn an_old_task_vanishes_only_after_three_full_scans_missed_it() {
    let scene = long_list(Options::default());
    add(&scene, "lost", 10 * 3600, "process");
    let mut watcher = settled(&scene);
    scene.hook.wait_for_events(1);
    scene.api.forget_requests();
    scene.api.remove_task("lost");
    let events = scene.hook.wait_for_events(2);
    assert_eq!(events[1]["type"], "task.vanished");
    let whole = scene
        .api
        .requests()
        .into_iter()
        .filter(|request| begins_poll(request) && span(request) > DAY);
    assert_eq!(whole.count(), 3);
    watcher.stop().0.with_code(0);
}

#[test]
fn the_whole_list_is_read_if_querying_ids_takes_more_requests() {
    let scene = long_list(Options::default());
    for n in 0..300 {
        add(&scene, &format!("slow-{n}"), 36_000 + n, "process");
    }
    scene.configure(|config| {
        config
            .set("poll", "page_size", 200)
            .text("poll", "active_interval", "200ms")
            .text("poll", "stall_after", "30d")
    });
    let mut watcher = settled(&scene);
    for poll in next_polls(&scene, 2) {
        assert!(poll.len() <= 3, "{}", poll.len());
        assert!(poll.iter().all(|request| request.task_ids.is_empty()));
    }
    watcher.stop().0.with_code(0);
}

#[test]
fn every_poll_reads_a_list_of_one_page_whole() {
    let scene = Scene::with(|config| {
        config
            .set("poll", "page_size", PAGE)
            .text("poll", "stall_after", "30d")
    });
    for minutes in 1..=9 {
        add(&scene, &format!("old-{minutes}"), minutes * 3600, "success");
    }
    let mut watcher = settled(&scene);
    for poll in next_polls(&scene, 3) {
        assert_eq!(poll.len(), 1, "{poll:#?}");
        assert!(span(&poll[0]) > DAY);
    }
    scene.change("old-9", "process");
    let event = only(scene.hook.wait_for_events(1), "task.process");
    assert_eq!(event["task"]["previous_status"], "success");
    watcher.stop().0.with_code(0);
}

#[test]
fn the_whole_list_is_read_at_start_and_after_a_failed_poll() {
    let scene = long_list(Options::default());
    scene.once().with_code(0);
    let reads_whole = |poll: &[RequestRecord]| poll.len() >= 10 && span(&poll[0]) > DAY;
    scene.api.forget_requests();
    scene.once().with_code(0);
    assert!(reads_whole(&scene.api.requests()), "a run is a start");
    let mut watcher = settled(&scene);
    assert!(!reads_whole(&next_polls(&scene, 1)[0]));
    // Only a full scan finds a change of a finished task that is older than one page reaches.
    scene.change("old-99", "failure");
    scene.api.forget_requests();
    scene.api.add_fault(Fault::next(1, Effect::NotJson));
    let event = only(scene.hook.wait_for_events(1), "task.failure");
    assert_eq!(event["task"]["id"], "old-99");
    watcher.stop().0.with_code(0);
}

#[test]
fn a_reload_reads_the_whole_list() {
    let scene = long_list(Options::default());
    let mut watcher = settled(&scene);
    scene.change("old-99", "failure");
    watcher.signal(rustix::process::Signal::HUP);
    only(scene.hook.wait_for_events(1), "task.failure");
    watcher.stop().0.with_code(0);
}

#[test]
fn a_quiet_run_leaves_every_file_of_the_state_as_it_was() {
    let scene = long_list(Options::default());
    scene.api.add_task(task("waiting"));
    scene.once();
    scene.once();
    let look = || {
        let mut files: Vec<_> = std::fs::read_dir(scene.folder())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let changed = entry.metadata().unwrap().modified().unwrap();
                (
                    entry.file_name(),
                    changed,
                    std::fs::read(entry.path()).unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    };
    let before = look();
    scene.once().with_code(0);
    assert!(look() == before);
}

/// The page's own sync, and those that create the WAL and checkpoint it at the close.
#[test]
fn a_run_that_finds_a_change_waits_for_the_disk_at_most_seven_times() {
    if !can_trace() {
        return;
    }
    let scene = Scene::with(|config| config.without("webhooks.ops"));
    scene.api.add_task(task("a"));
    scene.once();
    scene.once();
    scene.change("a", "success");
    let trace = scene.folder().join("trace");
    let syncs = format!("trace={SYNCS}");
    let calls = ["-e", &syncs, "-o", trace.to_str().unwrap()];
    let mut run = scene.start_traced(&calls, &["--once"]);
    run.wait().with_code(0);
    let id = run.id().to_string();
    let is_end = |line: &str| {
        line.strip_prefix(&id)
            .is_some_and(|rest| rest.trim_start().starts_with("+++ exited"))
    };
    let text = eventually("the end of the trace", || {
        let text = std::fs::read_to_string(&trace).ok()?;
        text.lines().any(is_end).then_some(text)
    });
    let syncs = text.lines().filter(|line| line.contains("sync(")).count();
    assert!((1..=7).contains(&syncs), "{text}");
}
