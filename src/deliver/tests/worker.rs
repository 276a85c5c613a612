//! Tests of the worker without its thread: each response, retries, records.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{AttemptOutcome, DrainReport, WorkerSnapshot};
use super::{StubReply, WorkerFixture};
use crate::clock::Clock as _;
use crate::domain::model::Timestamp;
use crate::secret::SecretBytes;
use crate::store::AttemptResult;

#[test]
fn a_queue_is_delivered_in_order_as_the_stored_bytes() {
    let mut fixture = WorkerFixture::new(
        3,
        &[
            StubReply::Status(200),
            StubReply::Status(204),
            StubReply::Status(202),
        ],
    );
    assert_eq!(
        fixture.drain(),
        DrainReport {
            delivered: 3,
            ..DrainReport::default()
        }
    );
    assert_eq!(fixture.receiver.ids(), ["evt_1", "evt_2", "evt_3"]);
    for (index, request) in fixture.receiver.requests().iter().enumerate() {
        let row = fixture.store.row(index + 1);
        assert!(row.is_delivered());
        assert_eq!(request.body, row.delivery.document);
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("webhook-timestamp"), "1700000000");
        assert_eq!(request.header("webhook-signature"), "");
    }
    assert_eq!(
        fixture.store.row(2).results,
        [AttemptResult::Delivered {
            at: fixture.clock.now(),
            answer: "HTTP 204".to_owned()
        }]
    );
}

#[test]
fn every_retried_status_blocks_the_queue_until_the_retry() {
    for status in [301, 401, 403, 404, 408, 418, 425, 429, 500, 503] {
        let mut fixture =
            WorkerFixture::new(2, &[StubReply::Status(status), StubReply::Status(200)]);
        let report = fixture.drain();
        assert_eq!((report.delivered, report.failed), (0, 1), "{status}");
        assert!(fixture.store.row(1).is_pending());
        assert_eq!(fixture.receiver.ids(), ["evt_1"], "{status}");
        fixture.advance(2);
        assert_eq!(fixture.drain().delivered, 2, "{status}");
        assert_eq!(
            fixture.receiver.ids(),
            ["evt_1", "evt_1", "evt_2"],
            "{status}"
        );
    }
}

#[test]
fn a_broken_connection_is_retried() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Close, StubReply::Status(200)]);
    assert_eq!(fixture.drain().failed, 1);
    fixture.advance(2);
    assert_eq!(fixture.drain().delivered, 1);
}

#[test]
fn a_rejected_event_is_dead_at_once_and_frees_the_queue() {
    for status in [400, 413, 422] {
        let mut fixture =
            WorkerFixture::new(2, &[StubReply::Status(status), StubReply::Status(200)]);
        let report = fixture.drain();
        assert_eq!((report.dead, report.delivered), (1, 1), "{status}");
        assert!(fixture.store.row(1).is_dead());
        assert!(fixture.store.row(2).is_delivered());
    }
}

#[test]
fn a_410_pauses_the_webhook_and_records_nothing() {
    let mut fixture = WorkerFixture::new(2, &[StubReply::Status(410)]);
    assert_eq!(fixture.drain().paused, 1);
    fixture.advance(10 * 86_400);
    assert_eq!(fixture.drain(), DrainReport::default());
    assert_eq!(fixture.receiver.ids(), ["evt_1"]);
    assert!(fixture.store.row(1).results.is_empty());
    assert!(fixture.store.row(2).results.is_empty());
    let status = fixture.worker.status().snapshot();
    assert!(status.paused);
    assert_eq!(status.last_outcome, Some(AttemptOutcome::Paused));
    assert_eq!(status.fault.as_deref(), Some("HTTP 410"));
}

/// The previous worker panicked, perhaps during a call.
#[test]
fn a_worker_that_takes_over_keeps_the_status_and_the_pause() {
    let mut fixture = WorkerFixture::new(2, &[StubReply::Status(200), StubReply::Status(410)]);
    assert_eq!(fixture.drain().paused, 1);
    let status = fixture.worker.status();
    status.call_starts(Duration::from_secs(60));
    let before = status.snapshot();
    fixture.restart();
    fixture.worker = fixture.worker.resume_from(&status);
    let expected = WorkerSnapshot {
        busy_until: None,
        ..before
    };
    assert_eq!(status.snapshot(), expected);
    fixture.advance(10);
    assert_eq!(fixture.drain(), DrainReport::default());
    assert_eq!(status.snapshot().last_turn, fixture.clock.monotonic());
}

