//! Pipes that nothing reads: a full stderr or stdout blocks neither polls nor deliveries nor a stop.

use std::io::{ErrorKind, PipeReader, PipeWriter, Write as _, pipe};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Scene, Stopwatch, eventually, task, types};

/// Longest stop that the contract allows.
const STOP: Duration = Duration::from_secs(2);

/// A full pipe.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    let full = loop {
        if let Err(error) = writer.write(&[b'x'; 512]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

fn start(scene: &Scene, arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Child {
    Command::new(env!("CARGO_BIN_EXE_ucdn-watch"))
        .env_clear()
        .arg("--config")
        .arg(scene.config_path())
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .unwrap()
}

/// Sends SIGTERM and waits for the exit.
fn stop(mut child: Child) -> ExitStatus {
    let watch = Stopwatch::start();
    let id = i32::try_from(child.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::TERM).unwrap();
    let status = eventually("the exit", || child.try_wait().unwrap());
    assert!(watch.elapsed() < STOP, "{:?}", watch.elapsed());
    status
}

#[test]
fn a_log_that_nothing_reads_blocks_neither_polls_nor_deliveries_nor_a_stop() {
    let scene = Scene::new();
    let (reader, writer) = full_pipe();
    let watcher = start(&scene, &["--verbose"], Stdio::null(), writer.into());
    scene.wait_for_polls(3);
    scene.api.add_task(task("t"));
    assert_eq!(types(&scene.hook.wait_for_events(1)), ["task.wait"]);
    scene.wait_for_polls(3);
    assert_eq!(stop(watcher).code(), Some(0));
    drop(reader);
}

#[test]
fn an_error_message_that_nothing_reads_does_not_delay_the_exit() {
    let scene = Scene::new();
    scene.write_config("nonsense");
    let (reader, writer) = full_pipe();
    let mut watcher = start(&scene, &[], Stdio::null(), writer.into());
    let status = eventually("the exit", || watcher.try_wait().unwrap());
    assert_eq!(status.code(), Some(78));
    drop(reader);
}

#[test]
fn a_summary_that_nothing_reads_does_not_delay_a_stop() {
    let scene = Scene::new();
    scene.api.add_task(task("t"));
    let (reader, writer) = full_pipe();
    let run = start(&scene, &["--once"], writer.into(), Stdio::null());
    scene.hook.wait_for_events(1);
    assert_eq!(stop(run).code(), Some(74));
    drop(reader);
}
