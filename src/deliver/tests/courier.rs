//! What one pass over the queue does with each answer.

use std::time::Duration;

use proptest::prelude::*;

use super::super::{DrainReport, Outcome, Snapshot};
use super::{Reply, Scene};
use crate::clock::Clock as _;
use crate::domain::model::Timestamp;
use crate::secret::SecretBytes;
use crate::store::AttemptResult;

#[test]
fn a_queue_is_delivered_in_order_as_the_stored_bytes() {
    let mut scene = Scene::new(
        3,
        &[Reply::Status(200), Reply::Status(204), Reply::Status(202)],
    );
    assert_eq!(
        scene.drain(),
        DrainReport {
            delivered: 3,
            ..DrainReport::default()
        }
    );
    assert_eq!(scene.receiver.ids(), ["evt_1", "evt_2", "evt_3"]);
    for (index, request) in scene.receiver.seen().iter().enumerate() {
        let row = scene.store.row(index + 1);
        assert!(row.is_delivered());
        assert_eq!(request.body, row.delivery.document.as_bytes());
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("webhook-timestamp"), "1700000000");
        assert_eq!(request.header("webhook-signature"), "");
    }
    assert_eq!(
        scene.store.row(2).results,
        [AttemptResult::Delivered {
            at: scene.clock.now(),
            answer: "HTTP 204".to_owned()
        }]
    );
}

#[test]
fn every_retry_status_holds_the_queue_and_is_tried_again() {
    for status in [301, 401, 403, 404, 408, 418, 425, 429, 500, 503] {
        let mut scene = Scene::new(2, &[Reply::Status(status), Reply::Status(200)]);
        let report = scene.drain();
        assert_eq!((report.delivered, report.failed), (0, 1), "{status}");
        assert!(scene.store.row(1).is_pending());
        assert_eq!(scene.receiver.ids(), ["evt_1"], "{status}");
        scene.pass(2);
        assert_eq!(scene.drain().delivered, 2, "{status}");
        assert_eq!(
            scene.receiver.ids(),
            ["evt_1", "evt_1", "evt_2"],
            "{status}"
        );
    }
}

#[test]
fn a_broken_connection_is_tried_again() {
    let mut scene = Scene::new(1, &[Reply::Close, Reply::Status(200)]);
    assert_eq!(scene.drain().failed, 1);
    scene.pass(2);
    assert_eq!(scene.drain().delivered, 1);
}

#[test]
fn a_refused_event_dies_at_once_and_frees_the_queue() {
    for status in [400, 413, 422] {
        let mut scene = Scene::new(2, &[Reply::Status(status), Reply::Status(200)]);
        let report = scene.drain();
        assert_eq!((report.dead, report.delivered), (1, 1), "{status}");
        assert!(scene.store.row(1).is_dead());
        assert!(scene.store.row(2).is_delivered());
    }
}

#[test]
fn gone_pauses_the_webhook_and_changes_nothing_that_is_owed() {
    let mut scene = Scene::new(2, &[Reply::Status(410)]);
    assert_eq!(scene.drain().paused, 1);
    scene.pass(10 * 86_400);
    assert_eq!(scene.drain(), DrainReport::default());
    assert_eq!(scene.receiver.ids(), ["evt_1"]);
    assert!(scene.store.row(1).results.is_empty());
    assert!(scene.store.row(2).results.is_empty());
    let status = scene.courier.status().snapshot();
    assert!(status.paused);
    assert_eq!(status.last_outcome, Some(Outcome::Paused));
    assert_eq!(status.fault.as_deref(), Some("HTTP 410"));
}

/// Its thread died of a fault of the program's own, perhaps in the middle of a call.
#[test]
fn a_courier_in_the_place_of_another_reports_where_that_one_did_and_stays_paused() {
    let mut scene = Scene::new(2, &[Reply::Status(200), Reply::Status(410)]);
    assert_eq!(scene.drain().paused, 1);
    let status = scene.courier.status();
    status.call_begins(Duration::from_secs(60));
    let before = status.snapshot();
    scene.restart();
    scene.courier = scene.courier.in_place_of(&status);
    let expected = Snapshot {
        busy_until: None,
        ..before
    };
    assert_eq!(status.snapshot(), expected);
    scene.pass(10);
    assert_eq!(scene.drain(), DrainReport::default());
    assert_eq!(status.snapshot().last_turn, scene.clock.monotonic());
}

