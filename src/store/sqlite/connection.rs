//! Connections to the database: how each kind is opened, and how threads share one.

use parking_lot::Mutex;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::error::SqliteError;
use super::file::StateFile;
use super::schema;
use crate::store::StoreError;

/// How long the daemon's statements wait for another program's transaction, such as that of an operator's `sqlite3`.
const DAEMON_BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a command waits for a commit of the daemon. Readers wait for no one.
const COMMAND_BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that threads use one after the other. After [`SharedConnection::take`] it refuses every use.
#[derive(Debug)]
pub(super) struct SharedConnection(Mutex<Option<Connection>>);

impl SharedConnection {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Mutex::new(Some(connection)))
    }

    /// Runs `query` in one read transaction, so that all its statements see the same moment.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, SqliteError>,
    ) -> Result<T, SqliteError> {
        self.with(|connection| query(&*connection.transaction()?))
    }

    /// Runs `change` in one transaction. When this returns `Ok`, its writes are committed and on disk.
    pub(super) fn write<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, SqliteError>,
    ) -> Result<T, SqliteError> {
        self.with(|connection| {
            // Immediate: a deferred transaction that reads first may find later that it can't write.
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let outcome = change(&transaction)?;
            transaction.commit()?;
            Ok(outcome)
        })
    }

    /// Takes the connection out, for good. `None` if it is gone already, or in use for longer than `timeout`.
    pub(super) fn take(&self, timeout: Duration) -> Option<Connection> {
        self.0.try_lock_for(timeout)?.take()
    }

    /// Lends the connection, with no transaction open. A transaction in which a thread panicked was rolled back when it was
    /// dropped; if that failed too, it is rolled back here.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, SqliteError>,
    ) -> Result<T, SqliteError> {
        let mut connection = self.0.lock();
        let Some(connection) = connection.as_mut() else {
            return Err(SqliteError::Refused("it is closed".to_owned()));
        };
        if !connection.is_autocommit() && connection.execute_batch("ROLLBACK").is_err() {
            log::debug!("state: a transaction was left open; the next statement will say why");
        }
        work(connection)
    }
}

/// Opens the file for the daemon. Until [`checkpoint_on_close`] is called, closing leaves the write-ahead log as it is.
pub(super) fn open_for_daemon(file: &StateFile) -> Result<Connection, SqliteError> {
    let connection = open(file, OpenFlags::SQLITE_OPEN_READ_WRITE, DAEMON_BUSY_TIMEOUT)?;
    // Plans don't depend on parameter values. Otherwise SQLite prepares a statement anew at each use if one of its parameters
    // could select a partial index.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens an existing state beside its daemon, if it is of version `latest`. Never creates, checks, migrates or sets aside
/// anything. Closing leaves the write-ahead log as it is: only the daemon decides whether it is sound.
pub(super) fn open_beside(
    file: &StateFile,
    mode: OpenFlags,
    latest: i64,
) -> Result<Connection, StoreError> {
    let open = || -> Result<(Connection, i64), SqliteError> {
        let connection = open(file, mode, COMMAND_BUSY_TIMEOUT)?;
        let version = schema::version(&connection)?;
        Ok((connection, version))
    };
    let (connection, version) =
        open().map_err(|error| error.into_error(file.said(), "open its database"))?;
    file.check_version(version, latest)?;
    if version < latest {
        let why = format!(
            "it is of version {version}, and this program reads version {latest}; the daemon upgrades it when it starts"
        );
        return Err(SqliteError::Refused(why).into_error(file.said(), "read it yet"));
    }
    Ok(connection)
}

fn open(
    file: &StateFile,
    mode: OpenFlags,
    busy_timeout: Duration,
) -> Result<Connection, SqliteError> {
    // Neither CREATE (the file is made with its permissions) nor URI (a path may begin with `file:`).
    let connection =
        Connection::open_with_flags(file.path(), mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(busy_timeout)?;
    checkpoint_on_close(&connection, CloseMode::KeepLog)?;
    Ok(connection)
}

/// What the last connection to close does with the write-ahead log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseMode {
    /// Copies it into the database and removes it.
    Checkpoint,
    /// Leaves it: a file that is refused or set aside keeps every byte.
    KeepLog,
}

pub(super) fn checkpoint_on_close(
    connection: &Connection,
    mode: CloseMode,
) -> Result<(), SqliteError> {
    let keeps = mode == CloseMode::KeepLog;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keeps)?;
    Ok(())
}

/// The pragmas that every writing connection needs.
pub(super) fn apply_write_pragmas(connection: &Connection) -> Result<(), SqliteError> {
    // FULL: a commit is on disk when it returns, also if the machine then loses power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(())
}
