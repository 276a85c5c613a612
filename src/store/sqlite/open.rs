//! Opens the database: version, integrity check, pragmas, migrations. Decides what counts as damage at open. Moves no files.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior};

use super::fault::Fault;
use super::file::{StateFile, Used};
use super::lock::LastUse;
use super::seal::Seal;
use super::{footprint, meta, outbox, prune, snapshot};
use crate::store::StoreError;

/// Migration n turns version n - 1 into version n. A released migration never changes: a later one corrects it.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001.sql")];

/// The version that these migrations lead to.
pub(super) fn version_of(migrations: &[&str]) -> i64 {
    migrations.len().cast_signed() as i64
}

const VERSION: &str = "PRAGMA user_version";

/// In `meta`: makes this state's event ids differ from any other state's.
const STATE_ID: &str = "state_id";
/// In `meta`: see [`crate::store::Store::fingerprint_seed`].
pub(super) const FINGERPRINT_SEED: &str = "fingerprint_seed";

/// How many pages of 4 KiB the write-ahead log may hold before a commit checkpoints it.
const AUTOCHECKPOINT_PAGES: u32 = 16_384;

/// How long a statement waits for another program's transaction, such as that of an operator's `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// An open, sound and up-to-date database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) state_id: u64,
    pub(super) fingerprint_seed: u64,
    pub(super) last_sequence: u64,
    pub(super) origin: Origin,
    /// Whether the lock file's stamp still describes the file, as long as nothing is written.
    pub(super) stamp_holds: bool,
}

/// Where a database comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Just made.
    New,
    /// It was there.
    Found,
}

/// How the database's last user left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shutdown {
    /// Closed, and not changed since.
    Clean,
    /// Perhaps killed, or another program has changed the file: everything has to be checked.
    Unclean,
}

/// Opens the database, or creates it. After `StoreError::Damaged` all connections to it are closed, and the file should be
/// set aside.
pub(super) fn open(
    file: &StateFile,
    last_use: &LastUse,
    migrations: &[&str],
) -> Result<Database, StoreError> {
    let latest = version_of(migrations);
    let used = last_use.last_sequence.map_or(Used::Never, |_| Used::Before);
    file.inspect(latest, used)?;
    let shutdown = last_shutdown(file, last_use);
    let fault = |fault: Fault| fault.into_error(file.said(), "open its database");

    let mut writer = connect(file).map_err(fault)?;
    // Asked again, now that the write-ahead log is read too. Nothing has been written yet.
    let version = user_version(&writer).map_err(fault)?;
    file.check_version(version, latest)?;
    make_ready(&mut writer, version, shutdown, migrations).map_err(fault)?;
    let [state_id, fingerprint_seed] =
        [STATE_ID, FINGERPRINT_SEED].map(|name| number_of(&writer, name));
    let (state_id, fingerprint_seed) = (state_id.map_err(fault)?, fingerprint_seed.map_err(fault)?);
    let last_sequence = outbox::last_sequence(&writer).map_err(fault)?;
    let reader = connect(file).map_err(fault)?;
    reader
        .pragma_update(None, "query_only", true)
        .map_err(|error| fault(error.into()))?;
    for connection in [&writer, &reader] {
        checkpoint_on_close(connection, true).map_err(fault)?;
    }
    Ok(Database {
        writer,
        reader,
        state_id,
        fingerprint_seed,
        last_sequence,
        origin: if version == 0 {
            Origin::New
        } else {
            Origin::Found
        },
        stamp_holds: shutdown == Shutdown::Clean && version == latest,
    })
}

fn last_shutdown(file: &StateFile, last_use: &LastUse) -> Shutdown {
    let found = Seal::of(file.path());
    if !file.has_journal() && found.is_some() && found == last_use.seal {
        Shutdown::Clean
    } else {
        Shutdown::Unclean
    }
}

fn connect(file: &StateFile) -> Result<Connection, Fault> {
    // Neither CREATE (the file is made with its permissions) nor URI (a path may begin with `file:`).
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file.path(), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Until everything is checked: a file that is refused or set aside stays as it was found, and so does its journal.
    checkpoint_on_close(&connection, false)?;
    // Plans don't depend on parameter values. Otherwise SQLite prepares a statement anew at each use if one of its parameters
    // could select a partial index.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Whether the last connection to close copies the write-ahead log into the database and removes it.
pub(super) fn checkpoint_on_close(connection: &Connection, checkpoint: bool) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !checkpoint)?;
    Ok(())
}

pub(super) fn user_version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.query_row(VERSION, [], |row| row.get(0))?)
}

