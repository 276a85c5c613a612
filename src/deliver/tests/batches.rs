//! Tests of batches and rate limits: order, results, rejections.

use std::time::Duration;

use super::super::worker::Pause;
use super::super::{AttemptOutcome, DrainReport};
use super::{StubReply, WorkerFixture};
use crate::config::{Alerts, Chat, Format, Language, Vendor};
use crate::secret::{Secret, SecretBytes};
use crate::store::AttemptResult;

/// Fifty events per request, no rate limit.
fn alerts(events: u64, replies: &[StubReply]) -> WorkerFixture {
    WorkerFixture::with(events, replies, |webhook| {
        webhook.format = Format::Alertmanager(Alerts {
            expire_after: Duration::from_secs(86_400),
            labels: [].into(),
        });
    })
}

/// Two hundred events per request, rate-limited.
fn chat(vendor: Vendor, events: u64, replies: &[StubReply]) -> WorkerFixture {
    WorkerFixture::with(events, replies, |webhook| {
        webhook.format = Format::Chat(Chat {
            vendor,
            title: "UCDN".to_owned(),
            language: Language::En,
            link: None,
        });
    })
}

/// The tasks that each request names.
fn tasks(fixture: &WorkerFixture) -> Vec<Vec<u64>> {
    let requests = fixture.receiver.requests();
    let tasks_of = |body: &[u8]| {
        let text = String::from_utf8(body.to_vec()).unwrap();
        (1..=300)
            .filter(|n| text.contains(&format!("task-{n}.")))
            .collect()
    };
    requests
        .iter()
        .map(|request| tasks_of(request.body.as_bytes()))
        .collect()
}

/// One drain that does not wait for the rate limit.
fn drain(fixture: &mut WorkerFixture) -> (Pause, DrainReport) {
    let mut report = DrainReport::default();
    let pause = fixture.worker.drain(&fixture.stop, &mut report).unwrap();
    (pause, report)
}

#[test]
fn events_go_out_together_in_order_and_each_is_recorded() {
    let mut fixture = alerts(60, &[StubReply::Status(200)]);
    assert_eq!(fixture.drain().delivered, 60);
    let expected: [Vec<u64>; 2] = [(1..=50).collect(), (51..=60).collect()];
    assert_eq!(tasks(&fixture), expected);
    assert!((1..=60).all(|sequence| fixture.store.row(sequence).is_delivered()));
    assert_eq!(fixture.worker.status().snapshot().attempts.delivered, 60);
}

#[test]
fn a_failed_request_fails_all_of_them_and_later_ones_join() {
    let mut fixture = alerts(3, &[StubReply::Status(503), StubReply::Status(200)]);
    assert_eq!(fixture.drain().failed, 3);
    for sequence in 1..=3 {
        assert_eq!(fixture.store.row(sequence).delivery.attempts, 1);
    }
    fixture.commit_events(2);
    assert_eq!(
        fixture.drain(),
        DrainReport::default(),
        "the queue waits for its head"
    );
    fixture.advance(2);
    assert_eq!(fixture.drain().delivered, 5);
    assert_eq!(tasks(&fixture), [vec![1, 2, 3], vec![1, 2, 3, 4, 5]]);
}

#[test]
fn a_rejected_event_is_isolated_and_the_others_are_delivered() {
    let mut fixture = alerts(10, &[StubReply::Refuses("task-4.")]);
    let report = fixture.drain();
    assert_eq!((report.delivered, report.dead, report.failed), (9, 1, 0));
    let expected: [Vec<u64>; 10] = [
        (1..=10).collect(),
        (1..=5).collect(),
        vec![1, 2],
        vec![3, 4, 5, 6],
        vec![3, 4],
        vec![3],
        vec![4, 5],
        vec![4],
        vec![5, 6],
        vec![7, 8, 9, 10],
    ];
    assert_eq!(tasks(&fixture), expected);
    assert!(fixture.store.row(4).is_dead());
    assert_eq!(
        fixture.store.row(5).results.len(),
        1,
        "a rejected batch is no attempt of its events"
    );
}

#[test]
fn a_410_pauses_the_webhook_and_records_nothing_of_the_batch() {
    let mut fixture = alerts(3, &[StubReply::Status(410)]);
    assert_eq!(fixture.drain().paused, 1);
    assert!((1..=3).all(|sequence| fixture.store.row(sequence).results.is_empty()));
    assert_eq!(
        fixture.worker.status().snapshot().last_outcome,
        Some(AttemptOutcome::Paused)
    );
}

#[test]
fn only_the_old_events_of_a_batch_die() {
    let mut fixture = alerts(
        2,
        &[
            StubReply::Status(503),
            StubReply::Status(503),
            StubReply::Status(200),
        ],
    );
    fixture.advance(3 * 86_400);
    fixture.commit_events(1);
    let report = fixture.drain();
    assert_eq!((report.dead, report.failed), (2, 1));
    fixture.advance(60);
    let report = fixture.drain();
    assert_eq!(report.failed + report.delivered, 1);
    assert!(!fixture.store.row(3).is_dead());
}

