//! `on`: event patterns.

use proptest::prelude::*;

use super::{WEBHOOK_LAST, assert_errors};
use crate::domain::event::EventType;
use crate::domain::event_pattern::EventPattern;

const VALID: &str = "alid types are task.wait, task.process, task.success, task.failure, task.unknown, \
                     task.url_failure, task.progress, task.stalled, task.vanished, watch.failing, watch.recovered, \
                     test; `*` matches any text";

#[test]
fn an_unknown_event_type_is_an_error_with_the_nearest_type_and_all_types() {
    let unknown = |place: &str, word: &str, suggestion: &str| {
        format!("{place}: unknown event type `{word}`; {suggestion}{VALID}")
    };
    assert_errors(
        WEBHOOK_LAST,
        &[
            (
                "on = ['task.fail']",
                &unknown(
                    "8:7: webhooks.ops.on[1]",
                    "task.fail",
                    "did you mean `task.failure`? V",
                ),
            ),
            (
                "on = ['*', 'tasks.*']",
                &unknown(
                    "8:12: webhooks.ops.on[2]",
                    "tasks.*",
                    "did you mean `task.*`? V",
                ),
            ),
            ("on = ['']", &unknown("8:7: webhooks.ops.on[1]", "", "v")),
        ],
    );
}

#[test]
fn the_suggested_type_is_near_in_spelling_or_meaning() {
    for (word, expected) in [
        ("task.fail", "task.failure"),
        ("task.failed", "task.failure"),
        ("failure", "task.failure"),
        ("failed", "task.failure"),
        ("TASK.WAIT", "task.wait"),
        ("tasks.success", "task.success"),
        ("done", "task.success"),
        ("task.pending", "task.wait"),
        ("running", "task.process"),
        ("vanish", "task.vanished"),
        ("task.timeout", "task.stalled"),
        ("task.url-failure", "task.url_failure"),
        ("url_failed", "task.url_failure"),
        ("watch", "watch.*"),
        ("watch.fail", "watch.failing"),
        ("watch.down", "watch.failing"),
        ("recovered", "watch.recovered"),
        ("tset", "test"),
    ] {
        let error = EventPattern::new(word).types().unwrap_err().to_string();
        let expected = format!("unknown event type `{word}`; did you mean `{expected}`? Valid");
        assert!(error.starts_with(&expected), "{error}");
    }
    for word in ["", "x", "purge", "colour"] {
        let error = EventPattern::new(word).types().unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
    }
}

#[test]
fn a_star_matches_any_text_and_nothing_else_does() {
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
    fn a_type_matches_when_a_part_of_it_is_replaced_by_a_star(
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
    fn matching_agrees_with_a_naive_matcher(pattern in "[ab*]{0,6}", word in "[ab]{0,6}") {
        prop_assert_eq!(EventPattern::new(&pattern).matches(&word), naive_match(&pattern, &word));
    }
}

/// The definition, too slow for long words.
fn naive_match(pattern: &str, word: &str) -> bool {
    match pattern.chars().next() {
        None => word.is_empty(),
        Some('*') => (0..=word.len()).any(|cut| naive_match(&pattern[1..], &word[cut..])),
        Some(letter) => word.starts_with(letter) && naive_match(&pattern[1..], &word[1..]),
    }
}
