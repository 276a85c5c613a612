//! A file's state as the source and as the destination of a copy, with its lock held. Sets nothing aside: what is damaged or
//! another's is refused, and stays as it is.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::error::SqliteError;
use super::file::StateFile;
use super::lock::StateLock;
use super::{SqliteStore, open, queries};
use crate::store::StoreError;
use crate::store::transfer::{
    Chunk, ContentHash, ExportSource, ImportTarget, RowCounts, Sink, not_empty,
};

mod read;
mod write;

/// A state to be read whole.
#[derive(Debug)]
pub struct SqliteExport {
    file: StateFile,
    connection: Connection,
    _lock: StateLock,
}

/// A state to be filled.
#[derive(Debug)]
pub struct SqliteImport(SqliteStore);

impl SqliteExport {
    /// Opens it for reading, and checks its pages. Not a byte of it is changed.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::existing(path)?;
        let (lock, _) = StateLock::take(&file)?;
        let connection = queries::connect(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        open::check_pages(&connection)
            .map_err(|error| error.into_error(file.said(), "check it"))?;
        Ok(Self {
            file,
            connection,
            _lock: lock,
        })
    }
}

impl ExportSource for SqliteExport {
    fn export(&mut self, receiver: &mut Sink<'_>) -> Result<(), StoreError> {
        let mut read =
            |connection: &mut Connection| read::all(&*connection.transaction()?, receiver);
        read(&mut self.connection).map_err(|error| error.into_error(self.file.said(), "read it"))
    }
}

impl SqliteImport {
    /// Makes an empty state, or opens one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::find(path)?;
        let (lock, last_use) = StateLock::take(&file)?;
        if std::fs::metadata(file.path()).is_ok_and(|found| found.len() > 0) {
            // Before it is opened for writing, which brings an older version up to date.
            let found = queries::connect(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            check_is_empty(&found).map_err(|error| error.into_error(file.said(), COPY_INTO))?;
        }
        let database = open::open(&file, &last_use, open::MIGRATIONS)?;
        // Whatever was here before: what comes has a last sequence of its own.
        lock.note_new();
        Ok(Self(SqliteStore::new(file, database, lock)))
    }
}

impl ImportTarget for SqliteImport {
    fn import(
        &mut self,
        portions: &mut dyn Iterator<Item = Chunk>,
    ) -> Result<ContentHash, StoreError> {
        let (tally, last_sequence) = self.0.write(COPY_INTO, |state| {
            check_is_empty(state)?;
            let mut came = ContentHash::default();
            for portion in portions {
                came.add(&portion);
                write::portion(state, &portion)?;
            }
            let mut kept = ContentHash::default();
            read::all(state, &mut |portion| {
                kept.add(&portion);
                ControlFlow::Continue(())
            })?;
            if let Some(difference) = came.difference(&kept) {
                return Err(SqliteError::Refused(difference));
            }
            Ok((kept, super::outbox::last_sequence(state)?))
        })?;
        self.0.lock.note(last_sequence);
        Ok(tally)
    }
}

const COPY_INTO: &str = "copy another one into it";

fn check_is_empty(state: &Connection) -> Result<(), SqliteError> {
    let origin = read::origin(state)?;
    if origin.counts == RowCounts::default() && origin.last_sequence == 0 {
        return Ok(());
    }
    Err(SqliteError::Refused(not_empty(origin.counts)))
}
