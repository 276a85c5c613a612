//! Tasks and their URLs, as one response shows them and as the state stores them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::names::TaskId;
use super::status::Status;
use super::timestamp::Timestamp;

/// What a task does. The API has one list, and one action, per kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Deletes cached copies.
    Refresh,
    /// Loads files into the cache before visitors request them.
    Prefetch,
}

impl TaskKind {
    /// `refresh` or `prefetch`, as in configs and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refresh => "refresh",
            Self::Prefetch => "prefetch",
        }
    }
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A task as one response shows it. It may be a part of a task, if a page boundary splits it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Empty if the response has none. Such a task counts as a list entry but can't be watched.
    pub id: TaskId,
    /// `file`, `dir`, `m3u8`, … `None` if the response has none.
    pub r#type: Option<String>,
    /// `None` if the response has none. Nothing is concluded from that.
    pub status: Option<Status>,
    /// Submission time by the API's clock.
    pub created: Option<Timestamp>,
    /// In the response's order, with duplicates.
    pub urls: Vec<Url>,
}

/// One URL of a [`Task`] as one response shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Empty if the response has none.
    pub url: String,
    /// `None` if the response has none.
    pub status: Option<Status>,
    /// Progress in percent, as the API reports it. May exceed 100.
    pub progress: Option<u32>,
    /// Finish time by the API's clock. `None` also for the 0 of an unfinished URL.
    pub finished: Option<Timestamp>,
}

/// A task as the state stores it: the sum of all responses so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KnownTask {
    /// Never empty.
    pub id: TaskId,
    /// See [`Task::type`].
    pub r#type: Option<String>,
    /// The last known status.
    pub status: Status,
    /// See [`Task::created`].
    pub created: Option<Timestamp>,
    /// When a poll first saw it, by the local clock.
    pub first_seen: Timestamp,
    /// By URL. Duplicates within a task count once.
    pub urls: BTreeMap<String, UrlState>,
    /// Whether `task.stalled` was reported.
    pub stalled: bool,
    /// Whether polls still find the task.
    pub absence: Absence,
}

impl KnownTask {
    /// Whether polls must query it: it has neither finished nor vanished.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        !self.status.is_finished() && self.absence != Absence::Vanished
    }

    /// When its last URL finished, by the API's clock. `None` if the task has not finished or the API gives no time.
    #[must_use]
    pub fn finished(&self) -> Option<Timestamp> {
        let last = self.urls.values().filter_map(|url| url.finished).max();
        last.filter(|_| self.status.is_finished())
    }

    /// Whether the task or one of its URLs failed. The API may report success for a task with failed URLs.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let failed = |url: &UrlState| url.status == Status::Failure;
        self.status == Status::Failure || self.urls.values().any(failed)
    }
}

/// Whether polls still find a task in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Absence {
    /// Missing in this many consecutive polls. 0 if the last poll saw it.
    Missing {
        /// Number of polls.
        polls: u32,
    },
    /// Reported as `task.vanished` and no longer queried.
    Vanished,
}

impl Absence {
    /// The last poll saw it.
    pub const PRESENT: Self = Self::Missing { polls: 0 };
}

/// One URL of a [`KnownTask`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UrlState {
    /// The last known status.
    pub status: Status,
    /// See [`Url::progress`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u32>,
    /// See [`Url::finished`], as unix seconds in the state.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "unix_seconds"
    )]
    pub finished: Option<Timestamp>,
}

mod unix_seconds {
    use super::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(Timestamp::unix_seconds).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.and_then(Timestamp::from_unix_seconds))
    }
}
