//! Instruction counts of polls under valgrind, compared with `benches/instructions.toml`. Machine noise does not change them.
//!
//! Each count is of a whole process. The list is short so that the run takes seconds. `start` is the cost of a poll of an
//! empty list.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::list_server::{ListServer, ListSize};
use crate::polls::{CHANGED, POLL};
use crate::tempdir::{BenchDir, Config};

/// The stored counts.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");
const HEADER: &str = "\
# Instructions of whole `ucdn-watch --once` runs under valgrind: 2,000 tasks × 5 URLs in pages of 1,000. The gate fails
# if one grows by more than 5 %. Renewed by: cargo bench --bench e2e -- instructions --renew
";
const TOLERANCE_PER_CENT: f64 = 5.0;
const LIST: ListSize = ListSize {
    tasks: 2_000,
    urls: 5,
};
const EMPTY_LIST: ListSize = ListSize { tasks: 0, urls: 5 };

/// Instructions per kind of poll.
type Counts = BTreeMap<String, u64>;

/// Counts and rewrites the file.
pub(crate) fn renew() -> io::Result<()> {
    let mut text = HEADER.to_owned();
    for (what, count) in counts()? {
        let _ = writeln!(text, "{what} = {count}");
    }
    fs::write(FILE, text)
}

/// Counts and compares. Fails if a count grew by more than the tolerance.
pub(crate) fn compare() -> io::Result<()> {
    let before: Counts = toml::from_str(&fs::read_to_string(FILE)?).map_err(io::Error::other)?;
    let mut grown = Vec::new();
    for (what, now) in counts()? {
        let before = before.get(&what).copied().unwrap_or(0);
        let change = change_per_cent(before, now);
        println!("{what:>6}: {now:>12} instructions, {change:+.1} %");
        if change > TOLERANCE_PER_CENT {
            grown.push(what);
        } else if change < -TOLERANCE_PER_CENT {
            println!(
                "        better than the file says; renew it: cargo bench --bench e2e -- instructions --renew"
            );
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "more than {TOLERANCE_PER_CENT} % over benches/instructions.toml: {}; make it cheaper, or renew the file and say why",
        grown.join(", ")
    )))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "far below the numbers that lose any"
)]
fn change_per_cent(before: u64, now: u64) -> f64 {
    if before == 0 {
        return f64::INFINITY;
    }
    (now as f64 / before as f64 - 1.0) * 100.0
}

fn counts() -> io::Result<Counts> {
    let mut server = ListServer::start(LIST)?;
    let dir = bench_dir(&server)?;
    let first = count(&dir)?;
    // The second poll is shorter: the first one recorded how the server pages.
    count(&dir)?;
    let quiet = count(&dir)?;
    server.change(CHANGED)?;
    let busy = count(&dir)?;
    let empty = ListServer::start(EMPTY_LIST)?;
    let empty_dir = bench_dir(&empty)?;
    count(&empty_dir)?;
    let start = count(&empty_dir)?;
    let named = [
        ("first", first),
        ("quiet", quiet),
        ("busy", busy),
        ("start", start),
    ];
    Ok(named.map(|(what, count)| (what.to_owned(), count)).into())
}

fn bench_dir(server: &ListServer) -> io::Result<BenchDir> {
    BenchDir::new(&Config {
        api: &server.url,
        poll: POLL,
        webhooks: Vec::new(),
    })
}

/// One poll under valgrind.
fn count(dir: &BenchDir) -> io::Result<u64> {
    let out = dir.folder().join("callgrind.out");
    let poll = dir.once();
    let status = Command::new("valgrind")
        .args(["-q", "--tool=callgrind"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(poll.get_program())
        .args(poll.get_args())
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| io::Error::other(format!("valgrind can't be run: {error}")))?;
    if !matches!(status.code(), Some(0 | 1)) {
        return Err(io::Error::other(format!(
            "the poll under valgrind ended with {status}"
        )));
    }
    total(&out)
}

/// Callgrind's own sum, over all threads.
fn total(out: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(out)?;
    let lines = text.lines().filter_map(|it| it.strip_prefix("totals: "));
    let sums = lines.filter_map(|it| it.trim().parse::<u64>().ok());
    sums.max()
        .ok_or_else(|| io::Error::other("callgrind wrote no totals"))
}
