//! API faults on the first, second and last page of a walk. For each: observed changes are reported, absence concludes
//! nothing, the log has one line when the fault begins and one when it ends, `--once` exits with 75, and the program recovers.

use std::thread;

use serde_json::Value;
use ucdn_simulator::{Effect, Fault, ListShape};

use crate::harness::{Program, Scene, eventually, seconds_ago, task, types};

/// A fault and the log text that names it.
struct Case {
    effect: Effect,
    says: &'static str,
}

/// The page of the walk that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Page {
    First,
    Second,
    Last,
}

const TASKS: usize = 6;

fn status(code: u16) -> Effect {
    Effect::Status {
        code,
        retry_after: None,
    }
}

fn refused(code: i64) -> Effect {
    Effect::RetCode {
        code,
        message: None,
    }
}

fn body(text: &str) -> Effect {
    Effect::Body(text.to_owned())
}

/// Faults that answer at once. Every fault of the simulator is in one of these lists.
fn quick_faults() -> Vec<Case> {
    let case = |effect, says| Case { effect, says };
    vec![
        case(status(301), "HTTP 301"),
        case(status(403), "HTTP 403"),
        case(status(429), "HTTP 429"),
        case(status(500), "HTTP 500"),
        case(status(503), "HTTP 503"),
        case(refused(110), "RetCode 110"),
        case(refused(153), "RetCode 153"),
        case(refused(171), "RetCode 171"),
        case(refused(-1), "RetCode -1"),
        case(Effect::Reset, "the connection failed"),
        case(Effect::ResetAfter(20), "the connection failed"),
        case(Effect::Truncated, "the API can't be reached"),
        case(Effect::Html, "not the JSON"),
        case(Effect::EmptyBody, "the answer is empty"),
        case(Effect::NotJson, "not the JSON"),
        case(body("[]"), "no RetCode"),
        case(body("{\"Action\":\"x\"}"), "no RetCode"),
        case(body("{\"RetCode\":0,\"TaskList\":7}"), "not a list"),
    ]
}

/// Answers without tasks whose `TotalCount` is not 0. On a later page this may be the end of the list, so the walk asks twice.
fn missing_lists() -> Vec<Case> {
    let effects = [
        body("{\"RetCode\":0,\"TotalCount\":5}"),
        Effect::List(ListShape::Missing),
        Effect::List(ListShape::Null),
    ];
    effects
        .map(|effect| Case {
            effect,
            says: "no TaskList",
        })
        .into()
}

/// Bodies over the size limit.
fn large_faults() -> Vec<Case> {
    [Effect::Oversized(65), Effect::GzipBomb(65)]
        .map(|effect| Case {
            effect,
            says: "longer than",
        })
        .into()
}

/// Answers that take longer than the account's timeout.
fn slow_faults() -> Vec<Case> {
    [Effect::DelayMs(600_000), Effect::DripMs(200)]
        .map(|effect| Case {
            effect,
            says: "timed out",
        })
        .into()
}

/// A list of six tasks on at least three pages. The newest and the oldest failed since the last poll.
fn scene(timeout: &str) -> Scene {
    let scene = Scene::with(|config| {
        config
            .text("poll", "interval", "100ms")
            .set("poll", "page_size", 2)
            .text("poll", "stall_after", "1h")
            .text("accounts.main", "timeout", timeout)
    });
    for number in 0..TASKS {
        let created = seconds_ago(&scene, i64::try_from(100 - number).unwrap());
        scene
            .api
            .add_task(task(&format!("t{number}")).created_at(created));
    }
    scene.once().with_code(0);
    scene
}

/// Requests per poll. The last one reads the last page.
fn pages(scene: &Scene) -> u32 {
    scene.api.forget_requests();
    scene.once().with_code(0);
    u32::try_from(scene.api.request_count()).unwrap()
}

fn failed(events: &[Value]) -> Vec<&str> {
    let failures = events.iter().filter(|it| it["type"] == "task.failure");
    failures
        .map(|event| event["task"]["id"].as_str().unwrap())
        .collect()
}

fn wait_for_event(scene: &Scene, r#type: &str) {
    eventually(r#type, || {
        types(&scene.hook.events()).contains(&r#type).then_some(())
    });
}

