//! Benchmark: CPU and memory of an idle watcher with one target, and the time from start to READY.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use crate::list_server::{ListServer, ListSize};
use crate::measured::Running;
use crate::report::{Measurement, Report};
use crate::statistics::{Sample, mebibytes, milliseconds};
use crate::tempdir::{BenchDir, Config, PROGRAM};

const TASKS: ListSize = ListSize { tasks: 10, urls: 5 };

/// Measures for `minutes` after the start and the first poll.
pub(crate) fn idle(minutes: f64, report: &mut Report) -> io::Result<()> {
    let target = quiet_target()?;
    let watcher = start_until_ready(&target.dir)?.watcher;
    thread::sleep(Duration::from_secs(2));
    let before = watcher.cpu_so_far()?;
    thread::sleep(Duration::from_secs_f64(60.0 * minutes));
    let used = watcher.cpu_so_far()?.saturating_sub(before);
    let memory = watcher.rss_bytes()?;
    watcher.stop()?;
    let mut add = |what: String, figure| {
        report.add(Measurement {
            benchmark: "idle",
            what,
            figure,
            bound: "",
        });
    };
    add(
        "one target, every minute: RSS".to_owned(),
        mebibytes(float(memory)),
    );
    add(
        format!("one target, every minute: CPU in {minutes} minutes"),
        milliseconds(used.as_secs_f64()),
    );
    add(
        "the program's file".to_owned(),
        mebibytes(float(fs::metadata(PROGRAM)?.len())),
    );
    Ok(())
}

/// Time from the start of the process to `READY=1` for systemd.
pub(crate) fn start(rounds: usize, report: &mut Report) -> io::Result<()> {
    let target = quiet_target()?;
    let mut spans = Vec::new();
    for _ in 0..rounds * 4 {
        let started = start_until_ready(&target.dir)?;
        spans.push(started.after.as_secs_f64());
        started.watcher.stop()?;
    }
    report.add(Measurement {
        benchmark: "idle",
        what: "start to READY".to_owned(),
        figure: Sample::of(spans).shown(milliseconds),
        bound: "",
    });
    Ok(())
}

struct Target {
    dir: BenchDir,
    _server: ListServer,
}

fn quiet_target() -> io::Result<Target> {
    let server = ListServer::start(TASKS)?;
    let dir = BenchDir::new(&Config {
        api: &server.url,
        poll: "",
        webhooks: Vec::new(),
    })?;
    Ok(Target {
        dir,
        _server: server,
    })
}

struct Started {
    watcher: Running,
    after: Duration,
}

fn start_until_ready(dir: &BenchDir) -> io::Result<Started> {
    let path = dir.folder().join("notify");
    // The previous start leaves its socket behind.
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let begun = Instant::now();
    let watcher = Running::start(dir.watch().env("NOTIFY_SOCKET", &path))?;
    let mut message = [0; 4096];
    loop {
        let length = socket.recv(&mut message)?;
        if message[..length].starts_with(b"READY=1") {
            let after = begun.elapsed();
            return Ok(Started { watcher, after });
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "far below the numbers that lose any"
)]
fn float(number: u64) -> f64 {
    number as f64
}
