//! An event as a receiver got it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::crash_test::is_final;
use super::received::Webhook;

/// One event.
#[derive(Clone, Debug)]
pub(super) struct ReceivedEvent {
    pub(super) sequence: u64,
    pub(super) event: Value,
}

/// A status change of a URL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UrlChange {
    pub(super) url: String,
    pub(super) status: String,
    pub(super) previous: Option<String>,
}

impl ReceivedEvent {
    /// All events with a final delivery to this webhook, which subscribes to all, by sequence.
    pub(super) fn all(webhook: &Webhook) -> Vec<Self> {
        let mut by_sequence = BTreeMap::new();
        for delivery in webhook.receiver.deliveries() {
            if is_final(delivery.answered) {
                let event = delivery.event();
                let sequence = event["sequence"].as_u64().unwrap();
                by_sequence.insert(sequence, Self { sequence, event });
            }
        }
        by_sequence.into_values().collect()
    }

    pub(super) fn target(&self) -> &str {
        self.event["target"].as_str().unwrap()
    }

    pub(super) fn r#type(&self) -> &str {
        self.event["type"].as_str().unwrap()
    }

    /// `None` for events of a target.
    pub(super) fn task_id(&self) -> Option<&str> {
        self.event["task"]["id"].as_str()
    }

    pub(super) fn status(&self) -> Option<&str> {
        self.event["task"]["status"].as_str()
    }

    pub(super) fn previous_status(&self) -> Option<&str> {
        self.event["task"]["previous_status"].as_str()
    }

    pub(super) fn changes(&self) -> BTreeSet<UrlChange> {
        let changes = self.event["changes"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        changes
            .map(|change| UrlChange {
                url: text(&change["url"]).unwrap(),
                status: text(&change["status"]).unwrap(),
                previous: text(&change["previous_status"]),
            })
            .collect()
    }
}
