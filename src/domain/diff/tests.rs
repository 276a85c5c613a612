//! Rules of the diff, and properties that hold for any two observations.

use proptest::prelude::*;

use super::*;
use crate::domain::model::{TaskId, TaskRowId};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

fn moment(now: i64) -> Observation {
    Observation {
        now: at(now),
        api_now: at(now),
        stall_after: Duration::from_secs(600),
    }
}

fn url(url: &str, status: &str) -> Url {
    Url {
        url: url.to_owned(),
        status: Some(Status::from_word(status)),
        progress: None,
        finished: None,
    }
}

fn task(status: &str, urls: &[(&str, &str)]) -> Task {
    Task {
        id: TaskId::from("t"),
        r#type: None,
        status: Some(Status::from_word(status)),
        created: Some(at(1000)),
        urls: urls
            .iter()
            .map(|(text, status)| url(text, status))
            .collect(),
    }
}

/// Applies observations. Returns the stored task and the kinds of transitions.
fn replay(observations: &[Task]) -> (KnownTask, Vec<TransitionKind>) {
    let mut known = None;
    let mut kinds = Vec::new();
    for seen in observations {
        if let Some(difference) = compare(known.as_ref(), seen, moment(1001)) {
            kinds.extend(difference.transition.map(|transition| transition.kind));
            known = Some(difference.task);
        }
    }
    (known.unwrap(), kinds)
}

#[test]
fn a_new_task_has_a_transition_of_each_url() {
    let difference = compare(
        None,
        &task("wait", &[("b", "wait"), ("a", "failure")]),
        moment(1001),
    )
    .unwrap();
    let transition = difference.transition.unwrap();
    assert_eq!(transition.kind, TransitionKind::FirstSeen);
    let urls: Vec<_> = transition
        .urls
        .iter()
        .map(|u| (u.url.as_str(), u.previous.clone()))
        .collect();
    assert_eq!(urls, [("a", None), ("b", None)], "failures first");
}

#[test]
fn every_change_of_status_is_a_transition_also_from_a_finished_one() {
    let (_, kinds) = replay(
        &["failure", "process", "success", "unknow", "success"].map(|status| task(status, &[])),
    );
    assert_eq!(kinds.len(), 5);
    assert_eq!(
        kinds[1],
        TransitionKind::Status {
            previous: Status::Failure
        }
    );
}

#[test]
fn failed_urls_of_an_unchanged_task_differ_from_other_url_changes() {
    let (_, kinds) = replay(&[
        task("process", &[("a", "process"), ("b", "process")]),
        task("process", &[("a", "success"), ("b", "process")]),
        task("process", &[("a", "success"), ("b", "failure")]),
    ]);
    assert_eq!(
        kinds[1..],
        [TransitionKind::UrlsChanged, TransitionKind::UrlsFailed]
    );
}

#[test]
fn a_new_percentage_is_stored_without_a_transition() {
    let mut first = task("process", &[("a", "process")]);
    first.urls[0].progress = Some(40);
    let mut second = first.clone();
    second.urls[0].progress = Some(60);
    let (known, kinds) = replay(&[first, second]);
    assert_eq!((kinds.len(), known.urls["a"].progress), (1, Some(60)));
}

#[test]
fn what_a_response_leaves_out_keeps_its_state() {
    let cut = Task {
        status: None,
        created: None,
        ..task("", &[("b", "success")])
    };
    let (known, kinds) = replay(&[task("process", &[("a", "failure"), ("b", "success")]), cut]);
    assert_eq!((known.status, kinds.len()), (Status::Process, 1));
    assert_eq!(known.urls["a"].status, Status::Failure);
}

#[test]
fn a_url_listed_twice_counts_once_and_its_order_is_no_change() {
    let (known, kinds) = replay(&[
        task("process", &[("a", "failure"), ("a", "success")]),
        task("process", &[("a", "success"), ("a", "failure")]),
    ]);
    assert_eq!((known.urls.len(), kinds.len()), (1, 1));
    assert_eq!(known.urls["a"].status, Status::Failure);
}

