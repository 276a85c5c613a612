//! `on`.

use proptest::prelude::*;

use super::{WEBHOOK_LAST, assert_errors};
use crate::domain::event::EventType;
use crate::domain::event_pattern::EventPattern;

#[test]
fn a_pattern_that_no_event_matches_is_an_error_with_the_nearest_type() {
    assert_errors(
        WEBHOOK_LAST,
        &[
            (
                "on = ['task.failed']",
                "8:7: webhooks.ops.on[1]: is no event type, and matches none; did you mean \"task.failure\"?",
            ),
            (
                "on = ['*', 'tasks.*']",
                "8:12: webhooks.ops.on[2]: is no event type, and matches none; did you mean \"task.*\"?",
            ),
            (
                "on = ['TASK.WAIT']",
                "8:7: webhooks.ops.on[1]: is no event type, and matches none; did you mean \"task.wait\"?",
            ),
            (
                "on = ['']",
                "8:7: webhooks.ops.on[1]: is no event type, and matches none",
            ),
        ],
    );
}

#[test]
fn a_star_stands_for_any_text_and_nothing_else_does() {
    for (pattern, event, expected) in [
        ("*", "task.wait", true),
        ("task.*", "task.wait", true),
        ("task.*", "watch.failing", false),
        ("*failure", "task.url_failure", true),
        ("*failure", "watch.failing", false),
        ("task*failure", "task.failure", true),
        ("*.*fail*", "watch.failing", true),
        ("task.failure", "task.failure", true),
        ("task.failure", "task.failure2", false),
        ("task?failure", "task.failure", false),
        ("t**t", "test", true),
        ("tes*est", "test", false),
    ] {
        let found = EventPattern::new(pattern).matches(event);
        assert_eq!(found, expected, "{pattern} {event}");
    }
}

proptest! {
    #[test]
    fn a_type_with_any_of_its_pieces_starred_still_matches(
        index in 0..EventType::ALL.len(),
        cut in (0_usize..20, 0_usize..20),
    ) {
        let word = EventType::ALL[index].as_str();
        let (a, b) = (cut.0.min(word.len()), cut.1.min(word.len()));
        let (a, b) = (a.min(b), a.max(b));
        let pattern = format!("{}*{}", &word[..a], &word[b..]);
        prop_assert!(EventPattern::new(&pattern).matches(word));
    }

    #[test]
    fn matching_agrees_with_trying_every_split(pattern in "[ab*]{0,6}", word in "[ab]{0,6}") {
        prop_assert_eq!(EventPattern::new(&pattern).matches(&word), by_trial(&pattern, &word));
    }
}

/// The plain definition, too slow for long words.
fn by_trial(pattern: &str, word: &str) -> bool {
    match pattern.chars().next() {
        None => word.is_empty(),
        Some('*') => (0..=word.len()).any(|cut| by_trial(&pattern[1..], &word[cut..])),
        Some(letter) => word.starts_with(letter) && by_trial(&pattern[1..], &word[1..]),
    }
}
