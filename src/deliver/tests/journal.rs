//! What a courier logs of what becomes of its events.

use std::time::Duration;

use super::heard::heard;
use super::{Reply, Scene};
use crate::config::{Alerts, Format};
use crate::deliver::DrainReport;

/// What is heard of one pass, without the time of the next try.
fn pass(scene: &mut Scene) -> Vec<String> {
    let lines = heard(|| assert_ne!(scene.drain(), DrainReport::default()));
    let without_time = |line: &String| match line.split_once(" next_attempt=") {
        Some((line, _)) => line.to_owned(),
        None => line.clone(),
    };
    let is_said = |line: &&String| !line.starts_with("DEBUG delivery tried");
    lines.iter().filter(is_said).map(without_time).collect()
}

#[test]
fn a_receivers_fault_is_said_when_it_begins_when_it_changes_and_when_it_ends() {
    let replies = [500, 500, 503, 200, 200].map(Reply::Status);
    let mut scene = Scene::new(2, &replies);
    let about = "webhook=ops event=evt_1";
    for expected in [
        format!("WARN delivery failed: {about} answer=\"HTTP 500\""),
        format!("DEBUG delivery failed again: {about} answer=\"HTTP 500\""),
        format!(
            "INFO delivery fails in another way: {about} answer=\"HTTP 503\" before=\"HTTP 500\""
        ),
        // Nothing of the second one.
        format!("INFO webhook takes events again: {about} before=\"HTTP 503\""),
    ] {
        assert_eq!(pass(&mut scene), [expected]);
        scene.pass(120);
    }
}

#[test]
fn the_end_of_a_fault_that_began_in_an_earlier_run_is_said_too() {
    let mut scene = Scene::new(1, &[500, 200].map(Reply::Status));
    scene.drain();
    scene.restart();
    scene.pass(2);
    let expected = "INFO webhook takes events again: webhook=ops event=evt_1 before=\"failed attempts of an earlier run\"";
    assert_eq!(pass(&mut scene), [expected]);
}

#[test]
fn each_event_that_dies_and_each_split_of_many_is_said() {
    let replies = [400, 422, 200].map(Reply::Status);
    let mut scene = Scene::with(2, &replies, |webhook| {
        webhook.format = Format::Alertmanager(Alerts {
            expire_after: Duration::from_secs(86_400),
            labels: [].into(),
        });
    });
    let said = pass(&mut scene);
    let [split, dead] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(
        split,
        "DEBUG delivery of several events refused, they go out in halves: webhook=ops event=evt_1 events=2 answer=\"HTTP 400\""
    );
    let expected = "ERROR delivery is dead: webhook=ops event=evt_1 type=task.failure answer=\"HTTP 422\" recorded=";
    assert!(dead.starts_with(expected), "{dead}");
}
