//! When an event is given up for its age.

use std::time::Duration;

use super::super::DrainReport;
use super::{Reply, Scene};
use crate::store::TryResult;

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
    let Some(TryResult::Dead { answer, .. }) = row.results.last() else {
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
