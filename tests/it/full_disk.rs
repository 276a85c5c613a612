//! A full or read-only disk: polls fail with one log line, resume later, and lose or invent no event.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, getuid, prlimit};

use ucdn_simulator::HttpResponse;

use crate::harness::{Program, Scene, eventually, task, types};

/// Limits file size (`RLIMIT_FSIZE`). The kernel's error then differs from that of a full disk only in its number.
fn limit_files(program: &Program, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(program.id()).unwrap());
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

/// A program that starts ours, with only `PATH` in its environment.
fn command(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn count(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[test]
fn polls_fail_while_the_disk_is_full_and_resume_afterwards() {
    let scene = Scene::new();
    scene.api.add_task(task("a"));
    let mut watcher = scene.watch();
    scene.hook.wait_for_events(1);
    limit_files(&watcher, Some(0));
    scene.change("a", "failure");
    watcher.wait_for_log("poll failed");
    scene.wait_for_polls(5);
    scene.api.add_task(task("b"));
    scene.wait_for_polls(5);
    assert_eq!(types(&scene.hook.events()), ["task.wait"]);
    limit_files(&watcher, None);
    let events = scene.hook.wait_for_events(3);
    watcher.wait_for_log("polls succeed again");
    let (ended, _) = watcher.stop();
    let ended = ended.with_code(0);
    assert_eq!(count(&ended.stderr, "poll failed"), 1, "{ended}");
    let mut found = types(&events);
    found.sort_unstable();
    assert_eq!(found, ["task.failure", "task.wait", "task.wait"]);
    let sequences: Vec<_> = events.iter().map(|it| it["sequence"].as_u64()).collect();
    assert_eq!(sequences, [Some(1), Some(2), Some(3)]);
    assert!(!ended.stderr.contains("damaged"), "{ended}");
    assert_eq!(scene.news(), [serde_json::Value::Null; 0]);
}

#[test]
fn a_delivery_that_cannot_be_recorded_is_not_repeated() {
    let scene = Scene::new();
    scene.hook.answer_next([HttpResponse::status(500)]);
    scene.api.add_task(task("a"));
    let mut watcher = scene.watch();
    scene.hook.wait_for_deliveries(1);
    // The next log line shows that the failed attempt is recorded.
    watcher.wait_for_log("500");
    eventually("the try's being recorded", || {
        let state = rusqlite::Connection::open(scene.state_path()).ok()?;
        let attempts = state.query_row("SELECT attempts FROM delivery", [], |row| row.get(0));
        (attempts == Ok(1)).then_some(())
    });
    limit_files(&watcher, Some(0));
    let deliveries = scene.hook.wait_for_deliveries(2);
    watcher.wait_for_log("can't record deliveries");
    scene.wait_for_polls(10);
    limit_files(&watcher, None);
    eventually("the delivery's being recorded", || {
        let state = rusqlite::Connection::open(scene.state_path()).ok()?;
        let state = state.query_row("SELECT state FROM delivery", [], |row| row.get(0));
        (state == Ok("delivered".to_owned())).then_some(())
    });
    watcher.stop().0.with_code(0);
    assert_eq!(deliveries[0].body, deliveries[1].body);
    assert_eq!(scene.hook.deliveries().len(), 2);
    scene.once().with_code(0);
    assert_eq!(scene.hook.deliveries().len(), 2);
}

#[test]
fn a_run_that_cannot_write_exits_with_74_and_the_next_run_reports_everything() {
    let scene = Scene::new();
    scene.once().with_code(0);
    scene.api.add_task(task("a"));
    let before = fs::read(scene.state_path()).unwrap();
    let config = scene.config_path();
    let mut limited = command("sh");
    limited.args(["-c", "ulimit -f 0 && exec \"$0\" \"$@\""]);
    limited.arg(env!("CARGO_BIN_EXE_ucdn-watch"));
    limited.args(["--config", config.to_str().unwrap(), "--once"]);
    let ended = Program::of(limited).wait().with_code(74);
    assert!(ended.stderr.contains("state.db"), "{ended}");
    assert!(fs::read(scene.state_path()).unwrap() == before);
    assert_eq!(types(&scene.news()), ["task.wait"]);
}

/// A small file system in a mount namespace that ends with the program.
struct OwnDisk<'a> {
    scene: &'a Scene,
    /// Mount point as the program sees it.
    place: PathBuf,
}

impl<'a> OwnDisk<'a> {
    /// `None` where mounting is not permitted.
    fn of(scene: &'a Scene) -> Option<Self> {
        let place = scene.folder().join("disk");
        fs::create_dir(&place).unwrap();
        let state = place.join("state.db");
        scene.configure(|config| config.text("", "state", state.to_str().unwrap()));
        let probe = command("unshare")
            .args(["--mount", "mount", "-t", "tmpfs", "tmpfs"])
            .arg(&place)
            .output();
        let may_mount = getuid().is_root() && probe.is_ok_and(|it| it.status.success());
        may_mount.then_some(Self { scene, place })
    }

    /// Starts the program after `sh` mounted the disk at `$D`.
    fn start(&self, prepare: &str, arguments: &[&str]) -> Program {
        let mut command = command("unshare");
        command.args(["--mount", "sh", "-c"]);
        command.arg(format!("set -e; {prepare}; exec \"$0\" \"$@\""));
        command.arg(env!("CARGO_BIN_EXE_ucdn-watch"));
        command.args(["--config", self.scene.config_path().to_str().unwrap()]);
        command.args(arguments);
        command.env("D", &self.place);
        Program::of(command)
    }

    /// Path of a file on the disk, from outside the namespace.
    fn file(&self, program: &Program, name: &str) -> PathBuf {
        let root = format!("/proc/{}/root", program.id());
        let inside = self.place.join(name);
        Path::new(&root).join(inside.strip_prefix("/").unwrap())
    }
}

#[test]
fn a_disk_that_fills_up_loses_no_event() {
    let scene = Scene::new();
    let Some(disk) = OwnDisk::of(&scene) else {
        return; // polls_fail_while_the_disk_is_full_and_resume_afterwards has to do.
    };
    scene.api.add_task(task("a"));
    let mut watcher = disk.start("mount -t tmpfs -o size=1m tmpfs \"$D\"", &[]);
    scene.hook.wait_for_events(1);
    let filler = disk.file(&watcher, "filler");
    // To the last page: SQLite reuses the WAL only after a checkpoint.
    let _ = fs::write(&filler, vec![7; 1 << 20]);
    let mut added = 0;
    while !watcher.log().contains("poll failed") {
        added += 1;
        scene.api.add_task(task(&format!("b-{added}")));
        scene.wait_for_polls(1);
        assert!(added < 300, "the disk never fills up");
    }
    scene.wait_for_polls(5);
    fs::remove_file(filler).unwrap();
    let events = scene.hook.wait_for_events(1 + added);
    watcher.wait_for_log("polls succeed again");
    let ended = watcher.stop().0.with_code(0);
    assert_eq!(count(&ended.stderr, "poll failed"), 1, "{ended}");
    assert_eq!(types(&events), vec!["task.wait"; 1 + added]);
    let mut ids: Vec<_> = events.iter().map(|it| it["task"]["id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1 + added, "each once");
    let sequences = events.iter().map(|it| it["sequence"].as_u64().unwrap());
    assert!(sequences.eq(1..=events.len() as u64), "and in order");
}

#[test]
fn a_read_only_disk_is_reported_and_nothing_is_set_aside() {
    let scene = Scene::new();
    let Some(disk) = OwnDisk::of(&scene) else {
        return; // a_run_that_cannot_write_exits_with_74_and_the_next_run_reports_everything has to do.
    };
    scene.once().with_code(0);
    let before = fs::read(disk.place.join("state.db")).unwrap();
    for prepare in [
        "mount --bind \"$D\" \"$D\"; mount -o remount,ro,bind \"$D\"",
        "mount --bind \"$D/state.db\" \"$D/state.db\"; mount -o remount,ro,bind \"$D/state.db\"",
    ] {
        let ended = disk.start(prepare, &["--once"]).wait().with_code(74);
        assert!(ended.stderr.contains("state.db"), "{ended}");
        assert!(!ended.stderr.contains("damaged"), "{ended}");
        assert!(fs::read(disk.place.join("state.db")).unwrap() == before);
    }
    scene.once().with_code(0);
}

#[test]
fn a_state_of_another_user_is_reported_and_left_alone() {
    let scene = Scene::new();
    scene.once().with_code(0);
    let before = fs::read(scene.state_path()).unwrap();
    if !getuid().is_root() {
        return; // No other user exists.
    }
    let program = scene.folder().join("ucdn-watch");
    fs::copy(env!("CARGO_BIN_EXE_ucdn-watch"), &program).unwrap();
    for path in [scene.folder(), &program, &scene.config_path()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = command("setpriv");
    command
        .args(["--reuid", "65534", "--clear-groups"])
        .arg(&program);
    command
        .arg("--config")
        .arg(scene.config_path())
        .arg("--once");
    let ended = Program::of(command).wait().with_code(74);
    assert!(ended.stderr.contains("Permission denied"), "{ended}");
    assert!(fs::read(scene.state_path()).unwrap() == before);
}
