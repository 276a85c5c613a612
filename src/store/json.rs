//! Records of the state as JSON: what `--json` and `/api` print. Times are RFC 3339; unknown values are null.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::outbox::DeliveryState;
use super::queries::{DeliveryRecord, EventRecord, TaskRecord};
use crate::domain::event::UrlCounts;
use crate::domain::model::{
    Absence, KnownTask, Status, TargetName, TaskId, Timestamp, Url, UrlState, WebhookName,
};

#[derive(Serialize)]
struct TaskDocument<'a> {
    target: &'a TargetName,
    id: &'a TaskId,
    r#type: Option<&'a str>,
    status: &'a Status,
    in_flight: bool,
    stalled: bool,
    vanished: bool,
    created: Option<Timestamp>,
    first_seen: Timestamp,
    changed: Timestamp,
    finished: Option<Timestamp>,
    counts: UrlCounts,
    urls: Vec<UrlDocument<'a>>,
}

/// One URL of a task.
#[derive(Debug, Serialize)]
pub struct UrlDocument<'a> {
    url: &'a str,
    /// `null` if the API sent none.
    status: Option<&'a Status>,
    progress: Option<u32>,
    finished: Option<Timestamp>,
}

impl<'a> UrlDocument<'a> {
    /// The task's URLs, in their order.
    #[must_use]
    pub fn all(task: &'a KnownTask) -> Vec<Self> {
        let of = |(url, state): (&'a String, &'a UrlState)| Self {
            url,
            status: Some(&state.status),
            progress: state.progress,
            finished: state.finished,
        };
        task.urls.iter().map(of).collect()
    }
}

impl<'a> From<&'a Url> for UrlDocument<'a> {
    fn from(url: &'a Url) -> Self {
        Self {
            url: &url.url,
            status: url.status.as_ref(),
            progress: url.progress,
            finished: url.finished,
        }
    }
}

impl Serialize for TaskRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let task = &self.task;
        TaskDocument {
            target: &self.target,
            id: &task.id,
            r#type: task.r#type.as_deref(),
            status: &task.status,
            in_flight: task.is_in_flight(),
            stalled: task.stalled,
            vanished: task.absence == Absence::Vanished,
            created: task.created,
            first_seen: task.first_seen,
            changed: self.changed,
            finished: self.finished(),
            counts: self.counts(),
            urls: UrlDocument::all(task),
        }
        .serialize(serializer)
    }
}

impl Serialize for EventRecord {
    /// The document itself, as receivers get it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let document: &RawValue =
            serde_json::from_str(&self.document).map_err(serde::ser::Error::custom)?;
        document.serialize(serializer)
    }
}

impl Serialize for DeliveryState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[derive(Serialize)]
struct DeliveryDocument<'a> {
    webhook: &'a WebhookName,
    state: DeliveryState,
    attempts: u32,
    next_attempt: Option<Timestamp>,
    last_attempt: Option<Timestamp>,
    last_answer: Option<&'a str>,
    recorded: Timestamp,
    event: &'a EventRecord,
}

impl Serialize for DeliveryRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        DeliveryDocument {
            webhook: &self.webhook,
            state: self.state,
            attempts: self.attempts,
            next_attempt: self.next_attempt,
            last_attempt: self.last_attempt,
            last_answer: self.last_answer.as_deref(),
            recorded: self.event.recorded,
            event: &self.event,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    #[test]
    fn a_task_tells_all_that_is_known_of_it() {
        let url = UrlState {
            status: Status::Failure,
            progress: Some(40),
            finished: Some(at(1_548_051_103)),
        };
        let record = TaskRecord {
            target: "shop".into(),
            task: KnownTask {
                id: "t".into(),
                r#type: None,
                status: Status::Failure,
                created: Some(at(1_548_051_097)),
                first_seen: at(1_548_051_100),
                urls: [("http://example.com/a".to_owned(), url)].into(),
                stalled: false,
                absence: Absence::Vanished,
            },
            changed: at(1_548_051_105),
        };
        let expected = json!({
            "target": "shop", "id": "t", "type": null, "status": "failure",
            "in_flight": false, "stalled": false, "vanished": true,
            "created": "2019-01-21T06:11:37Z", "first_seen": "2019-01-21T06:11:40Z",
            "changed": "2019-01-21T06:11:45Z", "finished": "2019-01-21T06:11:43Z",
            "counts": {"total": 1, "success": 0, "failure": 1},
            "urls": [{"url": "http://example.com/a", "status": "failure", "progress": 40,
                "finished": "2019-01-21T06:11:43Z"}],
        });
        assert_eq!(serde_json::to_value(&record).unwrap(), expected);
    }

    #[test]
    fn an_event_is_the_very_document_that_receivers_get() {
        let document = r#"{"version":1,"id":"evt_1","z":1,"a":[2.50]}"#;
        let event = EventRecord {
            sequence: 7,
            id: "evt_1".to_owned(),
            event_type: "task.wait".to_owned(),
            recorded: at(0),
            target: "shop".into(),
            task: None,
            document: document.to_owned(),
        };
        assert_eq!(serde_json::to_string(&event).unwrap(), document);
        let delivery = DeliveryRecord {
            webhook: "ops".into(),
            state: DeliveryState::Dead,
            attempts: 2,
            next_attempt: None,
            last_attempt: Some(at(5)),
            last_answer: Some("HTTP 400".to_owned()),
            event,
        };
        let written: Value =
            serde_json::from_str(&serde_json::to_string(&delivery).unwrap()).unwrap();
        let expected = json!({
            "webhook": "ops", "state": "dead", "attempts": 2, "next_attempt": null,
            "last_attempt": "1970-01-01T00:00:05Z", "last_answer": "HTTP 400",
            "recorded": "1970-01-01T00:00:00Z",
            "event": {"version": 1, "id": "evt_1", "z": 1, "a": [2.5]},
        });
        assert_eq!(written, expected);
    }
}
