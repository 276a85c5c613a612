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

use clap::{Parser, Subcommand};

mod floor;
mod list_server;
mod measured;
mod place;
mod polls;
mod report;
mod script;
mod shelf;
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
    /// All of these: the default
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
    let mut report = Report::default();
    let (rounds, all) = (line.rounds, What::All);
    match line.what.unwrap_or(all) {
        What::ServeList(size) => return Ok(list_server::serve(size)?),
        What::Floor { url } => return floor::fetch(url),
        What::Quiet => polls::quiet(rounds, &mut report)?,
        What::Busy => polls::busy(rounds, &mut report)?,
        What::First => polls::first(rounds, &mut report)?,
        What::Script => polls::script(rounds, &mut report)?,
        What::Growth => polls::growth(rounds, &mut report)?,
        What::All => {
            for benchmark in [
                polls::quiet,
                polls::busy,
                polls::first,
                polls::script,
                polls::growth,
            ] {
                benchmark(rounds, &mut report)?;
            }
        }
    }
    report.print(if line.markdown {
        Form::Markdown
    } else {
        Form::Text
    });
    Ok(())
}
