//! Textfile for `node_exporter`: the metrics as a file, which is replaced atomically.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::domain::incident::Incident;
use crate::domain::model::{TargetName, Timestamp};

/// The collector runs as another user.
const MODE: u32 = 0o644;

const LAST_SUCCESS: &str = "ucdn_watch_last_success_timestamp_seconds{target=\"";

/// Bytes. A longer file was not written by this program.
const MAX_SIZE: u64 = 16 << 20;

/// Writer of one textfile. A fault is logged when it begins and when it ends.
#[derive(Debug)]
pub struct Textfile {
    path: PathBuf,
    fault: Incident,
}

impl Textfile {
    /// Does not touch the file yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            fault: Incident::default(),
        }
    }

    /// Last successful polls, read from the existing file. A process that ends after one poll has no other memory of them.
    #[must_use]
    pub fn last_successes(&self) -> BTreeMap<TargetName, Timestamp> {
        let is_ours = std::fs::metadata(&self.path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_SIZE);
        let text = is_ours.then(|| std::fs::read_to_string(&self.path));
        text.and_then(Result::ok)
            .map_or_else(BTreeMap::new, |text| last_successes(&text))
    }

    /// Replaces the file. A concurrent reader sees the old text or the new one, never a mixture.
    pub fn write(&mut self, text: &str) {
        let fault = replace(&self.path, text).err().map(|error| reason(&error));
        let path = self.path.display();
        match fault {
            Some(reason) if self.fault.failed(&reason).is_news() => {
                log::error!("the textfile can't be written: path={path} reason={reason}");
            }
            None if self.fault.ended().is_some() => {
                log::info!("the textfile can be written again: path={path}");
            }
            _ => {}
        }
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Collectors read *.prom only, so they ignore this file if the process dies before the rename.
    let mut file = tempfile::Builder::new()
        .prefix(".ucdn_watch.")
        .suffix(".tmp")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file()
        .set_permissions(Permissions::from_mode(MODE))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The kind instead of the error's text, which names the temporary file and so changes with each attempt.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        kind => kind.to_string(),
    }
}

fn last_successes(text: &str) -> BTreeMap<TargetName, Timestamp> {
    let line = |line: &str| {
        let (name, seconds) = line.strip_prefix(LAST_SUCCESS)?.split_once("\"} ")?;
        let time = Timestamp::from_unix_seconds(seconds.parse().ok()?)?;
        (time > Timestamp::EPOCH).then(|| (TargetName::from(name), time))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_replaced_atomically_and_readable_by_all_users() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ucdn_watch.prom");
        let mut textfile = Textfile::new(path.clone());
        for text in ["old\n", "new\n"] {
            textfile.write(text);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_no_temporary_file_and_is_retried() {
        let folder = tempfile::tempdir().unwrap();
        // A folder of that name can't be replaced by a file.
        let path = folder.path().join("ucdn_watch.prom");
        std::fs::create_dir(&path).unwrap();
        let mut textfile = Textfile::new(path.clone());
        textfile.write("text\n");
        assert!(textfile.fault.current().is_some());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        std::fs::remove_dir(&path).unwrap();
        textfile.write("text\n");
        assert_eq!(textfile.fault.current(), None);
    }

    #[test]
    fn only_last_successes_are_read_from_an_earlier_file() {
        let text = "\
            # TYPE ucdn_watch_last_success_timestamp_seconds gauge\n\
            ucdn_watch_last_success_timestamp_seconds{target=\"shop\"} 1700000000\n\
            ucdn_watch_last_success_timestamp_seconds{target=\"new\"} 0\n\
            ucdn_watch_last_success_timestamp_seconds{target=\"odd\"} soon\n\
            ucdn_watch_failed_polls{target=\"shop\"} 3\n";
        let expected = Timestamp::from_unix_seconds(1_700_000_000).unwrap();
        assert_eq!(
            last_successes(text),
            BTreeMap::from([(TargetName::from("shop"), expected)])
        );
    }
}
