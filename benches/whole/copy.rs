//! `state copy` of a large state, from a file into PostgreSQL and back: how fast, and how much memory it takes.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::list_server::{ListServer, ListSize};
use crate::measured::{Cost, run};
use crate::place::{Config, Place};
use crate::polls::{POLL, memory};
use crate::report::{Finding, Report};
use crate::shared::postgres;
use crate::statistics::{Sample, mebibytes, whole};

const LIST: ListSize = ListSize {
    tasks: 1_000_000,
    urls: 1,
};

/// Each way.
pub(crate) fn copy(rounds: usize, report: &mut Report) -> io::Result<()> {
    let server = postgres("copy")?;
    let api = ListServer::start(LIST)?;
    let place = Place::new(&Config {
        api: &api.url,
        poll: &format!("{POLL}\nfirst_run = \"all\""),
        webhooks: vec!["http://127.0.0.1:9/".to_owned()],
    })?;
    // OutboxBacklog to nobody who answers: 75.
    run(place.once().arg("--quiet"), &[0, 1, 75])?;
    let (mut there, mut back) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let shared = format!("{server}?schema=copy_{:016x}", fastrand::u64(..));
        let file = place.folder().join(format!("back-{round}.db"));
        there.push(one(&place, place.state(), "env:SHARED", &shared)?);
        back.push(one(&place, Path::new("env:SHARED"), &file, &shared)?);
        std::fs::remove_file(file)?;
    }
    for (way, costs) in [
        ("a file to PostgreSQL", there),
        ("PostgreSQL to a file", back),
    ] {
        let tasks = f64::from(u32::try_from(LIST.tasks).unwrap_or(u32::MAX));
        let rates = costs.iter().map(|it| tasks / it.elapsed.as_secs_f64());
        report.add(Finding {
            benchmark: "copy",
            what: format!(
                "a million tasks, and an event owed of each, from {way}: tasks a second; peak RSS"
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
    place: &Place,
    from: impl AsRef<OsStr>,
    to: impl AsRef<OsStr>,
    shared: &str,
) -> io::Result<Cost> {
    let mut command: Command = place.watch();
    command.args(["state", "copy"]).arg(from).arg(to);
    run(command.env("SHARED", shared), &[0])
}
