//! The store contract: events, their order, and their pending deliveries.

use std::collections::BTreeSet;
use std::thread;

use super::{
    at, commit_events, dead, delivered, drain, event, failed, known, next, next_sequence, ops,
    record, shop, task,
};
use crate::domain::model::Status;
use crate::store::{Attempt, Commit, Delivery, OutboxBacklog, Store, TargetState};

pub(in crate::store) fn sequences_follow_the_order_of_events(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"]), event("b", &["ops"])], 2_000);
    commit_events(store, &[event("c", &[])], 1_000);
    commit_events(store, &[event("d", &["ops"])], 2_000);
    let drained = drain(store, "ops");
    let sequences: Vec<_> = drained.iter().map(|delivery| delivery.sequence).collect();
    assert_eq!(sequences, [1, 2, 4]);
    for (delivery, id) in drained.iter().zip(["a", "b", "d"]) {
        assert!(delivery.document.contains(&format!("shop: {id}")));
    }
}

pub(in crate::store) fn the_document_carries_the_id_and_the_sequence(store: &dyn Store) {
    let new = event("a", &["ops", "chat"]);
    commit_events(store, std::slice::from_ref(&new), 2_345);
    let delivery = next(store, "ops").unwrap();
    assert!(delivery.event_id.starts_with("evt_"));
    assert_eq!(delivery.document, new.draft.document(&delivery.event_id, 1));
    assert_eq!(delivery.event_type, "task.failure");
    assert_eq!(delivery.recorded, at(2_345));
    assert_eq!((delivery.attempts, delivery.next_attempt), (0, None));
    assert_eq!(next(store, "chat"), Some(delivery));
}

/// Seen from another thread, at any moment: all of a commit or nothing.
pub(in crate::store) fn tasks_events_and_deliveries_appear_together(store: &dyn Store) {
    let commit = |n: u32| Commit {
        tasks: vec![task(&format!("task-{n}"), Status::Failure, None).into()],
        events: vec![event("first", &["ops"]), event("second", &["ops", "chat"])],
        target: Some(TargetState {
            failed_polls: n,
            ..TargetState::default()
        }),
        time: at(2_000),
        ..Commit::default()
    };
    thread::scope(|scope| {
        let writer =
            scope.spawn(|| (1..=20).for_each(|n| store.commit(&shop(), &commit(n)).unwrap()));
        while !writer.is_finished() {
            let backlog = store.outbox_backlog().unwrap();
            let pending = |name: &str| {
                let of_name = backlog.iter().find(|one| one.webhook.as_str() == name);
                of_name.map_or(0, |one| one.pending)
            };
            assert_eq!(pending("ops"), 2 * pending("chat"));
            let polls = store.target(&shop()).unwrap().failed_polls;
            assert!(u64::from(polls) >= pending("chat"));
            assert!(polls == 0 || known(store, &format!("task-{polls}")).is_some());
        }
    });
    assert_eq!(drain(store, "ops").len(), 40);
}

pub(in crate::store) fn deliveries_come_in_order_and_dead_ones_free_the_next(store: &dyn Store) {
    let events: Vec<_> = ["a", "b", "c"].map(|id| event(id, &["ops"])).into();
    commit_events(store, &events, 2_000);
    assert_eq!(next_sequence(store, "ops"), Some(1));
    record(store, "ops", &[1], &failed());
    assert_eq!(
        next_sequence(store, "ops"),
        Some(1),
        "a failed one holds its place"
    );
    record(store, "ops", &[1], &dead());
    assert_eq!(next_sequence(store, "ops"), Some(2));
    record(store, "ops", &[2], &delivered());
    assert_eq!(next_sequence(store, "ops"), Some(3));
    record(store, "ops", &[3], &delivered());
    assert_eq!(next_sequence(store, "ops"), None);
}

pub(in crate::store) fn several_pending_deliveries_come_in_order(store: &dyn Store) {
    let sequences = |limit| -> Vec<u64> {
        let pending = store.pending(&ops(), limit).unwrap();
        pending.iter().map(|delivery| delivery.sequence).collect()
    };
    let pending_events = ["a", "b", "c", "d", "e"].map(|id| event(id, &["ops"]));
    commit_events(store, &pending_events, 2_000);
    commit_events(store, &[event("other", &["chat"])], 2_000);
    record(store, "ops", &[2], &dead());
    record(store, "ops", &[3], &failed());
    assert!(sequences(0).is_empty());
    assert_eq!(sequences(2), [1, 3]);
    assert_eq!(sequences(4), [1, 3, 4, 5]);
    assert_eq!(sequences(usize::MAX), [1, 3, 4, 5]);
    let pending = store.pending(&ops(), 2).unwrap();
    assert_eq!(pending.first(), next(store, "ops").as_ref());
    assert_eq!(
        (pending[1].attempts, pending[1].next_attempt),
        (1, Some(at(2_200)))
    );
    assert!(pending[1].document.contains("shop: c"));
}

