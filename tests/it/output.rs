//! Output that can't be written: a full disk behind stdout, a closed pipe, a full disk behind stderr. And signals as PID 1.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Ended, Program, Scene, eventually, task};

const PROGRAM: &str = env!("CARGO_BIN_EXE_ucdn-watch");

/// A state with one finished task and its events, and a config.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    scene.once();
    scene.change("t", "success");
    scene.once();
    scene
}

/// Runs a script in which `ucdn` is the program with its config.
fn bash(scene: &Scene, script: &str) -> Ended {
    let config = scene.config_path();
    let program = format!(
        "STATE='{}'; ucdn() {{ '{PROGRAM}' --config '{}' \"$@\"; }}",
        scene.state_path().display(),
        config.display()
    );
    let mut command = Command::new("bash");
    command.args(["-c", &format!("{program}\n{script}")]);
    Program::of(command).wait()
}

#[test]
fn stdout_on_a_full_disk_ends_each_command_with_74_and_a_message() {
    let scene = scene();
    for arguments in [
        "--help",
        "--version",
        "--once",
        "check",
        "check --online",
        "completions bash",
        "completions zsh",
        "deliveries",
        "deliveries --json",
        "deliveries drop --all",
        "events",
        "events --json",
        "events --follow",
        "events --follow --json",
        "man",
        "man 5",
        "query",
        "query --json",
        "query --all --json",
        "state copy \"$STATE\" \"$STATE.copy\"",
        "tasks",
        "tasks t",
        "tasks t --json",
        "tasks --all --json",
        "test-webhook",
        "wait t",
        "wait t --json",
    ] {
        let ended = bash(&scene, &format!("ucdn {arguments} >/dev/full")).with_code(74);
        assert!(
            ended.stderr.contains("can't write to stdout")
                && ended.stderr.contains("No space left"),
            "{arguments}: {ended}"
        );
    }
}

#[test]
fn a_closed_pipe_is_no_error() {
    let scene = scene();
    for arguments in [
        "tasks --all --json",
        "tasks",
        "events",
        "events --follow",
        "deliveries",
        "query --json",
        "check",
        "man",
        "completions bash",
        "wait t",
        "--once",
    ] {
        let script = format!("ucdn -q {arguments} | true; exit ${{PIPESTATUS[0]}}");
        let ended = bash(&scene, &script).with_code(0);
        let warning = |line: &&str| !line.contains("private_key");
        let warnings: Vec<&str> = ended.stderr.lines().filter(warning).collect();
        assert!(warnings.is_empty(), "{arguments}: {ended}");
    }
}

#[test]
fn following_ends_when_the_reader_goes_away_although_nothing_happens() {
    let scene = scene();
    let mut child = Command::new(PROGRAM)
        .arg("--config")
        .arg(scene.config_path())
        .args(["events", "--follow"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.contains("task."), "{line}");
    drop(reader);
    let status = eventually("the end of the program", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn stderr_that_cant_be_written_changes_no_exit_code() {
    let scene = scene();
    for (arguments, code) in [
        ("--config /nonexistent check", 78),
        ("--config /nonexistent", 78),
        ("--nonsense", 2),
        ("wait null", 2),
        ("wait t --timeout 1s", 0),
        ("wait never --timeout 1s", 66),
        ("tasks", 0),
        ("tasks nosuch", 2),
        ("events --type task.stalled", 0),
        ("check", 0),
        ("-v query", 0),
        ("-v --once", 0),
    ] {
        let script = format!("'{PROGRAM}' {arguments} 2>/dev/full");
        let script = if arguments.contains("--config") {
            script
        } else {
            format!("ucdn {arguments} 2>/dev/full")
        };
        let ended = bash(&scene, &script);
        assert_eq!(ended.code, Some(code), "{arguments}: {ended}");
    }
}

#[test]
fn following_as_pid_1_ends_with_a_signal() {
    let scene = scene();
    let unshare = ["--user", "--map-root-user", "--pid", "--fork"];
    let works = Command::new("unshare").args(unshare).arg("true").output();
    if !works.is_ok_and(|run| run.status.success()) {
        return; // no namespaces here
    }
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let mut command = Command::new("unshare");
        command.args(unshare).args([PROGRAM, "--config"]);
        command.arg(scene.config_path()).args(["events", "-f"]);
        let mut program = Program::of(command);
        eventually("the first event", || {
            program.printed().contains("task.").then_some(())
        });
        let id = program.id();
        let children = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let child = children.trim().parse().unwrap();
        kill_process(Pid::from_raw(child).unwrap(), signal).unwrap();
        program.wait().with_code(code);
    }
}
