//! Benchmark: API requests per quiet poll, counted in the simulator's log after the first polls.

use std::io;
use std::thread;
use std::time::Duration;

use crate::measured::Running;
use crate::report::{Measurement, Report};
use crate::simulator::{Logged, Simulator};
use crate::statistics::{Sample, whole};
use crate::tempdir::{BenchDir, Config};

/// Polls not counted: the first reads the whole list, the second may still record how the server pages.
const SETTLING: usize = 2;
const POLL: &str =
    "interval = '200ms'\nactive_interval = '200ms'\npage_size = 1000\nstall_after = '100d'";

/// Lists of three lengths with 0, 1 and 100 old tasks in flight.
pub(crate) fn requests(rounds: usize, report: &mut Report) -> io::Result<()> {
    for tasks in [10, 1_000, 100_000] {
        for in_flight in [0, 1, 100] {
            if in_flight > tasks {
                continue;
            }
            let counts = counts(tasks, in_flight, rounds)?;
            report.add(Measurement {
                benchmark: "requests",
                what: format!(
                    "requests a quiet poll: {tasks} tasks in the lookback, {in_flight} in flight"
                ),
                figure: Sample::of(counts).shown(whole),
                bound: if in_flight == 0 { "1" } else { "" },
            });
        }
    }
    Ok(())
}

/// Requests of each poll.
fn counts(tasks: usize, in_flight: usize, polls: usize) -> io::Result<Vec<f64>> {
    let simulator = Simulator::start()?;
    simulator.fill(tasks, in_flight)?;
    let dir = BenchDir::new(&Config {
        api: &simulator.endpoint,
        poll: POLL,
        webhooks: Vec::new(),
    })?;
    let watcher = Running::start(&mut dir.watch())?;
    let counts = loop {
        thread::sleep(Duration::from_millis(100));
        let counts = per_poll(&simulator.requests()?);
        if counts.len() >= SETTLING + polls {
            break counts;
        }
    };
    watcher.stop()?;
    Ok(counts.into_iter().skip(SETTLING).take(polls).collect())
}

/// Requests of each finished poll. A poll begins with the request for offset 0.
fn per_poll(requests: &[Logged]) -> Vec<f64> {
    let begins = |it: &&Logged| it.task_ids.is_empty() && it.offset.unwrap_or(0) == 0;
    let begun: Vec<u64> = requests.iter().filter(begins).map(|it| it.number).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    begun.windows(2).map(|it| (it[1] - it[0]) as f64).collect()
}