#[test]
fn a_type_that_appears_later_is_no_transition() {
    let later = Task {
        r#type: Some("file".to_owned()),
        ..task("wait", &[])
    };
    let (known, kinds) = replay(&[task("wait", &[]), later]);
    assert_eq!((known.r#type.as_deref(), kinds.len()), (Some("file"), 1));
}

#[test]
fn a_task_stalls_once_by_the_apis_clock() {
    let seen = task("process", &[]);
    let ours_is_ahead = Observation {
        api_now: at(1100),
        ..moment(100_000)
    };
    let first = compare(None, &seen, ours_is_ahead).unwrap();
    assert!(!first.newly_stalled);
    let second = compare(Some(&first.task), &seen, moment(1600)).unwrap();
    assert!(second.newly_stalled && second.transition.is_none());
    assert_eq!(compare(Some(&second.task), &seen, moment(9999)), None);
}

#[test]
fn finished_tasks_do_not_stall() {
    assert!(
        !compare(None, &task("success", &[]), moment(9999))
            .unwrap()
            .newly_stalled
    );
    assert!(
        compare(None, &task("paused", &[]), moment(9999))
            .unwrap()
            .newly_stalled
    );
}

#[test]
fn a_task_vanishes_after_three_consecutive_missed_polls() {
    let mut absence = Absence::PRESENT;
    let mut vanished = Vec::new();
    for _ in 0..4 {
        let missed = missed(absence);
        absence = missed.absence;
        vanished.push(missed.newly_vanished);
    }
    assert_eq!(vanished, [false, false, true, false]);
    let mut known = compare(None, &task("process", &[]), moment(1001))
        .unwrap()
        .task;
    known.absence = absence;
    let back = compare(Some(&known), &task("process", &[]), moment(1002)).unwrap();
    assert_eq!(
        (back.task.absence, back.transition),
        (Absence::PRESENT, None)
    );
}

#[test]
fn an_unchanged_task_with_varying_json_is_written_twice_at_most() {
    let [a, b, c] = [1, 2, 3].map(Fingerprint::from_hash);
    let mut kept = None;
    let mut written = Vec::new();
    for seen in [a, a, b, a, c, b, c] {
        if let Some(now) = fingerprint_to_store(kept, Some(seen)) {
            written.push(now);
            kept = Some(now);
        }
    }
    assert_eq!(written, [a, Fingerprint::UNSTABLE]);
    assert_eq!(
        fingerprint_to_store(None, None),
        None,
        "put together of several pages"
    );
    assert_eq!(fingerprint_to_store(Some(a), None), None);
    assert_eq!(
        fingerprint_to_store(Some(a), Some(a)),
        None,
        "the same words"
    );
    assert_eq!(
        fingerprint_to_store(Some(a), Some(b)),
        Some(Fingerprint::UNSTABLE)
    );
}

fn statuses() -> impl Strategy<Value = Option<Status>> {
    prop::option::weighted(
        0.9,
        prop_oneof![
            "wait",
            "process",
            "success",
            "failure",
            "unknow",
            "[a-z]{1,3}"
        ]
        .prop_map(|word| Status::from_word(&word)),
    )
}

fn tasks() -> impl Strategy<Value = Task> {
    let urls = prop::collection::vec(
        (
            "[a-d]",
            statuses(),
            prop::option::of(0u32..120),
            prop::option::of(1000i64..2000),
        ),
        0..6,
    );
    (statuses(), urls).prop_map(|(status, urls)| Task {
        status,
        urls: urls
            .into_iter()
            .map(|(url, status, progress, finished)| Url {
                url,
                status,
                progress,
                finished: finished.map(at),
            })
            .collect(),
        ..task("wait", &[])
    })
}

proptest! {
    #[test]
    fn the_same_sighting_twice_teaches_nothing_the_second_time(first in tasks(), second in tasks()) {
        let known = compare(None, &first, moment(1001)).unwrap().task;
        let known = compare(Some(&known), &second, moment(1001)).map_or(known, |difference| difference.task);
        prop_assert_eq!(compare(Some(&known), &second, moment(1001)), None);
    }

    /// Whatever was observed in between, a task with the stored fingerprint has not changed.
    #[test]
    fn what_is_known_at_a_glance_teaches_nothing(
        first in tasks(), second in tasks(), now in 1000i64..3000,
        kept in prop::option::of(0u64..3), seen in prop::option::of(0u64..3),
    ) {
        let before = compare(None, &first, moment(1001)).unwrap().task;
        let known = compare(Some(&before), &second, moment(1001)).map_or(before, |difference| difference.task);
        let footprint = TaskSummary {
            number: TaskRowId(1),
            fingerprint: kept.map(Fingerprint::from_hash),
            created: known.created,
            in_flight: known.is_in_flight(),
            stalled: known.stalled,
        };
        let glance = is_unchanged(&footprint, seen.map(Fingerprint::from_hash), moment(now));
        if glance {
            prop_assert!(kept.is_some());
            prop_assert_eq!(compare(Some(&known), &second, moment(now)), None);
        } else if kept.is_some() && kept == seen {
            prop_assert!(now >= 1600 && known.is_in_flight(), "nothing but its age makes it worth a look");
        }
    }

    #[test]
    fn replaying_the_changes_gives_the_seen_state(first in tasks(), second in tasks()) {
        let before = compare(None, &first, moment(1001)).unwrap().task;
        let Some(difference) = compare(Some(&before), &second, moment(1001)) else { return Ok(()) };
        let mut replayed: BTreeMap<_, _> =
            before.urls.iter().map(|(url, state)| (url.clone(), state.status.clone())).collect();
        for change in difference.transition.iter().flat_map(|transition| &transition.urls) {
            prop_assert_eq!(&change.previous, &replayed.get(&change.url).cloned());
            prop_assert!(change.previous.as_ref() != Some(&change.state.status));
            replayed.insert(change.url.clone(), change.state.status.clone());
        }
        let now: BTreeMap<_, _> =
            difference.task.urls.iter().map(|(url, state)| (url.clone(), state.status.clone())).collect();
        prop_assert_eq!(replayed, now);
        if let Some(status) = second.status {
            prop_assert_eq!(difference.task.status, status);
        }
    }

    #[test]
    fn the_order_of_urls_never_matters(seen in tasks(), seed in any::<u64>()) {
        let mut shuffled = seen.clone();
        let len = shuffled.urls.len().max(1);
        shuffled.urls.rotate_left(usize::try_from(seed).unwrap_or(7) % len);
        let known = compare(None, &seen, moment(1001)).unwrap().task;
        prop_assert_eq!(compare(Some(&known), &shuffled, moment(1001)), None);
    }
}
