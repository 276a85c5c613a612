//! Event types and their names.

use serde::Serialize;

use crate::domain::model::Status;

/// The type of an event, as `on` patterns and receivers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// A task was first seen in, or changed to, `wait`.
    TaskWait,
    /// The same for `process`.
    TaskProcess,
    /// The same for `success`.
    TaskSuccess,
    /// The same for `failure`.
    TaskFailure,
    /// The same for any other status word.
    TaskUnknown,
    /// URLs newly failed while the task's own status stayed the same.
    TaskUrlFailure,
    /// Other URL changes while the task's own status stayed the same.
    TaskProgress,
    /// A task is unfinished `stall_after` after its creation.
    TaskStalled,
    /// A task in flight that the API no longer lists.
    TaskVanished,
    /// Several polls of a target in a row failed.
    WatchFailing,
    /// A poll succeeded after [`Self::WatchFailing`].
    WatchRecovered,
    /// Sent by `test-webhook`.
    Test,
}

impl EventType {
    /// Every type, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::TaskWait,
        Self::TaskProcess,
        Self::TaskSuccess,
        Self::TaskFailure,
        Self::TaskUnknown,
        Self::TaskUrlFailure,
        Self::TaskProgress,
        Self::TaskStalled,
        Self::TaskVanished,
        Self::WatchFailing,
        Self::WatchRecovered,
        Self::Test,
    ];

    /// The name in documents and configs, such as `task.url_failure`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskWait => "task.wait",
            Self::TaskProcess => "task.process",
            Self::TaskSuccess => "task.success",
            Self::TaskFailure => "task.failure",
            Self::TaskUnknown => "task.unknown",
            Self::TaskUrlFailure => "task.url_failure",
            Self::TaskProgress => "task.progress",
            Self::TaskStalled => "task.stalled",
            Self::TaskVanished => "task.vanished",
            Self::WatchFailing => "watch.failing",
            Self::WatchRecovered => "watch.recovered",
            Self::Test => "test",
        }
    }

    /// The type with this name; `None` for a name that this version does not know.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The type of a task's transition to `status`, or of its first sight in `status`.
    #[must_use]
    pub fn of_status(status: &Status) -> Self {
        match status {
            Status::Wait => Self::TaskWait,
            Status::Process => Self::TaskProcess,
            Status::Success => Self::TaskSuccess,
            Status::Failure => Self::TaskFailure,
            Status::Other(_) => Self::TaskUnknown,
        }
    }
}

impl Serialize for EventType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
