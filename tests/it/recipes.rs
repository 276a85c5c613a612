//! The recipes of docs/recipes.md: deploy script, systemd drop-ins, Alertmanager route.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use ucdn_watch::config::Environment;

use crate::harness::{Document, Scene, task};

const RECIPES: Document = Document {
    name: "docs/recipes.md",
    text: include_str!("../../docs/recipes.md"),
};
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the deploy script. Its submit command prints this task id.
fn deploy(scene: &Scene, task: &str, timeout: &str) -> Output {
    let script = RECIPES.blocks_in("sh").remove(0).text;
    assert!(script.starts_with("#!/bin/sh\n"));
    let hurried = script.replace(
        "--timeout 10m",
        &format!("--timeout {timeout} --interval 100ms"),
    );
    assert_ne!(hurried, script);
    let submit = scene.folder().join("submit-refresh");
    fs::write(&submit, format!("#!/bin/sh\necho {task}\n")).unwrap();
    fs::set_permissions(&submit, fs::Permissions::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_ucdn-watch"));
    let folder = program.parent().unwrap().to_str().unwrap();
    Command::new("sh")
        .args(["-c", &hurried])
        .current_dir(scene.folder())
        .env_clear()
        .env("PATH", format!("{folder}:/usr/bin:/bin"))
        .env("UCDN_ENDPOINT", scene.api.endpoint())
        .env("UCDN_PUBLIC_KEY", scene.api.public_key())
        .env("UCDN_PRIVATE_KEY", scene.api.private_key())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn the_deploy_script_distinguishes_success_failure_and_timeout() {
    let scene = Scene::new();
    for id in ["good", "bad", "slow"] {
        scene.api.add_task(task(id));
    }
    scene.change("good", "success");
    scene.change("bad", "failure");
    let cases = [
        ("good", "60s", 0, "fresh everywhere"),
        ("bad", "60s", 1, "some URLs still show the old version"),
        ("slow", "200ms", 0, "not finished in time"),
    ];
    for (task, timeout, code, words) in cases {
        let output = deploy(&scene, task, timeout);
        assert_eq!(output.status.code(), Some(code), "{task}: {output:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains(words), "{task}: {said}");
    }
}

/// The drop-ins that `systemctl edit` would add.
#[test]
fn systemd_accepts_the_drop_ins() {
    let unit = fs::read_to_string(Path::new(ROOT).join("systemd/ucdn-watch.service")).unwrap();
    let program = env!("CARGO_BIN_EXE_ucdn-watch");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ucdn-watch.service");
    fs::write(&path, unit.replace("/usr/bin/ucdn-watch", program)).unwrap();
    let additions = folder.path().join("ucdn-watch.service.d");
    fs::create_dir(&additions).unwrap();
    for (number, block) in RECIPES.blocks_in("ini").iter().enumerate() {
        fs::write(additions.join(format!("{number}.conf")), &block.text).unwrap();
    }
    let verify = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output();
    let is_gate = Environment::of_process().get("CI").is_some();
    assert!(verify.is_ok() || !is_gate, "the gate needs systemd-analyze");
    let Ok(verify) = verify else { return };
    let complaints = String::from_utf8_lossy(&verify.stderr);
    assert!(verify.status.success(), "{complaints}");
    assert_eq!(complaints, "");
}

#[test]
#[ignore = "needs Debian's prometheus-alertmanager; the gate runs it"]
fn alertmanager_accepts_the_route() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("alertmanager.yml");
    fs::write(&path, RECIPES.blocks_in("yaml").remove(0).text).unwrap();
    let check = Command::new("amtool")
        .arg("check-config")
        .arg(&path)
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
}
