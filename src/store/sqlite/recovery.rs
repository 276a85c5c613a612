//! Damage: the checks that find it at open, and what is reported when something that the state knew is lost.

use std::fmt;
use std::path::PathBuf;

use rusqlite::Connection;

use super::error::SqliteError;
use super::{outbox, snapshot};

/// What was found wrong at open, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataLoss {
    /// The file was damaged and moved away. The state is a new, empty one.
    Quarantined(Quarantined),
    /// The file is sound, but older than it was. The state goes on with it.
    RolledBack {
        /// The last event that it holds.
        has: u64,
        /// The last event that there was.
        had: u64,
    },
}

/// A damaged file, moved out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its new name. Its journals, if it had any, are beside it under the same name.
    pub moved_to: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for DataLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quarantined(Quarantined { moved_to, reason }) => write!(
                f,
                "the state was damaged and a new one was started under `first_run`; its pending deliveries are in the damaged file, set aside as {}: {reason}",
                moved_to.display(),
            ),
            Self::RolledBack { has, had } => write!(
                f,
                "the state is older than it was: an old copy, or its write-ahead log was lost or damaged; events {} to {had} are gone from it, and what changed since then is reported again under new ids",
                has + 1
            ),
        }
    }
}

/// Runs `integrity_check`, not `quick_check`: the outbox and the tasks in flight are read from indexes, which the quick check
/// does not compare with their tables. It took 0.6 s instead of 0.4 s with 300,000 tasks and events.
pub(super) fn check_pages(connection: &Connection) -> Result<(), SqliteError> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    if is_io_error(&found) {
        return Err(SqliteError::Refused(found));
    }
    Err(SqliteError::Damaged(found))
}

/// Whether the check failed because the disk failed. The text is the same as for a damaged page; only SQLite's code at its
/// end tells them apart. A disk error is not damage: setting the file aside would not help.
pub(super) fn is_io_error(found: &str) -> bool {
    const SQLITE_IOERR: u32 = 10;
    found
        .rsplit_once("error code=")
        .and_then(|(_, code)| code.trim().parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == SQLITE_IOERR)
}

/// Reads every row that the store will need: its page may be sound, and its values unreadable.
pub(super) fn check_rows(writer: &Connection) -> Result<(), SqliteError> {
    snapshot::check_rows(writer)?;
    outbox::check_rows(writer)
}
