//! Several events in one request, at their format's pace: order, ends, refusals.

use std::time::Duration;

use super::super::worker::Rest;
use super::super::{DrainReport, Outcome};
use super::{Reply, Scene};
use crate::config::{Alerts, Chat, Format, Language, Vendor};
use crate::store::AttemptResult;

/// Fifty events a request, at any pace.
fn alerts(events: u64, replies: &[Reply]) -> Scene {
    Scene::with(events, replies, |webhook| {
        webhook.format = Format::Alertmanager(Alerts {
            expire_after: Duration::from_secs(86_400),
            labels: [].into(),
        });
    })
}

/// Two hundred events a request, 1.1 s apart for Slack and 3.5 s for the others.
fn chat(vendor: Vendor, events: u64, replies: &[Reply]) -> Scene {
    Scene::with(events, replies, |webhook| {
        webhook.format = Format::Chat(Chat {
            vendor,
            title: "UCDN".to_owned(),
            language: Language::En,
            link: None,
        });
    })
}

/// The tasks that each request tells of.
fn tasks(scene: &Scene) -> Vec<Vec<u64>> {
    let requests = scene.receiver.seen();
    let tasks_of = |body: &[u8]| {
        let text = String::from_utf8(body.to_vec()).unwrap();
        (1..=300)
            .filter(|n| text.contains(&format!("task-{n}.")))
            .collect()
    };
    requests
        .iter()
        .map(|request| tasks_of(&request.body))
        .collect()
}

/// One pass of a courier that doesn't wait for its pace.
fn pass(scene: &mut Scene) -> (Rest, DrainReport) {
    let mut report = DrainReport::default();
    let rest = scene.courier.drain(&scene.stop, &mut report).unwrap();
    (rest, report)
}

#[test]
fn events_go_out_together_in_order_and_each_is_recorded() {
    let mut scene = alerts(60, &[Reply::Status(200)]);
    assert_eq!(scene.drain().delivered, 60);
    let expected: [Vec<u64>; 2] = [(1..=50).collect(), (51..=60).collect()];
    assert_eq!(tasks(&scene), expected);
    assert!((1..=60).all(|sequence| scene.store.row(sequence).is_delivered()));
    assert_eq!(scene.courier.status().snapshot().attempts.delivered, 60);
}

#[test]
fn a_failed_request_fails_all_of_them_and_later_ones_join() {
    let mut scene = alerts(3, &[Reply::Status(503), Reply::Status(200)]);
    assert_eq!(scene.drain().failed, 3);
    for sequence in 1..=3 {
        assert_eq!(scene.store.row(sequence).delivery.attempts, 1);
    }
    scene.owe(2);
    assert_eq!(
        scene.drain(),
        DrainReport::default(),
        "the head holds the others up"
    );
    scene.pass(2);
    assert_eq!(scene.drain().delivered, 5);
    assert_eq!(tasks(&scene), [vec![1, 2, 3], vec![1, 2, 3, 4, 5]]);
}

#[test]
fn one_refused_event_takes_none_of_those_beside_it_along() {
    let mut scene = alerts(10, &[Reply::Refuses("task-4.")]);
    let report = scene.drain();
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
    assert_eq!(tasks(&scene), expected);
    assert!(scene.store.row(4).is_dead());
    assert_eq!(
        scene.store.row(5).results.len(),
        1,
        "a refused batch is no try of its events"
    );
}

#[test]
fn gone_pauses_a_batch_and_changes_nothing_that_is_owed() {
    let mut scene = alerts(3, &[Reply::Status(410)]);
    assert_eq!(scene.drain().paused, 1);
    assert!((1..=3).all(|sequence| scene.store.row(sequence).results.is_empty()));
    assert_eq!(
        scene.courier.status().snapshot().last_outcome,
        Some(Outcome::Paused)
    );
}

