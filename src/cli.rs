//! The command line: parses the arguments, runs one command and returns its exit code.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory, Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::register_conditional_shutdown;

use crate::config::Environment;
use crate::logging;

mod api;
mod check;
mod completions;
mod context;
mod deliveries;
#[cfg(feature = "simulator")]
mod demo;
mod events;
mod exit;
mod listing;
mod man;
mod query;
#[cfg(feature = "simulator")]
mod simulate;
mod state;
mod stdio;
mod table;
mod tasks;
mod test_webhook;
mod wait;
mod watch;

use context::{CommandContext, GlobalArgs};
pub use exit::Exit;
use exit::Failure;

/// Watches UCloud CDN refresh and prefetch tasks; reports each status change to its log and to webhooks
#[derive(Debug, Parser)]
#[command(
    name = "ucdn-watch",
    version,
    max_term_width = 100,
    after_help = "Without a command, ucdn-watch polls all targets until SIGTERM or SIGINT."
)]
struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(flatten)]
    watch: watch::WatchArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Validate the config
    Check(check::CheckArgs),
    /// Send one request to the API and show the tasks that it returns
    Query(query::QueryArgs),
    /// Wait until tasks finish (for deploy scripts)
    Wait(wait::WaitArgs),
    /// List the tasks in the state, or show one of them
    Tasks(tasks::TasksArgs),
    /// List the events in the state, or follow new ones
    Events(events::EventsArgs),
    /// List webhook deliveries; retry or drop them
    Deliveries(deliveries::DeliveriesArgs),
    /// Move the state to another file or database
    State(state::StateArgs),
    /// Send a test event to webhooks
    TestWebhook(test_webhook::TestWebhookArgs),
    /// Print a shell completion script
    Completions(completions::CompletionsArgs),
    /// Print a manual page
    Man(man::ManArgs),
    /// Run a local stand-in for the API
    #[cfg(feature = "simulator")]
    Simulate(Box<simulate::SimulateArgs>),
    /// Run simulator, watcher and a webhook receiver in one process
    #[cfg(feature = "simulator")]
    Demo(demo::DemoArgs),
}

impl Command {
    /// Whether the command handles SIGTERM and SIGINT itself.
    fn handles_signals(&self) -> bool {
        match self {
            Self::Wait(_) => true,
            #[cfg(feature = "simulator")]
            Self::Simulate(_) | Self::Demo(_) => true,
            _ => false,
        }
    }
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> Exit {
    let exit = parse_and_run();
    logging::flush();
    exit
}

fn parse_and_run() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return print_usage(&error),
    };
    let context = CommandContext {
        arguments: cli.global,
        environment: Environment::of_process(),
    };
    logging::start(
        context.arguments.log_level(),
        context.arguments.log_format.into(),
        &context.environment,
    );
    let result = match cli.command {
        None => watch::run(&cli.watch, &context),
        Some(command) => run(command, &context),
    };
    result.unwrap_or_else(Failure::report)
}

fn run(command: Command, context: &CommandContext) -> Result<Exit, Failure> {
    if !command.handles_signals() {
        end_on_signals()?;
    }
    match command {
        Command::Check(arguments) => check::run(&arguments, context),
        Command::Query(arguments) => query::run(&arguments, context),
        Command::Wait(arguments) => wait::run(&arguments, context),
        Command::Tasks(arguments) => tasks::run(&arguments, context),
        Command::Events(arguments) => events::run(&arguments, context),
        Command::Deliveries(arguments) => deliveries::run(&arguments, context),
        Command::State(arguments) => state::run(&arguments, context),
        Command::TestWebhook(arguments) => test_webhook::run(&arguments, context),
        Command::Completions(arguments) => completions::run(&arguments, Cli::command()),
        Command::Man(arguments) => man::run(&arguments, Cli::command()),
        #[cfg(feature = "simulator")]
        Command::Simulate(arguments) => simulate::run(&arguments, context),
        #[cfg(feature = "simulator")]
        Command::Demo(arguments) => demo::run(&arguments, context),
    }
}

/// Prints what clap has to say: an error on stderr, or the requested help or version on stdout.
fn print_usage(error: &clap::Error) -> Exit {
    let text = error.render();
    if error.use_stderr() {
        stdio::note(text.ansi().to_string().trim_end());
        return Exit::Usage;
    }
    match stdio::print(&text.ansi().to_string()) {
        Ok(_) => Exit::Success,
        Err(error) => Failure::from(error).report(),
    }
}

/// Makes SIGTERM and SIGINT end the process at once. The kernel ignores both for PID 1 of a container if there is no handler.
fn end_on_signals() -> Result<(), Failure> {
    let always = Arc::new(AtomicBool::new(true));
    for signal in [SIGTERM, SIGINT] {
        register_conditional_shutdown(signal, 128 + signal, Arc::clone(&always)).map_err(
            |error| Failure::new(Exit::IoError, format!("can't handle signals: {error}")),
        )?;
    }
    Ok(())
}
