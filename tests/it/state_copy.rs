//! `state copy` from file to file: tasks, events and pending deliveries are copied, and the copy can be watched.

use std::ffi::OsString;
use std::fs;

use ucdn_simulator::HttpResponse;

use crate::harness::{Ended, Scene, task, types};

/// A state with a finished task, one in flight, and three events pending for a receiver that is down.
pub(crate) fn owing() -> Scene {
    let scene = Scene::with(|config| config.text("poll", "first_run", "all"));
    scene.hook.answer_always(HttpResponse::status(503));
    scene.api.add_task(task("done"));
    scene.api.add_task(task("open"));
    scene.once().with_code(75);
    scene.change("done", "success");
    scene.once().with_code(75);
    scene
}

/// Of the events, as they were sent.
pub(crate) fn ids(scene: &Scene) -> Vec<String> {
    let deliveries = scene.hook.deliveries().into_iter();
    deliveries
        .map(|it| it.header("webhook-id").to_owned())
        .collect()
}

fn copy(scene: &Scene, from: &str, to: &str) -> Ended {
    scene.run(&["state", "copy", from, to])
}

fn path(scene: &Scene, name: &str) -> String {
    scene.folder().join(name).to_str().unwrap().to_owned()
}

fn watch_with(scene: &Scene, state: &str) {
    scene.configure(|config| {
        config
            .text("", "state", state)
            .text("poll", "first_run", "all")
    });
}

#[test]
fn a_watcher_on_a_copy_repeats_and_loses_nothing() {
    let scene = owing();
    let (from, to) = (path(&scene, "state.db"), path(&scene, "moved/state.db"));
    let before = fs::read(&from).unwrap();
    let ended = copy(&scene, &from, &to).with_code(0);
    assert!(
        ended.stdout.starts_with(
            "copied and verified: 1 target, 2 tasks, 3 events, 1 webhook, 3 deliveries"
        ),
        "{ended}"
    );
    assert!(fs::read(&from).unwrap() == before, "the source was changed");
    watch_with(&scene, &to);
    scene.run(&["deliveries", "retry", "--all"]).with_code(0);
    scene.hook.accept_all();
    let tried = ids(&scene);
    assert_eq!(
        types(&scene.news()),
        ["task.wait", "task.wait", "task.success"]
    );
    let received = ids(&scene).split_off(tried.len());
    assert_eq!(
        received[0], tried[0],
        "a pending event came under another id"
    );
    assert_eq!(types(&scene.news()), [""; 0], "reported twice");
    scene.change("open", "failure");
    let news = scene.news();
    assert_eq!(types(&news), ["task.failure"]);
    assert_eq!(news[0]["sequence"], 4);
}

#[test]
fn what_can_not_be_copied_is_said_and_stays() {
    let scene = owing();
    let (from, to) = (path(&scene, "state.db"), path(&scene, "other.db"));
    let missing = copy(&scene, &path(&scene, "none.db"), &to).with_code(74);
    assert!(
        missing.stderr.contains("the state does not exist yet"),
        "{missing}"
    );
    assert!(
        !fs::exists(&to).unwrap(),
        "a destination was made for nothing"
    );
    copy(&scene, &from, &from).with_code(2);
    copy(&scene, &from, &to).with_code(0);
    let again = copy(&scene, &from, &to).with_code(74);
    assert!(
        again
            .stderr
            .contains("it is not empty (targets: 1, tasks: 2, events: 3)"),
        "{again}"
    );
    let watcher = scene.watch();
    watcher.wait_for_log("watching:");
    let held = copy(&scene, &from, &path(&scene, "third.db")).with_code(74);
    assert!(held.stderr.contains("held by another instance"), "{held}");
}

#[test]
fn a_password_is_not_taken_from_the_command_line_and_not_shown() {
    let scene = Scene::new();
    let from = path(&scene, "state.db");
    scene.once();
    let with_password = "postgres://me:canary@127.0.0.1:1/db";
    let mut runs = vec![copy(&scene, &from, with_password).with_code(2)];
    let variable = [("URL", OsString::from(with_password))];
    runs.push(
        scene
            .start(&["state", "copy", &from, "env:URL"], &variable)
            .wait(),
    );
    runs.push(copy(&scene, &from, "env:MISSING").with_code(2));
    let file = path(&scene, "url");
    fs::write(&file, "canary\n").unwrap();
    runs.push(copy(&scene, &from, &format!("file:{file}")).with_code(2));
    runs.push(copy(&scene, &from, "mysql://me:canary@h/db").with_code(2));
    for ended in runs {
        assert!(!ended.stderr.contains("canary"), "{ended}");
        assert!(ended.stderr.starts_with("ucdn-watch: "), "{ended}");
    }
}
