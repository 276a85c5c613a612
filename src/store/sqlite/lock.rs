//! One instance a state: a lock of the operating system's, held while the store lives. It ends with the process,
//! however that ends; the file stays, for removing it would let two instances lock two files of one name.
//!
//! The lock file also holds what the database can't say of itself: how far it had come, and that it was closed well. Three
//! lines: the holder's process id, `last_sequence N`, and after a clean stop `closed` and the [`Seal`].

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use super::file::{StateFile, for_owner};
use super::outbox::MAX_SEQUENCE;
use super::seal::Seal;
use crate::store::StoreError;

const LAST_SEQUENCE: &str = "last_sequence ";
const CLOSED: &str = "closed ";

/// More than three lines can be.
const LONGEST: u64 = 1024;

/// The right to use a state. Dropped last: the database is closed before somebody else may open it.
#[derive(Debug)]
pub(super) struct StateLock {
    file: File,
    /// What the file says; none until the first [`StateLock::note`].
    last_sequence: Mutex<Option<u64>>,
}

/// What the last holder left in the lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LastUse {
    /// The last event that was committed; none: no database was ever opened here.
    pub(super) last_sequence: Option<u64>,
    /// How the database was left; none: not closed well.
    pub(super) seal: Option<Seal>,
}

impl StateLock {
    /// Takes the lock and writes our process id into it, or says who has it. Does not wait.
    pub(super) fn take(state: &StateFile) -> Result<(Self, LastUse), StoreError> {
        let mut file = for_owner()
            .open(state.with_suffix(".lock"))
            .map_err(|error| state.unusable("open its lock file", error))?;
        let tried = file.try_lock();
        let content =
            content(&mut file).map_err(|error| state.unusable("read its lock file", error));
        match tried {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Held {
                    state: state.said().to_owned(),
                    holder: holder(&content.unwrap_or_default()),
                });
            }
            Err(TryLockError::Error(error)) => return Err(state.unusable("lock it", error)),
        }
        let last_use = LastUse::read(&content?);
        let lock = Self {
            file,
            last_sequence: Mutex::new(last_use.last_sequence),
        };
        lock.write(last_use.last_sequence, None)
            .map_err(|error| state.unusable("write its lock file", error))?;
        Ok((lock, last_use))
    }

    /// Notes how far the database has come. Not synced: after a power loss it may say less than was committed, never more.
    pub(super) fn note(&self, last_sequence: u64) {
        let mut noted = self.noted();
        // Commits that end at the same time may come here in another order.
        if noted.is_some_and(|noted| noted >= last_sequence) {
            return;
        }
        *noted = Some(last_sequence);
        self.try_write(*noted, None);
    }

    /// Notes that it has come to nothing: a new database takes the place of one that was set aside.
    pub(super) fn note_new(&self) {
        let mut noted = self.noted();
        *noted = Some(0);
        self.try_write(*noted, None);
    }

    /// Notes that the database was closed well.
    pub(super) fn seal(&self, seal: &Seal) {
        self.try_write(*self.noted(), Some(seal));
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Option<u64>> {
        self.last_sequence
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What can't be written now makes the next start check more than it need.
    fn try_write(&self, last_sequence: Option<u64>, seal: Option<&Seal>) {
        if let Err(error) = self.write(last_sequence, seal) {
            log::debug!("state: the lock file could not be written: {error}");
        }
    }

    fn write(&self, last_sequence: Option<u64>, seal: Option<&Seal>) -> io::Result<()> {
        let line = |key, value: Option<String>| value.map(|it| format!("{key}{it}\n"));
        let content = [
            line("", Some(std::process::id().to_string())),
            line(LAST_SEQUENCE, last_sequence.map(|it| it.to_string())),
            line(CLOSED, seal.map(Seal::to_string)),
        ];
        let content: String = content.into_iter().flatten().collect();
        self.file.write_all_at(content.as_bytes(), 0)?;
        self.file.set_len(content.len() as u64)
    }
}

impl LastUse {
    fn read(content: &str) -> Self {
        let find = |key| content.lines().find_map(|line| line.strip_prefix(key));
        Self {
            last_sequence: find(LAST_SEQUENCE)
                .and_then(|number| number.parse().ok())
                .filter(|number| *number <= MAX_SEQUENCE),
            seal: find(CLOSED).map(Seal::from_text),
        }
    }
}

fn content(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// None between a holder's locking and its signing.
fn holder(content: &str) -> Option<u32> {
    content.lines().next()?.trim().parse().ok()
}