#[test]
fn tries_are_spaced_as_the_contract_says() {
    let mut scene = Scene::new(1, &[Reply::Status(500)]);
    for middle in [1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 3600.0_f64] {
        assert_eq!(scene.drain().failed, 1, "{middle}");
        scene.clock.pass(Duration::from_secs_f64(middle * 0.79));
        assert_eq!(scene.drain(), DrainReport::default(), "{middle}");
        scene.clock.pass(Duration::from_secs_f64(middle * 0.42));
    }
}

#[test]
fn no_try_is_sooner_than_retry_after() {
    let mut scene = Scene::new(1, &[Reply::Later("3600"), Reply::Status(200)]);
    assert_eq!(scene.drain().failed, 1);
    scene.pass(3599);
    assert_eq!(scene.drain(), DrainReport::default());
    scene.pass(1);
    assert_eq!(scene.drain().delivered, 1);
}

#[test]
fn setting_the_wall_clock_does_not_move_a_try() {
    let mut scene = Scene::new(1, &[Reply::Later("60"), Reply::Status(200)]);
    scene.drain();
    scene.clock.set_wall(Timestamp::EPOCH);
    assert_eq!(scene.drain(), DrainReport::default());
    scene.pass(60);
    assert_eq!(scene.drain().delivered, 1);
}

#[test]
fn a_stored_moment_of_another_clock_does_not_block() {
    let mut scene = Scene::new(1, &[Reply::Status(200)]);
    let decades_ahead = scene
        .clock
        .now()
        .saturating_add(Duration::from_secs(1 << 30));
    scene.store.set_next_try(1, Some(decades_ahead));
    assert_eq!(scene.drain().delivered, 1);
}

#[test]
fn a_stored_moment_holds_after_a_restart_and_an_operators_retry_cancels_it() {
    let mut scene = Scene::new(1, &[Reply::Status(200)]);
    let in_an_hour = scene.clock.now().saturating_add(Duration::from_secs(3600));
    scene.store.set_next_try(1, Some(in_an_hour));
    assert_eq!(scene.drain(), DrainReport::default());
    scene.store.set_next_try(1, None);
    assert_eq!(scene.drain().delivered, 1);
}

#[test]
fn each_try_is_signed_anew_with_every_secret() {
    let now = crate::clock::SystemClock::start().now();
    let secrets = [b"new key".to_vec(), b"old key".to_vec()];
    let mut scene = Scene::with(1, &[Reply::Status(500), Reply::Status(200)], |webhook| {
        webhook.secrets = secrets.clone().map(SecretBytes::new).into();
        webhook.give_up_after = Duration::MAX;
    });
    // The oracle compares timestamps with the machine's clock, for which the event is old.
    scene.clock.set_wall(now);
    scene.drain();
    scene.pass(2);
    scene.drain();
    let seen = scene.receiver.seen();
    assert_eq!(seen.len(), 2);
    assert_ne!(
        seen[0].header("webhook-signature"),
        seen[1].header("webhook-signature")
    );
    for request in &seen {
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, request.header(name).parse().unwrap());
        }
        for secret in &secrets {
            let oracle = standardwebhooks::Webhook::from_bytes(secret.clone()).unwrap();
            oracle.verify(&request.body, &headers).unwrap();
        }
    }
}

#[test]
fn nothing_is_sent_after_the_stop() {
    let mut scene = Scene::new(1, &[Reply::Status(200)]);
    scene.stop.cancel();
    assert_eq!(scene.drain(), DrainReport::default());
    assert!(scene.receiver.ids().is_empty());
}

#[test]
fn a_huge_answer_is_not_read_whole() {
    let mut scene = Scene::new(1, &[Reply::Huge]);
    assert_eq!(scene.drain().delivered, 1);
    assert!(scene.receiver.bytes_sent() < 100 << 20);
}

#[test]
fn what_could_not_be_recorded_is_recorded_before_anything_is_sent_again() {
    let mut scene = Scene::new(2, &[Reply::Status(200)]);
    scene.store.fail_records(1);
    scene.courier.drain_once(&scene.stop).unwrap_err();
    assert!(scene.store.row(1).is_pending());
    scene.store.owe(super::OPS, 1, scene.clock.now());
    assert_eq!(scene.drain().delivered, 1);
    assert!(scene.store.row(1).is_delivered());
    assert_eq!(scene.receiver.ids(), ["evt_1", "evt_2", "evt_3"]);
}

