//! Paging semantics: under every reading of the documentation, each task is reported exactly once.

use std::collections::BTreeMap;

use serde_json::Value;
use ucdn_simulator::{
    Effect, Fault, LimitRule, Options, Order, Place, Script, Settings, Shift, TaskSpec, TotalCount,
    Unit,
};

use crate::harness::{Scene, seconds_ago, task, types};

/// A list of tasks with 1 to 3 URLs each, created one second apart.
fn scene_of(tasks: usize, page_size: usize, options: Options) -> Scene {
    let settings = Settings {
        options,
        ..Settings::default()
    };
    let scene = Scene::started(settings, |config| {
        config
            .set("poll", "page_size", page_size)
            .text("poll", "first_run", "all")
    });
    let now = scene.api.now_seconds();
    for (number, created) in (0..tasks).zip(now - 300..) {
        let urls: Vec<String> = (0..=number % 3)
            .map(|url| format!("http://example.com/{number}/{url}"))
            .collect();
        let spec = TaskSpec::new(urls.iter().map(String::as_str), Script::new());
        let spec = spec.with_id(&format!("t{number:03}")).created_at(created);
        scene.api.add_task(spec);
    }
    scene
}

/// The number of events per task and status.
fn event_counts(events: &[Value]) -> BTreeMap<(String, String), usize> {
    let mut counts = BTreeMap::new();
    for event in events {
        let word = |key: &str| event["task"][key].as_str().unwrap().to_owned();
        *counts.entry((word("id"), word("status"))).or_default() += 1;
    }
    counts
}

/// Each task of the list has one event.
#[track_caller]
fn assert_each_is_reported_once(scene: &Scene, reading: &str) {
    let counts = event_counts(&scene.hook.events());
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{reading}: reported twice: {twice:?}");
    for state in scene.api.tasks() {
        let reported = counts.keys().any(|(id, _)| *id == state.id);
        assert!(reported, "{reading}: {} was never reported", state.id);
    }
}

/// Polls twice. The first poll must report every task with all its URLs.
#[track_caller]
fn assert_read_whole(tasks: usize, page_size: usize, options: Options) {
    let reading = format!(
        "{:?} {:?} {:?} {:?} page_size {page_size}",
        options.unit, options.limit, options.total_count, options.order
    );
    let scene = scene_of(tasks, page_size, options);
    scene.once().with_code(0);
    assert_each_is_reported_once(&scene, &reading);
    for event in scene.hook.events() {
        let number: usize = event["task"]["id"].as_str().unwrap()[1..].parse().unwrap();
        assert_eq!(event["task"]["urls"]["total"], number % 3 + 1, "{reading}");
    }
    scene.once().with_code(0);
    assert_eq!(scene.hook.deliveries().len(), tasks, "{reading}");
}

#[test]
fn a_list_is_read_whole_in_any_unit_of_offset_and_any_order() {
    for unit in [Unit::Tasks, Unit::Urls] {
        for order in [Order::Newest, Order::Oldest, Order::Finish] {
            let options = Options {
                unit,
                order,
                ..Options::default()
            };
            assert_read_whole(11, 3, options);
        }
    }
}

#[test]
fn a_list_is_read_whole_if_limit_is_clamped_or_ignored() {
    for unit in [Unit::Tasks, Unit::Urls] {
        for limit in [
            LimitRule::Clamped(4),
            LimitRule::Clamped(2),
            LimitRule::Ignored,
        ] {
            let options = Options {
                unit,
                limit,
                ..Options::default()
            };
            assert_read_whole(11, 200, options);
        }
    }
}

#[test]
fn a_list_is_read_whole_whatever_total_count_counts() {
    for total_count in [
        TotalCount::Urls,
        TotalCount::Page,
        TotalCount::Absent,
        TotalCount::Null,
        TotalCount::Zero,
        TotalCount::Huge,
        TotalCount::Text,
    ] {
        for unit in [Unit::Tasks, Unit::Urls] {
            let options = Options {
                unit,
                total_count,
                ..Options::default()
            };
            assert_read_whole(8, 4, options);
        }
    }
}

