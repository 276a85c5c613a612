//! More targets than the server has locks for.

use super::server::Server;
use crate::harness::{Program, Scene, eventually};

const TARGETS: usize = 120;

/// Of the server's locks, a quarter is left to others.
const SMALL_TABLE: &str =
    "max_locks_per_transaction = 10\nmax_connections = 12\nmax_wal_senders = 0\n";
const ROOM: usize = 90;

/// As many as the shortage asks for.
const LARGE_TABLE: &str = "max_locks_per_transaction = 15\n";

fn crowd(server: &Server) -> Scene {
    Scene::with(|config| {
        let config = config
            .text("", "state", &server.url())
            .text("poll", "interval", "1h")
            .without("targets.shop");
        (0..TARGETS).fold(config, |config, number| {
            let table = format!("targets.t{number}");
            config.text(&table, "project_id", &format!("org-{number}"))
        })
    })
}

/// Waits until these hold so many each.
fn wait_until_held(instances: &[&Program], counts: &[usize]) {
    for (instance, count) in instances.iter().zip(counts) {
        let line = format!("targets owned by this instance: {count}\n");
        eventually(&line, || {
            let log = instance.log();
            let last = log.rfind("targets owned by this instance")?;
            log[last..].starts_with(&line).then_some(())
        });
    }
}

/// A full table once would have failed every look, and with it all polls, and the statements of the server's other users.
#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn what_the_servers_lock_table_has_no_room_for_is_said_and_the_rest_is_watched_and_shared() {
    let server = Server::start();
    server.stop();
    server.configure(SMALL_TABLE);
    server.run();
    let scene = crowd(&server);
    let mut first = scene.watch();
    wait_until_held(&[&first], &[ROOM]);
    first.wait_for_log(
        "some targets are not polled by any instance: the server's lock table has room for 90 of 120 targets: set its \
         max_locks_per_transaction to 15 (it is 10), and restart it",
    );
    eventually("a poll of each target that is held", || {
        (scene.api.request_count() >= ROOM as u64).then_some(())
    });
    let mut second = scene.watch();
    wait_until_held(&[&first, &second], &[ROOM / 2, ROOM / 2]);
    server.stop();
    server.configure(LARGE_TABLE);
    server.run();
    for instance in [&first, &second] {
        instance.wait_for_log("every target can be polled again");
    }
    wait_until_held(&[&first, &second], &[TARGETS / 2, TARGETS / 2]);
    let shortages = first
        .log()
        .matches("some targets are not polled by any instance")
        .count();
    assert_eq!(shortages, 1, "said at each look");
    first.stop().0.with_code(0);
    second.stop().0.with_code(0);
}
