//! What is kept of a task's text, so that one which comes again unchanged need not be read again.

use super::{TaskId, Timestamp};

/// Stands for the text in which an answer showed a task whole. Made with a seed of the state's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// Of a task whose text changes while it says the same: no text has it, so each sighting is compared in full.
    pub const UNSTABLE: Self = Self(0);

    /// Of a text with this hash.
    #[must_use]
    pub fn of_hash(hash: u64) -> Self {
        Self(hash.max(1))
    }

    /// As a state keeps it.
    #[must_use]
    pub fn to_bits(self) -> i64 {
        self.0.cast_signed()
    }

    /// As it was kept.
    #[must_use]
    pub fn from_bits(bits: i64) -> Self {
        Self(bits.cast_unsigned())
    }
}

/// The state's own number of a task: kept as long as the task is known, and higher for what became known later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskNumber(pub u64);

/// What a state is asked for a [`Footprint`] by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sought<'a> {
    /// The task.
    pub id: &'a TaskId,
    /// When it was submitted: says where to look first, and nothing else.
    pub created: Option<Timestamp>,
}

/// The least that is to be known of a task to tell that a sighting teaches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Which record it is of.
    pub number: TaskNumber,
    /// The text that the record was last learned from; none: another sighting may teach something.
    pub fingerprint: Option<Fingerprint>,
    /// See [`super::Task::created`].
    pub created: Option<Timestamp>,
    /// See [`super::KnownTask::is_in_flight`].
    pub in_flight: bool,
    /// See [`super::KnownTask::stalled`].
    pub stalled: bool,
}
