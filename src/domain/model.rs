//! The words of the program: tasks, their URLs, statuses and times. Owns meaning, and nothing that runs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

mod task_summary;
mod time_arg;

pub use task_summary::{Fingerprint, TaskLookup, TaskRowId, TaskSummary};
pub use time_arg::TimeArg;

/// The name of a target, as the config's `[targets.NAME]` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetName(pub String);

/// The name of a webhook, as the config's `[webhooks.NAME]` gives it. What is owed is stored under it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WebhookName(pub String);

/// The name of an account, as the config's `[accounts.NAME]` gives it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(pub String);

/// The API's identifier of a task, kept as it came. Unique within one target.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(pub String);

macro_rules! text_newtype {
    ($($name:ident),*) => {$(
        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )*};
}
text_newtype!(TargetName, WebhookName, AccountName, TaskId);

/// What a task does. Each kind has a list, and so an API call, of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// Throws cached copies away.
    Refresh,
    /// Fetches copies ahead of visitors.
    Prefetch,
}

impl TaskKind {
    /// `refresh` or `prefetch`, as configs and events spell it.
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

/// The status of a task or of one of its URLs. An open set: a word that we don't know is kept as it came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Queued.
    Wait,
    /// Being worked on.
    Process,
    /// Finished well. Nothing says that it stays so.
    Success,
    /// Finished badly. Nothing says that it stays so.
    Failure,
    /// The vendor's `unknow`, its old spelling `unkonw`, and any word that may come. Not finished.
    Other(String),
}

impl Status {
    /// The vendor's word for a status that it does not know; ours for one that it did not send.
    pub const UNKNOWN: &'static str = "unknow";

    /// Reads the API's word. Exact spelling: `Success` is a word that we don't know.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "wait" => Self::Wait,
            "process" => Self::Process,
            "success" => Self::Success,
            "failure" => Self::Failure,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The API's word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Wait => "wait",
            Self::Process => "process",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Other(word) => word,
        }
    }

    /// Whether the vendor counts the work as done. Everything else is in flight.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Success | Self::Failure)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Status {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|word| Self::from_word(&word))
    }
}

/// A moment, in whole seconds since 1970 (UTC), between then and the end of the year 9999.
///
/// The range is what RFC 3339 can print: a number outside of it is not a time, whoever sent it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    const MAX_SECONDS: u64 = 253_402_300_799;

    /// The first moment, 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// Reads unix seconds; `None` outside the range.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        u64::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= Self::MAX_SECONDS)
            .map(Self)
    }

    /// Unix seconds.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }

    /// The later moment, held at the range's end.
    #[must_use]
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span.as_secs()).min(Self::MAX_SECONDS))
    }

    /// The earlier moment, held at the range's beginning.
    #[must_use]
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span.as_secs()))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// Fractions are cut off; what lies outside the range is held at its ends.
    fn from(time: SystemTime) -> Self {
        let seconds = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |span| span.as_secs());
        Self(seconds.min(Self::MAX_SECONDS))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_secs(time.0)
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, to the second.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_seconds((*self).into()).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    /// RFC 3339 in UTC.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)?;
        Ok(time.into())
    }
}

/// The span of time that a list is asked for. Both ends are always sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// `BeginTime`.
    pub begin: Timestamp,
    /// `EndTime`.
    pub end: Timestamp,
}

/// A task as one answer of the API shows it: perhaps in part, if a page's end cut it in two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Empty where the answer had none; such a task takes up a place in the list but can't be watched.
    pub id: TaskId,
    /// `file`, `dir`, `m3u8`, …, where the API says.
    pub r#type: Option<String>,
    /// `None` where the answer had none: nothing is concluded from that.
    pub status: Option<Status>,
    /// When it was submitted, by the API's clock.
    pub created: Option<Timestamp>,
    /// In the answer's order, repeats included.
    pub urls: Vec<Url>,
}

/// One URL of a [`Task`] as one answer shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Empty where the answer had none.
    pub url: String,
    /// `None` where the answer had none.
    pub status: Option<Status>,
    /// Per cent, as the API says it; may exceed 100.
    pub progress: Option<u32>,
    /// When it was finished, by the API's clock. `None` also for the 0 of an unfinished one.
    pub finished: Option<Timestamp>,
}

/// A task as the snapshot holds it: all that was learned of it from every answer so far.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KnownTask {
    /// Never empty.
    pub id: TaskId,
    /// See [`Task::type`].
    pub r#type: Option<String>,
    /// The status last seen.
    pub status: Status,
    /// See [`Task::created`].
    pub created: Option<Timestamp>,
    /// When a poll first saw it, by our clock.
    pub first_seen: Timestamp,
    /// By URL: repeats within a task count once.
    pub urls: BTreeMap<String, UrlState>,
    /// Whether `task.stalled` was reported.
    pub stalled: bool,
    /// What polls in a row conclude from its absence.
    pub absence: Absence,
}

impl KnownTask {
    /// Whether polls must go on asking for it: neither finished nor given up as vanished.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        !self.status.is_finished() && self.absence != Absence::Vanished
    }

    /// When its last URL was finished, by the API's clock; none while the task is not, or if the API does not say.
    #[must_use]
    pub fn finished(&self) -> Option<Timestamp> {
        let last = self.urls.values().filter_map(|url| url.finished).max();
        last.filter(|_| self.status.is_finished())
    }

    /// Whether it failed, or one of its URLs did: a task of which only parts failed may well be called a success.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let failed = |url: &UrlState| url.status == Status::Failure;
        self.status == Status::Failure || self.urls.values().any(failed)
    }
}

/// How long a task in flight has been missing from the API's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Absence {
    /// Missing in this many polls in a row; 0 for one that the last poll saw.
    Missing {
        /// Polls, not time.
        polls: u32,
    },
    /// Reported as `task.vanished`; no longer asked for.
    Vanished,
}

impl Absence {
    /// Seen by the last poll.
    pub const PRESENT: Self = Self::Missing { polls: 0 };
}

/// One URL of a [`KnownTask`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct UrlState {
    /// The status last seen.
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
