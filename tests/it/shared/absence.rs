//! The database restarts, refuses, and is replaced by its standby: polls pause, nothing is lost, everything goes on by itself.

use std::ffi::OsString;

use ucdn_simulator::{Script, Settings, TaskSpec};

use super::server::Server;
use crate::harness::visitor::{address_of, get};
use crate::harness::{Program, Scene, eventually};

/// A watcher whose state is behind this URL.
fn watch(url: &str) -> (Scene, Program) {
    let scene = Scene::started(Settings::default(), |config| {
        config
            .set("", "state", "{ env = \"STATE_URL\" }")
            .text("poll", "first_run", "all")
            .text("http", "listen", "127.0.0.1:0")
    });
    let watcher = scene.start(&[], &[("STATE_URL", OsString::from(url))]);
    watcher.wait_for_log("targets owned by this instance: 1");
    (scene, watcher)
}

fn add(scene: &Scene, id: &str) {
    let script = Script::new().success();
    scene
        .api
        .add_task(TaskSpec::new(["http://example.com/"], script).with_id(id));
}

fn wait_until_reported(scene: &Scene, id: &str) {
    eventually(&format!("the end of {id}"), || {
        let events = scene.hook.events().into_iter();
        let mut ends = events.filter(|it| it["task"]["status"] == "success");
        ends.any(|it| it["task"]["id"] == id).then_some(())
    });
}

/// Each event came once, and none is missing between them.
fn check_sequences(scene: &Scene) {
    let sequences: Vec<u64> = (scene.hook.events().iter())
        .map(|it| it["sequence"].as_u64().unwrap())
        .collect();
    let whole: Vec<u64> = (1..=sequences.len() as u64).collect();
    assert_eq!(sequences, whole);
}

const AWAY: &str = "nothing is polled while the state can't be reached";
const BACK: &str = "the state can be reached again";

fn count(log: &str, line: &str) -> usize {
    log.matches(line).count()
}

fn wait_for(watcher: &Program, line: &str, times: usize) {
    eventually(line, || {
        (count(&watcher.log(), line) >= times).then_some(())
    });
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_server_that_restarts_or_refuses_for_a_while_loses_nothing() {
    let server = Server::start();
    let (scene, mut watcher) = watch(&server.url());
    add(&scene, "before");
    wait_until_reported(&scene, "before");

    server.stop();
    add(&scene, "while it was down");
    wait_for(&watcher, AWAY, 1);
    let readiness = || get(address_of(&watcher), "/readyz");
    eventually("no readiness, and why", || {
        let page = readiness();
        let is_explained = page.body.starts_with("the state can't be reached: ");
        (page.status == 503 && is_explained).then_some(())
    });
    server.run();
    wait_until_reported(&scene, "while it was down");
    wait_for(&watcher, BACK, 1);
    eventually("readiness", || (readiness().status == 200).then_some(()));

    server.admit("local all all trust\nhost all all 127.0.0.1/32 reject\n");
    server.reload();
    server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ucdn-watch'");
    add(&scene, "while it refused");
    wait_for(&watcher, AWAY, 2);
    server.admit("local all all trust\nhost all all 127.0.0.1/32 trust\n");
    server.reload();
    wait_until_reported(&scene, "while it refused");
    check_sequences(&scene);
    watcher.stop().0.with_code(0);
}

/// The standby confirms each commit, so it lacks none when it takes over.
#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_standby_that_takes_over_is_found_and_gone_on_with() {
    let primary = Server::start();
    let standby = primary.standby();
    primary.configure("synchronous_standby_names = '*'\n");
    primary.reload();
    let url = format!(
        "postgres://ucdn@127.0.0.1:{},127.0.0.1:{}/postgres",
        primary.port, standby.port
    );
    let (scene, mut watcher) = watch(&url);
    add(&scene, "before");
    wait_until_reported(&scene, "before");
    primary.kill();
    add(&scene, "between");
    // The standby answers, but takes nothing: that is no server to go on with.
    wait_for(&watcher, AWAY, 1);
    standby.promote();
    wait_until_reported(&scene, "between");
    check_sequences(&scene);
    watcher.stop().0.with_code(0);
}
