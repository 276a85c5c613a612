//! Task summary: the least that a poll reads of a stored task to find that a list shows it unchanged.

use super::names::TaskId;
use super::timestamp::Timestamp;

/// A keyed hash of what a list response says of a task. Equal fingerprints mean an unchanged task. The key is the state's own,
/// so that no outsider can construct two tasks with the same fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Marks a task whose JSON changes while its meaning does not, such as one whose URLs are shuffled. It equals the fingerprint
    /// of no response, so the task is compared in full each time.
    pub const UNSTABLE: Self = Self(0);

    /// The fingerprint with this hash. Never [`Fingerprint::UNSTABLE`].
    #[must_use]
    pub fn from_hash(hash: u64) -> Self {
        Self(hash.max(1))
    }

    /// As a state stores it.
    #[must_use]
    pub fn to_bits(self) -> i64 {
        self.0.cast_signed()
    }

    /// As a state stored it.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        Self(bits.cast_unsigned())
    }
}

/// The row id of a task in the state. A task keeps it; tasks that are added later have higher ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskRowId(pub u64);

/// The key by which a state finds a [`TaskSummary`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskLookup<'a> {
    /// The task.
    pub id: &'a TaskId,
    /// When the task was submitted. A hint for a faster search; a wrong one does no harm.
    pub created: Option<Timestamp>,
}

/// What a poll reads of each listed task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    /// The row of the stored task.
    pub number: TaskRowId,
    /// Of the response from which the row was written. `None` if it was written from something else, such as parts on several
    /// pages: the next response is compared in full.
    pub fingerprint: Option<Fingerprint>,
    /// See [`Task::created`](super::task::Task::created).
    pub created: Option<Timestamp>,
    /// See [`KnownTask::is_in_flight`](super::task::KnownTask::is_in_flight).
    pub in_flight: bool,
    /// See [`KnownTask::stalled`](super::task::KnownTask::stalled).
    pub stalled: bool,
}
