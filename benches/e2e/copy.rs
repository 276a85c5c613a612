//! Benchmark: `state copy` of a large state from a file to PostgreSQL and back. Speed and memory.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::list_server::{ListServer, ListSize};
use crate::measured::{Cost, run};
use crate::polls::{POLL, memory};
use crate::report::{Measurement, Report};
use crate::shared::postgres;
use crate::statistics::{Sample, mebibytes, whole};
use crate::tempdir::{BenchDir, Config};

const LIST: ListSize = ListSize {
    tasks: 1_000_000,
    urls: 1,
};

/// Copies both ways.
pub(crate) fn copy(rounds: usize, report: &mut Report) -> io::Result<()> {
    let server = postgres("copy")?;
    let api = ListServer::start(LIST)?;
    let dir = BenchDir::new(&Config {
        api: &api.url,
        poll: &format!("{POLL}\nfirst_run = \"all\""),
        webhooks: vec!["http://127.0.0.1:9/".to_owned()],
    })?;
    // The webhook's port is closed, so deliveries stay pending and `--once` exits with 75.
    run(dir.once().arg("--quiet"), &[0, 1, 75])?;
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let shared = format!("{server}?schema=copy_{:016x}", fastrand::u64(..));
        let file = dir.folder().join(format!("back-{round}.db"));
        there.push(one(&dir, dir.state(), "env:SHARED", &shared)?);
        back.push(one(&dir, Path::new("env:SHARED"), &file, &shared)?);
        std::fs::remove_file(file)?;
    }
    for (way, costs) in [
        ("a file to PostgreSQL", there),
        ("PostgreSQL to a file", back),
    ] {
        let tasks = f64::from(u32::try_from(LIST.tasks).unwrap_or(u32::MAX));
        let rates = costs.iter().map(|it| tasks / it.elapsed.as_secs_f64());
        report.add(Measurement {
            benchmark: "copy",
            what: format!(
                "a million tasks with one pending event each, from {way}: tasks per second; peak RSS"
            ),
            figure: format!(
                "{}; {}",
                Sample::of(rates).shown(whole),
                memory(&costs).shown(mebibytes)
            ),
            bound: "",
        });
    }
    Ok(())
}

fn one(
    dir: &BenchDir,
    from: impl AsRef<OsStr>,
    to: impl AsRef<OsStr>,
    shared: &str,
) -> io::Result<Cost> {
    let mut command: Command = dir.watch();
    command.args(["state", "copy"]).arg(from).arg(to);
    run(command.env("SHARED", shared), &[0])
}
