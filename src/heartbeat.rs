//! Heartbeat: a GET request to a dead man's switch, which raises the alarm when the requests stop.

use crate::clock::CancelToken;
use crate::config;
use crate::domain::incident::Incident;
use crate::http::{BodyLimit, HttpClient, HttpError, HttpRequest};
use crate::secret::SecretUrl;

/// Bytes read of a response, of which only the status counts.
const MAX_BODY_BYTES: u64 = 16 * 1024;

/// Sends the requests. An ongoing failure is logged when it begins, changes and ends.
#[derive(Debug)]
pub struct Heartbeat {
    url: SecretUrl,
    client: HttpClient,
    failure: Incident,
}

impl Heartbeat {
    /// Connects to nothing yet.
    pub fn new(settings: &config::HeartbeatSettings) -> Result<Self, HttpError> {
        Ok(Self {
            url: settings.url.clone(),
            client: HttpClient::new(&settings.http, BodyLimit::CutAt(MAX_BODY_BYTES))?,
            failure: Incident::default(),
        })
    }

    /// Ends a request under way. Request the stop first, so that [`Self::ping`] does not take it for a failure.
    pub fn abort_handle(&self) -> impl Fn() + Send + use<> {
        let client = self.client.clone();
        move || client.shut_down()
    }

    /// Sends one request. A failed one is not retried, because the next one follows soon.
    pub fn ping(&mut self, stop: &CancelToken) {
        let failure = match self.client.call(&self.url, HttpRequest::Get, &[]) {
            Ok(response) if response.status.is_success() => None,
            Ok(response) => Some(format!("HTTP {}", response.status.as_u16())),
            Err(error) => Some(error.to_string()),
        };
        if failure.is_some() && stop.is_cancelled() {
            return;
        }
        let to = &self.url;
        match failure {
            Some(reason) if self.failure.failed(&reason).is_news() => {
                log::warn!("heartbeat failed: to={to} reason={reason}");
            }
            None if self.failure.ended().is_some() => {
                log::info!("heartbeat succeeds again: to={to}");
            }
            _ => {}
        }
    }
}
