//! Events: what is told of a change, and to whom. Pure; owns the document that receivers get.

use std::time::Duration;

use serde::Serialize;

use crate::domain::model::{KnownTask, Status, TargetName, TaskId, TaskKind, Timestamp};

pub mod draft;

/// At most this many changes go into one event; the rest are counted.
pub const MAX_CHANGES: usize = 100;

/// The type of an event, as `on` patterns and receivers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventType {
    /// First seen in, or changed to, `wait`.
    TaskWait,
    /// Likewise `process`.
    TaskProcess,
    /// Likewise `success`.
    TaskSuccess,
    /// Likewise `failure`.
    TaskFailure,
    /// Likewise any other word.
    TaskUnknown,
    /// URLs newly failed while the task's own status stayed the same.
    TaskUrlFailure,
    /// Other URL changes while the task's own status stayed the same.
    TaskProgress,
    /// Not finished long after it was created.
    TaskStalled,
    /// In flight, and no longer shown by the API.
    TaskVanished,
    /// Polls of a target fail.
    WatchFailing,
    /// They succeed again.
    WatchRecovered,
    /// Asked for by `test-webhook`.
    Test,
}

impl EventType {
    /// Every type, in the contract's order.
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

    /// The contract's name, such as `task.url_failure`.
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

    /// The type of a task's being seen in this status, for the first time or after another one.
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

/// An event that has no place in the state's order yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// What happened.
    pub r#type: EventType,
    /// When a poll saw it, by our clock.
    pub time: Timestamp,
    /// Whose event.
    pub target: TargetName,
    /// One sentence for people. Quotes what comes from outside.
    pub summary: String,
    /// The task, as it is after the change; none for `watch.*` and `test`.
    pub task: Option<EventTask>,
    /// The URLs that changed, failures first; all of them: the document cuts at [`MAX_CHANGES`].
    pub changes: Vec<UrlChange>,
    /// Why, for `watch.*`.
    pub reason: Option<String>,
    /// From the task's submission to its end, by the API's clock, where this event tells of its end.
    pub took: Option<Duration>,
}

/// An event's `task`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventTask {
    /// The API's identifier.
    pub id: TaskId,
    /// Which list it is of.
    pub kind: TaskKind,
    /// `file`, `dir`, …, where the API says.
    pub r#type: Option<String>,
    /// The status now.
    pub status: Status,
    /// The status before; none at first sight.
    pub previous_status: Option<Status>,
    /// When it was submitted, by the API's clock.
    pub created: Option<Timestamp>,
    /// Its URLs, counted.
    pub urls: UrlCounts,
}

/// How many URLs a task has, and how many of them are finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UrlCounts {
    /// All that were ever seen of it.
    pub total: usize,
    /// Of them, `success`.
    pub success: usize,
    /// Of them, `failure`.
    pub failure: usize,
}

impl UrlCounts {
    /// The task's.
    #[must_use]
    pub fn of(task: &KnownTask) -> Self {
        let count = |status: &Status| {
            let urls = task.urls.values();
            urls.filter(|url| url.status == *status).count()
        };
        Self {
            total: task.urls.len(),
            success: count(&Status::Success),
            failure: count(&Status::Failure),
        }
    }
}

/// One entry of an event's `changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UrlChange {
    /// As the API gave it.
    pub url: String,
    /// The status now.
    pub status: Status,
    /// The status before; none at first sight.
    pub previous_status: Option<Status>,
    /// Per cent, where the API says.
    pub progress: Option<u32>,
    /// When it was finished, where the API says.
    pub finished: Option<Timestamp>,
}

/// The document that receivers get: the contract's JSON object, version 1.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    id: &'a str,
    sequence: u64,
    r#type: EventType,
    time: Timestamp,
    target: &'a TargetName,
    summary: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'a EventTask>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    changes: &'a [UrlChange],
    changes_omitted: usize,
}

impl EventDraft {
    /// A `test` event. It is of no target, so its target's name is `test` too.
    #[must_use]
    pub fn test(time: Timestamp) -> Self {
        Self {
            r#type: EventType::Test,
            time,
            target: TargetName::from("test"),
            summary: "test: sent by `ucdn-watch test-webhook`; no task has changed".to_owned(),
            task: None,
            changes: Vec::new(),
            reason: None,
            took: None,
        }
    }

    /// The event's JSON, made once: every delivery and every retry sends these bytes.
    #[must_use]
    pub fn document(&self, id: &str, sequence: u64) -> String {
        let shown = self.changes.len().min(MAX_CHANGES);
        let document = Document {
            version: 1,
            id,
            sequence,
            r#type: self.r#type,
            time: self.time,
            target: &self.target,
            summary: &self.summary,
            task: self.task.as_ref(),
            reason: self.reason.as_deref(),
            changes: self.changes.get(..shown).unwrap_or_default(),
            changes_omitted: self.changes.len() - shown,
        };
        serde_json::to_string(&document).unwrap_or_else(|error| {
            // Strings, numbers and lists of them: serde_json has no way to refuse these.
            unreachable!("an event is always JSON: {error}")
        })
    }

    /// Whether this event wakes somebody under `--once`: a task or URL newly failed.
    #[must_use]
    pub fn is_new_failure(&self) -> bool {
        self.r#type == EventType::TaskFailure
            || self
                .changes
                .iter()
                .any(|change| change.status == Status::Failure)
    }
}
