//! How events become a request, and what a receiver's own words in the answer mean: one file a format. Pure: the same
//! events, settings and time make the same bytes.
//!
//! The chats share three files: [`digest`] sums events up, [`words`] puts that into English or Chinese, and [`text`] keeps
//! what comes from outside from being taken for markup and messages within their vendor's size. Each vendor's file lays
//! the lines out, and knows its signature, its pace and its codes.

use std::borrow::Cow;
use std::time::Duration;

use crate::config::{Format, Vendor};
use crate::domain::event::EventDocument;
use crate::domain::model::Timestamp;
use crate::http::HttpAnswer;
use crate::secret::SecretBytes;

mod alertmanager;
mod cloudevents;
mod digest;
mod dingtalk;
mod feishu;
mod json;
mod refusal;
mod sign;
mod slack;
mod text;
mod wecom;
mod words;

#[cfg(test)]
mod tests;

pub use refusal::Refusal;
pub use sign::signature;

/// A message of a chat sums up so many events at the most.
const EVENTS_A_MESSAGE: usize = 200;

/// One event on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutgoingEvent<'a> {
    /// `evt_…`.
    pub id: &'a str,
    /// The event's document, as the state keeps it.
    pub document: &'a str,
}

impl OutgoingEvent<'_> {
    /// Reads the document. A document that can't be read has a summary that says so.
    fn read(&self) -> EventDocument {
        let mut event = EventDocument::read(self.document);
        if event.summary.is_empty() {
            event.summary = format!("event {} can't be read", self.id);
        }
        event
    }
}

/// A request, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body's bytes.
    pub body: Cow<'a, [u8]>,
    /// What is added to the URL's query.
    pub query: Vec<(&'static str, String)>,
    /// What is added to the headers.
    pub headers: Vec<(&'static str, String)>,
}

/// How many events one request carries at the most.
#[must_use]
pub fn events_a_request(format: &Format) -> usize {
    match format {
        Format::Json | Format::CloudEvents => 1,
        Format::Alertmanager(_) => alertmanager::EVENTS_A_REQUEST,
        Format::Chat(_) => EVENTS_A_MESSAGE,
    }
}

/// How long to wait, at the least, from the beginning of one request to the next.
#[must_use]
pub fn pace(format: &Format) -> Duration {
    match format {
        Format::Json | Format::CloudEvents | Format::Alertmanager(_) => Duration::ZERO,
        Format::Chat(chat) => match chat.vendor {
            Vendor::Slack => slack::PACE,
            Vendor::Feishu => feishu::PACE,
            Vendor::DingTalk => dingtalk::PACE,
            Vendor::WeCom => wecom::PACE,
        },
    }
}

/// Lays events out as `format` wants them: at least one, and at most [`events_a_request`]. Signed for a try at `time`.
#[must_use]
pub fn request<'a>(
    format: &Format,
    secrets: &[SecretBytes],
    events: &[OutgoingEvent<'a>],
    time: Timestamp,
) -> Request<'a> {
    match format {
        Format::Json => standard(
            secrets,
            events,
            time,
            json::CONTENT_TYPE,
            json::body(events),
        ),
        Format::CloudEvents => standard(
            secrets,
            events,
            time,
            cloudevents::CONTENT_TYPE,
            cloudevents::body(events),
        ),
        Format::Alertmanager(alerts) => plain(&alertmanager::body(alerts, events)),
        Format::Chat(chat) => match chat.vendor {
            Vendor::Slack => plain(&slack::body(chat, events)),
            Vendor::Feishu => plain(&feishu::body(chat, secrets.first(), events, time)),
            Vendor::DingTalk => Request {
                query: secrets
                    .first()
                    .map(|secret| dingtalk::signature(secret, time))
                    .unwrap_or_default(),
                ..plain(&dingtalk::body(chat, events))
            },
            Vendor::WeCom => plain(&wecom::body(chat, events)),
        },
    }
}

/// What the receiver says against a request in words of its own; none: the status says it all.
#[must_use]
pub fn refusal(format: &Format, answer: &HttpAnswer) -> Option<Refusal> {
    let Format::Chat(chat) = format else {
        return None;
    };
    let refusal = match chat.vendor {
        Vendor::Slack => slack::refusal(answer.status, &answer.body),
        Vendor::Feishu => feishu::refusal(&answer.body),
        Vendor::DingTalk => dingtalk::refusal(&answer.body),
        Vendor::WeCom => wecom::refusal(&answer.body),
    }?;
    let is_success = (200..300).contains(&answer.status);
    // Beside a status that is an error by itself, only words that we know say more.
    (is_success || refusal.is_understood()).then_some(refusal)
}

/// One event, under the headers of Standard Webhooks.
fn standard<'a>(
    secrets: &[SecretBytes],
    events: &[OutgoingEvent<'a>],
    time: Timestamp,
    content_type: &'static str,
    body: Cow<'a, [u8]>,
) -> Request<'a> {
    let id = events.first().map_or("", |event| event.id);
    let mut headers = vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", time.unix_seconds().to_string()),
    ];
    let signature = sign::signature(secrets, id, time, &body);
    headers.extend(signature.map(|signature| ("webhook-signature", signature)));
    Request {
        content_type,
        body,
        query: Vec::new(),
        headers,
    }
}

/// Several events have no one id, and these receivers look at no header: there is none.
fn plain<'a>(body: &serde_json::Value) -> Request<'a> {
    Request {
        content_type: "application/json",
        body: Cow::Owned(body.to_string().into_bytes()),
        query: Vec::new(),
        headers: Vec::new(),
    }
}
