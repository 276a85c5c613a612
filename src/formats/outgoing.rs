//! What goes out: one event of a queue, and the HTTP request that carries one or several.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::event::EventDocument;

/// One event on its way to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutgoingEvent<'a> {
    /// `evt_…`.
    pub id: &'a str,
    /// The event's document, as stored.
    pub document: &'a str,
}

impl OutgoingEvent<'_> {
    /// Reads the document. A document that can't be read has a summary that says so.
    pub(super) fn read(&self) -> EventDocument {
        let mut event = EventDocument::read(self.document);
        if event.summary.is_empty() {
            event.summary = format!("event {} can't be read", self.id);
        }
        event
    }
}

/// A request that is ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRequest<'a> {
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body's bytes.
    pub body: Cow<'a, [u8]>,
    /// Parameters to add to the URL's query.
    pub query: Vec<(&'static str, String)>,
    /// Headers to add.
    pub headers: Vec<(&'static str, String)>,
}

impl WebhookRequest<'_> {
    /// A JSON body without extra headers: several events have no common id to name in one.
    pub(super) fn json(body: &Value) -> Self {
        Self {
            content_type: "application/json",
            body: Cow::Owned(body.to_string().into_bytes()),
            query: Vec::new(),
            headers: Vec::new(),
        }
    }
}
