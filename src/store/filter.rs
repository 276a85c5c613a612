//! Which records are asked for. Owns what a filter means for every engine; pure.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::queries::DeliveryState;
use crate::domain::event::{EventDocument, EventType};
use crate::domain::model::{Status, TargetName, TaskId, Timestamp, UrlState, WebhookName};

/// Which tasks are asked for: those that all of this is true of. The default: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Of one of these; empty: of any.
    pub targets: Vec<TargetName>,
    /// With this id.
    pub id: Option<TaskId>,
    /// In one of these conditions; empty: in any.
    pub conditions: Vec<TaskCondition>,
    /// Of this type (`file`, `dir`, …).
    pub r#type: Option<String>,
    /// Submitted (or first seen) then or later.
    pub since: Option<Timestamp>,
    /// Submitted (or first seen) then or earlier.
    pub until: Option<Timestamp>,
    /// With such a URL.
    pub url: Option<UrlFilter>,
}

/// How a task is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskCondition {
    /// Last seen in this status.
    Status(Status),
    /// Last seen in a status that the vendor's page does not explain.
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

    /// One of ours by its name; any other word is a status of the API's.
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

/// Which events are asked for: those that all of this is true of. The default: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of one of these; empty: of any.
    pub targets: Vec<TargetName>,
    /// Of one of these types; empty: of any.
    pub types: Vec<EventType>,
    /// Of this task.
    pub task: Option<TaskId>,
    /// Committed then or later.
    pub since: Option<Timestamp>,
    /// Committed then or earlier.
    pub until: Option<Timestamp>,
    /// That name such a URL, or are of a task that has one.
    pub url: Option<UrlFilter>,
}

/// Which part of the events, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSpan {
    /// Back from the last one, or from the one before this sequence.
    NewestFirst {
        /// Not this one, only those before it.
        before: Option<u64>,
    },
    /// On from the one after this sequence; 0: from the first that is kept.
    OldestFirst {
        /// Not this one, only those after it.
        after: u64,
    },
}

#[cfg(feature = "postgres")]
impl EventSpan {
    /// What is left of it behind this event.
    pub(super) fn beyond(self, sequence: u64) -> Self {
        match self {
            Self::NewestFirst { .. } => Self::NewestFirst {
                before: Some(sequence),
            },
            Self::OldestFirst { .. } => Self::OldestFirst { after: sequence },
        }
    }
}

/// Which deliveries are asked for: those that all of this is true of. The default: all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To one of these; empty: to any.
    pub webhooks: Vec<WebhookName>,
    /// In one of these states; empty: in any.
    pub states: Vec<DeliveryState>,
    /// Of events of one of these types; empty: of any.
    pub types: Vec<EventType>,
    /// Of one of these events; empty: of any.
    pub events: Vec<EventRef>,
}

/// How an operator calls an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventRef {
    /// By its place in the order.
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
    /// Those that hold this text, in its very spelling.
    Containing(String),
    /// Those whose host is this or below it.
    UnderDomain(Domain),
}

impl UrlFilter {
    /// Whether this URL is meant.
    #[must_use]
    pub fn matches(&self, url: &str) -> bool {
        match self {
            Self::Containing(text) => url.contains(text),
            Self::UnderDomain(domain) => domain.holds(host(url)),
        }
    }
}

impl UrlFilter {
    /// Whether an event's document names such a URL. One that can't be read names none.
    #[must_use]
    pub fn matches_document(&self, document: &str) -> bool {
        let changes = EventDocument::read(document).changes;
        changes.iter().any(|change| self.matches(&change.url))
    }

    /// Whether such a URL is among a task's, which are told as a state keeps them.
    pub(super) fn matches_urls(&self, urls: &str) -> serde_json::Result<bool> {
        let urls: BTreeMap<String, UrlState> = serde_json::from_str(urls)?;
        Ok(urls.keys().any(|one| self.matches(one)))
    }

    /// What is surely in JSON (in small letters) that holds such a URL. Spares reading most rows; decides nothing.
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

/// A host name in small letters, of which something is left.
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

    /// `*.example.com` is `example.com`: what is below is meant in any case.
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

/// A URL's host, without user and port; of a text that is no URL, what stands in the host's place.
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
