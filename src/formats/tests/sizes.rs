//! Tests of the vendors' size limits: bytes, characters, blocks.

use proptest::prelude::*;

use super::*;

/// Fails if the body exceeds the limits in the vendor's documentation.
fn within_limits(vendor: Vendor, body: &Value) {
    let bytes = body.to_string().len();
    match vendor {
        Vendor::Slack => {
            let blocks = body["blocks"].as_array().unwrap();
            assert!((1..=50).contains(&blocks.len()));
            for block in blocks {
                let text = block["text"]["text"].as_str().unwrap();
                let most = if block["type"] == "header" {
                    150
                } else {
                    3_000
                };
                assert!((1..=most).contains(&text.chars().count()), "{text}");
            }
        }
        Vendor::Feishu | Vendor::DingTalk => assert!(bytes <= 20_000, "{bytes}"),
        Vendor::WeCom => {
            let content = body["markdown"]["content"].as_str().unwrap();
            assert!(content.len() <= 4_096, "{}", content.len());
        }
    }
}

#[test]
fn lines_that_do_not_fit_are_counted() {
    let long = "x".repeat(150);
    let urls: Vec<String> = (0..300)
        .map(|n| format!("https://example.com/{long}/{n}"))
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let event = failure("t", &urls);
    for vendor in VENDORS {
        let body = sent(&chat(vendor, Language::En), std::slice::from_ref(&event));
        within_limits(vendor, &body);
        let text = texts(&body);
        let listed = text.matches("https://example.com/").count();
        assert!(listed >= 15, "{vendor:?} lists {listed}");
        // Listed or not: an event names at most a hundred of its URLs.
        let unlisted = format!("… and {} more failed URLs", 300 - listed);
        assert!(text.contains(&unlisted), "{vendor:?} {listed}: {text}");
    }
}

#[test]
fn two_hundred_failures_are_one_message() {
    let events: Vec<EventDraft> = (0..200)
        .map(|n| failure(&format!("task-{n}"), &[&format!("https://example.com/{n}")]))
        .collect();
    for vendor in VENDORS {
        for language in [Language::En, Language::Zh] {
            let body = sent(&chat(vendor, language), &events);
            within_limits(vendor, &body);
            let text = texts(&body);
            let (count, more) = match language {
                Language::En => ("200 tasks failed", "more failed URLs"),
                Language::Zh => ("200 个任务失败", "个失败的 URL"),
            };
            assert!(
                text.contains(count) && text.contains(more),
                "{vendor:?}: {text}"
            );
            assert!(text.contains("https://example.com/0"));
            if vendor != Vendor::WeCom && language == Language::En {
                assert!(
                    text.contains("… and 180 more, 180 more failed URLs"),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn a_url_is_truncated_only_beyond_what_browsers_accept() {
    let whole = format!("https://example.com/{}", "x".repeat(1_900));
    let endless = format!("https://example.com/{}", "&".repeat(5_000));
    for vendor in VENDORS {
        let body = sent(&chat(vendor, Language::En), &[failure("t", &[&whole])]);
        assert!(texts(&body).contains(&whole), "{vendor:?}");
        let body = sent(&chat(vendor, Language::En), &[failure("t", &[&endless])]);
        within_limits(vendor, &body);
        assert!(
            texts(&body).contains("&…") || texts(&body).contains("&amp;…"),
            "{vendor:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn no_message_is_too_large(
        urls in proptest::collection::vec("\\PC{0,400}", 0..30),
        ids in proptest::collection::vec("\\PC{0,60}", 1..20),
        title in "\\PC{1,60}",
    ) {
        let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
        let mut events: Vec<EventDraft> = ids.iter().map(|id| failure(id, &urls)).collect();
        events.push(watch(EventType::WatchFailing, "blog", &urls.concat()));
        for vendor in VENDORS {
            for language in [Language::En, Language::Zh] {
                let Format::Chat(chat) = chat(vendor, language) else { unreachable!() };
                let format = Format::Chat(Chat { title: title.clone(), ..chat });
                within_limits(vendor, &sent(&format, &events));
            }
        }
    }
}
