//! A file's state as the source and as the destination of a copy, with its lock held. Sets nothing aside: what is damaged or
//! another's is refused, and stays as it is.

use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::fault::Fault;
use super::file::StateFile;
use super::lock::StateLock;
use super::{SqliteStore, open, records};
use crate::store::StoreError;
use crate::store::copy::{Counts, Destination, Portion, Receiver, Source, Tally, not_empty};

mod read;
mod write;

/// A state to be read whole.
#[derive(Debug)]
pub struct SqliteSource {
    file: StateFile,
    connection: Connection,
    _lock: StateLock,
}

/// A state to be filled.
#[derive(Debug)]
pub struct SqliteDestination(SqliteStore);

impl SqliteSource {
    /// Opens it for reading, and checks its pages. Not a byte of it is changed.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::existing(path)?;
        let (lock, _) = StateLock::take(&file)?;
        let connection = records::connect(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        open::check_pages(&connection)
            .map_err(|fault| fault.into_error(file.said(), "check it"))?;
        Ok(Self {
            file,
            connection,
            _lock: lock,
        })
    }
}

impl Source for SqliteSource {
    fn read_out(&mut self, receiver: &mut Receiver<'_>) -> Result<(), StoreError> {
        let mut read =
            |connection: &mut Connection| read::all(&*connection.transaction()?, receiver);
        read(&mut self.connection).map_err(|fault| fault.into_error(self.file.said(), "read it"))
    }
}

impl SqliteDestination {
    /// Makes an empty state, or opens one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = StateFile::find(path)?;
        let (lock, last_use) = StateLock::take(&file)?;
        if std::fs::metadata(file.path()).is_ok_and(|found| found.len() > 0) {
            // Before it is opened for writing, which brings an older version up to date.
            let found = records::connect(&file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            check_is_empty(&found).map_err(|fault| fault.into_error(file.said(), COPY_INTO))?;
        }
        let database = open::open(&file, &last_use, open::MIGRATIONS)?;
        // Whatever was here before: what comes has a last sequence of its own.
        lock.note_new();
        Ok(Self(SqliteStore::new(file, database, lock)))
    }
}

impl Destination for SqliteDestination {
    fn take_in(
        &mut self,
        portions: &mut dyn Iterator<Item = Portion>,
    ) -> Result<Tally, StoreError> {
        let (tally, last_sequence) = self.0.write(COPY_INTO, |state| {
            check_is_empty(state)?;
            let mut came = Tally::default();
            for portion in portions {
                came.add(&portion);
                write::portion(state, &portion)?;
            }
            let mut kept = Tally::default();
            read::all(state, &mut |portion| {
                kept.add(&portion);
                ControlFlow::Continue(())
            })?;
            if let Some(difference) = came.difference(&kept) {
                return Err(Fault::Refused(difference));
            }
            Ok((kept, super::outbox::last_sequence(state)?))
        })?;
        self.0.lock.note(last_sequence);
        Ok(tally)
    }
}

const COPY_INTO: &str = "copy another one into it";

fn check_is_empty(state: &Connection) -> Result<(), Fault> {
    let origin = read::origin(state)?;
    if origin.counts == Counts::default() && origin.last_sequence == 0 {
        return Ok(());
    }
    Err(Fault::Refused(not_empty(origin.counts)))
}
