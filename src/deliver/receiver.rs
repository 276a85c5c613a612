//! The far end of one webhook: how a document is signed and sent there. Tries nothing twice and remembers nothing.

use std::time::Duration;

use crate::config::{Format, Webhook};
use crate::domain::model::Timestamp;
use crate::formats::{self, OutgoingEvent, Refusal};
use crate::http::{BodyLimit, HttpAnswer, HttpClient, HttpError, HttpRequest};
use crate::secret::{SecretBytes, SecretUrl};

/// As much of an answer as is read, in bytes: the status says it all, or a few words of the body do, and a short body
/// that is read to its end lets the connection be used again.
const ANSWER_LIMIT: u64 = 16 * 1024;

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    pub(super) answer: HttpAnswer,
    /// What the body says against the request, in a format whose receivers say it there.
    pub(super) refusal: Option<Refusal>,
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
            format: webhook.format.clone(),
            secrets: webhook.secrets.clone(),
            timeout: webhook.http.timeout,
            client: HttpClient::new(&webhook.http, BodyLimit::CutAt(ANSWER_LIMIT))?,
        })
    }

    /// Sends events in one request, signed anew; `time` is that of this try.
    pub fn post(&self, events: &[OutgoingEvent<'_>], time: Timestamp) -> Result<Reply, HttpError> {
        let request = formats::request(&self.format, &self.secrets, events, time);
        let headers: Vec<(&'static str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let post = HttpRequest::Post {
            content_type: request.content_type,
            body: &request.body,
        };
        let answer = if request.query.is_empty() {
            self.client.call(&self.url, post, &headers)
        } else {
            let url = self.url.with_query(&request.query);
            self.client.call(&url, post, &headers)
        }?;
        let refusal = formats::refusal(&self.format, &answer);
        Ok(Reply { answer, refusal })
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
