//! `--once` beside an instance that holds one of the targets: it does the rest, and says so.

use std::ffi::OsString;
use std::fs;

use super::{new_schema, server_url};
use crate::harness::{ConfigText, Receiver, Scene};

fn shared(config: ConfigText) -> ConfigText {
    config.set("", "state", "{ env = \"STATE_URL\" }")
}

#[test]
#[ignore = "needs a PostgreSQL: tests/postgres/run"]
fn a_single_run_polls_the_targets_that_it_leases_and_leaves_the_others() {
    let monitor = Receiver::start();
    let scene = Scene::with(shared);
    let url = format!("{}?schema={}", server_url(), new_schema());
    let variables = [("STATE_URL", OsString::from(url))];
    let mut watcher = scene.start(&[], &variables);
    watcher.wait_for_log("targets owned by this instance: 1");
    let textfile = scene.folder().join("ucdn_watch.prom");
    scene.configure(|config| {
        shared(config)
            .table("targets.other")
            .text("heartbeat", "url", &monitor.url())
            .text("metrics", "textfile", textfile.to_str().unwrap())
    });
    let ended = scene.start(&["--once"], &variables).wait().with_code(75);
    for line in [
        "other: polled:",
        "shop: not polled: another instance owns it",
    ] {
        assert!(ended.stdout.contains(line), "no {line}: {ended}");
    }
    assert_eq!(monitor.delivery_count(), 1, "a heartbeat for its share");
    let metrics = fs::read_to_string(textfile).unwrap();
    for line in [
        "ucdn_watch_target_held{target=\"other\"} 1\n",
        "ucdn_watch_target_held{target=\"shop\"} 0\n",
    ] {
        assert!(metrics.contains(line), "no {line}: {metrics}");
    }
    scene.configure(|config| shared(config).text("heartbeat", "url", &monitor.url()));
    scene.start(&["--once"], &variables).wait().with_code(75);
    assert_eq!(monitor.delivery_count(), 1, "it held nothing");
    watcher.stop().0.with_code(0);
}
