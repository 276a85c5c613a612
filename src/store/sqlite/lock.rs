//! One instance a state: a lock of the operating system's, held while the store lives. It ends with the process,
//! however that ends; the file stays, for removing it would let two instances lock two files of one name. It holds
//! nothing, and nothing is written to it: the kernel knows who has a lock.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;

use super::file::{StateFile, for_owner};
use crate::store::StoreError;

/// Where Linux lists the locks that are held.
const LOCKS: &str = "/proc/locks";

/// The right to use a state. Dropped last: the database is closed before somebody else may open it.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock, or says who has it. Does not wait.
    pub(super) fn take(state: &StateFile) -> Result<Self, StoreError> {
        let file = for_owner()
            .open(state.with_suffix(".lock"))
            .map_err(|error| state.unusable("open its lock file", error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Held {
                state: state.said().to_owned(),
                holder: holder(&file),
            }),
            Err(TryLockError::Error(error)) => Err(state.unusable("lock it", error)),
        }
    }
}

/// The process that has the lock, where the kernel says so.
fn holder(file: &File) -> Option<u32> {
    let place = file.metadata().ok()?;
    let (major, minor) = (
        rustix::fs::major(place.dev()),
        rustix::fs::minor(place.dev()),
    );
    let place = format!("{major:02x}:{minor:02x}:{}", place.ino());
    let locks = std::fs::read_to_string(LOCKS).ok()?;
    locks.lines().find_map(|line| holder_in(line, &place))
}

/// Of a line such as `1: FLOCK  ADVISORY  WRITE 29395 fe:00:5965253 0 EOF`.
fn holder_in(line: &str, place: &str) -> Option<u32> {
    let mut words = line.split_ascii_whitespace();
    let is_lock = words.next()?.ends_with(':') && words.next()? == "FLOCK";
    let pid = words.nth(2)?;
    (is_lock && words.next()? == place)
        .then(|| pid.parse().ok())
        .flatten()
}
