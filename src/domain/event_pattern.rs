//! Patterns over event types, such as `task.*`: the config's `on`, and the filters of commands and of `/api`. Pure.

use std::fmt;
use std::str::FromStr;

use super::event::EventType;
use super::suggest::nearest;

/// Shortest text that is completed to an event type, so that `t` does not suggest `test`.
const MIN_PREFIX: usize = 3;

/// Words that other tools use, and the last part of our event type that means the same.
const SYNONYMS: [(&str, &str); 29] = [
    ("alert", "failing"),
    ("complete", "success"),
    ("completed", "success"),
    ("deleted", "vanished"),
    ("done", "success"),
    ("down", "failing"),
    ("error", "failure"),
    ("failed", "failure"),
    ("failed_url", "url_failure"),
    ("finished", "success"),
    ("gone", "vanished"),
    ("in_progress", "process"),
    ("lost", "vanished"),
    ("missing", "vanished"),
    ("ok", "success"),
    ("pending", "wait"),
    ("processing", "process"),
    ("queued", "wait"),
    ("resolved", "recovered"),
    ("running", "process"),
    ("slow", "stalled"),
    ("stuck", "stalled"),
    ("succeeded", "success"),
    ("successful", "success"),
    ("timeout", "stalled"),
    ("unknow", "unknown"),
    ("up", "recovered"),
    ("url_failed", "url_failure"),
    ("waiting", "wait"),
];

/// An event type, or a pattern in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern(String);

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EventPattern {
    /// Accepts any text. [`EventPattern::types`] checks that it matches a type.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_owned())
    }

    /// Whether the pattern matches this type as a whole.
    #[must_use]
    pub fn matches(&self, event_type: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(rest) = parts
            .next()
            .and_then(|first| event_type.strip_prefix(first))
        else {
            return false;
        };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else {
            return rest.is_empty();
        };
        let mut rest = rest;
        for part in middle {
            let Some((_, after)) = rest.split_once(part) else {
                return false;
            };
            rest = after;
        }
        rest.ends_with(last)
    }

    /// The event types that the pattern matches. At least one.
    pub fn types(&self) -> Result<Vec<EventType>, UnknownEventType> {
        let types = EventType::ALL.into_iter();
        let types: Vec<EventType> = types.filter(|one| self.matches(one.as_str())).collect();
        if types.is_empty() {
            let pattern = self.0.clone();
            return Err(UnknownEventType { pattern });
        }
        Ok(types)
    }
}

/// A pattern that matches no event type. `Display` suggests the nearest type and lists all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEventType {
    pattern: String,
}

impl fmt::Display for UnknownEventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown event type `{}`; ", self.pattern)?;
        match suggestion(&self.pattern) {
            Some(nearest) => write!(f, "did you mean `{nearest}`? Valid types are")?,
            None => f.write_str("valid types are")?,
        }
        let types = EventType::ALL.map(EventType::as_str).join(", ");
        write!(f, " {types}; `*` matches any text")
    }
}

impl std::error::Error for UnknownEventType {}

/// The event types that one [`EventPattern`] matches. Parsing fails if it matches none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypes(Vec<EventType>);

impl EventTypes {
    /// The types of all patterns. Empty if there are no patterns.
    pub fn union<'a>(patterns: impl IntoIterator<Item = &'a Self>) -> Vec<EventType> {
        let types = patterns.into_iter().flat_map(|one| &one.0);
        types.copied().collect()
    }
}

impl FromStr for EventTypes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let types = EventPattern::new(text).types();
        types
            .map(Self)
            .map_err(|unknown: UnknownEventType| unknown.to_string())
    }
}

fn suggestion(pattern: &str) -> Option<&'static str> {
    let pattern = pattern.trim().to_lowercase().replace('-', "_");
    let types = || EventType::ALL.into_iter().map(EventType::as_str);
    let group = || match pattern.as_str() {
        "task" | "task." | "tasks" | "tasks.*" => Some("task.*"),
        "watch" | "watch." | "watcher" | "watcher.*" => Some("watch.*"),
        _ => None,
    };
    let by_meaning = || {
        let word = last_part(&pattern);
        let (_, meaning) = SYNONYMS.iter().find(|(synonym, _)| *synonym == word)?;
        types().find(|one| last_part(one) == *meaning)
    };
    let by_prefix = || {
        let starts = |one: &str| one.starts_with(&pattern) || last_part(one).starts_with(&pattern);
        types().find(|one| pattern.len() >= MIN_PREFIX && starts(one))
    };
    let by_spelling = || nearest(&pattern, types().chain(["task.*", "watch.*"]));
    group()
        .or_else(by_meaning)
        .or_else(by_prefix)
        .or_else(by_spelling)
}

/// `failure` of `task.failure`.
fn last_part(event_type: &str) -> &str {
    event_type.rsplit('.').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_each_type_that_it_matches_and_a_typo_is_refused_with_the_valid_types() {
        let types = |text: &str| text.parse::<EventTypes>().map(|types| types.0);
        assert_eq!(types("task.failure"), Ok(vec![EventType::TaskFailure]));
        assert_eq!(types("watch.*").unwrap().len(), 2);
        assert_eq!(types("*").unwrap().len(), EventType::ALL.len());
        assert!(
            types("task.failed")
                .unwrap_err()
                .contains("task.url_failure")
        );
    }
}
