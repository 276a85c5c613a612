//! The lock file: one instance per state, and a record of the last clean shutdown.
//!
//! The lock is the operating system's, so it ends with the process, however that ends. The file stays: removing it would let two
//! instances lock two files of one name.
//!
//! The file records what the database can't: its last sequence (`last_sequence N`), and the database's [`FileStamp`] at a clean
//! shutdown (`closed …`). It is written only if the database is.

use parking_lot::Mutex;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::file::{StateFile, for_owner};
use super::meta::MAX_SEQUENCE;
use crate::store::StoreError;

const LAST_SEQUENCE: &str = "last_sequence ";
const CLOSED: &str = "closed ";

/// More bytes than its two lines can have.
const LONGEST: u64 = 1024;

/// Linux's list of file locks.
const LOCKS: &str = "/proc/locks";

/// How often the list is read: the kernel returns it in pieces, and may skip a lock while others come and go.
const LOOKS: u32 = 10;

/// The right to use a state. Release it only after the database is closed.
#[derive(Debug)]
pub(super) struct StateLock {
    file: File,
    /// The last sequence in the file. `None` until the first [`StateLock::note`].
    last_sequence: Mutex<Option<u64>>,
}

/// What the last holder left in the lock file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LastUse {
    /// The last event that was committed. `None` if no database was ever opened here.
    pub(super) last_sequence: Option<u64>,
    /// The database's stamp at its last clean shutdown. `None` if that was not clean.
    pub(super) stamp: Option<FileStamp>,
}

/// A file's length, inode and time of the last change (ctime, which `touch` can't set). As long as a database has the stamp of
/// its last clean shutdown, nothing has changed it and the next open need not check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileStamp(String);

impl FileStamp {
    /// The stamp of the file as it is now. `None` if its metadata can't be read.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let it = std::fs::metadata(path).ok()?;
        Some(Self(format!(
            "{} {} {}.{:09}",
            it.len(),
            it.ino(),
            it.ctime(),
            it.ctime_nsec()
        )))
    }

    /// Reads what `Display` wrote.
    pub(super) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for FileStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StateLock {
    /// Takes the lock without waiting. The error names the process that has it.
    pub(super) fn take(state: &StateFile) -> Result<(Self, LastUse), StoreError> {
        let mut file = for_owner()
            .open(state.with_suffix(".lock"))
            .map_err(|error| state.unusable("open its lock file", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Held {
                    state: state.said().to_owned(),
                    holder: holder(&file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(state.unusable("lock it", error)),
        }
        let content =
            content(&mut file).map_err(|error| state.unusable("read its lock file", error))?;
        let last_use = LastUse::read(&content);
        let lock = Self {
            file,
            last_sequence: Mutex::new(last_use.last_sequence),
        };
        Ok((lock, last_use))
    }

    /// Lets another instance take it.
    pub(super) fn release(&self) {
        if let Err(error) = self.file.unlock() {
            log::debug!("state: its lock could not be released before the process ends: {error}");
        }
    }

    /// Records the last sequence. Not synced: after a power loss the record may be lower than what was committed, never higher.
    pub(super) fn note(&self, last_sequence: u64) {
        let mut noted = self.noted();
        // Commits that end at the same time may arrive in another order.
        if noted.is_some_and(|noted| noted >= last_sequence) {
            return;
        }
        *noted = Some(last_sequence);
        self.try_write(*noted, None);
    }

    /// Records that the database is new.
    pub(super) fn note_new(&self) {
        let mut noted = self.noted();
        *noted = Some(0);
        self.try_write(*noted, None);
    }

    /// Records the stamp of a clean shutdown. `None`: the next open checks everything.
    pub(super) fn set_stamp(&self, stamp: Option<&FileStamp>) {
        self.try_write(*self.noted(), stamp);
    }

    fn noted(&self) -> parking_lot::MutexGuard<'_, Option<u64>> {
        self.last_sequence.lock()
    }

    /// If this fails, the next start checks more than necessary.
    fn try_write(&self, last_sequence: Option<u64>, stamp: Option<&FileStamp>) {
        if let Err(error) = self.write(last_sequence, stamp) {
            log::debug!("state: the lock file could not be written: {error}");
        }
    }

    fn write(&self, last_sequence: Option<u64>, stamp: Option<&FileStamp>) -> io::Result<()> {
        let line = |key, value: Option<String>| value.map(|it| format!("{key}{it}\n"));
        let content = [
            line(LAST_SEQUENCE, last_sequence.map(|it| it.to_string())),
            line(CLOSED, stamp.map(FileStamp::to_string)),
        ];
        let content: String = content.into_iter().flatten().collect();
        let length = content.len() as u64;
        self.file.write_all_at(content.as_bytes(), 0)?;
        // The length hardly ever changes, and this runs at each commit.
        if self.file.metadata()?.len() != length {
            self.file.set_len(length)?;
        }
        Ok(())
    }
}

impl LastUse {
    fn read(content: &str) -> Self {
        let find = |key| content.lines().find_map(|line| line.strip_prefix(key));
        Self {
            last_sequence: find(LAST_SEQUENCE)
                .and_then(|number| number.parse().ok())
                .filter(|number| *number <= MAX_SEQUENCE),
            stamp: find(CLOSED).map(FileStamp::from_text),
        }
    }
}

fn content(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The process that has the lock. `None` if the kernel does not say.
fn holder(file: &File) -> Option<u32> {
    let place = file.metadata().ok()?;
    let (major, minor) = (
        rustix::fs::major(place.dev()),
        rustix::fs::minor(place.dev()),
    );
    let place = format!("{major:02x}:{minor:02x}:{}", place.ino());
    (0..LOOKS).find_map(|_| {
        let locks = std::fs::read_to_string(LOCKS).ok()?;
        locks.lines().find_map(|line| holder_in(line, &place))
    })
}

/// Parses a line such as `1: FLOCK  ADVISORY  WRITE 29395 fe:00:5965253 0 EOF`.
fn holder_in(line: &str, place: &str) -> Option<u32> {
    let mut words = line.split_ascii_whitespace();
    let is_lock = words.next()?.ends_with(':') && words.next()? == "FLOCK";
    let pid = words.nth(2)?;
    (is_lock && words.next()? == place)
        .then(|| pid.parse().ok())
        .flatten()
}
