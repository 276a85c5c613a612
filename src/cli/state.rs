//! `ucdn-watch state copy`: copies a state to another file or database. Also opens the state for the other commands.

use std::path::Path;
#[cfg(feature = "postgres")]
use std::sync::Arc;

use super::context::CommandContext;
use super::exit::{Exit, Failure};
use super::stdio::print;
#[cfg(feature = "postgres")]
use crate::clock::{CancelToken, Clock, SystemClock};
use crate::config::{ConfigSummary, InvalidStateArgument, StateLocation, parse_state_argument};
use crate::domain::text::counted;
use crate::store::StoreError;
#[cfg(feature = "postgres")]
use crate::store::postgres::{ConnectUrl, PostgresExport, PostgresImport, PostgresQueries};
use crate::store::queries::{OutboxAdmin, StateQueries};
use crate::store::sqlite::{SqliteExport, SqliteImport, SqliteOutboxAdmin, SqliteQueries};
use crate::store::transfer::{ExportSource, ImportTarget, RowCounts, copy};

const COPY_HELP: &str = "\
FROM and TO are each a file path, a postgres:// URL without a password, env:NAME or file:PATH. The variable or file holds a URL \
with a password.

The copy has all targets, tasks, events and deliveries: no event is reported again and none is lost. It is one transaction, \
read back and compared before it is committed. If it fails, TO stays empty. FROM is not changed.

Stop all watchers of both states first. Afterwards set `state` to TO, and never watch with both: each would report the \
same events.";

/// The arguments of `state`.
#[derive(Debug, clap::Args)]
pub(super) struct StateArgs {
    #[command(subcommand)]
    command: StateCommand,
}

#[derive(Debug, clap::Subcommand)]
enum StateCommand {
    /// Copy a state, for example from SQLite to PostgreSQL
    Copy(CopyArgs),
}

/// The arguments of `state copy`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = COPY_HELP)]
struct CopyArgs {
    /// The state to read: a path, a `postgres://` URL, `env:NAME` or `file:PATH`
    from: String,
    /// The state to fill, written the same way; must be empty or not exist
    to: String,
}

pub(super) fn run(arguments: &StateArgs, context: &CommandContext) -> Result<Exit, Failure> {
    match &arguments.command {
        StateCommand::Copy(arguments) => run_copy(arguments, context),
    }
}

fn run_copy(arguments: &CopyArgs, context: &CommandContext) -> Result<Exit, Failure> {
    let [from, to] = [&arguments.from, &arguments.to]
        .map(|argument| parse_state_argument(argument, &context.environment));
    let (from, to) = (from?, to?);
    if is_same(&from, &to) {
        return Err(Failure::usage("FROM and TO are the same state"));
    }
    let mut source = open_source(&from)?;
    let mut destination = open_destination(&to)?;
    let tally = copy(&mut *source, &mut *destination)?;
    print(&format!(
        "copied and verified: {} (digest {:016x})\n",
        list(tally.counts()),
        tally.digest()
    ))?;
    Ok(Exit::Success)
}

fn is_same(from: &StateLocation, to: &StateLocation) -> bool {
    let path = |location: &StateLocation| match location {
        StateLocation::File(path) => Path::canonicalize(path).ok(),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(_) => None,
    };
    from == to || path(from).is_some_and(|from| path(to) == Some(from))
}

fn list(counts: RowCounts) -> String {
    [
        counted(counts.targets, "target", "targets"),
        counted(counts.tasks, "task", "tasks"),
        counted(counts.events, "event", "events"),
        counted(counts.webhooks, "webhook", "webhooks"),
        counted(counts.deliveries, "delivery", "deliveries"),
    ]
    .join(", ")
}

impl From<InvalidStateArgument> for Failure {
    fn from(error: InvalidStateArgument) -> Self {
        Self::usage(error)
    }
}

/// Opens the state for reading. A running watcher is not disturbed.
pub(super) fn open_queries(config: &ConfigSummary) -> Result<Box<dyn StateQueries>, StoreError> {
    Ok(match &config.state {
        StateLocation::File(path) => Box::new(SqliteQueries::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => Box::new(open_postgres(address)?),
    })
}

/// Opens the outbox for `deliveries retry` and `drop`. A running watcher sees the change.
pub(super) fn open_outbox(config: &ConfigSummary) -> Result<Box<dyn OutboxAdmin>, StoreError> {
    Ok(match &config.state {
        StateLocation::File(path) => Box::new(SqliteOutboxAdmin::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => Box::new(open_postgres(address)?),
    })
}

#[cfg(feature = "postgres")]
fn open_postgres(address: &ConnectUrl) -> Result<PostgresQueries, StoreError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    PostgresQueries::open(address, &clock, &CancelToken::default())
}

fn open_source(location: &StateLocation) -> Result<Box<dyn ExportSource>, StoreError> {
    Ok(match location {
        StateLocation::File(path) => Box::new(SqliteExport::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => {
            Box::new(PostgresExport::open(address, &CancelToken::default())?)
        }
    })
}

fn open_destination(location: &StateLocation) -> Result<Box<dyn ImportTarget>, StoreError> {
    Ok(match location {
        StateLocation::File(path) => Box::new(SqliteImport::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => {
            Box::new(PostgresImport::open(address, &CancelToken::default())?)
        }
    })
}