#[test]
fn a_batch_without_a_record_is_recorded_before_anything_else_is_sent() {
    let mut fixture = alerts(3, &[StubReply::Status(200)]);
    fixture.store.fail_records(1);
    fixture.worker.drain_once(&fixture.stop).unwrap_err();
    fixture.commit_events(1);
    assert_eq!(fixture.drain().delivered, 1);
    assert_eq!(tasks(&fixture), [vec![1, 2, 3], vec![4]]);
    assert!((1..=4).all(|sequence| fixture.store.row(sequence).is_delivered()));
}

#[test]
fn a_chat_waits_between_messages_and_the_next_one_has_all_new_events() {
    for (vendor, milliseconds, yes) in [
        (Vendor::Slack, 1_100, "ok"),
        (Vendor::Feishu, 1_000, r#"{"code":0}"#),
        (Vendor::DingTalk, 3_500, r#"{"errcode":0}"#),
        (Vendor::WeCom, 3_500, r#"{"errcode":0}"#),
    ] {
        let pace = Duration::from_millis(milliseconds);
        let mut fixture = chat(vendor, 1, &[StubReply::Says(yes)]);
        assert_eq!(drain(&mut fixture).1.delivered, 1, "{vendor:?}");
        fixture.commit_events(1);
        assert_eq!(
            drain(&mut fixture),
            (Pause::RateLimit(pace), DrainReport::default()),
            "{vendor:?}"
        );
        fixture
            .clock
            .advance(pace.saturating_sub(Duration::from_millis(1)));
        fixture.commit_events(1);
        let pause = Pause::RateLimit(Duration::from_millis(1));
        assert_eq!(
            drain(&mut fixture),
            (pause, DrainReport::default()),
            "{vendor:?}"
        );
        fixture.clock.advance(Duration::from_millis(1));
        assert_eq!(drain(&mut fixture).1.delivered, 2, "{vendor:?}");
        assert_eq!(tasks(&fixture), [vec![1], vec![2, 3]], "{vendor:?}");
        let row = fixture.store.row(2);
        assert_eq!(
            row.results.len(),
            1,
            "waiting is no failed attempt: {row:?}"
        );
    }
}

#[test]
fn a_long_backlog_goes_out_in_messages_of_two_hundred() {
    let mut fixture = chat(Vendor::Slack, 201, &[StubReply::Says("ok")]);
    let (pause, report) = drain(&mut fixture);
    assert_eq!(report.delivered, 200);
    assert!(matches!(pause, Pause::RateLimit(_)));
    fixture.advance(2);
    assert_eq!(drain(&mut fixture).1.delivered, 1);
}

#[test]
fn a_success_is_read_from_the_body() {
    let mut fixture = chat(
        Vendor::WeCom,
        1,
        &[
            StubReply::Says("<html>moved</html>"),
            StubReply::Says(r#"{"errcode":0}"#),
        ],
    );
    assert_eq!(drain(&mut fixture).1.failed, 1);
    fixture.advance(5);
    assert_eq!(drain(&mut fixture).1.delivered, 1);
}

#[test]
fn an_error_that_only_an_operator_can_fix_is_retried_after_minutes() {
    let mut fixture = chat(
        Vendor::WeCom,
        1,
        &[StubReply::Says(r#"{"errcode":93000,"errmsg":"@all"}"#)],
    );
    assert_eq!(drain(&mut fixture).1.failed, 1);
    let row = fixture.store.row(1);
    let [
        AttemptResult::Failed {
            at,
            answer,
            next_attempt,
        },
    ] = row.results.as_slice()
    else {
        panic!("{row:?}");
    };
    assert!(next_attempt.since(*at) >= Duration::from_secs(300));
    assert!(
        answer.contains("93000") && answer.contains("`url`"),
        "{answer}"
    );
    assert!(answer.contains("(@all)"), "{answer}");
}

#[test]
fn a_message_that_the_vendor_refuses_is_dead_at_once() {
    let mut fixture = chat(Vendor::WeCom, 1, &[StubReply::Says(r#"{"errcode":40058}"#)]);
    assert_eq!(drain(&mut fixture).1.dead, 1);
}

#[test]
fn a_quote_that_contains_a_secret_is_hidden() {
    for body in [
        r#"{"errcode":93000,"errmsg":"no such key: s3cret"}"#,
        "<html>/hook?key=%73%33cret</html>",
        "POST /hook x-token: h3ader",
        "signed with signing-key",
    ] {
        let mut fixture = WorkerFixture::with(1, &[StubReply::Says(body)], |webhook| {
            webhook.format = Format::Chat(Chat {
                vendor: Vendor::WeCom,
                title: "UCDN".to_owned(),
                language: Language::En,
                link: None,
            });
            webhook.secrets = vec![SecretBytes::new(b"signing-key".to_vec())];
            let value = Secret::new("Bearer h3ader".to_owned());
            webhook.http.headers = vec![("x-token".to_owned(), value)];
        });
        assert_eq!(drain(&mut fixture).1.failed, 1, "{body}");
        let row = fixture.store.row(1);
        let Some(AttemptResult::Failed { answer, .. }) = row.results.last() else {
            panic!("{row:?}");
        };
        assert!(answer.contains("[hidden: it quotes a secret]"), "{answer}");
    }
}
