//! Opening and closing the database: version, soundness, settings, migrations. Decides what is damage at open; moves
//! no files.

use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior};

use super::fault::Fault;
use super::file::{StateFile, Used};
use super::lock::LastUse;
use super::seal::Seal;
use super::{checksum, footprint, meta, outbox, prune, snapshot};
use crate::store::StoreError;

/// The n-th makes version n out of version n - 1. Never changed once released: what is wrong is mended by a new one.
const MIGRATIONS: [&str; 7] = [
    include_str!("../migrations/0001.sql"),
    include_str!("../migrations/0002.sql"),
    include_str!("../migrations/0003.sql"),
    include_str!("../migrations/0004.sql"),
    include_str!("../migrations/0005.sql"),
    include_str!("../migrations/0006.sql"),
    include_str!("../migrations/0007.sql"),
];

/// The version that this program writes.
pub(super) const LATEST: i64 = MIGRATIONS.len().cast_signed() as i64;

const VERSION: &str = "PRAGMA user_version";

/// In `meta`: what tells this state's event ids from another's.
const STATE_ID: &str = "state_id";
/// In `meta`: see [`crate::store::Store::fingerprint_seed`].
pub(super) const FINGERPRINT_SEED: &str = "fingerprint_seed";

/// How long the journal may grow, in pages of 4 KiB, before a commit folds it in.
const JOURNAL_PAGES: u32 = 16_384;

/// How long we wait for somebody else's transaction, such as that of an operator's `sqlite3`; and at a stop, which
/// has two seconds for everything.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
const BUSY_TIMEOUT_AT_CLOSE: Duration = Duration::from_millis(200);

/// An open, sound and up-to-date database.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) state_id: u64,
    pub(super) fingerprint_seed: u64,
    /// Whether it has its journal for writing: see [`begin_writing`].
    pub(super) has_wal: bool,
    pub(super) last_sequence: u64,
    pub(super) origin: Origin,
    /// Whether its seal holds as long as nothing is written.
    pub(super) sealed: bool,
}

/// Where a database comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Just made.
    New,
    /// It was there.
    Found,
}

/// Whether what is in a database was as it is when it was last closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Closed well, and not touched since.
    Sealed,
    /// All of it has to be checked.
    None,
}

/// Opens it, or creates it. `StoreError::Damaged`: it should be set aside; all connections to it are closed.
pub(super) fn open(file: &StateFile, last_use: &LastUse) -> Result<Database, StoreError> {
    let action = "open its database";
    let used = last_use.last_sequence.map_or(Used::Never, |_| Used::Before);
    file.inspect(LATEST, used)?;
    let trust = trust(file, last_use);
    let fault = |fault: Fault| fault.into_error(file.said(), action);

    let mut writer = connect(file).map_err(fault)?;
    // Asked again, now that the journal is read too; nothing has been written yet.
    let version = user_version(&writer).map_err(fault)?;
    file.check_version(version, LATEST)?;
    make_ready(&mut writer, version, trust).map_err(fault)?;
    let [state_id, fingerprint_seed] =
        [STATE_ID, FINGERPRINT_SEED].map(|name| number_of(&writer, name));
    let (state_id, fingerprint_seed) = (state_id.map_err(fault)?, fingerprint_seed.map_err(fault)?);
    let has_wal = has_wal(&writer).map_err(fault)?;
    let last_sequence = outbox::last_sequence(&writer).map_err(fault)?;
    let reader = connect(file).map_err(fault)?;
    reader
        .pragma_update(None, "query_only", true)
        .map_err(|error| fault(error.into()))?;
    for connection in [&writer, &reader] {
        fold_at_close(connection, true).map_err(fault)?;
    }
    Ok(Database {
        writer,
        reader,
        state_id,
        fingerprint_seed,
        has_wal,
        last_sequence,
        origin: if version == 0 {
            Origin::New
        } else {
            Origin::Found
        },
        sealed: trust == Trust::Sealed && version == LATEST,
    })
}

fn trust(file: &StateFile, last_use: &LastUse) -> Trust {
    let found = Seal::of(file.path());
    if !file.has_journal() && found.is_some() && found == last_use.seal {
        Trust::Sealed
    } else {
        Trust::None
    }
}

/// Folds the journal into the database. As well as may be: what can't be done now is done at the next open.
pub(super) fn close(writer: &Connection) {
    if writer.busy_timeout(BUSY_TIMEOUT_AT_CLOSE).is_err() {
        log::debug!("state: closing may wait longer than it should");
    }
    let folded = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    if folded.is_err() {
        log::debug!("state: the journal could not be folded in; the next start will do it");
    }
}

