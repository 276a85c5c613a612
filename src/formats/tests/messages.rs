//! Snapshot tests of messages and envelopes, readable in `snapshots/`.

use super::*;

/// JSON, in whose texts line breaks are such.
fn readable(body: &Value) -> String {
    format!("{body:#}").replace("\\n", "\n")
}

/// A little of all that can happen, in the order in which it was seen.
fn a_bad_day() -> Vec<EventDraft> {
    let urls = |count: usize| -> Vec<String> {
        (1..=count)
            .map(|n| format!("https://img.example.com/product/{n}.jpg?size=large&v=2"))
            .collect()
    };
    let urls = urls(7);
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut day = vec![
        task("20261124131000_a1", EventType::TaskSuccess, Status::Success),
        task("20261124131001_b2", EventType::TaskProcess, Status::Process),
        failure("20261124131002_c3", &urls),
        task("20261124131003_d4", EventType::TaskStalled, Status::Process),
        watch(
            EventType::WatchFailing,
            "blog",
            "the API refuses the signature (RetCode 171): check the keys",
        ),
        task("20261124131004_e5", EventType::TaskVanished, Status::Wait),
        watch(
            EventType::WatchRecovered,
            "docs",
            "polls succeed again after 3 failed ones",
        ),
        task(
            "20261124131005_f6",
            EventType::TaskUnknown,
            Status::Other("unknow".to_owned()),
        ),
    ];
    let mut prefetch = failure("20261124131006_g7", &["https://example.com/video.m3u8"]);
    prefetch.r#type = EventType::TaskUrlFailure;
    prefetch.target = TargetName::from("shop-prefetch");
    if let Some(task) = &mut prefetch.task {
        task.kind = TaskKind::Prefetch;
        task.status = Status::Process;
        task.urls = UrlCounts {
            total: 40,
            success: 3,
            failure: 2,
        };
    }
    day.push(prefetch);
    let mended = failure("20261124131007_h8", &["https://example.com/once-bad.css"]);
    let mut success = later(&mended, EventType::TaskSuccess, Status::Success);
    success.changes = vec![change("https://example.com/once-bad.css", Status::Success)];
    day.extend([mended, success]);
    day.extend((0..7).map(|n| {
        task(
            &format!("20261124131100_{n}"),
            EventType::TaskSuccess,
            Status::Success,
        )
    }));
    day
}

#[test]
fn one_failure_is_told_with_its_urls() {
    let event = failure("20190121141137_4d8031d5", &["http://example.com/a.jpg"]);
    for vendor in VENDORS {
        for language in [Language::En, Language::Zh] {
            let body = sent(&chat(vendor, language), std::slice::from_ref(&event));
            insta::assert_snapshot!(
                format!("one_failure_{vendor:?}_{language:?}"),
                readable(&body)
            );
        }
    }
}

#[test]
fn a_backlog_is_told_in_one_message_the_worst_first() {
    for vendor in VENDORS {
        for language in [Language::En, Language::Zh] {
            let Format::Chat(chat) = chat(vendor, language) else {
                unreachable!();
            };
            let format = Format::Chat(Chat {
                title: "CDN 告警".to_owned(),
                link: Some("https://status.example.com/ucdn?team=cdn".to_owned()),
                ..chat
            });
            let body = sent(&format, &a_bad_day());
            insta::assert_snapshot!(format!("bad_day_{vendor:?}_{language:?}"), readable(&body));
        }
    }
}

#[test]
fn a_test_message_says_that_it_is_one() {
    for vendor in VENDORS {
        let body = sent(&chat(vendor, Language::Zh), &[EventDraft::test(at(0))]);
        let text = texts(&body);
        assert!(text.contains("UCDN：测试消息"), "{text}");
        assert!(text.contains("没有任务发生变化"), "{text}");
        let body = sent(&chat(vendor, Language::En), &[EventDraft::test(at(0))]);
        let text = texts(&body);
        assert!(text.contains("UCDN: test message"), "{text}");
        assert!(text.contains("No task has changed."), "{text}");
    }
}

#[test]
fn a_damaged_document_and_an_unknown_type_are_reported() {
    let document = r#"{"id": "evt_2", "type": "task.evaporated", "time": "2026-11-24T05:00:00Z", "target": "shop", "summary": "shop: it evaporated"}"#;
    let events = [
        OutgoingEvent {
            id: "evt_1",
            document: "{",
        },
        OutgoingEvent {
            id: "evt_2",
            document,
        },
    ];
    for vendor in VENDORS {
        let request = request(&chat(vendor, Language::En), &[], &events, at(0));
        let text = texts(&serde_json::from_slice(&request.body).unwrap());
        assert!(text.contains("UCDN: 2 events not understood"), "{text}");
        assert!(text.contains("event evt_1 can't be read"), "{text}");
        assert!(text.contains("shop: it evaporated"), "{text}");
    }
}

#[test]
fn an_envelope_contains_the_stored_bytes() {
    let event = failure("20190121141137_4d8031d5", &["http://example.com/a.jpg"]);
    let secrets = [SecretBytes::new(b"a key".to_vec())];
    with_secrets(
        &Format::CloudEvents,
        &secrets,
        std::slice::from_ref(&event),
        |request| {
            assert_eq!(
                request.content_type,
                "application/cloudevents+json; charset=utf-8"
            );
            let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
            assert_eq!(
                names,
                ["webhook-id", "webhook-timestamp", "webhook-signature"]
            );
            let text = String::from_utf8(request.body.into_owned()).unwrap();
            assert!(text.contains(&event.document("evt_1", 1)));
            insta::assert_snapshot!(
                "cloudevent",
                readable(&serde_json::from_str(&text).unwrap())
            );
        },
    );
}

#[test]
fn an_envelope_without_a_task_has_no_subject() {
    let event = watch(EventType::WatchFailing, "blog", "no answer");
    with_secrets(&Format::CloudEvents, &[], &[event], |request| {
        let envelope: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(envelope.get("subject"), None);
        assert_eq!(envelope["type"], "ucdn-watch.watch.failing");
        assert_eq!(envelope["source"], "/ucdn-watch/targets/blog");
        assert_eq!(envelope["time"], envelope["data"]["time"]);
    });
}

#[test]
fn an_envelope_of_a_damaged_document_is_valid_json() {
    let events = [OutgoingEvent {
        id: "evt_1",
        document: "{",
    }];
    let request = request(&Format::CloudEvents, &[], &events, at(0));
    let envelope: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        (&envelope["id"], &envelope["data"]),
        (&"evt_1".into(), &Value::Null)
    );
}
