//! File syncs per poll, counted by strace where it is installed, and the time of one sync.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::statistics::Sample;
use crate::tempdir::BenchDir;

/// Seconds per sync of 4 KiB appended in this folder.
pub(crate) fn one(folder: &Path) -> io::Result<Sample> {
    let mut file = File::create(folder.join("sync"))?;
    let mut spans = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        spans.push(begun.elapsed().as_secs_f64());
    }
    Ok(Sample::of(spans))
}

/// Runs one poll under strace and counts its syncs. `None` if strace is missing.
pub(crate) fn count(dir: &BenchDir) -> io::Result<Option<usize>> {
    let trace = dir.folder().join("syncs.txt");
    let poll = dir.once();
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