fn count(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

/// Runs one fault from start to recovery.
fn play(case: &Case, page: Page, timeout: &str) {
    let name = format!("{:?} on the {page:?} page", case.effect);
    let scene = scene(timeout);
    let last = pages(&scene);
    assert!(last >= 3, "{name}: {last} pages");
    let newest = format!("t{}", TASKS - 1);
    for id in [newest.as_str(), "t0"] {
        scene.change(id, "failure");
    }
    scene.api.add_fault(Fault::on_page(
        match page {
            Page::First => 1,
            Page::Second => 2,
            Page::Last => last,
        },
        case.effect.clone(),
    ));

    let ended = scene.once().with_code(75);
    assert!(ended.stdout.contains("shop: not polled"), "{name}: {ended}");
    assert_eq!(count(&ended.stderr, "poll failed"), 1, "{name}: {ended}");
    assert!(ended.stderr.contains(case.says), "{name}: {ended}");
    assert!(ended.stderr.contains("WARN"), "{name}: {ended}");
    let kept: &[&str] = if page == Page::First { &[] } else { &[&newest] };
    assert_eq!(failed(&scene.hook.events()), kept, "{name}");

    let mut watcher = scene.watch();
    wait_for_event(&scene, "watch.failing");
    scene.wait_for_polls(2);
    assert_eq!(failed(&scene.hook.events()), kept, "{name}");
    assert_logged_once(&watcher, "poll failed", &name);

    scene.api.clear_faults();
    wait_for_event(&scene, "watch.recovered");
    watcher.wait_for_log("polls succeed again: target=shop");
    scene.wait_for_polls(2);
    let (ended, _) = watcher.stop();
    let ended = ended.with_code(0);
    assert_eq!(count(&ended.stderr, "poll failed"), 1, "{name}: {ended}");
    assert_eq!(
        count(&ended.stderr, "polls succeed again: target=shop"),
        1,
        "{name}: {ended}"
    );
    assert_is_all(&scene.hook.events(), &name);
}

fn assert_logged_once(watcher: &Program, line: &str, name: &str) {
    let log = watcher.log();
    assert_eq!(count(&log, line), 1, "{name}: {log}");
}

/// Six tasks in flight, two failures, `watch.failing` and `watch.recovered`: each once, and nothing else.
fn assert_is_all(events: &[Value], name: &str) {
    let mut types = types(events);
    types.sort_unstable();
    let expected = [
        &["task.failure"; 2][..],
        &["task.wait"; TASKS],
        &["watch.failing", "watch.recovered"],
    ];
    assert_eq!(types, expected.concat(), "{name}: {events:#?}");
    let mut failed = failed(events);
    failed.sort_unstable();
    assert_eq!(failed, ["t0", "t5"], "{name}");
}

/// Several at a time, because they mostly wait.
fn play_all(cases: &[Case], page: Page, timeout: &str) {
    for some in cases.chunks(12) {
        thread::scope(|scope| {
            for case in some {
                scope.spawn(move || play(case, page, timeout));
            }
        });
    }
}

#[test]
fn after_a_fault_on_the_first_page_everything_is_reported() {
    play_all(&quick_faults(), Page::First, "60s");
    play_all(&missing_lists(), Page::First, "60s");
}

#[test]
fn changes_on_the_first_page_are_reported_though_the_second_fails() {
    play_all(&quick_faults(), Page::Second, "60s");
}

#[test]
fn changes_on_earlier_pages_are_reported_though_the_last_fails() {
    play_all(&quick_faults(), Page::Last, "60s");
}

#[test]
fn an_answer_over_the_size_limit_is_a_fault() {
    for page in [Page::First, Page::Second, Page::Last] {
        play_all(&large_faults(), page, "60s");
    }
}

/// A body that drips for minutes: the timeout limits the whole call.
#[test]
fn a_dripping_answer_ends_with_the_accounts_timeout() {
    thread::scope(|scope| {
        for page in [Page::First, Page::Second, Page::Last] {
            scope.spawn(move || play_all(&slow_faults(), page, "2s"));
        }
    });
}

/// Another request id or another message is not another fault.
#[test]
fn the_same_refusal_with_another_message_is_logged_once() {
    let scene = Scene::with(|config| config.text("poll", "interval", "100ms"));
    // The simulator sends the first of several refusals.
    for (times, message) in [(2, "ticket 17"), (4, "ticket 18")] {
        scene.api.add_fault(Fault::next(
            times,
            Effect::RetCode {
                code: 150,
                message: Some(message.to_owned()),
            },
        ));
    }
    let mut watcher = scene.watch();
    watcher.wait_for_log("polls succeed again: target=shop");
    let (ended, _) = watcher.stop();
    assert_eq!(count(&ended.stderr, "poll failed"), 1, "{ended}");
}

/// Neither a suddenly empty list nor an empty page in its middle ends a task.
#[test]
fn an_empty_page_ends_no_task() {
    for shape in [
        ListShape::Empty,
        ListShape::Object,
        ListShape::Missing,
        ListShape::Null,
    ] {
        for page in [1, 2, 3] {
            let scene = scene("60s");
            scene
                .api
                .add_fault(Fault::on_page(page, Effect::List(shape)));
            for _ in 0..2 {
                let ended = scene.once();
                assert!(matches!(ended.code, Some(0 | 75)), "{ended}");
            }
            scene.api.clear_faults();
            scene.change("t0", "success");
            let events = scene.news();
            assert_eq!(types(&events), ["task.success"], "{shape:?} on page {page}");
            assert_eq!(
                scene.hook.events().len(),
                TASKS + 1,
                "{shape:?} on page {page}"
            );
        }
    }
}
