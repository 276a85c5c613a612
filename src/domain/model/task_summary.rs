//! What is kept of a task's text, so that one which comes again unchanged need not be read again.

use super::{TaskId, Timestamp};

/// Stands for the text in which an answer showed a task whole: its length in the upper 16 bits, if it fits there, and 48 bits
/// of a hash. Made with a seed of the state's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(u64);

/// Bits of the hash.
const HASH_BITS: u32 = 48;

impl Fingerprint {
    /// Of a task whose text changes while it says the same: no text has it, so each sighting is compared in full.
    pub const UNSTABLE: Self = Self(0);

    /// Of a text of so many bytes with this hash.
    #[must_use]
    pub fn of_text(bytes: usize, hash: u64) -> Self {
        let length = u64::from(u16::try_from(bytes).unwrap_or_default());
        let hash = hash & ((1 << HASH_BITS) - 1);
        Self((length << HASH_BITS | hash).max(1))
    }

    /// How long the text is, in bytes; none: not known, or too long to be told.
    #[must_use]
    pub fn text_bytes(self) -> Option<usize> {
        let length = usize::try_from(self.0 >> HASH_BITS).unwrap_or_default();
        (length > 0).then_some(length)
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
pub struct TaskRowId(pub u64);

/// What a state is asked for a [`TaskSummary`] by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskLookup<'a> {
    /// The task.
    pub id: &'a TaskId,
    /// When it was submitted: says where to look first, and nothing else.
    pub created: Option<Timestamp>,
}

/// The least that is to be known of a task to tell that a sighting teaches nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    /// Which record it is of.
    pub number: TaskRowId,
    /// The text that the record was last learned from; none: another sighting may teach something.
    pub fingerprint: Option<Fingerprint>,
    /// See [`super::Task::created`].
    pub created: Option<Timestamp>,
    /// See [`super::KnownTask::is_in_flight`].
    pub in_flight: bool,
    /// See [`super::KnownTask::stalled`].
    pub stalled: bool,
}

/// What a state remembers of a task, to know its text by before anything of it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The task.
    pub id: TaskId,
    /// How many URLs its record has.
    pub url_count: usize,
    /// All else.
    pub footprint: TaskSummary,
}

/// A place in the order of tasks by when they were submitted, and of those of one second by their ids. It need not be
/// that of any task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListPosition {
    /// The second.
    pub created: Timestamp,
    /// Within it; empty: before all of it.
    pub id: TaskId,
}

/// The order of a list, by when its tasks were submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListOrder {
    /// What most lists are.
    #[default]
    NewestFirst,
    /// The other way round.
    OldestFirst,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_the_length_of_its_text_where_it_can() {
        for bytes in [1, 700, 65_535] {
            let fingerprint = Fingerprint::of_text(bytes, u64::MAX);
            assert_eq!(fingerprint.text_bytes(), Some(bytes));
            assert_eq!(Fingerprint::from_bits(fingerprint.to_bits()), fingerprint);
        }
        for (bytes, hash) in [(65_536, 7), (0, 0)] {
            let fingerprint = Fingerprint::of_text(bytes, hash);
            assert_eq!(fingerprint.text_bytes(), None);
            assert_ne!(fingerprint, Fingerprint::UNSTABLE);
        }
        assert_ne!(Fingerprint::of_text(5, 1), Fingerprint::of_text(5, 2));
        assert_ne!(Fingerprint::of_text(5, 1), Fingerprint::of_text(6, 1));
    }
}
