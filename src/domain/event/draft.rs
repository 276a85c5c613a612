//! Event drafts: events before the store gives them an id and a sequence. A draft writes the document.

use std::time::Duration;

use serde::Serialize;

use super::document::{EventTask, UrlChange};
use super::event_type::EventType;
use crate::domain::model::{Status, TargetName, Timestamp};

/// Most changes in one document. The rest are counted in `changes_omitted`.
pub const MAX_CHANGES: usize = 100;

/// An event without an id and a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// What happened.
    pub r#type: EventType,
    /// When a poll saw it, by the watcher's clock.
    pub time: Timestamp,
    /// Whose event.
    pub target: TargetName,
    /// One sentence for people. Text from outside is quoted.
    pub summary: String,
    /// The task after the change. `None` for `watch.*` and `test`.
    pub task: Option<EventTask>,
    /// Every URL that changed, failures first. The document lists at most [`MAX_CHANGES`].
    pub changes: Vec<UrlChange>,
    /// Why, for `watch.*`.
    pub reason: Option<String>,
    /// From the task's submission to its end, by the API's clock. `None` unless the event reports the end.
    pub took: Option<Duration>,
}

#[derive(Serialize)]
struct DocumentFields<'a> {
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
    /// A `test` event. It belongs to no target, so its target's name is `test` too.
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

    /// The event's JSON. The store calls this once: every delivery and every retry sends the stored bytes.
    #[must_use]
    pub fn document(&self, id: &str, sequence: u64) -> String {
        let listed = self.changes.len().min(MAX_CHANGES);
        let document = DocumentFields {
            version: 1,
            id,
            sequence,
            r#type: self.r#type,
            time: self.time,
            target: &self.target,
            summary: &self.summary,
            task: self.task.as_ref(),
            reason: self.reason.as_deref(),
            changes: self.changes.get(..listed).unwrap_or_default(),
            changes_omitted: self.changes.len() - listed,
        };
        serde_json::to_string(&document).unwrap_or_else(|error| {
            // serde_json refuses only maps with keys that are no strings, and there are no maps here.
            unreachable!("an event is always JSON: {error}")
        })
    }

    /// Whether a task or URL newly failed. `--once` then exits with 1.
    #[must_use]
    pub fn is_new_failure(&self) -> bool {
        self.r#type == EventType::TaskFailure
            || self
                .changes
                .iter()
                .any(|change| change.status == Status::Failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::EventDocument;

    #[test]
    fn changes_beyond_the_hundredth_are_counted() {
        let mut event = EventDraft::test(Timestamp::EPOCH);
        event.changes = (0..130)
            .map(|n| UrlChange {
                url: format!("http://example.com/{n}"),
                status: Status::Wait,
                previous_status: None,
                progress: None,
                finished: None,
            })
            .collect();
        let document = EventDocument::read(&event.document("evt_1", 1));
        assert_eq!(document.changes, event.changes[..100]);
        assert_eq!(document.changes_omitted, 30);
    }
}
