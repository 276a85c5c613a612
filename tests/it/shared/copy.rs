//! `state copy` from a file into the shared state and back, through the real program.

use std::ffi::OsString;

use ucdn_simulator::Delivery;

use super::{new_schema, server_url};
use crate::harness::{Ended, Scene, types};
use crate::state_copy::{ids, owing};

fn run(scene: &Scene, url: &str, arguments: &[&str]) -> Ended {
    let variables = [("STATE_URL", OsString::from(url))];
    scene.start(arguments, &variables).wait()
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_state_copied_to_postgresql_and_back_repeats_and_loses_nothing() {
    let scene = owing();
    let url = format!("{}?schema={}", server_url(), new_schema());
    let file = scene.state_path();
    let file = file.to_str().unwrap();
    let copied = run(&scene, &url, &["state", "copy", file, "env:STATE_URL"]).with_code(0);
    scene.configure(|config| {
        config
            .set("", "state", "{ env = \"STATE_URL\" }")
            .text("poll", "first_run", "all")
    });
    scene.hook.accept_all();
    let tried = ids(&scene);
    run(&scene, &url, &["deliveries", "retry", "--all"]).with_code(0);
    run(&scene, &url, &["--once"]).with_code(0);
    let received = scene.hook.deliveries().split_off(tried.len());
    let received: Vec<_> = received.iter().map(Delivery::event).collect();
    assert_eq!(types(&received), ["task.wait", "task.wait", "task.success"]);
    assert_eq!(
        ids(&scene)[tried.len()],
        tried[0],
        "pending under another id"
    );
    scene.change("open", "failure");
    run(&scene, &url, &["--once"]).with_code(1);
    let events = scene.hook.events();
    assert_eq!(events.last().unwrap()["sequence"], 4, "nothing between");

    let back = scene.folder().join("back.db");
    let back = back.to_str().unwrap();
    let returned = run(&scene, &url, &["state", "copy", "env:STATE_URL", back]).with_code(0);
    assert!(copied.stdout.contains("3 events") && returned.stdout.contains("4 events"));
    scene.configure(|config| config.text("", "state", back));
    scene.once().with_code(0);
    assert_eq!(scene.hook.events(), events, "reported twice");
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_state_that_instances_watch_with_is_not_copied() {
    let scene = owing();
    let url = format!("{}?schema={}", server_url(), new_schema());
    scene.configure(|config| config.set("", "state", "{ env = \"STATE_URL\" }"));
    let mut watcher = scene.start(&[], &[("STATE_URL", OsString::from(&url))]);
    watcher.wait_for_log("watching:");
    let file = scene.state_path();
    let file = file.to_str().unwrap();
    let new = scene.folder().join("new.db");
    let new = new.to_str().unwrap();
    for arguments in [[file, "env:STATE_URL"], ["env:STATE_URL", new]] {
        let arguments = [&["state", "copy"], &arguments[..]].concat();
        let held = run(&scene, &url, &arguments).with_code(74);
        assert!(held.stderr.contains("held by another instance"), "{held}");
    }
    assert!(!std::fs::exists(new).unwrap(), "made for nothing");
    watcher.stop();
}
