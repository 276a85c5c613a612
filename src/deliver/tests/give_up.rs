//! Tests of `give_up_after`.

use std::sync::Arc;
use std::time::Duration;

use super::super::DrainReport;
use super::{StubReply, TestClock, WorkerFixture};
use crate::clock::Clock as _;
use crate::domain::model::Timestamp;
use crate::store::AttemptResult;

const DAY: u64 = 86_400;

/// A fixture with this `give_up_after`.
fn fixture(events: u64, replies: &[StubReply], give_up_after_seconds: u64) -> WorkerFixture {
    WorkerFixture::with(events, replies, |webhook| {
        webhook.give_up_after = Duration::from_secs(give_up_after_seconds);
    })
}

#[test]
fn an_old_event_gets_one_attempt() {
    let mut fixture = fixture(1, &[StubReply::Status(200)], 60);
    fixture.advance(3600);
    assert_eq!(fixture.drain().delivered, 1);
}

#[test]
fn an_old_event_dies_after_its_first_failed_attempt_and_frees_the_queue() {
    let mut fixture = fixture(2, &[StubReply::Status(503), StubReply::Status(200)], 60);
    fixture.advance(60);
    let report = fixture.drain();
    assert_eq!((report.dead, report.delivered), (1, 1));
    assert!(fixture.store.row(1).is_dead());
}

#[test]
fn an_event_dies_in_time_although_its_next_attempt_is_later() {
    let mut fixture = fixture(1, &[StubReply::Later("3600")], 60);
    assert_eq!(fixture.drain().failed, 1);
    fixture.advance(59);
    assert_eq!(fixture.drain(), DrainReport::default());
    fixture.advance(1);
    assert_eq!(fixture.drain().dead, 1);
    assert_eq!(fixture.receiver.ids(), ["evt_1"]);
    let row = fixture.store.row(1);
    let Some(AttemptResult::Dead { answer, .. }) = row.results.last() else {
        panic!("{row:?}");
    };
    assert_eq!(answer, "HTTP 503");
}

#[test]
fn a_due_attempt_is_made_before_an_old_event_dies() {
    let mut fixture = fixture(1, &[StubReply::Status(503), StubReply::Status(200)], 60);
    fixture.drain();
    fixture.advance(3600);
    assert_eq!(fixture.drain().delivered, 1);
}

/// A wall clock that jumped ahead once made pending events look old, and their first failed attempt killed them.
#[test]
fn a_clock_that_is_set_ahead_makes_no_event_dead() {
    for days in [1, 4, 365] {
        let mut fixture = fixture(2, &[StubReply::Status(503)], 3 * DAY);
        fixture.advance(60);
        fixture.set_ahead(days * DAY);
        for _ in 0..20 {
            assert_eq!(fixture.drain().dead, 0, "{days} days");
            fixture.advance(3600);
        }
        fixture.advance(3 * DAY);
        assert_eq!(fixture.drain().dead, 2, "{days} days");
    }
}

/// As on a machine without a battery-backed clock, which polls before it has the time from the network.
#[test]
fn an_event_of_a_boot_in_1970_does_not_die_when_the_clock_is_set() {
    let mut fixture = fixture(
        1,
        &[StubReply::Status(503), StubReply::Status(200)],
        3 * DAY,
    );
    let now = fixture.clock.now();
    fixture.clock = Arc::new(TestClock::at(Timestamp::EPOCH));
    fixture.commit_events(1);
    fixture.restart();
    fixture.clock.set_wall(now);
    assert_eq!(fixture.drain().failed, 1);
    fixture.advance(60);
    assert_eq!(fixture.drain().delivered, 2);
}

#[test]
fn an_event_that_is_old_at_a_restart_is_retried_for_a_while() {
    let mut fixture = fixture(2, &[StubReply::Status(503)], 3 * DAY);
    fixture.drain();
    fixture.reboot(4 * DAY);
    for _ in 0..5 {
        assert_eq!(fixture.drain().dead, 0);
        fixture.advance(600);
    }
    fixture.advance(3600);
    assert_eq!(fixture.drain().dead, 2);
}

/// A run of `--once` is short, so there the number of attempts counts.
#[test]
fn an_old_event_dies_after_some_short_runs() {
    let mut fixture = fixture(1, &[StubReply::Status(503)], 3 * DAY);
    let mut runs = 1;
    while fixture.drain().dead == 0 {
        fixture.reboot(DAY);
        runs += 1;
    }
    assert_eq!(runs, 7);
}

#[test]
fn a_clock_that_is_set_back_during_a_restart_delays_no_attempt() {
    let mut fixture = fixture(
        1,
        &[StubReply::Status(503), StubReply::Status(200)],
        3 * DAY,
    );
    fixture.drain();
    fixture.set_back(3600);
    fixture.restart();
    assert_eq!(fixture.drain().delivered, 1);
}
