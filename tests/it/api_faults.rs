//! Every way that the API can fail, on the first page of a walk, on the second and on the last. For each: what had been
//! seen is kept and told, nothing is concluded from what was not seen, the log says once when it begins and once when it
//! ends, `--once` ends with 75, and all is well again when the fault is over.

use std::thread;

use serde_json::Value;
use ucdn_simulator::{Effect, Fault, ListShape};

use crate::harness::{Program, Scene, eventually, seconds_ago, task, types};

/// A fault, and what the log says of it.
struct Case {
    effect: Effect,
    says: &'static str,
}

/// Which page of the walk it strikes.
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

/// All that come at once. No effect of the stand-in is missing here, but for those in the other two lists.
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

/// Answers of nothing with a count of something. Further on in a list that may be how its end looks, and the walk looks
/// twice.
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

/// Bodies beyond what is read.
fn large_faults() -> Vec<Case> {
    [Effect::Oversized(65), Effect::GzipBomb(65)]
        .map(|effect| Case {
            effect,
            says: "longer than",
        })
        .into()
}

/// Those that last longer than the account's patience.
fn slow_faults() -> Vec<Case> {
    [Effect::DelayMs(600_000), Effect::DripMs(200)]
        .map(|effect| Case {
            effect,
            says: "timed out",
        })
        .into()
}

/// A list of six tasks on at least three pages, of which the newest and the oldest have failed since the last poll.
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

/// How many requests a poll takes; the last is for the last page.
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

/// The whole story of one fault.
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
    assert_is_told_once(&watcher, "poll failed", &name);

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

fn assert_is_told_once(watcher: &Program, line: &str, name: &str) {
    let log = watcher.log();
    assert_eq!(count(&log, line), 1, "{name}: {log}");
}

/// Six tasks in flight, two that failed, and the trouble itself: each once, and nothing else.
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

/// Some of them at a time: they mostly wait.
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
fn a_fault_on_the_first_page_hides_nothing_for_long() {
    play_all(&quick_faults(), Page::First, "60s");
    play_all(&missing_lists(), Page::First, "60s");
}

#[test]
fn a_fault_on_the_second_page_keeps_what_the_first_showed() {
    play_all(&quick_faults(), Page::Second, "60s");
}

#[test]
fn a_fault_on_the_last_page_keeps_what_the_others_showed() {
    play_all(&quick_faults(), Page::Last, "60s");
}

#[test]
fn an_answer_beyond_all_measure_is_a_fault_like_any_other() {
    for page in [Page::First, Page::Second, Page::Last] {
        play_all(&large_faults(), page, "60s");
    }
}

/// A body that comes byte by byte, for minutes: the time limit is on the whole call, however alive it looks.
#[test]
fn an_answer_that_comes_too_slowly_ends_with_the_accounts_timeout() {
    thread::scope(|scope| {
        for page in [Page::First, Page::Second, Page::Last] {
            scope.spawn(move || play_all(&slow_faults(), page, "2s"));
        }
    });
}

/// One request id for each answer, and a message that differs each time, are no news.
#[test]
fn the_same_refusal_in_other_words_is_told_once() {
    let scene = Scene::with(|config| config.text("poll", "interval", "100ms"));
    // The first of several refusals is the one that is sent.
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

/// A list that is empty all at once, and a page of nothing in the middle of one, end no task.
#[test]
fn a_page_of_nothing_ends_no_task() {
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