#[test]
fn retries_are_spaced_as_documented() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Status(500)]);
    for middle in [1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 3600.0_f64] {
        assert_eq!(fixture.drain().failed, 1, "{middle}");
        fixture
            .clock
            .advance(Duration::from_secs_f64(middle * 0.79));
        assert_eq!(fixture.drain(), DrainReport::default(), "{middle}");
        fixture
            .clock
            .advance(Duration::from_secs_f64(middle * 0.42));
    }
}

#[test]
fn no_retry_is_sooner_than_retry_after() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Later("3600"), StubReply::Status(200)]);
    assert_eq!(fixture.drain().failed, 1);
    fixture.advance(3599);
    assert_eq!(fixture.drain(), DrainReport::default());
    fixture.advance(1);
    assert_eq!(fixture.drain().delivered, 1);
}

#[test]
fn setting_the_wall_clock_does_not_move_a_retry() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Later("60"), StubReply::Status(200)]);
    fixture.drain();
    fixture.clock.set_wall(Timestamp::EPOCH);
    assert_eq!(fixture.drain(), DrainReport::default());
    fixture.advance(60);
    assert_eq!(fixture.drain().delivered, 1);
}

#[test]
fn a_stored_time_from_a_wrong_clock_does_not_block() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Status(200)]);
    let decades_ahead = fixture
        .clock
        .now()
        .saturating_add(Duration::from_secs(1 << 30));
    fixture.store.set_next_attempt(1, Some(decades_ahead));
    assert_eq!(fixture.drain().delivered, 1);
}

#[test]
fn a_stored_time_holds_after_a_restart_until_an_operator_retries() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Status(200)]);
    let in_an_hour = fixture
        .clock
        .now()
        .saturating_add(Duration::from_secs(3600));
    fixture.store.set_next_attempt(1, Some(in_an_hour));
    assert_eq!(fixture.drain(), DrainReport::default());
    fixture.store.set_next_attempt(1, None);
    assert_eq!(fixture.drain().delivered, 1);
}

#[test]
fn each_attempt_is_signed_anew_with_every_secret() {
    let now = crate::clock::SystemClock::start().now();
    let secrets = [b"new key".to_vec(), b"old key".to_vec()];
    let mut fixture = WorkerFixture::with(
        1,
        &[StubReply::Status(500), StubReply::Status(200)],
        |webhook| {
            webhook.secrets = secrets.clone().map(SecretBytes::new).into();
            webhook.give_up_after = Duration::MAX;
        },
    );
    // The oracle compares timestamps with the system clock.
    fixture.clock.set_wall(now);
    fixture.drain();
    fixture.advance(2);
    fixture.drain();
    let received = fixture.receiver.requests();
    assert_eq!(received.len(), 2);
    assert_ne!(
        received[0].header("webhook-signature"),
        received[1].header("webhook-signature")
    );
    for request in &received {
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, request.header(name).parse().unwrap());
        }
        for secret in &secrets {
            let oracle = standardwebhooks::Webhook::from_bytes(secret.clone()).unwrap();
            oracle.verify(request.body.as_bytes(), &headers).unwrap();
        }
    }
}

#[test]
fn nothing_is_sent_after_the_stop() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Status(200)]);
    fixture.stop.cancel();
    assert_eq!(fixture.drain(), DrainReport::default());
    assert!(fixture.receiver.ids().is_empty());
}

#[test]
fn a_huge_response_is_not_read_completely() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Huge]);
    assert_eq!(fixture.drain().delivered, 1);
    assert!(fixture.receiver.bytes_sent() < 100 << 20);
}

#[test]
fn an_attempt_without_a_record_is_recorded_before_anything_else_is_sent() {
    let mut fixture = WorkerFixture::new(2, &[StubReply::Status(200)]);
    fixture.store.fail_records(1);
    fixture.worker.drain_once(&fixture.stop).unwrap_err();
    assert!(fixture.store.row(1).is_pending());
    fixture
        .store
        .commit_events(super::OPS, 1, fixture.clock.now());
    assert_eq!(fixture.drain().delivered, 1);
    assert!(fixture.store.row(1).is_delivered());
    assert_eq!(fixture.receiver.ids(), ["evt_1", "evt_2", "evt_3"]);
}

