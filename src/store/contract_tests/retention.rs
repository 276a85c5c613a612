//! The contract: what is forgotten, and what never is.

use super::{
    at, commit_events, commit_tasks, dead, delivered, drain, event, in_flight, known, next,
    next_sequence, record, shop, task,
};
use crate::domain::model::{Absence, KnownTask, Status};
use crate::store::{Store, TargetState};

pub(in crate::store) fn a_new_state_is_empty(store: &dyn Store) {
    assert_eq!(store.target(&shop()).unwrap(), TargetState::default());
    assert_eq!(known(store, "a"), None);
    assert_eq!(in_flight(store, &shop()), []);
    assert_eq!(next(store, "ops"), None);
    assert_eq!(store.outbox_backlog().unwrap(), []);
    assert_eq!(store.prune(at(9_000)).unwrap(), 0);
    store.forget_target(&shop()).unwrap();
}

pub(in crate::store) fn prune_takes_old_finished_and_vanished_tasks_only(store: &dyn Store) {
    let vanished = |id: &str, created| KnownTask {
        absence: Absence::Vanished,
        ..task(id, Status::Wait, created)
    };
    let gone = [
        task("finished", Status::Success, Some(1_000)),
        task("failed", Status::Failure, Some(4_999)),
        vanished("vanished", Some(1_000)),
    ];
    let kept = [
        task("in flight", Status::Process, Some(1_000)),
        task("odd word", Status::Other("unknow".to_owned()), Some(1_000)),
        task("undated", Status::Success, None),
        vanished("undated and vanished", None),
        task("created since", Status::Success, Some(5_000)),
    ];
    commit_tasks(store, &[&gone[..], &kept[..]].concat(), 4_999);
    commit_tasks(
        store,
        &[task("changed since", Status::Success, Some(1_000))],
        5_000,
    );
    assert_eq!(store.prune(at(5_000)).unwrap(), 3);
    assert!(
        gone.iter()
            .all(|task| known(store, task.id.as_str()).is_none())
    );
    for task in kept {
        assert_eq!(known(store, task.id.as_str()), Some(task));
    }
    assert!(known(store, "changed since").is_some());
    assert_eq!(in_flight(store, &shop()).len(), 2);
}

pub(in crate::store) fn prune_keeps_events_that_are_pending_or_dead(store: &dyn Store) {
    let backlog = ["pending", "dead", "delivered"].map(|id| event(id, &["ops", "chat"]));
    commit_events(store, &backlog, 4_999);
    commit_events(store, &[event("without a receiver", &[])], 4_999);
    commit_events(store, &[event("recorded since", &[])], 5_000);
    drain(store, "chat");
    record(store, "ops", &[2], &dead());
    record(store, "ops", &[3], &delivered());
    assert_eq!(
        store.prune(at(5_000)).unwrap(),
        2,
        "`delivered` and `without a receiver`"
    );
    assert_eq!(next_sequence(store, "ops"), Some(1));
    let backlog = store.outbox_backlog().unwrap();
    let counts: Vec<_> = backlog
        .iter()
        .map(|backlog| (backlog.pending, backlog.dead))
        .collect();
    assert_eq!(counts, [(0, 0), (1, 1)]);
    assert_eq!(store.prune(at(5_001)).unwrap(), 1);
}

pub(in crate::store) fn prune_takes_more_than_one_batch(store: &dyn Store) {
    let tasks: Vec<_> = (0..1_200)
        .map(|n| task(&n.to_string(), Status::Success, Some(n)))
        .collect();
    commit_tasks(store, &tasks, 2_000);
    let events: Vec<_> = (0..1_100)
        .map(|n| event(&n.to_string(), &["ops"]))
        .collect();
    commit_events(store, &events, 2_000);
    assert_eq!(
        store.prune(at(5_000)).unwrap(),
        1_200,
        "the events are still pending"
    );
    drain_at_once(store, 1_100);
    assert_eq!(store.prune(at(5_000)).unwrap(), 1_100);
    assert_eq!(store.prune(at(5_000)).unwrap(), 0);
}

pub(in crate::store) fn a_sequence_is_never_given_twice(store: &dyn Store) {
    commit_events(store, &[event("a", &[]), event("b", &[])], 1_000);
    assert_eq!(store.prune(at(5_000)).unwrap(), 2);
    commit_events(store, &[event("c", &["ops"])], 6_000);
    assert_eq!(next_sequence(store, "ops"), Some(3));
}

pub(in crate::store) fn a_webhook_that_is_owed_nothing_any_more_is_still_named(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"])], 1_000);
    drain(store, "ops");
    store.prune(at(5_000)).unwrap();
    let backlog = store.outbox_backlog().unwrap();
    assert_eq!(backlog.len(), 1);
    assert_eq!((backlog[0].pending, backlog[0].oldest_pending), (0, None));
}

/// Like [`drain`], but without reading each document.
fn drain_at_once(store: &dyn Store, last: u64) {
    (1..=last).for_each(|sequence| record(store, "ops", &[sequence], &delivered()));
}
