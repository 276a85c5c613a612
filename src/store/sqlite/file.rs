//! The state's file and the files beside it: finding and creating them, checks of the header, setting a damaged file aside. Knows no
//! SQL.

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::recovery::Quarantined;
use crate::domain::model::Timestamp;
use crate::store::StoreError;

/// A database file's first bytes, as <https://sqlite.org/fileformat2.html#the_database_header> lays them out.
const HEADER_BYTES: u64 = 100;
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Files that move together. The database moves first: a journal without a database is noticed, but a database that lost its
/// journal looks sound.
const PARTS: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Whether there ever was a database at the state's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Used {
    Never,
    Before,
}

/// The path of a state.
#[derive(Clone, Debug)]
pub(super) struct StateFile {
    /// Absolute, with symbolic links resolved, so that one file has one lock under all its names.
    path: PathBuf,
    /// As the operator wrote it.
    said: String,
}

impl StateFile {
    /// Finds the file, and creates its directory if that is missing.
    pub(super) fn find(path: &Path) -> Result<Self, StoreError> {
        let mut file = Self::called(path)?;
        if let Some(directory) = file.path.parent() {
            make_directory(directory)
                .map_err(|error| file.unusable("create its directory", error))?;
        }
        match fs::canonicalize(&file.path) {
            Ok(path) => file.path = path,
            // A dangling link would be locked here now, and at its target the next time.
            Err(error) if fs::symlink_metadata(&file.path).is_ok() => {
                return Err(file.unusable("follow its symbolic link", error));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(file.unusable("find its path", error)),
        }
        file.check_kind()?;
        Ok(file)
    }

    /// Opening a pipe would block for ever, and a device is not a state.
    fn check_kind(&self) -> Result<(), StoreError> {
        match fs::metadata(&self.path) {
            Ok(found) if !found.is_file() => {
                let not_a_file = "it is not a regular file; give this one a `state` of its own";
                Err(self.unusable("use it", io::Error::other(not_a_file)))
            }
            _ => Ok(()),
        }
    }

    /// Finds an existing file. Creates nothing.
    pub(super) fn existing(path: &Path) -> Result<Self, StoreError> {
        let mut file = Self::called(path)?;
        match fs::canonicalize(&file.path) {
            Ok(path) => file.path = path,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let why = "the state does not exist yet; start `ucdn-watch` first, or check `state` in the config and in \
                           whose home it is";
                return Err(StoreError::Unusable {
                    state: file.said,
                    action: "open it",
                    source: why.into(),
                });
            }
            Err(error) => return Err(file.unusable("find its path", error)),
        }
        file.check_kind()?;
        Ok(file)
    }

    /// Makes the path absolute.
    fn called(path: &Path) -> Result<Self, StoreError> {
        let mut file = Self {
            path: path.to_path_buf(),
            said: path.display().to_string(),
        };
        file.path =
            std::path::absolute(path).map_err(|error| file.unusable("find its path", error))?;
        Ok(file)
    }

    /// The database itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The path as the operator wrote it, for messages.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// The path with `suffix` appended.
    pub(super) fn with_suffix(&self, suffix: &str) -> PathBuf {
        with_suffix(&self.path, suffix)
    }

    /// Whether a non-empty journal is beside the database: then its last user did not close it.
    pub(super) fn has_journal(&self) -> bool {
        ["-wal", "-journal"]
            .iter()
            .any(|part| length(&self.with_suffix(part)) > 0)
    }

    /// Checks the header without opening the database, so that a file that is refused stays as it is. Creates a missing file,
    /// readable only by its owner; SQLite gives its journals the same permissions.
    pub(super) fn inspect(&self, latest: i64, used: Used) -> Result<(), StoreError> {
        let header = self.header()?;
        if header.is_empty() {
            return self.begin(used);
        }
        if !header.starts_with(MAGIC) || header.len() < 100 {
            // A power loss in the very first transaction leaves a torn first page, and the journal that undoes it.
            return if length(&self.with_suffix("-journal")) > 0 {
                Ok(())
            } else {
                Err(self.damaged("it is not a SQLite database"))
            };
        }
        // No SQLite writes other format numbers; it would treat the file as read-only.
        let formats = header.get(18..20).unwrap_or_default();
        if !formats.iter().all(|format| matches!(format, 1 | 2)) {
            return Err(self.damaged("its header is not that of a SQLite database"));
        }
        self.check_version(i64::from(number(&header, 60..64).cast_signed()), latest)?;
        // SQLite would read zeros for the rest of the last page. If there is a journal, that page may be in it.
        let page_bytes = match number(&header, 16..18) {
            1 => 65_536,
            bytes => u64::from(bytes),
        };
        if !length(&self.path).is_multiple_of(page_bytes.max(1)) && !self.has_journal() {
            return Err(self.damaged("it was cut off"));
        }
        Ok(())
    }

