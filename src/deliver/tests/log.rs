//! Tests of the log lines.

use std::time::Duration;

use super::captured_log::captured;
use super::{StubReply, WorkerFixture};
use crate::config::{Alerts, Chat, Format, Language, Vendor};
use crate::deliver::DrainReport;

/// The log lines of one drain, without the time of the next attempt.
fn logged(fixture: &mut WorkerFixture) -> Vec<String> {
    let lines = captured(|| assert_ne!(fixture.drain(), DrainReport::default()));
    let without_time = |line: &String| match line.split_once(" next_attempt=") {
        Some((line, _)) => line.to_owned(),
        None => line.clone(),
    };
    let is_counted = |line: &&String| !line.starts_with("DEBUG delivery attempted");
    lines.iter().filter(is_counted).map(without_time).collect()
}

#[test]
fn a_fault_of_the_receiver_is_logged_when_it_begins_changes_and_ends() {
    let replies = [500, 500, 503, 200, 200].map(StubReply::Status);
    let mut fixture = WorkerFixture::new(2, &replies);
    let about = "webhook=ops event=evt_1";
    for expected in [
        format!("WARN delivery failed: {about} answer=\"HTTP 500\""),
        format!("DEBUG delivery failed again: {about} answer=\"HTTP 500\""),
        format!(
            "INFO delivery failed with another error: {about} answer=\"HTTP 503\" before=\"HTTP 500\""
        ),
        // The second event is not logged.
        format!("INFO webhook accepts events again: {about} before=\"HTTP 503\""),
    ] {
        assert_eq!(logged(&mut fixture), [expected]);
        fixture.advance(120);
    }
}

#[test]
fn the_end_of_a_fault_from_an_earlier_run_is_logged() {
    let mut fixture = WorkerFixture::new(1, &[500, 200].map(StubReply::Status));
    fixture.drain();
    fixture.restart();
    fixture.advance(2);
    let expected = "INFO webhook accepts events again: webhook=ops event=evt_1 before=\"failed attempts of an earlier run\"";
    assert_eq!(logged(&mut fixture), [expected]);
}

#[test]
fn each_dead_event_and_each_split_of_a_batch_is_logged() {
    let replies = [400, 422, 200].map(StubReply::Status);
    let mut fixture = WorkerFixture::with(2, &replies, |webhook| {
        webhook.format = Format::Alertmanager(Alerts {
            expire_after: Duration::from_secs(86_400),
            labels: [].into(),
        });
    });
    let lines = logged(&mut fixture);
    let [split, dead] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(
        split,
        "DEBUG batch rejected, sending it again in halves: webhook=ops event=evt_1 events=2 answer=\"HTTP 400\""
    );
    let expected = "ERROR delivery is dead; `ucdn-watch deliveries retry` sends it again: webhook=ops event=evt_1 type=task.failure answer=\"HTTP 422\" recorded=";
    assert!(dead.starts_with(expected), "{dead}");
}

#[test]
fn a_fault_whose_text_differs_each_time_is_logged_once() {
    let replies = [
        StubReply::Says(r#"{"errcode":-1,"errmsg":"busy, request 1"}"#),
        StubReply::Says(r#"{"errcode":-1,"errmsg":"busy, request 2"}"#),
        StubReply::Says(r#"{"errcode":-2,"errmsg":"busy, request 3"}"#),
    ];
    let mut fixture = WorkerFixture::with(1, &replies, |webhook| {
        webhook.format = Format::Chat(Chat {
            vendor: Vendor::WeCom,
            title: "UCDN".to_owned(),
            language: Language::En,
            link: None,
        });
    });
    let about = "webhook=ops event=evt_1";
    for expected in [
        format!("WARN delivery failed: {about} answer=\"code -1 (busy, request 1)\""),
        format!("DEBUG delivery failed again: {about} answer=\"code -1 (busy, request 2)\""),
        format!(
            "INFO delivery failed with another error: {about} answer=\"code -2 (busy, request 3)\" before=\"code -1\""
        ),
    ] {
        assert_eq!(logged(&mut fixture), [expected]);
        fixture.advance(120);
    }
}

#[test]
fn the_log_says_how_many_events_wait_behind_the_failing_one() {
    let replies = [200, 500].map(StubReply::Status);
    let mut fixture = WorkerFixture::new(4, &replies);
    for (new_events, expected) in [
        (0, "WARN delivery failed: waiting=2"),
        (1, "DEBUG delivery failed again: waiting=3"),
        (
            1,
            "WARN delivery still fails, later events wait for it: waiting=4",
        ),
        (3, "DEBUG delivery failed again: waiting=7"),
    ] {
        fixture.commit_events(new_events);
        let lines = captured(|| assert_eq!(fixture.drain().failed, 1));
        let line = lines.iter().find(|line| line.contains("waiting=")).unwrap();
        let (message, fields) = line.split_once("webhook=ops event=evt_2 ").unwrap();
        let waiting = fields.rsplit(' ').next().unwrap();
        assert_eq!(format!("{message}{waiting}"), expected);
        fixture.advance(3_600);
    }
}

#[test]
fn a_fault_that_ended_starts_the_count_of_waiting_events_anew() {
    let replies = [500, 200, 200, 500, 500].map(StubReply::Status);
    let mut fixture = WorkerFixture::new(2, &replies);
    fixture.drain();
    fixture.advance(10);
    assert_eq!(fixture.drain().delivered, 2);
    fixture.commit_events(1);
    assert!(logged(&mut fixture)[0].starts_with("WARN delivery failed: "));
    fixture.commit_events(1);
    fixture.advance(10);
    let again = &logged(&mut fixture)[0];
    assert!(again.starts_with("WARN delivery still fails"), "{again}");
}
