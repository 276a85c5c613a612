//! Patterns over event types, such as `task.*`: the config's `on`, and the filters of commands and of `/api`. Pure.

use std::fmt;
use std::str::FromStr;

use super::event::EventType;

/// An event type, or a pattern in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPattern(String);

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl EventPattern {
    /// Takes any text. Whether it matches any type is for the caller to check.
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
}

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
        let pattern = EventPattern::new(text);
        let types = EventType::ALL.into_iter();
        let types: Vec<EventType> = types.filter(|one| pattern.matches(one.as_str())).collect();
        if types.is_empty() {
            let valid = EventType::ALL.map(EventType::as_str).join(", ");
            return Err(format!(
                "unknown event type; valid types are {valid}; * stands for any text"
            ));
        }
        Ok(Self(types))
    }
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
