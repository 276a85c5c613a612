//! `format = "cloudevents"`: a `CloudEvents` 1.0 envelope in structured mode; `data` is the event's document.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::outgoing::OutgoingEvent;
use crate::domain::event::EventType;
use crate::domain::model::Timestamp;

pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: &'a str,
    /// Unique together with `id`. A path, because the watcher has no public address.
    source: String,
    r#type: String,
    /// The task's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    datacontenttype: &'static str,
    data: &'a RawValue,
}

pub(super) fn body<'a>(events: &[OutgoingEvent<'_>]) -> Cow<'a, [u8]> {
    let envelope = events.first().map(envelope).unwrap_or_default();
    Cow::Owned(envelope.into_bytes())
}

fn envelope(outgoing: &OutgoingEvent<'_>) -> String {
    let event = outgoing.read();
    let task = event.task.as_ref().map(|task| task.id.as_str());
    let envelope = CloudEvent {
        specversion: "1.0",
        id: outgoing.id,
        source: format!("/ucdn-watch/targets/{}", event.target),
        r#type: format!(
            "ucdn-watch.{}",
            event.event_type().map_or("event", EventType::as_str)
        ),
        subject: task.filter(|id| !id.is_empty()),
        time: event.time,
        datacontenttype: "application/json",
        data: serde_json::from_str(outgoing.document).unwrap_or(RawValue::NULL),
    };
    serde_json::to_string(&envelope).unwrap_or_else(|error| {
        // serde_json refuses only maps with keys that are no strings, and there are no maps here.
        unreachable!("an envelope is always JSON: {error}")
    })
}
