//! Filters for tasks, events and deliveries, and what they mean in every engine. Pure.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::outbox::DeliveryState;
use crate::domain::event::{EventDocument, EventType};
use crate::domain::model::{Status, TargetName, TaskId, Timestamp, UrlState, WebhookName};

/// Selects the tasks for which all of this is true. The default selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Its target is one of these. Empty: any.
    pub targets: Vec<TargetName>,
    /// With this id.
    pub id: Option<TaskId>,
    /// It is in one of these conditions. Empty: any.
    pub conditions: Vec<TaskCondition>,
    /// Of this type (`file`, `dir`, …).
    pub r#type: Option<String>,
    /// Submitted (or first seen) at this time or later.
    pub since: Option<Timestamp>,
    /// Submitted (or first seen) at this time or earlier.
    pub until: Option<Timestamp>,
    /// With such a URL.
    pub url: Option<UrlFilter>,
}

/// A condition of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskCondition {
    /// Last seen in this status.
    Status(Status),
    /// Last seen in a status that the vendor's documentation does not explain.
    Unknown,
    /// Neither finished nor vanished.
    InFlight,
    /// In flight, and reported as stalled.
    Stalled,
    /// No longer shown by the API.
    Vanished,
}

impl FromStr for TaskCondition {
    type Err = Infallible;

    /// The name of a condition; any other word is a status of the API.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "unknown" => Self::Unknown,
            "in-flight" | "in_flight" => Self::InFlight,
            "stalled" => Self::Stalled,
            "vanished" => Self::Vanished,
            word => Self::Status(Status::from_word(word)),
        })
    }
}

/// Selects the events for which all of this is true. The default selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Its target is one of these. Empty: any.
    pub targets: Vec<TargetName>,
    /// Its type is one of these. Empty: any.
    pub types: Vec<EventType>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// Committed at this time or later.
    pub since: Option<Timestamp>,
    /// Committed at this time or earlier.
    pub until: Option<Timestamp>,
    /// It names such a URL, or its task has one.
    pub url: Option<UrlFilter>,
}

/// A part of the events, and its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSpan {
    /// Backwards from the last event, or from the one before this sequence.
    NewestFirst {
        /// Exclusive upper bound.
        before: Option<u64>,
    },
    /// Forwards from the event after this sequence. 0: from the first that is kept.
    OldestFirst {
        /// Exclusive lower bound.
        after: u64,
    },
}

#[cfg(feature = "postgres")]
impl EventSpan {
    /// What is left of it after this event.
    pub(super) fn beyond(self, sequence: u64) -> Self {
        match self {
            Self::NewestFirst { .. } => Self::NewestFirst {
                before: Some(sequence),
            },
            Self::OldestFirst { .. } => Self::OldestFirst { after: sequence },
        }
    }
}

/// Selects the deliveries for which all of this is true. The default selects all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Its webhook is one of these. Empty: any.
    pub webhooks: Vec<WebhookName>,
    /// Its state is one of these. Empty: any.
    pub states: Vec<DeliveryState>,
    /// Its event's type is one of these. Empty: any.
    pub types: Vec<EventType>,
    /// Its event is one of these. Empty: any.
    pub events: Vec<EventRef>,
}

/// How an operator names an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventRef {
    /// By its sequence.
    Sequence(u64),
    /// By its `evt_…`.
    Id(String),
}

impl FromStr for EventRef {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("evt_") {
            return Ok(Self::Id(text.to_owned()));
        }
        let sequence = text.parse().map(Self::Sequence);
        sequence.map_err(|_| "expected an event's sequence, such as 1042, or its id, evt_…")
    }
}

/// Which URLs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlFilter {
    /// URLs that contain this text; case matters.
    Containing(String),
    /// URLs whose host is this domain or below it.
    UnderDomain(Domain),
}

impl UrlFilter {
    /// Whether the filter selects this URL.
    #[must_use]
    pub fn matches(&self, url: &str) -> bool {
        match self {
            Self::Containing(text) => url.contains(text),
            Self::UnderDomain(domain) => domain.holds(host(url)),
        }
    }
}

impl UrlFilter {
    /// Whether an event's document names such a URL. A document that can't be read names none.
    #[must_use]
    pub fn matches_document(&self, document: &str) -> bool {
        let changes = EventDocument::read(document).changes;
        changes.iter().any(|change| self.matches(&change.url))
    }

    /// Whether a task has such a URL. `urls` is the JSON that a state keeps.
    pub(super) fn matches_urls(&self, urls: &str) -> serde_json::Result<bool> {
        let urls: BTreeMap<String, UrlState> = serde_json::from_str(urls)?;
        Ok(urls.keys().any(|one| self.matches(one)))
    }

    /// A text that any JSON with such a URL contains, in lower case. SQL uses it to skip most rows; it decides nothing.
    pub(super) fn needle(&self) -> String {
        let text = match self {
            Self::Containing(text) => text,
            Self::UnderDomain(domain) => domain.as_str(),
        };
        // As it is written between the quotes of a JSON string. A text can't fail to be one.
        let json = serde_json::to_string(text).unwrap_or_default();
        let inner = json.get(1..json.len().saturating_sub(1));
        inner.unwrap_or_default().to_ascii_lowercase()
    }
}

/// A host name in lower case; not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

impl Domain {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn holds(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let below = host.strip_suffix(&self.0);
        below.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for Domain {
    type Err = &'static str;

    /// `*.example.com` means the same as `example.com`, which includes all hosts below it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.trim().trim_start_matches("*.").trim_matches('.');
        let is_host = |c: char| !c.is_whitespace() && !matches!(c, '/' | ':' | '*' | '@' | '?');
        if name.is_empty() || !name.chars().all(is_host) {
            return Err("expected a host name such as example.com, without scheme, port and path");
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A URL's host, without user and port. For a text that is not a URL, what stands in the host's place.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(domain: &str) -> UrlFilter {
        UrlFilter::UnderDomain(domain.parse().unwrap())
    }

    #[test]
    fn a_domain_means_its_host_and_what_is_below_in_any_spelling() {
        for url in [
            "http://example.com",
            "https://IMG.Example.com:8080/a?b#c",
            "http://user:pass@a.b.example.com/",
            "example.com/a.jpg",
        ] {
            assert!(below("example.com").matches(url), "{url}");
            assert!(below("*.EXAMPLE.com").matches(url), "{url}");
        }
        for url in [
            "http://notexample.com/",
            "http://example.com.cn/",
            "http://other.org/?from=http://example.com/",
            "http://other.org/example.com",
            "",
        ] {
            assert!(!below("example.com").matches(url), "{url}");
        }
    }

    #[test]
    fn a_text_is_looked_for_in_the_whole_url_in_its_very_spelling() {
        let filter = UrlFilter::Containing("/Img/".to_owned());
        assert!(filter.matches("http://example.com/Img/a.jpg"));
        assert!(!filter.matches("http://example.com/img/a.jpg"));
    }

    #[test]
    fn what_is_no_host_name_is_refused() {
        for text in [
            "",
            " ",
            ".",
            "*",
            "http://example.com",
            "example.com/",
            "a:80",
            "a b",
        ] {
            assert!(text.parse::<Domain>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_event_is_called_by_its_sequence_or_its_id() {
        assert_eq!("1042".parse(), Ok(EventRef::Sequence(1042)));
        assert_eq!("evt_1f".parse(), Ok(EventRef::Id("evt_1f".to_owned())));
        for text in ["", "-1", "task", "1042x"] {
            assert!(text.parse::<EventRef>().is_err(), "{text:?}");
        }
    }
}
