//! A watcher with one target and nothing to do; and how long its start takes.

use std::fs;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::{Duration, Instant};

use crate::list_server::{ListServer, ListSize};
use crate::measured::Running;
use crate::place::{Config, PROGRAM, Place};
use crate::report::{Finding, Report};
use crate::statistics::{Sample, mebibytes, milliseconds};

const TASKS: ListSize = ListSize { tasks: 10, urls: 5 };

/// After start and first poll, for so many minutes.
pub(crate) fn idle(minutes: f64, report: &mut Report) -> io::Result<()> {
    let place_and_server = quiet_target()?;
    let watcher = start_until_ready(&place_and_server.place)?.watcher;
    thread::sleep(Duration::from_secs(2));
    let before = watcher.cpu_so_far()?;
    thread::sleep(Duration::from_secs_f64(60.0 * minutes));
    let used = watcher.cpu_so_far()?.saturating_sub(before);
    let memory = watcher.rss_bytes()?;
    watcher.stop()?;
    let mut add = |what: String, figure| {
        report.add(Finding {
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

/// From the start of the process to its telling the service manager that it is ready.
pub(crate) fn start(rounds: usize, report: &mut Report) -> io::Result<()> {
    let target = quiet_target()?;
    let mut spans = Vec::new();
    for _ in 0..rounds * 4 {
        let started = start_until_ready(&target.place)?;
        spans.push(started.after.as_secs_f64());
        started.watcher.stop()?;
    }
    report.add(Finding {
        benchmark: "idle",
        what: "start to READY".to_owned(),
        figure: Sample::of(spans).shown(milliseconds),
        bound: "",
    });
    Ok(())
}

struct Target {
    place: Place,
    _server: ListServer,
}

fn quiet_target() -> io::Result<Target> {
    let server = ListServer::start(TASKS)?;
    let place = Place::new(&Config {
        api: &server.url,
        poll: "",
        webhooks: Vec::new(),
    })?;
    Ok(Target {
        place,
        _server: server,
    })
}

struct Started {
    watcher: Running,
    after: Duration,
}

fn start_until_ready(place: &Place) -> io::Result<Started> {
    let path = place.folder().join("notify");
    // Left by the start before this one.
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let begun = Instant::now();
    let watcher = Running::start(place.watch().env("NOTIFY_SOCKET", &path))?;
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
