//! What the program costs, as whole processes side by side on one machine: `cargo bench --bench whole -- quiet`.
//!
//! Only the measured process counts: the API's stand-ins and the receivers are other processes or threads of this one.
//! Every figure is a median, with the least and the most in brackets. Nothing here passes or fails.

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

mod copy;
mod deliveries;
mod floor;
mod idle;
mod instructions;
mod list_server;
mod measured;
mod place;
mod polls;
mod receiver;
mod report;
mod requests;
mod script;
mod shared;
mod shelf;
mod simulator;
mod sockets;
mod statistics;
mod syncs;

use list_server::ListSize;
use report::{Form, Report};

/// Measures what the program costs.
#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    what: Option<What>,
    /// How many measurements a median is taken of
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    /// How long the idle watcher is looked at
    #[arg(long, global = true, default_value_t = 5.0)]
    idle_minutes: f64,
    /// Print a table in Markdown
    #[arg(long, global = true)]
    markdown: bool,
    /// Given by cargo
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum What {
    /// A poll in which nothing changed, against the floor
    Quiet,
    /// A poll in which 1 % of the tasks changed, against a quiet one
    Busy,
    /// A poll into an empty state, against the script's
    First,
    /// A script over the vendor's SDK, against a quiet poll
    Script,
    /// Quiet polls of 1,000 to 1,000,000 tasks
    Growth,
    /// How many requests a quiet poll makes
    Requests,
    /// From the API's answer to the webhook's first byte
    Latency,
    /// Events a second
    Deliveries,
    /// A watcher that has nothing to do, and its start
    Idle,
    /// Polls and commits of 1, 2 and 4 instances on one PostgreSQL: run it by tests/postgres/run, with --features postgres
    Shared,
    /// A million tasks from a file to a PostgreSQL and back: run it likewise
    Copy,
    /// Instructions of polls under valgrind, against those in benches/instructions.toml
    Instructions {
        /// Write the file anew
        #[arg(long)]
        renew: bool,
    },
    /// All of these but the last three: the default
    All,
    #[command(hide = true)]
    ServeList(ListSize),
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        url: String,
    },
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let line = Line::parse();
    let what = match line.what.unwrap_or(What::All) {
        What::ServeList(size) => return Ok(list_server::serve(size)?),
        What::Floor { url } => return floor::fetch(url),
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

/// In the order of the table.
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
        What::All | What::Instructions { .. } | What::ServeList(_) | What::Floor { .. } => Ok(()),
    }
}
