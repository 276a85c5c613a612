//! Webhook formats: how events become a request, and how a response's body is read. One file per format. Pure: the same
//! events, settings and time make the same bytes.
//!
//! The chat formats share three files. `summary.rs` merges events into one entry per task or target, `i18n.rs` writes the
//! entries in English or Chinese, and `render.rs` escapes text from outside and cuts the message to the vendor's size. Each
//! vendor's file has the layout, the signature, the rate limit and the error codes.

use std::borrow::Cow;
use std::time::Duration;

use crate::config::{Format, Vendor};
use crate::domain::model::Timestamp;
use crate::http::HttpResponse;
use crate::secret::SecretBytes;

mod alertmanager;
mod cloudevents;
mod dingtalk;
mod feishu;
mod i18n;
mod json;
mod outgoing;
mod render;
mod sign;
mod slack;
mod summary;
mod vendor_error;
mod wecom;

#[cfg(test)]
mod tests;

pub use outgoing::{OutgoingEvent, WebhookRequest};
pub use vendor_error::{ErrorClass, VendorError};

/// Most events that one chat message summarises.
const MAX_EVENTS_PER_MESSAGE: usize = 200;

/// Most events that one request carries.
#[must_use]
pub fn max_events(format: &Format) -> usize {
    match format {
        Format::Json | Format::CloudEvents => 1,
        Format::Alertmanager(_) => alertmanager::MAX_EVENTS,
        Format::Chat(_) => MAX_EVENTS_PER_MESSAGE,
    }
}

/// Least time from one request to the next, below the vendor's rate limit.
#[must_use]
pub fn min_interval(format: &Format) -> Duration {
    match format {
        Format::Json | Format::CloudEvents | Format::Alertmanager(_) => Duration::ZERO,
        Format::Chat(chat) => match chat.vendor {
            Vendor::Slack => slack::MIN_INTERVAL,
            Vendor::Feishu => feishu::MIN_INTERVAL,
            Vendor::DingTalk => dingtalk::MIN_INTERVAL,
            Vendor::WeCom => wecom::MIN_INTERVAL,
        },
    }
}

/// Builds the request for one to [`max_events`] events, signed for an attempt at `time`.
#[must_use]
pub fn request<'a>(
    format: &Format,
    secrets: &[SecretBytes],
    events: &[OutgoingEvent<'a>],
    time: Timestamp,
) -> WebhookRequest<'a> {
    match format {
        Format::Json => {
            let body = json::body(events);
            signed(secrets, events, time, json::CONTENT_TYPE, body)
        }
        Format::CloudEvents => {
            let body = cloudevents::body(events);
            signed(secrets, events, time, cloudevents::CONTENT_TYPE, body)
        }
        Format::Alertmanager(alerts) => WebhookRequest::json(&alertmanager::body(alerts, events)),
        Format::Chat(chat) => match chat.vendor {
            Vendor::Slack => WebhookRequest::json(&slack::body(chat, events)),
            Vendor::Feishu => {
                WebhookRequest::json(&feishu::body(chat, secrets.first(), events, time))
            }
            Vendor::DingTalk => WebhookRequest {
                query: secrets
                    .first()
                    .map(|secret| dingtalk::signature(secret, time))
                    .unwrap_or_default(),
                ..WebhookRequest::json(&dingtalk::body(chat, events))
            },
            Vendor::WeCom => WebhookRequest::json(&wecom::body(chat, events)),
        },
    }
}

/// The error that the response's body reports. `None` if the status alone decides.
#[must_use]
pub fn vendor_error(format: &Format, response: &HttpResponse) -> Option<VendorError> {
    let Format::Chat(chat) = format else {
        return None;
    };
    let error = match chat.vendor {
        Vendor::Slack => slack::error(response.status, &response.body),
        Vendor::Feishu => feishu::error(&response.body),
        Vendor::DingTalk => dingtalk::error(&response.body),
        Vendor::WeCom => wecom::error(&response.body),
    }?;
    // An error status is clear by itself. Only a code that we know adds to it.
    (response.status.is_success() || error.is_known()).then_some(error)
}

/// A request for one event with the headers of Standard Webhooks.
fn signed<'a>(
    secrets: &[SecretBytes],
    events: &[OutgoingEvent<'a>],
    time: Timestamp,
    content_type: &'static str,
    body: Cow<'a, [u8]>,
) -> WebhookRequest<'a> {
    let id = events.first().map_or("", |event| event.id);
    let mut headers = vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", time.unix_seconds().to_string()),
    ];
    let signature = sign::webhook_signature(secrets, id, time, &body);
    headers.extend(signature.map(|signature| ("webhook-signature", signature)));
    WebhookRequest {
        content_type,
        body,
        query: Vec::new(),
        headers,
    }
}
