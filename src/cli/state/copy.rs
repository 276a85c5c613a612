//! `state copy`: one state becomes another one's, whatever their engines. What is copied is the store's affair.

use std::io::{self, Write as _};
use std::path::Path;

use crate::cli::{Context, Exit, Failure};
#[cfg(feature = "postgres")]
use crate::clock::CancelToken;
use crate::config::{InvalidStateArgument, StateLocation, parse_state_argument};
use crate::domain::text::counted;
use crate::store::StoreError;
#[cfg(feature = "postgres")]
use crate::store::postgres::{PostgresExport, PostgresImport};
use crate::store::sqlite::{SqliteExport, SqliteImport};
use crate::store::transfer::{ExportSource, ImportTarget, RowCounts, copy};

const PLACES: &str = "\
FROM and TO are each the path of a file, or a postgres:// URL without a password; or env:NAME or file:PATH, for the \
variable or the file that holds a URL with one. Targets, tasks, events and what webhooks are owed go along, and the copy \
goes on where the state was: nothing is reported again, and nothing is lost. It is one transaction, read back before it \
is kept: what is broken off leaves TO empty. FROM stays as it is. No watcher may run with either. Afterwards set `state` to TO, and watch \
with one of the two alone: both would report what happens from now on.";

/// The arguments of `state copy`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = PLACES)]
pub(super) struct Arguments {
    /// The state to read: a path, a `postgres://` URL, `env:NAME` or `file:PATH`
    from: String,
    /// The state to fill, the same way; empty, or not there yet
    to: String,
}

pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Exit, Failure> {
    let [from, to] = [&arguments.from, &arguments.to]
        .map(|argument| parse_state_argument(argument, &context.environment));
    let (from, to) = (from?, to?);
    if is_same(&from, &to) {
        return Err(Failure {
            exit: Exit::Usage,
            error: "FROM and TO are the same state".into(),
        });
    }
    let mut source = source(&from)?;
    let mut destination = destination(&to)?;
    let tally = copy(&mut *source, &mut *destination)?;
    let line = format!(
        "copied, and read back the same: {} (digest {:016x})",
        list(tally.counts()),
        tally.digest()
    );
    // Whoever closes the pipe wants the exit code alone.
    let _: io::Result<()> = writeln!(anstream::stdout(), "{line}");
    Ok(Exit::Done)
}

fn source(location: &StateLocation) -> Result<Box<dyn ExportSource>, StoreError> {
    Ok(match location {
        StateLocation::File(path) => Box::new(SqliteExport::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => {
            Box::new(PostgresExport::open(address, &CancelToken::default())?)
        }
    })
}

fn destination(location: &StateLocation) -> Result<Box<dyn ImportTarget>, StoreError> {
    Ok(match location {
        StateLocation::File(path) => Box::new(SqliteImport::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => {
            Box::new(PostgresImport::open(address, &CancelToken::default())?)
        }
    })
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
        Self {
            exit: Exit::Usage,
            error: error.into(),
        }
    }
}
