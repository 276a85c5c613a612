//! The far end of one webhook: how a document is signed and sent there. Tries nothing twice and remembers nothing.

use std::time::Duration;

use super::{format, sign};
use crate::config::{Format, Webhook};
use crate::http::{BodyLimit, HttpAnswer, HttpClient, HttpError, HttpRequest};
use crate::model::Timestamp;
use crate::secret::{SecretBytes, SecretUrl};

/// As much of an answer as is read, in bytes: the status says it all, and a short body that is read to its end
/// lets the connection be used again.
const ANSWER_LIMIT: u64 = 16 * 1024;

/// One event on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// `evt_…`.
    pub id: &'a str,
    /// The event's document, as the state keeps it.
    pub document: &'a str,
}

/// Where one webhook's events go.
#[derive(Debug)]
pub struct Receiver {
    url: SecretUrl,
    format: Format,
    secrets: Vec<SecretBytes>,
    timeout: Duration,
    client: HttpClient,
}

impl Receiver {
    /// A receiver as the config describes it. Connects to nothing yet.
    pub fn new(webhook: &Webhook) -> Result<Self, HttpError> {
        Ok(Self {
            url: webhook.url.clone(),
            format: webhook.format,
            secrets: webhook.secrets.clone(),
            timeout: webhook.http.timeout,
            client: HttpClient::new(&webhook.http, BodyLimit::CutAt(ANSWER_LIMIT))?,
        })
    }

    /// Sends events in one request, signed anew; `time` is that of this try.
    pub fn post(&self, events: &[Outgoing<'_>], time: Timestamp) -> Result<HttpAnswer, HttpError> {
        let body = format::body(self.format, events);
        let id = events.first().map_or("", |event| event.id);
        let seconds = time.unix_seconds().to_string();
        let signature = sign::signature(&self.secrets, id, time, body.bytes);
        let mut headers = vec![("webhook-id", id), ("webhook-timestamp", &*seconds)];
        if let Some(signature) = &signature {
            headers.push(("webhook-signature", signature));
        }
        let request = HttpRequest::Post {
            content_type: body.content_type,
            body: body.bytes,
        };
        self.client.call(&self.url, request, &headers)
    }

    /// The longest that [`Receiver::post`] takes.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The client, so that whoever stops the program can cut off a call under way.
    #[must_use]
    pub fn http_client(&self) -> &HttpClient {
        &self.client
    }
}