#[test]
fn a_list_is_read_whole_with_a_page_size_of_one() {
    for unit in [Unit::Tasks, Unit::Urls] {
        for limit in [LimitRule::Honoured, LimitRule::Clamped(20)] {
            let options = Options {
                unit,
                limit,
                ..Options::default()
            };
            assert_read_whole(7, 1, options);
        }
    }
}

#[test]
fn a_task_with_more_urls_than_a_page_is_read_whole() {
    for unit in [Unit::Tasks, Unit::Urls] {
        let options = Options {
            unit,
            ..Options::default()
        };
        let scene = scene_of(2, 5, options);
        let urls: Vec<String> = (0..23)
            .map(|url| format!("http://example.com/x/{url}"))
            .collect();
        let spec = TaskSpec::new(urls.iter().map(String::as_str), Script::new());
        scene.api.add_task(spec.with_id("long"));
        scene.once().with_code(0);
        let mut events = scene.hook.events();
        events.retain(|event| event["task"]["id"] == "long");
        assert_eq!(events.len(), 1, "{unit:?}: {events:#?}");
        assert_eq!(events[0]["task"]["urls"]["total"], 23);
        scene.once().with_code(0);
        assert_eq!(scene.hook.deliveries().len(), 3);
    }
}

#[test]
fn tasks_inserted_between_pages_hide_no_other_task() {
    for unit in [Unit::Tasks, Unit::Urls] {
        for at in [Place::Front, Place::Middle, Place::Back] {
            let inserts = Shift {
                count: 2,
                at,
                times: Some(4),
            };
            let options = Options {
                unit,
                inserts,
                ..Options::default()
            };
            let scene = scene_of(12, 4, options);
            scene.once().with_code(0);
            let first = event_counts(&scene.hook.events());
            for number in 0..12 {
                let key = (format!("t{number:03}"), "wait".to_owned());
                let reading = format!("{unit:?} {at:?}: {key:?}");
                assert_eq!(
                    first.get(&key),
                    Some(&1),
                    "{reading}: {:#?}",
                    scene.hook.events()
                );
            }
            scene.once().with_code(0);
            scene.once().with_code(0);
            assert_each_is_reported_once(&scene, &format!("inserts {unit:?} {at:?}"));
        }
    }
}

#[test]
fn tasks_removed_between_pages_hide_no_other_task() {
    for unit in [Unit::Tasks, Unit::Urls] {
        for at in [Place::Front, Place::Middle, Place::Back] {
            let removals = Shift {
                count: 1,
                at,
                times: Some(3),
            };
            let options = Options {
                unit,
                removals,
                ..Options::default()
            };
            let scene = scene_of(14, 4, options);
            scene.once().with_code(0);
            assert_each_is_reported_once(&scene, &format!("removals {unit:?} {at:?}"));
        }
    }
}

#[test]
fn the_walk_over_a_list_that_always_changes_ends() {
    let inserts = Shift {
        count: 1,
        at: Place::Front,
        times: None,
    };
    let options = Options {
        inserts,
        ..Options::default()
    };
    let scene = scene_of(12, 4, options);
    let ended = scene.once();
    assert!(matches!(ended.code, Some(0 | 75)), "{ended}");
    let reported = event_counts(&scene.hook.events());
    assert!(reported.values().all(|count| *count == 1), "{reported:?}");
}

#[test]
fn the_tasks_of_page_one_are_reported_if_page_two_fails() {
    for effect in [
        Effect::Status {
            code: 502,
            retry_after: None,
        },
        Effect::RetCode {
            code: 130,
            message: None,
        },
        Effect::Reset,
        Effect::Truncated,
        Effect::NotJson,
        Effect::EmptyBody,
    ] {
        let options = Options {
            total_count: TotalCount::Absent,
            ..Options::default()
        };
        let scene = scene_of(9, 4, options);
        scene.api.add_fault(Fault::on_page(2, effect.clone()));
        scene.once().with_code(75);
        let first = scene.hook.events().len();
        assert!(
            (1..9).contains(&first),
            "{effect:?}: {first} tasks were reported"
        );
        scene.api.clear_faults();
        scene.once().with_code(0);
        assert_each_is_reported_once(&scene, &format!("{effect:?}"));
    }
}