#[test]
fn a_full_queue_is_recorded_in_a_commit_for_32_deliveries() {
    let mut scene = Scene::new(70, &[Reply::Status(200)]);
    assert_eq!(scene.drain().delivered, 70);
    assert_eq!(scene.store.commits(), [32, 32, 6]);
    assert_eq!(scene.receiver.ids(), ids(1..=70));
}

#[test]
fn a_crash_sends_no_more_than_32_events_again() {
    let mut scene = Scene::new(70, &[Reply::Status(200)]);
    scene.store.fail_records(1);
    scene.courier.drain_once(&scene.stop).unwrap_err();
    assert_eq!(scene.receiver.ids(), ids(1..=32));
    scene.restart();
    assert_eq!(scene.drain().delivered, 70);
    assert_eq!(scene.receiver.ids(), [ids(1..=32), ids(1..=70)].concat());
}

#[test]
fn what_was_delivered_before_a_failed_try_is_recorded_with_it() {
    let replies = [200, 200, 503, 200].map(Reply::Status);
    let mut scene = Scene::new(5, &replies);
    let report = scene.drain();
    assert_eq!((report.delivered, report.failed), (2, 1));
    assert_eq!(scene.store.commits(), [3]);
    scene.pass(2);
    assert_eq!(scene.drain().delivered, 3);
    assert_eq!(scene.receiver.ids(), [ids(1..=3), ids(3..=5)].concat());
}

#[test]
fn what_was_delivered_is_recorded_when_a_receiver_says_gone_or_the_program_stops() {
    let mut scene = Scene::new(3, &[200, 410].map(Reply::Status));
    assert_eq!(scene.drain().paused, 1);
    assert!(scene.store.row(1).is_delivered());
    let mut scene = Scene::new(2, &[Reply::Status(200)]);
    scene.store.fail_records(1);
    scene.courier.drain_once(&scene.stop).unwrap_err();
    scene.stop.cancel();
    assert_eq!(scene.drain(), DrainReport::default());
    assert!(scene.store.row(2).is_delivered());
}

fn ids(sequences: std::ops::RangeInclusive<u64>) -> Vec<String> {
    sequences.map(|it| format!("evt_{it}")).collect()
}

#[test]
fn a_crash_before_the_record_sends_the_same_bytes_again() {
    let mut scene = Scene::new(1, &[Reply::Status(200)]);
    scene.store.fail_records(1);
    scene.courier.drain_once(&scene.stop).unwrap_err();
    let name = crate::domain::model::WebhookName::from(super::OPS);
    let mut reborn = super::DeliveryWorker::new(
        name,
        &super::webhook(&scene.receiver.url()),
        scene.store.clone(),
        scene.clock.clone(),
    )
    .unwrap();
    assert_eq!(reborn.drain_once(&scene.stop).unwrap().delivered, 1);
    let seen = scene.receiver.seen();
    assert_eq!(seen[0].header("webhook-id"), seen[1].header("webhook-id"));
    assert_eq!(seen[0].body, seen[1].body);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_the_answers_no_event_overtakes_another_and_each_comes_to_an_end(
        statuses in proptest::collection::vec(prop_oneof![Just(200), Just(400), Just(404), Just(503)], 0..12),
    ) {
        let mut replies: Vec<Reply> = statuses.into_iter().map(Reply::Status).collect();
        replies.push(Reply::Status(200));
        let mut scene = Scene::new(4, &replies);
        for _ in 0..replies.len() {
            scene.drain();
            scene.pass(2 * 3600);
        }
        prop_assert!(scene.receiver.ids().is_sorted());
        for sequence in 1..=4 {
            let row = scene.store.row(sequence);
            prop_assert!(row.is_delivered() || row.is_dead(), "{row:?}");
        }
    }
}

#[test]
fn retry_after_holds_across_a_restart() {
    let mut scene = Scene::new(1, &[Reply::Later("60")]);
    scene.drain();
    let AttemptResult::Failed {
        at, next_attempt, ..
    } = scene.store.row(1).results[0]
    else {
        panic!("{:?}", scene.store.row(1));
    };
    // `at` may have lost almost a second.
    assert_eq!(next_attempt.since(at), Duration::from_secs(61));
}
