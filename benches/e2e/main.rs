//! End-to-end benchmarks: CPU, memory, disk writes and latency of the whole program. `cargo bench --bench e2e -- quiet`.
//!
//! Only the program's own process is measured. The API stand-ins and the receivers are other processes or threads of the
//! benchmark. Each figure is a median with minimum and maximum in brackets. Only `instructions` can fail.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is its own main, reads the clock, and ends where a test would"
)]

use std::io;

use clap::{Parser, Subcommand};

mod baseline;
mod copy;
mod deliveries;
mod fixtures;
mod idle;
mod instructions;
mod list_server;
mod measured;
mod polls;
mod receiver;
mod report;
mod requests;
mod script;
mod shared;
mod simulator;
mod sockets;
mod statistics;
mod syncs;
mod tempdir;

use list_server::ListSize;
use report::{Form, Report};

/// Measures what the program costs.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    what: Option<What>,
    /// Number of measurements per figure
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    /// How long the idle watcher is measured, in minutes
    #[arg(long, global = true, default_value_t = 5.0)]
    idle_minutes: f64,
    /// Print a table in Markdown
    #[arg(long, global = true)]
    markdown: bool,
    /// Passed by cargo
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// A poll without changes, against the baseline
    Quiet,
    /// A poll with 1 % of the tasks changed, against a quiet one
    Busy,
    /// A poll into an empty state, against the SDK script
    First,
    /// A script over the vendor's SDK, against a quiet poll
    Script,
    /// Quiet polls of 1,000 to 1,000,000 tasks
    Growth,
    /// Requests per quiet poll
    Requests,
    /// Time from the API's answer to the webhook request's first byte
    Latency,
    /// Events delivered per second
    Deliveries,
    /// An idle watcher, and its start
    Idle,
    /// 1, 2 and 4 instances on one PostgreSQL; run under tests/postgres/run with --features postgres
    Shared,
    /// `state copy` of a million tasks to PostgreSQL and back; run under tests/postgres/run
    Copy,
    /// Instruction counts of polls under valgrind, against benches/instructions.toml
    Instructions {
        /// Rewrite the file
        #[arg(long)]
        renew: bool,
    },
    /// All of these except the last three (default)
    All,
    #[command(hide = true)]
    ServeList(ListSize),
    #[command(hide = true)]
    Baseline {
        #[arg(long)]
        url: String,
    },
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let line = Line::parse();
    let what = match line.what.unwrap_or(What::All) {
        What::ServeList(size) => return Ok(list_server::serve(size)?),
        What::Baseline { url } => return baseline::fetch(url),
        What::Instructions { renew: true } => return Ok(instructions::renew()?),
        What::Instructions { renew: false } => return Ok(instructions::compare()?),
        What::All => ALL.to_vec(),
        one => vec![one],
    };
    let mut report = Report::default();
    for one in what {
        measure(&one, line.rounds, line.idle_minutes, &mut report)?;
    }
    report.print(if line.markdown {
        Form::Markdown
    } else {
        Form::Text
    });
    Ok(())
}

/// In the order of the report.
const ALL: [What; 9] = [
    What::Quiet,
    What::Busy,
    What::First,
    What::Script,
    What::Growth,
    What::Requests,
    What::Latency,
    What::Deliveries,
    What::Idle,
];

fn measure(what: &What, rounds: usize, idle_minutes: f64, report: &mut Report) -> io::Result<()> {
    match what {
        What::Quiet => polls::quiet(rounds, report),
        What::Busy => polls::busy(rounds, report),
        What::First => polls::first(rounds, report),
        What::Script => polls::script(rounds, report),
        What::Growth => polls::growth(rounds, report),
        What::Requests => requests::requests(rounds, report),
        What::Latency => deliveries::latency(rounds, report),
        What::Deliveries => deliveries::deliveries(rounds, report),
        What::Idle => {
            idle::idle(idle_minutes, report)?;
            idle::start(rounds, report)
        }
        What::Shared => shared::shared(rounds, report),
        What::Copy => copy::copy(rounds, report),
        What::All | What::Instructions { .. } | What::ServeList(_) | What::Baseline { .. } => {
            Ok(())
        }
    }
}
