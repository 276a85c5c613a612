//! An event as the other formats read it out of its document. Lenient: a field that a later version adds is ignored, and
//! a document that can't be read still makes an event, for it is owed.

use std::time::SystemTime;

use serde::{Deserialize, Deserializer};

use crate::domain::event::EventType;
use crate::domain::model::{Status, TaskId, TaskKind, Timestamp};
use crate::formats::OutgoingEvent;

/// What a document says.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Event {
    /// None: a type of a later version.
    #[serde(default, deserialize_with = "event_type")]
    pub(super) r#type: Option<EventType>,
    #[serde(default, deserialize_with = "moment")]
    pub(super) time: Option<Timestamp>,
    #[serde(default)]
    pub(super) target: String,
    #[serde(default)]
    pub(super) summary: String,
    pub(super) task: Option<Task>,
    pub(super) reason: Option<String>,
    #[serde(default)]
    pub(super) changes: Vec<Change>,
}

/// The task after the change.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Task {
    pub(super) id: TaskId,
    pub(super) kind: TaskKind,
    pub(super) status: Status,
    #[serde(default, deserialize_with = "moment")]
    pub(super) created: Option<Timestamp>,
    pub(super) urls: Counts,
}

/// Its URLs, counted.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Counts {
    pub(super) total: usize,
    pub(super) failure: usize,
}

/// A URL that changed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Change {
    pub(super) url: String,
    pub(super) status: Status,
}

impl Event {
    pub(super) fn read(outgoing: &OutgoingEvent<'_>) -> Self {
        serde_json::from_str(outgoing.document).unwrap_or_else(|_| Self {
            r#type: None,
            time: None,
            target: String::new(),
            summary: format!("event {} can't be read", outgoing.id),
            task: None,
            reason: None,
            changes: Vec::new(),
        })
    }
}

fn event_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EventType>, D::Error> {
    let name = String::deserialize(deserializer)?;
    Ok(EventType::ALL
        .into_iter()
        .find(|known| known.as_str() == name))
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    let time: Option<SystemTime> = text.and_then(|text| humantime::parse_rfc3339(&text).ok());
    Ok(time.map(Timestamp::from))
}
