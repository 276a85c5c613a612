//! A real `pgbouncer` between the program and the server.

use std::ffi::OsString;

use super::server::Pool;
use super::{new_schema, server_port};
use crate::harness::{Ended, Scene, task, types};

fn once_through(mode: &str) -> (Scene, Ended) {
    let scene = Scene::with(|config| {
        config
            .set("", "state", "{ env = \"STATE_URL\" }")
            .text("poll", "first_run", "all")
    });
    scene.api.add_task(task("a"));
    let pool = Pool::start(server_port(), mode);
    let (port, schema) = (pool.port, new_schema());
    let url = format!("postgres://ucdn@127.0.0.1:{port}/postgres?schema={schema}");
    let variables = [("STATE_URL", OsString::from(url))];
    let ended = scene.start(&["--once"], &variables).wait();
    (scene, ended)
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_pool_in_session_mode_is_as_good_as_the_server() {
    let (scene, ended) = once_through("session");
    let ended = ended.with_code(0);
    assert_eq!(types(&scene.hook.events()), ["task.wait"], "{ended}");
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_pool_in_transaction_or_statement_mode_is_refused_before_anything_is_polled() {
    for mode in ["transaction", "statement"] {
        let (scene, ended) = once_through(mode);
        let ended = ended.with_code(74);
        let said = "a connection pool in transaction mode stands before the server";
        assert!(ended.stderr.contains(said), "{mode}: {ended}");
        assert_eq!(scene.api.request_count(), 0);
    }
}
