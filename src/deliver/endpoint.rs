//! Endpoints: where a worker sends events. [`HttpEndpoint`] is a webhook's receiver.

use std::fmt;
use std::time::Duration;

use super::response::EndpointResponse;
use crate::config::{Format, Webhook};
use crate::domain::model::Timestamp;
use crate::formats::{self, OutgoingEvent};
use crate::http::{BodyLimit, HttpClient, HttpError, HttpRequest, HttpResponse};
use crate::secret::{Secret, SecretBytes, SecretUrl};

/// Most bytes of a response's body that are read. A few words at its beginning matter at most, and a short body that is
/// read to its end lets the connection be used again.
const MAX_BODY_BYTES: u64 = 16 * 1024;

/// Where a worker sends events. Does not retry and keeps no state between calls.
pub trait Endpoint: Send + Sync + fmt::Debug {
    /// Sends events in one request. `time` is the attempt's time.
    fn send(&self, events: &[OutgoingEvent<'_>], time: Timestamp) -> EndpointResponse;

    /// Longest duration of [`Endpoint::send`].
    fn timeout(&self) -> Duration;

    /// Aborts the call under way, from another thread, and fails all later ones.
    fn abort(&self);
}

/// The receiver of one webhook.
#[derive(Debug)]
pub struct HttpEndpoint {
    url: SecretUrl,
    format: Format,
    secrets: Vec<SecretBytes>,
    timeout: Duration,
    client: HttpClient,
    /// Parts of secrets that a response could quote.
    secret_parts: Vec<Secret>,
}

/// Path segments that are the same for each webhook of a vendor. A vendor's error message may contain such a word.
const PUBLIC_SEGMENTS: [&str; 8] = [
    "open-apis",
    "hook",
    "hooks",
    "robot",
    "send",
    "cgi-bin",
    "webhook",
    "services",
];

/// Shorter parts are no secret, and would hide texts that contain them by chance.
const MIN_SECRET_PART_BYTES: usize = 4;

impl HttpEndpoint {
    /// The receiver that the config describes. Connects to nothing yet.
    pub fn new(webhook: &Webhook) -> Result<Self, HttpError> {
        Ok(Self {
            url: webhook.url.clone(),
            format: webhook.format.clone(),
            secrets: webhook.secrets.clone(),
            timeout: webhook.http.timeout,
            client: HttpClient::new(&webhook.http, BodyLimit::CutAt(MAX_BODY_BYTES))?,
            secret_parts: secret_parts(webhook),
        })
    }

    /// Whether the text contains part of a secret, as it is or percent-encoded. A receiver may quote the request.
    fn quotes_secret(&self, text: &str) -> bool {
        let decoded: String = form_urlencoded::parse(text.as_bytes())
            .flat_map(|(name, value)| [name, value])
            .collect();
        let quotes =
            |part: &Secret| text.contains(part.expose()) || decoded.contains(part.expose());
        self.secret_parts.iter().any(quotes)
    }

    fn post(
        &self,
        events: &[OutgoingEvent<'_>],
        time: Timestamp,
    ) -> Result<HttpResponse, HttpError> {
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
        if request.query.is_empty() {
            self.client.call(&self.url, post, &headers)
        } else {
            let url = self.url.with_query(&request.query);
            self.client.call(&url, post, &headers)
        }
    }
}

impl Endpoint for HttpEndpoint {
    fn send(&self, events: &[OutgoingEvent<'_>], time: Timestamp) -> EndpointResponse {
        let response = match self.post(events, time) {
            Ok(response) => response,
            Err(error) => return EndpointResponse::NoResponse(error),
        };
        if let Some(error) = formats::vendor_error(&self.format, &response) {
            let error = error.hide_quote_if(|text| self.quotes_secret(text));
            return EndpointResponse::VendorError(error);
        }
        EndpointResponse::Status {
            status: response.status,
            retry_after: response.header("retry-after").map(ToOwned::to_owned),
            date: response.header("date").map(ToOwned::to_owned),
        }
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }

    fn abort(&self) {
        self.client.shut_down();
    }
}

/// The URL's path segments and query values, the signing secrets, and the words of the header values.
fn secret_parts(webhook: &Webhook) -> Vec<Secret> {
    let url = webhook.url.expose();
    let path_and_query = url.split_once("://").map_or("", |(_, rest)| rest);
    let parts = path_and_query
        .split(['/', '?', '&', '='])
        .skip(1)
        .map(ToOwned::to_owned);
    let secrets = webhook.secrets.iter();
    let secrets = secrets.map(|secret| String::from_utf8_lossy(secret.expose()).into_owned());
    let headers = webhook.http.headers.iter();
    let headers = headers.flat_map(|(_, value)| value.expose().split_whitespace());
    parts
        .chain(secrets)
        .chain(headers.map(ToOwned::to_owned))
        .filter(|part| part.len() >= MIN_SECRET_PART_BYTES)
        .filter(|part| !PUBLIC_SEGMENTS.contains(&part.as_str()))
        .map(Secret::new)
        .collect()
}