#[test]
fn of_a_batch_only_the_old_events_die() {
    let mut scene = alerts(
        2,
        &[Reply::Status(503), Reply::Status(503), Reply::Status(200)],
    );
    scene.pass(3 * 86_400);
    scene.owe(1);
    let report = scene.drain();
    assert_eq!((report.dead, report.failed), (2, 1));
    scene.pass(60);
    let report = scene.drain();
    assert_eq!(report.failed + report.delivered, 1);
    assert!(!scene.store.row(3).is_dead());
}

#[test]
fn what_could_not_be_recorded_of_a_batch_is_recorded_before_anything_is_sent_again() {
    let mut scene = alerts(3, &[Reply::Status(200)]);
    scene.store.fail_records(1);
    scene.courier.drain_once(&scene.stop).unwrap_err();
    scene.owe(1);
    assert_eq!(scene.drain().delivered, 1);
    assert_eq!(tasks(&scene), [vec![1, 2, 3], vec![4]]);
    assert!((1..=4).all(|sequence| scene.store.row(sequence).is_delivered()));
}

#[test]
fn a_chat_waits_between_messages_and_then_tells_of_all_that_came_meanwhile() {
    for (vendor, milliseconds, yes) in [
        (Vendor::Slack, 1_100, "ok"),
        (Vendor::Feishu, 1_000, r#"{"code":0}"#),
        (Vendor::DingTalk, 3_500, r#"{"errcode":0}"#),
        (Vendor::WeCom, 3_500, r#"{"errcode":0}"#),
    ] {
        let pace = Duration::from_millis(milliseconds);
        let mut scene = chat(vendor, 1, &[Reply::Says(yes)]);
        assert_eq!(pass(&mut scene).1.delivered, 1, "{vendor:?}");
        scene.owe(1);
        assert_eq!(
            pass(&mut scene),
            (Rest::Pace(pace), DrainReport::default()),
            "{vendor:?}"
        );
        scene
            .clock
            .pass(pace.saturating_sub(Duration::from_millis(1)));
        scene.owe(1);
        let rest = Rest::Pace(Duration::from_millis(1));
        assert_eq!(
            pass(&mut scene),
            (rest, DrainReport::default()),
            "{vendor:?}"
        );
        scene.clock.pass(Duration::from_millis(1));
        assert_eq!(pass(&mut scene).1.delivered, 2, "{vendor:?}");
        assert_eq!(tasks(&scene), [vec![1], vec![2, 3]], "{vendor:?}");
        let row = scene.store.row(2);
        assert_eq!(row.results.len(), 1, "waiting is no failed try: {row:?}");
    }
}

#[test]
fn a_long_backlog_goes_out_in_messages_of_two_hundred() {
    let mut scene = chat(Vendor::Slack, 201, &[Reply::Says("ok")]);
    let (rest, report) = pass(&mut scene);
    assert_eq!(report.delivered, 200);
    assert!(matches!(rest, Rest::Pace(_)));
    scene.pass(2);
    assert_eq!(pass(&mut scene).1.delivered, 1);
}

#[test]
fn a_success_is_read_from_the_body() {
    let mut scene = chat(
        Vendor::WeCom,
        1,
        &[
            Reply::Says("<html>moved</html>"),
            Reply::Says(r#"{"errcode":0}"#),
        ],
    );
    assert_eq!(pass(&mut scene).1.failed, 1);
    scene.pass(5);
    assert_eq!(pass(&mut scene).1.delivered, 1);
}

#[test]
fn what_an_operator_must_mend_is_put_off_for_minutes_and_said() {
    let mut scene = chat(
        Vendor::WeCom,
        1,
        &[Reply::Says(r#"{"errcode":93000,"errmsg":"@all"}"#)],
    );
    assert_eq!(pass(&mut scene).1.failed, 1);
    let row = scene.store.row(1);
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
    assert!(!answer.contains("@all"), "{answer}");
}

#[test]
fn a_message_that_a_vendor_refuses_is_dead_at_once() {
    let mut scene = chat(Vendor::WeCom, 1, &[Reply::Says(r#"{"errcode":40058}"#)]);
    assert_eq!(pass(&mut scene).1.dead, 1);
}
