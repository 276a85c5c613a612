//! Tasks that leave the list: `task.vanished` after three polls, no event for finished tasks or for one empty list.

use ucdn_simulator::{Effect, Fault, ListShape};

use crate::harness::{Scene, only, seconds_ago, task, types};

#[test]
fn a_task_in_flight_missing_from_three_polls_has_vanished() {
    let scene = Scene::new();
    scene.api.add_task(task("lost"));
    scene.api.add_task(task("kept"));
    assert_eq!(scene.news().len(), 2);
    assert!(scene.api.remove_task("lost"));
    assert!(scene.news().is_empty());
    assert!(scene.news().is_empty());
    let event = only(scene.news(), "task.vanished");
    assert_eq!(event["task"]["id"], "lost");
    assert_eq!(event["task"]["status"], "wait");
    assert!(scene.news().is_empty());
    scene.api.add_task(task("lost"));
    scene.change("lost", "success");
    let event = only(scene.news(), "task.success");
    assert_eq!(event["task"]["previous_status"], "wait");
}

#[test]
fn a_task_missing_from_two_polls_has_not_vanished() {
    let scene = Scene::new();
    let created = seconds_ago(&scene, 5);
    scene.api.add_task(task("t").created_at(created));
    scene.news();
    for _ in 0..2 {
        scene.api.remove_task("t");
        assert!(scene.news().is_empty());
        assert!(scene.news().is_empty());
        scene.api.add_task(task("t").created_at(created));
        assert!(scene.news().is_empty());
    }
}

#[test]
fn one_sudden_empty_list_reports_nothing() {
    let scene = Scene::new();
    for id in ["a", "b", "c"] {
        scene.api.add_task(task(id));
    }
    scene.change("c", "success");
    scene.once();
    let before = scene.hook.deliveries().len();
    scene
        .api
        .add_fault(Fault::always(Effect::List(ListShape::Empty)));
    scene.once();
    scene.api.clear_faults();
    for _ in 0..4 {
        assert!(scene.news().is_empty());
    }
    assert_eq!(scene.hook.deliveries().len(), before);
}

#[test]
fn a_finished_task_that_leaves_the_list_makes_no_event() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.news();
    scene.change("t", "success");
    only(scene.news(), "task.success");
    scene.api.remove_task("t");
    for _ in 0..4 {
        assert!(scene.news().is_empty());
    }
}

#[test]
fn a_task_in_flight_that_leaves_the_window_is_queried_by_id() {
    let scene = Scene::with(|config| config.text("poll", "lookback", "1h"));
    let created = seconds_ago(&scene, 3500);
    scene.api.add_task(task("t").created_at(created));
    assert_eq!(types(&scene.news()), ["task.wait", "task.stalled"]);
    scene.api.remove_task("t");
    scene.api.add_task(task("t").created_at(created - 1000));
    for _ in 0..4 {
        assert!(scene.news().is_empty());
    }
    scene.change("t", "failure");
    only(scene.news(), "task.failure");
}

/// A failed poll counts neither for nor against a task.
#[test]
fn failed_polls_make_no_task_vanish() {
    let scene = Scene::with(|config| config.set("poll", "fail_after", 100));
    scene.api.add_task(task("t"));
    scene.news();
    scene.api.add_fault(Fault::always(Effect::Html));
    for _ in 0..4 {
        scene.once().with_code(75);
    }
    scene.api.clear_faults();
    assert!(scene.news().is_empty());
}
