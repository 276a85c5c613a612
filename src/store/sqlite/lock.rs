//! One instance a state: a lock of the operating system's, held while the store lives. It ends with the process,
//! however that ends; the file stays, for removing it would let two instances lock two files of one name.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};

use super::file::{StateFile, for_owner};
use crate::store::StoreError;

/// The right to use a state. Dropped last: the database is closed before somebody else may open it.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Takes the lock and writes our process id into it, or says who has it. Does not wait.
    pub(super) fn take(state: &StateFile) -> Result<Self, StoreError> {
        let mut file = for_owner()
            .open(state.with_suffix(".lock"))
            .map_err(|error| state.unusable("open its lock file", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::Held {
                    state: state.said().to_owned(),
                    holder: holder(&mut file),
                });
            }
            Err(TryLockError::Error(error)) => return Err(state.unusable("lock it", error)),
        }
        sign(&mut file).map_err(|error| state.unusable("write its lock file", error))?;
        Ok(Self { _file: file })
    }
}

fn sign(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

/// None between a holder's locking and its signing.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