pub(in crate::store) fn tries_are_recorded_together(store: &dyn Store) {
    let pending_events = ["a", "b", "c", "d"].map(|id| event(id, &["ops"]));
    commit_events(store, &pending_events, 2_000);
    record(store, "ops", &[2], &delivered());
    let attempts = [
        (1, delivered()),
        (2, failed()),
        (9, dead()),
        (3, dead()),
        (4, failed()),
    ];
    let attempts = attempts.map(|(sequence, result)| Attempt { sequence, result });
    store.record_attempts(&ops(), &attempts).unwrap();
    let pending = store.pending(&ops(), 9).unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].sequence, pending[0].attempts), (4, 1));
    assert_eq!(store.outbox_backlog().unwrap()[0].dead, 1);
}

pub(in crate::store) fn several_tries_of_one_delivery_count_in_their_order(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"]), event("b", &["ops"])], 2_000);
    let attempts = [
        (1, failed()),
        (2, failed()),
        (1, failed()),
        (2, delivered()),
        (2, dead()),
    ];
    let attempts = attempts.map(|(sequence, result)| Attempt { sequence, result });
    store.record_attempts(&ops(), &attempts).unwrap();
    let pending = store.pending(&ops(), 9).unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].sequence, pending[0].attempts), (1, 2));
    assert_eq!(
        store.outbox_backlog().unwrap()[0].dead,
        0,
        "what is delivered stays so"
    );
}

pub(in crate::store) fn webhooks_do_not_wait_for_each_other(store: &dyn Store) {
    commit_events(
        store,
        &[event("a", &["ops", "chat"]), event("b", &["chat"])],
        2_000,
    );
    record(store, "ops", &[1], &failed());
    assert_eq!(drain(store, "chat").len(), 2);
    assert_eq!(next_sequence(store, "ops"), Some(1));
}

pub(in crate::store) fn a_failed_try_is_counted_and_put_off(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"])], 2_000);
    let first = next(store, "ops").unwrap();
    for attempts in 1..=3 {
        record(store, "ops", &[1], &failed());
        let expected = Delivery {
            attempts,
            last_attempt: Some(at(2_100)),
            next_attempt: Some(at(2_200)),
            ..first.clone()
        };
        assert_eq!(next(store, "ops"), Some(expected));
    }
}

pub(in crate::store) fn a_try_of_what_is_not_pending_changes_nothing(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"]), event("b", &["ops"])], 2_000);
    record(store, "ops", &[1], &delivered());
    record(store, "ops", &[2], &dead());
    let before = store.outbox_backlog().unwrap();
    for sequence in [0, 1, 2, 3, u64::MAX] {
        for result in [delivered(), failed(), dead()] {
            record(store, "ops", &[sequence], &result);
            record(store, "nobody", &[sequence], &result);
        }
    }
    assert_eq!(store.outbox_backlog().unwrap(), before);
    assert_eq!(next(store, "ops"), None);
}

pub(in crate::store) fn what_is_owed_is_counted_by_webhook(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops", "chat"])], 2_000);
    commit_events(
        store,
        &[event("b", &["ops"]), event("c", &["ops", "all"])],
        3_000,
    );
    record(store, "ops", &[1], &dead());
    record(store, "chat", &[1], &delivered());
    let row = |webhook: &str, pending, dead, oldest: Option<i64>| OutboxBacklog {
        webhook: webhook.into(),
        pending,
        dead,
        oldest_pending: oldest.map(at),
    };
    let expected = [
        row("all", 1, 0, Some(3_000)),
        row("chat", 0, 0, None),
        row("ops", 2, 1, Some(3_000)),
    ];
    assert_eq!(store.outbox_backlog().unwrap(), expected);
}

pub(in crate::store) fn a_webhook_is_owed_an_event_once(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops", "ops"])], 2_000);
    assert_eq!(drain(store, "ops").len(), 1);
}

pub(in crate::store) fn an_empty_commit_gives_no_sequence_away(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"])], 2_000);
    commit_events(store, &[], 2_000);
    commit_events(store, &[event("b", &["ops"])], 2_000);
    let sequences: Vec<_> = drain(store, "ops").iter().map(|one| one.sequence).collect();
    assert_eq!(sequences, [1, 2]);
}

pub(in crate::store) fn commits_of_many_threads_leave_no_gaps(store: &dyn Store) {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for n in 0..10 {
                    let id = format!("{thread}-{n}");
                    commit_events(store, &[event(&id, &["ops"]), event(&id, &["ops"])], 2_000);
                }
            });
        }
    });
    let drained = drain(store, "ops");
    let sequences: Vec<_> = drained.iter().map(|delivery| delivery.sequence).collect();
    assert_eq!(sequences, (1..=80).collect::<Vec<_>>());
    let ids: BTreeSet<_> = drained.iter().map(|delivery| &delivery.event_id).collect();
    assert_eq!(ids.len(), 80);
    for pair in drained.chunks(2) {
        let summary = |one: &Delivery| one.document.split("shop: ").nth(1).map(str::to_owned);
        assert_eq!(
            summary(&pair[0]),
            summary(&pair[1]),
            "a commit's events stay together"
        );
    }
}