#[test]
fn a_first_poll_that_fails_midway_leaves_the_baseline_open() {
    let scene = scene_of(9, 4, Options::default());
    scene.configure(|config| config.set("poll", "page_size", 4));
    for number in 0..9 {
        let status = if number % 2 == 0 {
            "success"
        } else {
            "failure"
        };
        scene.change(&format!("t{number:03}"), status);
    }
    scene.api.add_fault(Fault::on_page(2, Effect::Reset));
    scene.once().with_code(75);
    scene.api.clear_faults();
    scene.once().with_code(0);
    assert!(scene.hook.deliveries().is_empty());
}

#[test]
fn an_incomplete_walk_makes_no_task_vanish() {
    let scene = scene_of(9, 4, Options::default());
    scene.once().with_code(0);
    let reported = scene.hook.deliveries().len();
    scene.api.add_fault(Fault::on_page(2, Effect::Reset));
    for _ in 0..4 {
        scene.once().with_code(75);
    }
    scene.api.clear_faults();
    scene.once().with_code(0);
    let mut later = scene.hook.events().split_off(reported);
    later.retain(|event| event.get("task").is_some());
    assert!(later.is_empty(), "{later:#?}");
}

#[test]
fn a_list_of_one_page_costs_at_most_two_requests() {
    for unit in [Unit::Tasks, Unit::Urls] {
        for total_count in [TotalCount::Tasks, TotalCount::Urls, TotalCount::Absent] {
            let options = Options {
                unit,
                total_count,
                ..Options::default()
            };
            let scene = scene_of(5, 200, options);
            scene.once().with_code(0);
            let count = scene.api.request_count();
            assert!(count <= 2, "{unit:?} {total_count:?}: {count} requests");
            scene.api.forget_requests();
            scene.once().with_code(0);
            let count = scene.api.request_count();
            assert!(
                count <= 2,
                "{unit:?} {total_count:?}: then {count} requests"
            );
        }
    }
}

#[test]
fn a_list_of_many_pages_costs_little_more_than_twice_its_pages() {
    for (limit, page_size, urls_a_page) in [
        (LimitRule::Honoured, 1, 1),
        (LimitRule::Clamped(3), 200, 3),
        (LimitRule::Honoured, 4, 4),
    ] {
        let options = Options {
            unit: Unit::Urls,
            limit,
            ..Options::default()
        };
        let scene = scene_of(0, page_size, options);
        for number in 0..12 {
            scene.api.add_task(task(&format!("t{number}")));
        }
        scene.once().with_code(0);
        let (count, pages) = (scene.api.request_count(), 24_u64.div_ceil(urls_a_page));
        assert!(
            count <= 2 * pages + 5,
            "{limit:?}: {count} requests for {pages} pages"
        );
    }
}

/// A list from two servers, one of which lags behind: the task comes first in a wrong place as failed, then in its usual place
/// with its old status.
#[test]
fn a_task_that_comes_twice_in_a_walk_is_reported_each_time() {
    let scene = scene_of(0, 20, Options::default());
    for minutes in 1..=40 {
        let spec = task(&format!("t{minutes}")).created_at(seconds_ago(&scene, 60 * minutes));
        scene.api.add_task(spec);
        scene.change(&format!("t{minutes}"), "success");
    }
    scene.once().with_code(0);
    scene.once().with_code(0);
    scene.api.record_responses();
    assert_eq!(scene.news(), [] as [Value; 0]);
    let pages: Vec<Value> = scene
        .api
        .responses()
        .iter()
        .map(|answer| serde_json::from_str(answer.body.as_deref().unwrap()).unwrap())
        .collect();
    let [first, second, ..] = &pages[..] else {
        panic!("{pages:?}");
    };
    let mut failed = second["TaskList"][12].clone();
    failed["Status"] = "failure".into();
    let mut mixed = first.clone();
    mixed["TaskList"].as_array_mut().unwrap().insert(1, failed);
    let mixed = Effect::Body(mixed.to_string());
    scene.api.add_fault(Fault::on_page(1, mixed));
    assert_eq!(types(&scene.news()), ["task.failure", "task.success"]);
}
