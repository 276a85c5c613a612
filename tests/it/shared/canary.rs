//! The password of a PostgreSQL state never leaves the program, whatever happens to the server.

use std::fs;

use super::server::Server;
use crate::harness::visitor::{PAGES, address_of, get};
use crate::harness::{ConfigText, Program, Scene, eventually, task};
use crate::secrets::{assert_no_canary, assert_no_canary_in_output};

/// As the server knows it, and as URLs have it.
const PASSWORD: [&str; 2] = ["canary/pass@word", "canary%2Fpass%40word"];

const ADMITTED: &str = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";

/// What reads or writes the state.
const WITH_STATE: [&[&str]; 7] = [
    &["--once", "--verbose"],
    &["tasks", "--verbose"],
    &["tasks", "--json"],
    &["events", "--json"],
    &["deliveries", "--all", "--json"],
    &["deliveries", "retry", "--all"],
    &["deliveries", "drop", "--all"],
];

/// What does without.
const WITHOUT_STATE: [&[&str]; 4] = [
    &["check", "--verbose"],
    &["check", "--online", "--verbose"],
    &["query", "--verbose"],
    &["test-webhook", "--verbose"],
];

struct Guarded {
    scene: Scene,
    server: Server,
}

impl Guarded {
    /// The state's URL stands in a file, as it would with a service.
    fn new() -> Self {
        let server = Server::start();
        server.query(&format!("ALTER USER ucdn PASSWORD '{}'", PASSWORD[0]));
        server.admit(ADMITTED);
        server.reload();
        let guarded = Self {
            scene: Scene::with(with_state),
            server,
        };
        let textfile = guarded.scene.folder().join("ucdn.prom");
        guarded.scene.configure(|config| {
            with_state(config)
                .text("http", "listen", "127.0.0.1:0")
                .text("metrics", "textfile", textfile.to_str().unwrap())
        });
        guarded.use_state(PASSWORD[1], guarded.server.port);
        guarded
    }

    fn use_state(&self, password: &str, port: u16) {
        let url = format!("postgres://ucdn:{password}@127.0.0.1:{port}/postgres\n");
        fs::write(self.scene.folder().join("state_url"), url).unwrap();
    }

    fn assert_all_silent(&self, commands: &[&[&str]], code: i32, when: &str) {
        for command in commands {
            let ended = self.scene.run(command).with_code(code);
            assert_no_canary_in_output(&ended, &format!("{command:?}, {when}"));
        }
        self.assert_no_leak();
    }

    /// Neither the receiver nor a reader of the written files sees the password.
    fn assert_no_leak(&self) {
        for delivery in self.scene.hook.deliveries() {
            assert_no_canary(&format!("{delivery:?}"), "a delivery");
        }
        for entry in fs::read_dir(self.scene.folder()).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("state_url") {
                let content = fs::read(&path).unwrap();
                assert_no_canary(&String::from_utf8_lossy(&content), "a file");
            }
        }
    }
}

fn with_state(config: ConfigText) -> ConfigText {
    config.set("", "state", "{ file = \"state_url\" }")
}

fn assert_not_in_process(watcher: &Program) {
    for file in ["cmdline", "environ"] {
        let content = fs::read(format!("/proc/{}/{file}", watcher.id())).unwrap();
        assert_no_canary(&String::from_utf8_lossy(&content), file);
    }
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn no_command_shows_the_password_of_its_state_whether_the_server_is_there_or_refuses() {
    let guarded = Guarded::new();
    guarded.scene.api.add_task(task("t"));
    guarded.assert_all_silent(&WITH_STATE, 0, "the server is up");
    guarded.assert_all_silent(&WITHOUT_STATE, 0, "the server is up");
    assert!(!guarded.scene.hook.events().is_empty());
    guarded.use_state("canary-wrong", guarded.server.port);
    guarded.assert_all_silent(&WITH_STATE, 74, "the password is wrong");
    let said = guarded.scene.run(&["tasks"]).stderr;
    assert!(said.contains("password authentication failed"), "{said}");
    guarded.server.stop();
    guarded.use_state(PASSWORD[1], guarded.server.port);
    guarded.assert_all_silent(&WITH_STATE, 74, "the server is down");
    guarded.assert_all_silent(&WITHOUT_STATE, 0, "the server is down");
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_watcher_never_shows_the_password_of_its_state_while_the_server_restarts() {
    let guarded = Guarded::new();
    let scene = &guarded.scene;
    scene.api.add_task(task("t"));
    let mut watcher = scene.start(&["--verbose"], &[]);
    scene.hook.wait_for_events(1);
    assert_not_in_process(&watcher);
    guarded.server.kill();
    watcher.wait_for_log("nothing is polled while the state can't be reached");
    let address = address_of(&watcher);
    let look = || {
        for path in PAGES {
            assert_no_canary(&get(address, path).body, path);
        }
    };
    look();
    guarded.server.run();
    watcher.wait_for_log("the state can be reached again");
    scene.change("t", "failure");
    scene.hook.wait_for_events(2);
    look();
    let textfile = scene.folder().join("ucdn.prom");
    eventually("the textfile", || textfile.exists().then_some(()));
    assert_not_in_process(&watcher);
    guarded.assert_no_leak();
    let (ended, _) = watcher.stop();
    assert_no_canary_in_output(&ended.with_code(0), "a watcher");
}