    /// Refuses a version later than `latest`.
    pub(super) fn check_version(&self, found: i64, latest: i64) -> Result<(), StoreError> {
        if found <= latest {
            return Ok(());
        }
        Err(StoreError::TooNew {
            state: self.said.clone(),
            found,
            known: latest,
        })
    }

    /// Moves the database and its journals to names that are free.
    pub(super) fn set_aside(&self, now: Timestamp, why: String) -> Result<Quarantined, StoreError> {
        let stamp = now.to_string().replace(['-', ':'], "");
        let to = free_name(&self.with_suffix(&format!(".damaged-{stamp}")));
        for part in PARTS {
            match fs::rename(self.with_suffix(part), with_suffix(&to, part)) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(self.unusable("set the damaged file aside", error));
                }
                // Synced one after another: after a power loss no later file is moved without the earlier ones.
                _ => self
                    .path
                    .parent()
                    .map_or(Ok(()), sync_directory)
                    .map_err(|error| self.unusable("set the damaged file aside", error))?,
            }
        }
        Ok(Quarantined {
            moved_to: to,
            reason: why,
        })
    }

    /// The error of an attempt to `action`.
    pub(super) fn unusable(
        &self,
        action: &'static str,
        source: impl Error + Send + Sync + 'static,
    ) -> StoreError {
        StoreError::Unusable {
            state: self.said.clone(),
            action,
            source: Box::new(source),
        }
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Damaged {
            state: self.said.clone(),
            what: what.to_owned(),
        }
    }

    /// The first bytes of the file; empty if there is none.
    fn header(&self) -> Result<Vec<u8>, StoreError> {
        let mut header = Vec::new();
        let read = File::open(&self.path)
            .and_then(|file| file.take(HEADER_BYTES).read_to_end(&mut header));
        match read {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(self.unusable("read its file", error))
            }
            _ => Ok(header),
        }
    }

    /// Creates the file if it may be new. A missing file may have been removed on purpose; an empty one has lost its content.
    fn begin(&self, used: Used) -> Result<(), StoreError> {
        // Only `-wal`: a `-journal` is all that a death in the very first transaction leaves behind.
        if length(&self.with_suffix("-wal")) > 0 {
            return Err(self.damaged("it is empty, and its journal is not"));
        }
        match (used, fs::exists(&self.path)) {
            (Used::Before, Ok(true)) => return Err(self.damaged("it is empty, and was not before")),
            (Used::Before, Ok(false)) => {
                log::warn!("the state is gone; a new one is started: {}", self.said);
            }
            _ => {}
        }
        self.create()
    }

    fn create(&self) -> Result<(), StoreError> {
        for_owner()
            .open(&self.path)
            .map(|_| ())
            .map_err(|error| self.unusable("create its file", error))
    }
}

/// Creates a directory and its missing parents, so that their names survive a power loss. SQLite does that for the files in it.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = directory.parent().unwrap_or(Path::new("/"));
    make_directory(above)?;
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !directory.is_dir() => Err(error),
        _ => sync_directory(above),
    }
}

/// Syncs a directory, so that the names in it survive a power loss.
fn sync_directory(directory: &Path) -> io::Result<()> {
    match File::open(directory)?.sync_all() {
        // Some file systems can't sync a directory.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

/// Opens or creates a file that only its owner can read.
pub(super) fn for_owner() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).mode(0o600);
    options
}

/// A file's length; 0 if it is missing.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// A big-endian number of the header.
fn number(header: &[u8], place: Range<usize>) -> u32 {
    let bytes = header.get(place).unwrap_or_default();
    bytes
        .iter()
        .fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// `wanted`, or with a number appended if that exists: a file set aside earlier is never overwritten. The lock keeps other
/// instances from creating such names meanwhile.
fn free_name(wanted: &Path) -> PathBuf {
    let is_free = |name: &Path| {
        PARTS
            .iter()
            .all(|part| fs::symlink_metadata(with_suffix(name, part)).is_err())
    };
    let mut name = wanted.to_path_buf();
    let mut again = 0_u32;
    while !is_free(&name) {
        again += 1;
        name = with_suffix(wanted, &format!("-{again}"));
    }
    name
}
