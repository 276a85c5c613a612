//! `ucdn-watch state`, which moves states; and how other commands look into the state, and give orders about its outbox, whether
//! or not a daemon has it.

#[cfg(feature = "postgres")]
use std::sync::Arc;

use super::{Context, Exit, Failure};
#[cfg(feature = "postgres")]
use crate::clock::{CancelToken, Clock, SystemClock};
use crate::config::{ConfigSummary, StateLocation};
use crate::store::StoreError;
#[cfg(feature = "postgres")]
use crate::store::postgres::{ConnectUrl, PostgresQueries};
use crate::store::queries::{OutboxAdmin, StateQueries};
use crate::store::sqlite::{SqliteOutboxAdmin, SqliteQueries};

mod copy;

/// The arguments of `state`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copy a state whole into another one, such as from SQLite to PostgreSQL
    Copy(copy::Arguments),
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    match &arguments.command {
        Command::Copy(arguments) => copy::run(arguments, context),
    }
}

/// The state, to look at.
pub(super) fn records(config: &ConfigSummary) -> Result<Box<dyn StateQueries>, StoreError> {
    Ok(match &config.state {
        StateLocation::File(path) => Box::new(SqliteQueries::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => Box::new(beside(address)?),
    })
}

/// Its outbox, for orders.
pub(super) fn outbox(config: &ConfigSummary) -> Result<Box<dyn OutboxAdmin>, StoreError> {
    Ok(match &config.state {
        StateLocation::File(path) => Box::new(SqliteOutboxAdmin::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => Box::new(beside(address)?),
    })
}

#[cfg(feature = "postgres")]
fn beside(address: &ConnectUrl) -> Result<PostgresQueries, StoreError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    PostgresQueries::open(address, &clock, &CancelToken::default())
}