fn make_ready(
    writer: &mut Connection,
    version: i64,
    shutdown: Shutdown,
    migrations: &[&str],
) -> Result<(), Fault> {
    check_is_ours(writer, version)?;
    let check = version > 0 && shutdown == Shutdown::Unclean;
    if check {
        check_pages(writer)?;
    }
    apply_pragmas(writer)?;
    migrate(writer, version, migrations)?;
    // After a clean shutdown nothing of this can have changed.
    if version < version_of(migrations) || shutdown == Shutdown::Unclean {
        check_statements(writer)?;
    }
    if check {
        check_rows(writer)?;
    }
    Ok(())
}

/// A database of no version is a new one, or one that lost its version, or none of ours. One of another program may
/// well have a version that we know.
fn check_is_ours(connection: &Connection, version: i64) -> Result<(), Fault> {
    let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let ours = count(
        "SELECT count(*) FROM sqlite_schema WHERE name IN ('meta', 'target', 'task', 'event', 'webhook', 'delivery')",
    )?;
    if ours > 0 {
        return if version > 0 {
            Ok(())
        } else {
            Err(Fault::Damage(format!("its version is {version}")))
        };
    }
    let named: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if version == 0 && named == 0 && count("SELECT count(*) FROM sqlite_schema")? == 0 {
        return Ok(());
    }
    Err(Fault::Refused(
        "it is a database of another program; give this one a `state` of its own".to_owned(),
    ))
}

/// `integrity_check`, not `quick_check`: the outbox and the tasks in flight are read from indexes, which the quick one
/// does not compare with their tables. It took 0.6 s instead of 0.4 s among 300,000 tasks and events.
pub(super) fn check_pages(connection: &Connection) -> Result<(), Fault> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" {
        return Ok(());
    }
    if is_io_error(&found) {
        return Err(Fault::Refused(found));
    }
    Err(Fault::Damage(found))
}

/// The check tells of a page that the disk would not give in the same words as of a bad one; SQLite's code
/// behind them says which. A disk's error is not damage: nothing would be gained by setting the file aside.
pub(super) fn is_io_error(found: &str) -> bool {
    const SQLITE_IOERR: u32 = 10;
    found
        .rsplit_once("error code=")
        .and_then(|(_, code)| code.trim().parse::<u32>().ok())
        .is_some_and(|code| code & 0xff == SQLITE_IOERR)
}

/// The settings that the guarantees of the store rest on.
fn apply_pragmas(writer: &Connection) -> Result<(), Fault> {
    if writer.is_readonly(MAIN_DB)? {
        return Err(Fault::Refused("its file may only be read".to_owned()));
    }
    apply_connection_pragmas(writer)?;
    let mode: String =
        writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(Fault::Refused(format!(
            "its file system can't share memory, which the write-ahead log needs (mode `{mode}`); use a local disk"
        )));
    }
    // A checkpoint takes syncs of its own: a poll with many changes must not pay for one every few pages.
    writer.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
    // The next checkpoint gives back the space of a burst.
    writer.pragma_update(None, "journal_size_limit", 16 << 20)?;
    Ok(())
}

/// Those of them that every writing connection needs.
pub(super) fn apply_connection_pragmas(connection: &Connection) -> Result<(), Fault> {
    // FULL: a commit is on disk when it returns, also if the machine then loses power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(())
}

/// All or nothing: if a migration fails, or the process dies in one, the state keeps its version.
fn migrate(writer: &mut Connection, version: i64, migrations: &[&str]) -> Result<(), Fault> {
    let latest = version_of(migrations);
    if version == latest {
        return Ok(());
    }
    let done = usize::try_from(version).unwrap_or_default();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in migrations.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    if version == 0 {
        for name in [STATE_ID, FINGERPRINT_SEED] {
            meta::set(&transaction, name, &format!("{:016x}", fastrand::u64(..)))?;
        }
    }
    transaction.pragma_update(None, "user_version", latest)?;
    Ok(transaction.commit()?)
}

/// Finds missing tables and columns before a statement needs them.
fn check_statements(writer: &Connection) -> Result<(), Fault> {
    let lists = [
        meta::STATEMENTS,
        snapshot::STATEMENTS,
        footprint::STATEMENTS,
        outbox::STATEMENTS,
        prune::STATEMENTS,
    ];
    for sql in lists.into_iter().flatten() {
        writer.prepare_cached(sql)?;
    }
    Ok(())
}

/// Reads every row that the store will need: its page may be sound, and its values unreadable.
fn check_rows(writer: &Connection) -> Result<(), Fault> {
    snapshot::check_rows(writer)?;
    outbox::check_rows(writer)
}

/// One of the state's own random numbers.
pub(super) fn number_of(connection: &Connection, name: &str) -> Result<u64, Fault> {
    meta::get(connection, name)?
        .filter(|text| text.len() == 16)
        .and_then(|text| u64::from_str_radix(&text, 16).ok())
        .ok_or_else(|| Fault::Damage(format!("meta `{name}` can't be read")))
}
