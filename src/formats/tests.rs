//! Tests of the formats: requests for events as polls make them.

mod alerts;
mod hostile;
mod messages;
mod sizes;
mod vendor_errors;

use std::time::Duration;

use serde_json::Value;

use super::{OutgoingEvent, WebhookRequest, request};
use crate::config::{Alerts, Chat, Format, Language, Vendor};
use crate::domain::event::{EventDraft, EventTask, EventType, UrlChange, UrlCounts};
use crate::domain::model::{Status, TargetName, TaskId, TaskKind, Timestamp};
use crate::secret::SecretBytes;

const VENDORS: [Vendor; 4] = [
    Vendor::Slack,
    Vendor::Feishu,
    Vendor::DingTalk,
    Vendor::WeCom,
];

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(1_795_498_000 + seconds).unwrap()
}

fn chat(vendor: Vendor, language: Language) -> Format {
    Format::Chat(Chat {
        vendor,
        title: "UCDN".to_owned(),
        language,
        link: None,
    })
}

fn alertmanager() -> Format {
    Format::Alertmanager(Alerts {
        expire_after: Duration::from_secs(7 * 86_400),
        labels: [("team".to_owned(), "cdn".to_owned())].into(),
    })
}

/// A failed refresh of these URLs.
fn failure(task: &str, urls: &[&str]) -> EventDraft {
    let changes = urls.iter().map(|url| change(url, Status::Failure));
    EventDraft {
        r#type: EventType::TaskFailure,
        time: at(6),
        target: TargetName::from("shop"),
        summary: format!("shop: refresh task {task} failed (process → failure)"),
        task: Some(EventTask {
            id: TaskId::from(task),
            kind: TaskKind::Refresh,
            r#type: Some("file".to_owned()),
            status: Status::Failure,
            previous_status: Some(Status::Process),
            created: Some(at(0)),
            urls: UrlCounts {
                total: urls.len() + 1,
                success: 1,
                failure: urls.len(),
            },
        }),
        changes: changes.collect(),
        reason: None,
        took: None,
    }
}

fn change(url: &str, status: Status) -> UrlChange {
    UrlChange {
        url: url.to_owned(),
        status,
        previous_status: Some(Status::Process),
        progress: Some(40),
        finished: None,
    }
}

/// The same task ten minutes later in another status, without URL changes.
fn later(event: &EventDraft, r#type: EventType, status: Status) -> EventDraft {
    let mut event = event.clone();
    event.r#type = r#type;
    event.time = event.time.saturating_add(Duration::from_secs(600));
    event.changes = Vec::new();
    if let Some(task) = &mut event.task {
        task.status = status;
        task.urls.failure = 0;
    }
    event
}

/// Another task in this status.
fn task(id: &str, r#type: EventType, status: Status) -> EventDraft {
    later(&failure(id, &[]), r#type, status)
}

fn watch(r#type: EventType, target: &str, reason: &str) -> EventDraft {
    EventDraft {
        r#type,
        target: TargetName::from(target),
        reason: Some(reason.to_owned()),
        summary: format!("{target}: {reason}"),
        task: None,
        ..failure("none", &[])
    }
}

/// The body of the unsigned request for these events.
fn sent(format: &Format, events: &[EventDraft]) -> Value {
    with_secrets(format, &[], events, |request| {
        assert_eq!(request.content_type, "application/json");
        assert!(request.query.is_empty() && request.headers.is_empty());
        serde_json::from_slice(&request.body).unwrap()
    })
}

fn with_secrets<T>(
    format: &Format,
    secrets: &[SecretBytes],
    events: &[EventDraft],
    look: impl FnOnce(WebhookRequest<'_>) -> T,
) -> T {
    let documents: Vec<(String, String)> = events
        .iter()
        .zip(1..)
        .map(|(event, sequence)| {
            let id = format!("evt_{sequence}");
            let document = event.document(&id, sequence);
            (id, document)
        })
        .collect();
    let outgoing: Vec<OutgoingEvent<'_>> = documents
        .iter()
        .map(|(id, document)| OutgoingEvent { id, document })
        .collect();
    look(request(format, secrets, &outgoing, at(100)))
}

/// All strings of a message: what people read and what a client could take for markup.
fn texts(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text}\n"),
        Value::Array(items) => items.iter().map(texts).collect(),
        Value::Object(fields) => fields.values().map(texts).collect(),
        _ => String::new(),
    }
}
