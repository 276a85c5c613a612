//! The heartbeat: tells somebody outside, who raises the alarm when it stays away, that every target was polled. Owns
//! that one request, and does not decide when.

use crate::clock::CancelToken;
use crate::config;
use crate::domain::incident::Incident;
use crate::http::{BodyLimit, HttpClient, HttpError, HttpRequest};
use crate::secret::SecretUrl;

/// As much of an answer as is read, in bytes: its status says it all.
const ANSWER_LIMIT: u64 = 16 * 1024;

/// Whom to tell. A fault is logged when it begins, when it changes and when it ends.
#[derive(Debug)]
pub struct Heartbeat {
    url: SecretUrl,
    client: HttpClient,
    fault: Incident,
}

impl Heartbeat {
    /// Connects to nothing yet.
    pub fn new(settings: &config::HeartbeatSettings) -> Result<Self, HttpError> {
        Ok(Self {
            url: settings.url.clone(),
            client: HttpClient::new(&settings.http, BodyLimit::CutAt(ANSWER_LIMIT))?,
            fault: Incident::default(),
        })
    }

    /// What cuts a beat under way short. Request the stop first: what is cut by it is no fault.
    pub fn cut(&self) -> impl Fn() + Send + use<> {
        let client = self.client.clone();
        move || client.shut_down()
    }

    /// Tells it once. Another beat comes soon, so a failed one is not tried again.
    pub fn beat(&mut self, stop: &CancelToken) {
        let fault = match self.client.call(&self.url, HttpRequest::Get, &[]) {
            Ok(answer) if (200..300).contains(&answer.status) => None,
            Ok(answer) => Some(format!("HTTP {}", answer.status)),
            Err(error) => Some(error.to_string()),
        };
        if fault.is_some() && stop.is_cancelled() {
            return;
        }
        let to = &self.url;
        match fault {
            Some(reason) if self.fault.failed(&reason).is_news() => {
                log::warn!("the heartbeat fails: to={to} reason={reason}");
            }
            None if self.fault.ended().is_some() => {
                log::info!("the heartbeat gets through again: to={to}");
            }
            _ => {}
        }
    }
}
