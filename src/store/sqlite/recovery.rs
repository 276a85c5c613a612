//! What is said when something that the state knew is gone. Owns the words.

use std::fmt;
use std::path::PathBuf;

/// What was found wrong at open, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataLoss {
    /// The file was damaged. The state is a new, empty one.
    Quarantined(Quarantined),
    /// The file is sound, but not the latest. The state goes on with it.
    RolledBack {
        /// The last event that it holds.
        has: u64,
        /// The last event that there was.
        had: u64,
    },
}

/// A damaged file, out of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Its name now. Its journals, if it had any, are beside it under the same name.
    pub to: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for DataLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quarantined(Quarantined { to, why }) => write!(
                f,
                "the state was damaged and is begun anew under `first_run`; what was owed is in the damaged file, set aside as {}: {why}",
                to.display(),
            ),
            Self::RolledBack { has, had } => write!(
                f,
                "the state is older than it was: an old copy, or its journal was lost or damaged; events {} to {had} are gone from it, and what changed since then is reported again under new ids",
                has + 1
            ),
        }
    }
}
