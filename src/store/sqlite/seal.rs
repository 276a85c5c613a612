//! What a database looked like when its last user closed it. As long as it looks so still, nobody has touched it, and
//! the next user need not check it.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Length, place and time of the last change, as the file system tells them. Not the time that `touch` can set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seal(String);

impl Seal {
    /// Of the file as it is now; none if it can't be looked at.
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

    /// As it was written down.
    pub(super) fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
