//! Event documents: the JSON object that the state stores and receivers get, version 1. This file has its parts and its
//! only reader. [`EventDraft::document`](super::EventDraft::document) writes it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::event_type::EventType;
use crate::domain::model::{KnownTask, Status, TaskId, TaskKind, Timestamp};

/// A document, read tolerantly: a field that is missing or can't be read has its type's empty value, and a list loses only
/// the items that can't be read. So every stored document makes an event, whatever version of the program wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct EventDocument {
    /// Such as `task.failure`. May be a type that this version does not know: see [`Self::event_type`].
    #[serde(rename = "type", deserialize_with = "tolerant")]
    pub type_name: String,
    /// When a poll saw the change, by the watcher's clock.
    #[serde(deserialize_with = "tolerant")]
    pub time: Option<Timestamp>,
    /// The target's name.
    #[serde(deserialize_with = "tolerant")]
    pub target: String,
    /// One sentence for people.
    #[serde(deserialize_with = "tolerant")]
    pub summary: String,
    /// The task after the change. `None` for `watch.*` and `test`.
    #[serde(deserialize_with = "tolerant")]
    pub task: Option<EventTask>,
    /// Why, for `watch.*`.
    #[serde(deserialize_with = "tolerant")]
    pub reason: Option<String>,
    /// The listed URL changes, failures first.
    #[serde(deserialize_with = "tolerant_list")]
    pub changes: Vec<UrlChange>,
    /// How many changes are not listed.
    #[serde(deserialize_with = "tolerant")]
    pub changes_omitted: usize,
}

impl EventDocument {
    /// Reads a document. Text that is no JSON object makes an empty event.
    #[must_use]
    pub fn read(document: &str) -> Self {
        serde_json::from_str(document).unwrap_or_default()
    }

    /// The type. `None` if this version does not know it.
    #[must_use]
    pub fn event_type(&self) -> Option<EventType> {
        EventType::from_name(&self.type_name)
    }
}

/// `task` of an event: the task after the change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTask {
    /// The API's identifier.
    pub id: TaskId,
    /// Which list it is in.
    pub kind: TaskKind,
    /// `file`, `dir`, …; `None` if the API does not say.
    #[serde(default, deserialize_with = "tolerant")]
    pub r#type: Option<String>,
    /// The status now.
    pub status: Status,
    /// The status before. `None` at first sight.
    #[serde(default, deserialize_with = "tolerant")]
    pub previous_status: Option<Status>,
    /// When it was submitted, by the API's clock.
    #[serde(default, deserialize_with = "tolerant")]
    pub created: Option<Timestamp>,
    /// Its URLs, counted.
    #[serde(default, deserialize_with = "tolerant")]
    pub urls: UrlCounts,
}

/// A task's URLs, counted by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UrlCounts {
    /// Every URL that any answer showed.
    pub total: usize,
    /// URLs in `success`.
    pub success: usize,
    /// URLs in `failure`.
    pub failure: usize,
}

impl UrlCounts {
    /// Counts the task's URLs.
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UrlChange {
    /// As the API gave it.
    pub url: String,
    /// The status now.
    pub status: Status,
    /// The status before. `None` at first sight.
    #[serde(default, deserialize_with = "tolerant")]
    pub previous_status: Option<Status>,
    /// Per cent. `None` if the API does not say.
    #[serde(default, deserialize_with = "tolerant")]
    pub progress: Option<u32>,
    /// When it was finished. `None` if the API does not say.
    #[serde(default, deserialize_with = "tolerant")]
    pub finished: Option<Timestamp>,
}

/// A value, or the type's empty one if the JSON has another type.
fn tolerant<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// The items that can be read.
fn tolerant_list<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let items: Vec<Value> = tolerant(deserializer)?;
    let read = items.into_iter().map(T::deserialize);
    Ok(read.filter_map(Result::ok).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "version": 1, "id": "evt_1", "sequence": 7, "type": "task.failure",
            "time": "2023-11-14T22:13:20Z", "target": "shop", "summary": "shop: failed",
            "task": {
                "id": "t", "kind": "refresh", "type": "file", "status": "failure",
                "previous_status": "process", "created": "2019-01-21T06:11:37Z",
                "urls": {"total": 2, "success": 1, "failure": 1}
            },
            "changes": [
                {"url": "http://example.com/a", "status": "failure", "previous_status": null, "progress": 40,
                 "finished": null},
                {"url": "http://example.com/b", "status": "success"}
            ],
            "changes_omitted": 3
        })
    }

    #[test]
    fn a_field_that_can_not_be_read_costs_that_field_alone() {
        let whole = EventDocument::read(&document().to_string());
        let task = whole.task.as_ref().unwrap();
        assert_eq!(whole.event_type(), Some(EventType::TaskFailure));
        assert_eq!((whole.changes.len(), whole.changes_omitted), (2, 3));
        assert_eq!((task.urls.total, task.urls.failure), (2, 1));
        for field in [
            "time",
            "target",
            "summary",
            "task",
            "changes",
            "changes_omitted",
        ] {
            for other in [json!(null), json!(-1.5), json!({"a": []}), json!([[]])] {
                let mut damaged = document();
                damaged[field] = other.clone();
                let read = EventDocument::read(&damaged.to_string());
                let mut repaired = read.clone();
                match field {
                    "time" => repaired.time = whole.time,
                    "target" => repaired.target.clone_from(&whole.target),
                    "summary" => repaired.summary.clone_from(&whole.summary),
                    "task" => repaired.task.clone_from(&whole.task),
                    "changes" => repaired.changes.clone_from(&whole.changes),
                    _ => repaired.changes_omitted = whole.changes_omitted,
                }
                assert_ne!(read, whole, "{field} {other}");
                assert_eq!(repaired, whole, "{field} {other}");
            }
        }
    }

    #[test]
    fn a_change_that_can_not_be_read_costs_that_change_alone() {
        let mut damaged = document();
        damaged["changes"][0]["url"] = json!(7);
        let read = EventDocument::read(&damaged.to_string());
        let urls: Vec<&str> = read.changes.iter().map(|it| it.url.as_str()).collect();
        assert_eq!(urls, ["http://example.com/b"]);
    }

    #[test]
    fn an_unreadable_creation_time_leaves_the_task() {
        let mut damaged = document();
        damaged["task"]["created"] = json!("yesterday");
        let task = EventDocument::read(&damaged.to_string()).task.unwrap();
        assert_eq!((task.id.as_str(), task.created), ("t", None));
    }

    #[test]
    fn a_type_of_a_later_version_keeps_its_name() {
        let mut later = document();
        later["type"] = json!("task.cancelled");
        let read = EventDocument::read(&later.to_string());
        assert_eq!(
            (read.event_type(), read.type_name.as_str()),
            (None, "task.cancelled")
        );
    }

    #[test]
    fn text_that_is_no_json_object_makes_an_empty_event() {
        for text in ["", "{", "[]", "7", "\u{0}"] {
            assert_eq!(
                EventDocument::read(text),
                EventDocument::default(),
                "{text:?}"
            );
        }
    }
}
