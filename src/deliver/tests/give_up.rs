//! When an event is given up for its age.

use std::sync::Arc;
use std::time::Duration;

use super::super::DrainReport;
use super::{ManualClock, Reply, Scene};
use crate::clock::Clock as _;
use crate::domain::model::Timestamp;
use crate::store::AttemptResult;

const DAY: u64 = 86_400;

/// A scene whose webhook gives up after so many seconds.
fn scene(events: u64, replies: &[Reply], give_up_after_seconds: u64) -> Scene {
    Scene::with(events, replies, |webhook| {
        webhook.give_up_after = Duration::from_secs(give_up_after_seconds);
    })
}

#[test]
fn an_old_event_gets_one_try_all_the_same() {
    let mut scene = scene(1, &[Reply::Status(200)], 60);
    scene.pass(3600);
    assert_eq!(scene.drain().delivered, 1);
}

#[test]
fn an_old_event_dies_of_its_first_failed_try_and_frees_the_queue() {
    let mut scene = scene(2, &[Reply::Status(503), Reply::Status(200)], 60);
    scene.pass(60);
    let report = scene.drain();
    assert_eq!((report.dead, report.delivered), (1, 1));
    assert!(scene.store.row(1).is_dead());
}

#[test]
fn an_event_dies_in_time_though_its_next_try_is_far_off() {
    let mut scene = scene(1, &[Reply::Later("3600")], 60);
    assert_eq!(scene.drain().failed, 1);
    scene.pass(59);
    assert_eq!(scene.drain(), DrainReport::default());
    scene.pass(1);
    assert_eq!(scene.drain().dead, 1);
    assert_eq!(scene.receiver.ids(), ["evt_1"]);
    let row = scene.store.row(1);
    let Some(AttemptResult::Dead { answer, .. }) = row.results.last() else {
        panic!("{row:?}");
    };
    assert_eq!(answer, "HTTP 503");
}

#[test]
fn a_try_that_is_due_is_made_before_an_old_event_dies() {
    let mut scene = scene(1, &[Reply::Status(503), Reply::Status(200)], 60);
    scene.drain();
    scene.pass(3600);
    assert_eq!(scene.drain().delivered, 1);
}

/// A wall clock that jumped far ahead once made what was pending look old: it died of its first failed try.
#[test]
fn a_clock_that_is_set_ahead_kills_nothing() {
    for days in [1, 4, 365] {
        let mut scene = scene(2, &[Reply::Status(503)], 3 * DAY);
        scene.pass(60);
        scene.step(days * DAY);
        for _ in 0..20 {
            assert_eq!(scene.drain().dead, 0, "{days} days");
            scene.pass(3600);
        }
        scene.pass(3 * DAY);
        assert_eq!(scene.drain().dead, 2, "{days} days");
    }
}

/// As a machine without a battery does, whose first poll comes before the network's time.
#[test]
fn an_event_of_a_boot_in_1970_does_not_die_when_the_clock_is_set() {
    let mut scene = scene(1, &[Reply::Status(503), Reply::Status(200)], 3 * DAY);
    let now = scene.clock.now();
    scene.clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    scene.owe(1);
    scene.restart();
    scene.clock.set_wall(now);
    assert_eq!(scene.drain().failed, 1);
    scene.pass(60);
    assert_eq!(scene.drain().delivered, 2);
}

#[test]
fn an_event_that_a_restart_finds_old_is_tried_for_a_while() {
    let mut scene = scene(2, &[Reply::Status(503)], 3 * DAY);
    scene.drain();
    scene.reboot(4 * DAY);
    for _ in 0..5 {
        assert_eq!(scene.drain().dead, 0);
        scene.pass(600);
    }
    scene.pass(3600);
    assert_eq!(scene.drain().dead, 2);
}

/// Each run of `--once` lives for a moment, so that there the attempts are what counts.
#[test]
fn an_old_event_dies_after_some_runs_however_short_they_are() {
    let mut scene = scene(1, &[Reply::Status(503)], 3 * DAY);
    let mut runs = 1;
    while scene.drain().dead == 0 {
        scene.reboot(DAY);
        runs += 1;
    }
    assert_eq!(runs, 7);
}

#[test]
fn a_clock_that_is_set_back_during_a_restart_holds_no_try_back() {
    let mut scene = scene(1, &[Reply::Status(503), Reply::Status(200)], 3 * DAY);
    scene.drain();
    scene.step_back(3600);
    scene.restart();
    assert_eq!(scene.drain().delivered, 1);
}