/// Does away with the journal for writing, and with the memory that is shared for it: opening a database at rest makes
/// no file. Only the last connection can do it; others keep what they need.
///
/// Only two bytes of the file's first sector change with it, and no disk tears a sector: with the journal for that in memory
/// (which the next open knows nothing of), a death leaves one mode or the other, and three syncs are spared.
pub(super) fn rest(writer: &Connection) {
    let rested = writer.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()));
    if rested.is_err() {
        log::debug!("state: somebody else has it open; its journal stays");
    }
}

/// Gives a database at rest its journal for writing. Returns whether it has one now: as long as somebody reads it, it can
/// get none, and is written without; that is as safe, but slower, and readers wait.
pub(super) fn begin_writing(writer: &Connection) -> Result<bool, Fault> {
    // As in `rest`. Should it get no journal for writing, it needs the one on disk again.
    set_rollback_journal(writer, "MEMORY")?;
    let begun = try_wal(writer);
    if !matches!(begun, Ok(true)) {
        set_rollback_journal(writer, "DELETE")?;
    }
    begun
}

/// Where the journal is as long as there is none for writing.
fn set_rollback_journal(writer: &Connection, place: &str) -> Result<(), Fault> {
    Ok(writer.pragma_update_and_check(None, "journal_mode", place, |_| Ok(()))?)
}

fn try_wal(writer: &Connection) -> Result<bool, Fault> {
    let mode =
        writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
    match mode {
        Ok(mode) if mode == "wal" => Ok(true),
        Ok(mode) => Err(Fault::Refused(format!(
            "its file system can't share memory, which the journal needs (mode `{mode}`); use a local disk"
        ))),
        Err(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::DatabaseBusy =>
        {
            Ok(false)
        }
        Err(error) => Err(error.into()),
    }
}

fn has_wal(connection: &Connection) -> Result<bool, Fault> {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    Ok(mode == "wal")
}

fn connect(file: &StateFile) -> Result<Connection, Fault> {
    // Neither CREATE (the file is made with its permissions) nor URI (a path may begin with `file:`).
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file.path(), flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Until all is found well: a file that is refused or set aside stays as it was found, and so does its journal.
    fold_at_close(&connection, false)?;
    checksum::teach(&connection)?;
    // A statement is prepared once: or one whose parameter stands beside an index of a part of a table is prepared at each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Whether the last connection to close folds the journal into the database and removes it.
pub(super) fn fold_at_close(connection: &Connection, fold: bool) -> Result<(), Fault> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !fold)?;
    Ok(())
}

pub(super) fn user_version(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.query_row(VERSION, [], |row| row.get(0))?)
}

fn make_ready(writer: &mut Connection, version: i64, trust: Trust) -> Result<(), Fault> {
    check_is_ours(writer, version)?;
    let check = version > 0 && trust == Trust::None;
    if check {
        check_pages(writer)?;
    }
    settle(writer)?;
    migrate(writer, version)?;
    meta::check_schema(writer)?;
    // In a file that is as it was closed, they are as they were then.
    if version < LATEST || trust == Trust::None {
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

/// The settings that the promise of the store rests on.
fn settle(writer: &Connection) -> Result<(), Fault> {
    if writer.is_readonly(MAIN_DB)? {
        return Err(Fault::Refused("its file may only be read".to_owned()));
    }
    settle_connection(writer)?;
    // Folding the journal in takes syncs of its own: a poll with many changes is not to pay for it every few pages.
    writer.pragma_update(None, "wal_autocheckpoint", JOURNAL_PAGES)?;
    // A burst's journal is given back at the next checkpoint.
    writer.pragma_update(None, "journal_size_limit", 16 << 20)?;
    Ok(())
}

/// Those of them that hold for whoever writes.
pub(super) fn settle_connection(connection: &Connection) -> Result<(), Fault> {
    // FULL: a commit is on disk when it returns, also if the machine then loses power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(())
}

/// All or nothing: a migration that fails, or a death in one, leaves the version that was.
fn migrate(writer: &mut Connection, version: i64) -> Result<(), Fault> {
    if version == LATEST {
        return Ok(());
    }
    let done = usize::try_from(version).unwrap_or_default();
    let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    if meta::get(&transaction, STATE_ID)?.is_none() {
        let id = format!("{:016x}", fastrand::u64(..));
        meta::set(&transaction, STATE_ID, &id)?;
    }
    meta::keep_schema(&transaction)?;
    transaction.pragma_update(None, "user_version", LATEST)?;
    Ok(transaction.commit()?)
}

/// Finds missing tables and columns before anything relies on them.
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

/// Reads what the store will have to read: pages may be in order, and what is in them not.
fn check_rows(writer: &Connection) -> Result<(), Fault> {
    checksum::check_all(writer)?;
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
