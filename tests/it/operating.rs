//! The backup commands of docs/operating.md: a backup of a running state, restored, loses no pending delivery and keeps ids.

use std::fs;
use std::process::Command;

use serde_json::Value;
use ucdn_watch::config::Environment;

use ucdn_simulator::HttpResponse;

use crate::harness::{Document, Scene, task, types};

const OPERATING: Document = Document {
    name: "docs/operating.md",
    text: include_str!("../../docs/operating.md"),
};

/// The block with this command, with the scene's paths and without the systemd commands.
fn script(scene: &Scene, command: &str) -> String {
    let blocks = OPERATING.blocks_in("sh").into_iter();
    let mut blocks = blocks.filter(|block| block.text.contains(command));
    let text = blocks.next().unwrap_or_else(|| panic!("no {command}")).text;
    let lines = text.lines().filter(|line| !line.starts_with("systemctl "));
    let folder = scene.folder().to_str().unwrap();
    let text = lines.collect::<Vec<_>>().join("\n");
    text.replace("/var/lib/ucdn-watch", folder)
        .replace("/var/backups", folder)
}

fn run(script: &str) {
    let output = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
}

fn ids(events: &[Value]) -> Vec<&str> {
    events.iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[test]
fn a_restored_backup_keeps_its_pending_deliveries() {
    if Command::new("sqlite3").arg("--version").output().is_err() {
        let is_gate = Environment::of_process().get("CI").is_some();
        assert!(!is_gate, "the gate needs sqlite3");
        return;
    }
    let scene = Scene::new();
    scene.api.add_task(task("a"));
    let watcher = scene.watch();
    scene.hook.wait_for_events(1);
    scene.hook.answer_always(HttpResponse::status(503));
    scene.change("a", "process");
    scene.hook.wait_for_deliveries(2);
    run(&script(&scene, ".backup"));
    scene.hook.accept_all();
    scene.change("a", "success");
    let received = scene.hook.wait_for_events(3);
    assert_eq!(
        types(&received),
        ["task.wait", "task.process", "task.success"]
    );
    drop(watcher);

    run(&script(&scene, "cp /var/backups"));
    let restored = fs::read(scene.state_path()).unwrap();
    assert_eq!(
        restored,
        fs::read(scene.folder().join("ucdn-watch.db")).unwrap()
    );
    let due = scene.run(&["deliveries", "retry", "--all"]);
    assert_eq!(due.code, Some(0), "{due}");
    let ended = scene.once();
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(
        ended.stderr.contains("the state is older than it was"),
        "{ended}"
    );
    let again = &scene.hook.events()[3..];
    assert_eq!(
        again[0]["id"], received[1]["id"],
        "a pending event keeps its id"
    );
    let known = ids(&received);
    let new = &ids(again)[1..];
    assert!(types(again).contains(&"task.success"), "{again:#?}");
    assert!(
        new.iter().all(|id| !known.contains(id)),
        "{new:?} {known:?}"
    );
}
