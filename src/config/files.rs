//! Reads the files that a config names: regular files only, up to a size limit, without ever blocking.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Reads a whole file. The error says what happened, without the path.
///
/// A FIFO or a device is refused: reading one could block forever or never end.
pub(super) fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, String> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    file.take(max_bytes + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| reason(&error))?;
    if bytes.len() as u64 > max_bytes {
        return Err(format!("larger than {} MiB", max_bytes >> 20));
    }
    Ok(bytes)
}

/// Opens without waiting: opening a FIFO would otherwise block until a writer comes. The type is checked on the open file,
/// because the path may change.
fn open(path: &Path) -> Result<File, String> {
    let non_blocking = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(non_blocking)
        .open(path)
        .map_err(|error| reason(&error))?;
    let metadata = file.metadata().map_err(|error| reason(&error))?;
    not_regular(metadata.file_type()).map_or(Ok(file), |kind| {
        Err(format!("{kind}; expected a regular file"))
    })
}

/// What the file is, if it is not a regular file.
pub(super) fn not_regular(kind: std::fs::FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("is a directory")
    } else if kind.is_fifo() {
        Some("is a FIFO (named pipe)")
    } else if kind.is_socket() {
        Some("is a socket")
    } else if kind.is_symlink() {
        Some("is a symbolic link")
    } else {
        Some("is a device")
    }
}

/// Why a file operation failed.
pub(super) fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "no such file".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether users other than owner and group may read or write the file.
pub(super) fn is_open_to_others(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o006 != 0)
}
