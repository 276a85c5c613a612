//! How often a poll waits for the disk, counted by strace where there is one.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use crate::place::Place;

/// Runs one poll of its own and counts. Nothing where strace is missing.
pub(crate) fn count(place: &Place) -> io::Result<Option<usize>> {
    let trace = place.folder().join("syncs.txt");
    let poll = place.once();
    let traced = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(poll.get_program())
        .args(poll.get_args())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match traced {
        Ok(_) => Ok(Some(
            fs::read_to_string(trace)?
                .lines()
                .filter(|it| it.contains("sync("))
                .count(),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