#[test]
fn a_full_queue_is_recorded_in_commits_of_32_deliveries() {
    let mut fixture = WorkerFixture::new(70, &[StubReply::Status(200)]);
    assert_eq!(fixture.drain().delivered, 70);
    assert_eq!(fixture.store.commits(), [32, 32, 6]);
    assert_eq!(fixture.receiver.ids(), ids(1..=70));
}

#[test]
fn a_crash_sends_no_more_than_32_events_again() {
    let mut fixture = WorkerFixture::new(70, &[StubReply::Status(200)]);
    fixture.store.fail_records(1);
    fixture.worker.drain_once(&fixture.stop).unwrap_err();
    assert_eq!(fixture.receiver.ids(), ids(1..=32));
    fixture.restart();
    assert_eq!(fixture.drain().delivered, 70);
    assert_eq!(fixture.receiver.ids(), [ids(1..=32), ids(1..=70)].concat());
}

#[test]
fn deliveries_before_a_failed_attempt_are_recorded_with_it() {
    let replies = [200, 200, 503, 200].map(StubReply::Status);
    let mut fixture = WorkerFixture::new(5, &replies);
    let report = fixture.drain();
    assert_eq!((report.delivered, report.failed), (2, 1));
    assert_eq!(fixture.store.commits(), [3]);
    fixture.advance(2);
    assert_eq!(fixture.drain().delivered, 3);
    assert_eq!(fixture.receiver.ids(), [ids(1..=3), ids(3..=5)].concat());
}

#[test]
fn deliveries_are_recorded_at_a_410_and_at_a_stop() {
    let mut fixture = WorkerFixture::new(3, &[200, 410].map(StubReply::Status));
    assert_eq!(fixture.drain().paused, 1);
    assert!(fixture.store.row(1).is_delivered());
    let mut fixture = WorkerFixture::new(2, &[StubReply::Status(200)]);
    fixture.store.fail_records(1);
    fixture.worker.drain_once(&fixture.stop).unwrap_err();
    fixture.stop.cancel();
    assert_eq!(fixture.drain(), DrainReport::default());
    assert!(fixture.store.row(2).is_delivered());
}

fn ids(sequences: std::ops::RangeInclusive<u64>) -> Vec<String> {
    sequences.map(|it| format!("evt_{it}")).collect()
}

#[test]
fn a_crash_before_the_record_sends_the_same_bytes_again() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Status(200)]);
    fixture.store.fail_records(1);
    fixture.worker.drain_once(&fixture.stop).unwrap_err();
    let name = crate::domain::model::WebhookName::from(super::OPS);
    let mut restarted = super::DeliveryWorker::new(
        name,
        &super::webhook(&fixture.receiver.url()),
        fixture.store.clone(),
        fixture.clock.clone(),
    )
    .unwrap();
    assert_eq!(restarted.drain_once(&fixture.stop).unwrap().delivered, 1);
    let received = fixture.receiver.requests();
    assert_eq!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id")
    );
    assert_eq!(received[0].body, received[1].body);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn events_stay_in_order_and_each_is_delivered_or_dead(
        statuses in proptest::collection::vec(prop_oneof![Just(200), Just(400), Just(404), Just(503)], 0..12),
    ) {
        let mut replies: Vec<StubReply> = statuses.into_iter().map(StubReply::Status).collect();
        replies.push(StubReply::Status(200));
        let mut fixture = WorkerFixture::new(4, &replies);
        for _ in 0..replies.len() {
            fixture.drain();
            fixture.advance(2 * 3600);
        }
        prop_assert!(fixture.receiver.ids().is_sorted());
        for sequence in 1..=4 {
            let row = fixture.store.row(sequence);
            prop_assert!(row.is_delivered() || row.is_dead(), "{row:?}");
        }
    }
}

#[test]
fn retry_after_holds_across_a_restart() {
    let mut fixture = WorkerFixture::new(1, &[StubReply::Later("60")]);
    fixture.drain();
    let AttemptResult::Failed {
        at, next_attempt, ..
    } = fixture.store.row(1).results[0]
    else {
        panic!("{:?}", fixture.store.row(1));
    };
    // `at` is truncated by up to a second.
    assert_eq!(next_attempt.since(at), Duration::from_secs(61));
}
