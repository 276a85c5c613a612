//! The command line: arguments in, exit codes out. Wires the rooms together and decides nothing.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::Environment;
use crate::domain::text::with_causes;
use crate::logging;

mod api;
mod check;
mod completions;
mod config;
mod deliveries;
#[cfg(feature = "simulator")]
mod demo;
mod events;
mod listing;
mod man;
mod query;
#[cfg(feature = "simulator")]
mod simulate;
mod state;
mod table;
mod tasks;
mod test_webhook;
mod wait;
mod watch;

/// Watches UCloud CDN refresh tasks and reports every transition to its log and to webhooks.
#[derive(Debug, Parser)]
#[command(name = "ucdn-watch", version, max_term_width = 100)]
// clap names groups after types: without this, `watch::Arguments` would clash with its parent.
#[group(skip)]
struct Arguments {
    #[command(flatten)]
    shared: SharedArguments,
    #[command(flatten)]
    watch: watch::Arguments,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
struct SharedArguments {
    /// The config file [default: `$UCDN_WATCH_CONFIG`, else `/etc/ucdn-watch/config.toml`]
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Log more: one line a request
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,
    /// Log less: warnings and errors
    #[arg(short, long, global = true)]
    quiet: bool,
    /// How log lines look
    #[arg(long, value_enum, default_value = "auto", global = true)]
    log_format: LogFormat,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// Text; with priorities and without times under journald
    Auto,
    /// Text with times
    Text,
    /// One JSON object a line
    Json,
}

impl From<LogFormat> for logging::Style {
    fn from(format: LogFormat) -> Self {
        match format {
            LogFormat::Auto => Self::Auto,
            LogFormat::Text => Self::Text,
            LogFormat::Json => Self::Json,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Validate the config
    Check(check::Arguments),
    /// Ask the API directly, once
    Query(query::Arguments),
    /// Wait until tasks are finished: for deploy scripts
    Wait(wait::Arguments),
    /// List the tasks that the state knows, or show one of them
    Tasks(tasks::Arguments),
    /// List what happened, or follow what happens
    Events(events::Arguments),
    /// List what webhooks are owed; try it again, or drop it
    Deliveries(deliveries::Arguments),
    /// Move the state to another place
    State(state::Arguments),
    /// Send a test event to webhooks
    TestWebhook(test_webhook::Arguments),
    /// Print a script that completes commands and options in a shell
    Completions(completions::Arguments),
    /// Print a manual page
    Man(man::Arguments),
    /// Run a local stand-in for the API
    #[cfg(feature = "simulator")]
    Simulate(Box<simulate::Arguments>),
    /// Show simulator, watcher and a webhook receiver at work
    #[cfg(feature = "simulator")]
    Demo(demo::Arguments),
}

/// How the program ends: the contract's exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// A task or URL failed.
    TaskFailed,
    /// Wrong usage.
    Usage,
    /// State, API or webhook can't be reached at all.
    Unreachable,
    /// The state can't be opened, read or written, or another instance holds it.
    State,
    /// A target could not be polled, or a delivery is still owed.
    Incomplete,
    /// The config is wrong.
    Config,
    /// What was waited for did not come in time.
    TimedOut,
    /// SIGINT ended the wait.
    Interrupted,
    /// SIGTERM ended the wait.
    Terminated,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::TaskFailed => 1,
            Exit::Usage => 2,
            Exit::Unreachable => 69,
            Exit::State => 74,
            Exit::Incomplete => 75,
            Exit::Config => 78,
            Exit::TimedOut => 124,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        })
    }
}

/// What the commands are given: the shared arguments and the environment, read once.
#[derive(Debug)]
struct Context {
    arguments: SharedArguments,
    environment: Environment,
}

/// Why a command could not do its work. The chain of causes is printed once, here.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    error: Box<dyn std::error::Error>,
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Nothing can be done about a closed terminal.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
        }
    };
    let context = Context {
        arguments: arguments.shared,
        environment: Environment::of_process(),
    };
    logging::start(
        context.arguments.level(),
        context.arguments.log_format.into(),
        &context.environment,
    );
    let result = match arguments.command {
        None => watch::run(&arguments.watch, &context),
        Some(Command::Check(arguments)) => check::run(&arguments, &context),
        Some(Command::Query(arguments)) => query::run(&arguments, &context),
        Some(Command::Wait(arguments)) => wait::run(&arguments, &context),
        Some(Command::Tasks(arguments)) => tasks::run(&arguments, &context),
        Some(Command::Events(arguments)) => events::run(&arguments, &context),
        Some(Command::Deliveries(arguments)) => deliveries::run(&arguments, &context),
        Some(Command::State(arguments)) => state::run(&arguments, &context),
        Some(Command::TestWebhook(arguments)) => test_webhook::run(&arguments, &context),
        Some(Command::Completions(arguments)) => Ok(completions::run(&arguments)),
        Some(Command::Man(arguments)) => man::run(&arguments),
        #[cfg(feature = "simulator")]
        Some(Command::Simulate(arguments)) => simulate::run(&arguments, &context),
        #[cfg(feature = "simulator")]
        Some(Command::Demo(arguments)) => demo::run(&arguments, &context),
    };
    result.unwrap_or_else(Failure::report)
}

impl SharedArguments {
    fn level(&self) -> log::LevelFilter {
        match (self.verbose, self.quiet) {
            (true, _) => log::LevelFilter::Debug,
            (_, true) => log::LevelFilter::Warn,
            _ => log::LevelFilter::Info,
        }
    }
}

impl Failure {
    fn report(self) -> Exit {
        anstream::eprintln!("ucdn-watch: {}", with_causes(&*self.error));
        self.exit
    }
}
