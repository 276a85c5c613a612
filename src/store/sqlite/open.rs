//! Opens the state's database: which checks it needs, which pragmas and migrations it gets, and what happens to a damaged one.

use std::path::Path;

use rusqlite::{Connection, MAIN_DB};

use super::connection::{CloseMode, apply_write_pragmas, checkpoint_on_close, open_for_daemon};
use super::error::SqliteError;
use super::file::{StateFile, Used};
use super::lock::{FileStamp, LastUse, StateLock};
use super::recovery::{DataLoss, check_pages, check_rows};
use super::{meta, schema};
use crate::domain::model::Timestamp;
use crate::store::StoreError;

/// How many pages of 4 KiB the write-ahead log may hold before a commit checkpoints it.
const AUTOCHECKPOINT_PAGES: u32 = 16_384;

/// An open, sound and up-to-date database, with the right to use it.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) file: StateFile,
    pub(super) lock: StateLock,
    pub(super) connections: Connections,
    /// Something that was known is lost.
    pub(super) loss: Option<DataLoss>,
}

/// The connections to a database, and its facts about itself.
#[derive(Debug)]
pub(super) struct Connections {
    pub(super) writer: Connection,
    pub(super) reader: Connection,
    pub(super) state_id: u64,
    pub(super) fingerprint_seed: u64,
    pub(super) last_sequence: u64,
    pub(super) origin: Origin,
    /// Whether the lock file's stamp still describes the file, as long as nothing is written.
    pub(super) stamp_holds: bool,
}

/// Whether a database was there before.
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

/// Opens the database, or creates it. Sets a damaged one aside and creates another.
pub(super) fn open_or_recover(
    path: &Path,
    now: Timestamp,
    migrations: &[&str],
) -> Result<Database, StoreError> {
    let file = StateFile::find(path)?;
    let (lock, last_use) = StateLock::take(&file)?;
    let (connections, loss) = match open(&file, &last_use, migrations) {
        Err(StoreError::Damaged { what, .. }) => {
            let quarantined = DataLoss::Quarantined(file.set_aside(now, what)?);
            let new = open(&file, &LastUse::default(), migrations);
            // Otherwise the caller logs it.
            let new = new.inspect_err(|_| log::error!("{quarantined}"))?;
            (new, Some(quarantined))
        }
        opened => skip_lost_sequences(&file, opened?, &last_use)?,
    };
    match connections.origin {
        Origin::New => lock.note_new(),
        Origin::Found => lock.note(connections.last_sequence),
    }
    Ok(Database {
        file,
        lock,
        connections,
        loss,
    })
}

/// Skips the sequences of lost events. A database whose last sequence is lower than the lock file's is an old copy, or has
/// lost its write-ahead log. It is sound, and the next poll sees again what it has lost; but the ids of events that were
/// sent must not be given to other events.
fn skip_lost_sequences(
    file: &StateFile,
    mut connections: Connections,
    last_use: &LastUse,
) -> Result<(Connections, Option<DataLoss>), StoreError> {
    let had = last_use.last_sequence.unwrap_or_default();
    let has = connections.last_sequence;
    if connections.origin == Origin::New || has >= had {
        return Ok((connections, None));
    }
    meta::set_last_sequence(&connections.writer, had)
        .map_err(|error| error.into_error(file.said(), "skip the sequences of lost events"))?;
    connections.last_sequence = had;
    connections.stamp_holds = false;
    Ok((connections, Some(DataLoss::RolledBack { has, had })))
}

/// Opens the database, or creates it. After `StoreError::Damaged` all connections to it are closed, and the file should be
/// set aside.
pub(super) fn open(
    file: &StateFile,
    last_use: &LastUse,
    migrations: &[&str],
) -> Result<Connections, StoreError> {
    let latest = schema::version_of(migrations);
    let used = last_use.last_sequence.map_or(Used::Never, |_| Used::Before);
    file.inspect(latest, used)?;
    let shutdown = last_shutdown(file, last_use);
    let fault = |error: SqliteError| error.into_error(file.said(), "open its database");

    let mut writer = open_for_daemon(file).map_err(fault)?;
    // Asked again, now that the write-ahead log is read too. Nothing has been written yet.
    let version = schema::version(&writer).map_err(fault)?;
    file.check_version(version, latest)?;
    make_ready(&mut writer, version, shutdown, migrations).map_err(fault)?;
    let [state_id, fingerprint_seed] =
        [meta::STATE_ID, meta::FINGERPRINT_SEED].map(|name| meta::number(&writer, name));
    let (state_id, fingerprint_seed) = (state_id.map_err(fault)?, fingerprint_seed.map_err(fault)?);
    let last_sequence = meta::last_sequence(&writer).map_err(fault)?;
    let reader = open_for_daemon(file).map_err(fault)?;
    reader
        .pragma_update(None, "query_only", true)
        .map_err(|error| fault(error.into()))?;
    for connection in [&writer, &reader] {
        checkpoint_on_close(connection, CloseMode::Checkpoint).map_err(fault)?;
    }
    Ok(Connections {
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
    let found = FileStamp::of(file.path());
    if !file.has_journal() && found.is_some() && found == last_use.stamp {
        Shutdown::Clean
    } else {
        Shutdown::Unclean
    }
}

fn make_ready(
    writer: &mut Connection,
    version: i64,
    shutdown: Shutdown,
    migrations: &[&str],
) -> Result<(), SqliteError> {
    schema::check_is_ours(writer, version)?;
    let check = version > 0 && shutdown == Shutdown::Unclean;
    if check {
        check_pages(writer)?;
    }
    apply_pragmas(writer)?;
    schema::migrate(writer, version, migrations)?;
    // After a clean shutdown nothing of this can have changed.
    if version < schema::version_of(migrations) || shutdown == Shutdown::Unclean {
        schema::check_statements(writer)?;
    }
    if check {
        check_rows(writer)?;
    }
    Ok(())
}

/// The settings that the guarantees of the store rest on.
fn apply_pragmas(writer: &Connection) -> Result<(), SqliteError> {
    if writer.is_readonly(MAIN_DB)? {
        return Err(SqliteError::Refused("its file may only be read".to_owned()));
    }
    apply_write_pragmas(writer)?;
    let mode: String =
        writer.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(SqliteError::Refused(format!(
            "its file system can't share memory, which the write-ahead log needs (mode `{mode}`); use a local disk"
        )));
    }
    // A checkpoint takes syncs of its own: a poll with many changes must not pay for one every few pages.
    writer.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT_PAGES)?;
    // The next checkpoint gives back the space of a burst.
    writer.pragma_update(None, "journal_size_limit", 16 << 20)?;
    Ok(())
}
