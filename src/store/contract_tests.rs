//! The contract of [`Store`], as tests that any engine runs: `store_contract!(with_store)`, where `with_store` calls
//! a test with a new, empty state.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use super::{Baseline, Commit, Delivery, NewEvent, Owed, Store, TargetState, TryResult};
use crate::event::{EventDraft, EventTask, EventType, UrlCounts};
use crate::model::{
    Absence, KnownTask, Status, TargetName, TaskId, TaskKind, Timestamp, UrlState, WebhookName,
};

/// Makes a `#[test]` of each function of this file that is named here.
macro_rules! store_contract {
    ($with_store:path) => {
        $crate::store::contract_tests::store_contract!($with_store:
            a_new_state_is_empty
            a_task_comes_back_as_it_was
            a_record_is_replaced_by_the_next
            thousands_of_tasks_are_known_at_once
            tasks_of_another_target_are_not_known
            tasks_in_flight_come_oldest_first_and_undated_last
            a_target_comes_back_as_it_was
            forgetting_a_target_keeps_events_and_the_other_targets
            sequences_follow_the_order_of_events
            the_document_carries_the_id_and_the_sequence
            tasks_events_and_deliveries_appear_together
            deliveries_come_in_order_and_dead_ones_free_the_next
            webhooks_do_not_wait_for_each_other
            a_failed_try_is_counted_and_put_off
            a_try_of_what_is_not_pending_changes_nothing
            what_is_owed_is_counted_by_webhook
            a_webhook_is_owed_an_event_once
            an_empty_commit_gives_no_sequence_away
            prune_takes_old_finished_and_vanished_tasks_only
            prune_keeps_events_that_are_pending_or_dead
            prune_takes_more_than_one_batch
            a_sequence_is_never_given_twice
            a_webhook_that_is_owed_nothing_any_more_is_still_named
            commits_of_many_threads_leave_no_gaps
        );
    };
    ($with_store:path: $($name:ident)*) => {$(
        #[test]
        fn $name() {
            $with_store($crate::store::contract_tests::$name);
        }
    )*};
}
pub(super) use store_contract;

pub(super) fn shop() -> TargetName {
    "shop".into()
}

pub(super) fn ops() -> WebhookName {
    "ops".into()
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

/// A task with two URLs, one of them with all that a URL can have.
pub(super) fn task(id: &str, status: Status, created: Option<i64>) -> KnownTask {
    let url = |status: &Status, progress, finished| UrlState {
        status: status.clone(),
        progress,
        finished,
    };
    KnownTask {
        id: id.into(),
        r#type: Some("file".to_owned()),
        created: created.map(at),
        first_seen: at(2_000),
        urls: BTreeMap::from([
            (
                "http://example.com/a.jpg".to_owned(),
                url(&status, Some(40), Some(at(1_900))),
            ),
            (
                "http://example.com/b.jpg".to_owned(),
                url(&status, None, None),
            ),
        ]),
        status,
        stalled: false,
        absence: Absence::PRESENT,
    }
}

pub(super) fn event(id: &str, owed_to: &[&str]) -> NewEvent {
    let draft = EventDraft {
        r#type: EventType::TaskFailure,
        time: at(2_000),
        target: shop(),
        summary: format!("shop: {id}"),
        task: Some(EventTask {
            id: id.into(),
            kind: TaskKind::Refresh,
            r#type: None,
            status: Status::Failure,
            previous_status: None,
            created: None,
            urls: UrlCounts::default(),
        }),
        changes: Vec::new(),
        reason: None,
    };
    let owed_to = owed_to
        .iter()
        .map(|name| WebhookName::from(*name))
        .collect();
    NewEvent { draft, owed_to }
}

pub(super) fn commit_tasks(store: &dyn Store, tasks: &[KnownTask], time: i64) {
    let commit = Commit {
        tasks: tasks.to_vec(),
        time: at(time),
        ..Commit::default()
    };
    store.commit(&shop(), &commit).unwrap();
}

pub(super) fn commit_events(store: &dyn Store, events: &[NewEvent], time: i64) {
    let commit = Commit {
        events: events.to_vec(),
        time: at(time),
        ..Commit::default()
    };
    store.commit(&shop(), &commit).unwrap();
}

pub(super) fn known(store: &dyn Store, id: &str) -> Option<KnownTask> {
    let known = store.known_tasks(&shop(), &[id.into()]).unwrap();
    assert!(known.len() <= 1);
    known.into_iter().next()
}

pub(super) fn delivered() -> TryResult {
    TryResult::Delivered {
        at: at(2_100),
        answer: "HTTP 204".to_owned(),
    }
}

fn dead() -> TryResult {
    TryResult::Dead {
        at: at(2_100),
        answer: "HTTP 400".to_owned(),
    }
}

fn failed() -> TryResult {
    TryResult::Failed {
        at: at(2_100),
        answer: "HTTP 503".to_owned(),
        next_try: at(2_200),
    }
}

fn next(store: &dyn Store, webhook: &str) -> Option<Delivery> {
    store.next_delivery(&webhook.into()).unwrap()
}

fn next_sequence(store: &dyn Store, webhook: &str) -> Option<u64> {
    next(store, webhook).map(|delivery| delivery.sequence)
}

/// Makes a webhook's deliveries, and gives them in the order in which they came.
pub(super) fn drain(store: &dyn Store, webhook: &str) -> Vec<Delivery> {
    let mut drained = Vec::new();
    while let Some(delivery) = next(store, webhook) {
        store
            .record_try(&webhook.into(), delivery.sequence, &delivered())
            .unwrap();
        drained.push(delivery);
    }
    drained
}

pub(super) fn a_new_state_is_empty(store: &dyn Store) {
    assert_eq!(store.target(&shop()).unwrap(), TargetState::default());
    assert_eq!(known(store, "a"), None);
    assert_eq!(store.tasks_in_flight(&shop()).unwrap(), []);
    assert_eq!(next(store, "ops"), None);
    assert_eq!(store.owed().unwrap(), []);
    assert_eq!(store.prune(at(9_000)).unwrap(), 0);
    store.forget_target(&shop()).unwrap();
}

pub(super) fn a_task_comes_back_as_it_was(store: &dyn Store) {
    let mut odd = task(
        "odd \u{0}\n'\"; – 任务",
        Status::Other("unknow".to_owned()),
        None,
    );
    odd.r#type = None;
    odd.stalled = true;
    odd.absence = Absence::Missing { polls: u32::MAX };
    odd.urls = [
        "",
        "a\nb\u{0}c",
        "http://例え.jp/\u{1F600}?\"q\"=\\",
        "\u{7f}\u{85}\u{2028}",
    ]
    .map(|url| {
        let state = UrlState {
            status: Status::Other(format!("{url}!")),
            progress: Some(u32::MAX),
            finished: Some(Timestamp::EPOCH),
        };
        (url.to_owned(), state)
    })
    .into();
    let mut vanished = task("vanished", Status::Wait, Some(0));
    vanished.absence = Absence::Vanished;
    let mut bare = task("bare", Status::Success, Some(253_402_300_799));
    bare.urls = BTreeMap::new();
    bare.r#type = Some(String::new());
    let tasks = [
        odd,
        vanished,
        bare,
        task("plain", Status::Failure, Some(1_000)),
    ];
    commit_tasks(store, &tasks, 2_000);
    for task in tasks {
        assert_eq!(known(store, task.id.as_str()), Some(task));
    }
}

pub(super) fn a_record_is_replaced_by_the_next(store: &dyn Store) {
    let first = task("a", Status::Wait, Some(1_000));
    let mut second = task("a", Status::Success, None);
    second.urls.pop_last();
    commit_tasks(store, &[first.clone(), second.clone()], 2_000);
    assert_eq!(known(store, "a").as_ref(), Some(&second));
    commit_tasks(store, std::slice::from_ref(&first), 2_000);
    assert_eq!(known(store, "a"), Some(first));
}

pub(super) fn thousands_of_tasks_are_known_at_once(store: &dyn Store) {
    let tasks: Vec<_> = (0..2_500)
        .map(|n| task(&format!("task-{n}"), Status::Wait, Some(n)))
        .collect();
    commit_tasks(store, &tasks, 2_000);
    let mut ids: Vec<TaskId> = (0..40_000)
        .map(|n| format!("task-{n}").as_str().into())
        .collect();
    ids.push("task-7".into());
    let known = store.known_tasks(&shop(), &ids).unwrap();
    assert_eq!(
        known.len(),
        2_500,
        "an id that is asked for twice is told of once"
    );
    let known: BTreeMap<_, _> = known
        .into_iter()
        .map(|task| (task.id.clone(), task))
        .collect();
    assert!(tasks.iter().all(|task| known.get(&task.id) == Some(task)));
}

pub(super) fn tasks_of_another_target_are_not_known(store: &dyn Store) {
    commit_tasks(store, &[task("a", Status::Wait, None)], 2_000);
    let other = "blog".into();
    assert_eq!(store.known_tasks(&other, &["a".into()]).unwrap(), []);
    assert_eq!(store.tasks_in_flight(&other).unwrap(), []);
}

pub(super) fn tasks_in_flight_come_oldest_first_and_undated_last(store: &dyn Store) {
    let mut missed = task("missed", Status::Process, Some(1_000));
    missed.absence = Absence::Missing { polls: 2 };
    let mut vanished = task("vanished", Status::Wait, Some(1_000));
    vanished.absence = Absence::Vanished;
    let tasks = [
        task("undated", Status::Wait, None),
        task("new", Status::Wait, Some(1_500)),
        task("finished", Status::Success, Some(1_000)),
        task("failed", Status::Failure, Some(1_000)),
        vanished,
        task("odd word", Status::Other("Success".to_owned()), Some(1_200)),
        missed,
    ];
    commit_tasks(store, &tasks, 2_000);
    let told = |store: &dyn Store| -> Vec<_> {
        let tasks = store.tasks_in_flight(&shop()).unwrap().into_iter();
        tasks
            .map(|task| (task.id.0, task.created, task.absence))
            .collect()
    };
    let row = |id: &str, created: Option<i64>, polls| {
        (id.to_owned(), created.map(at), Absence::Missing { polls })
    };
    let (missed, odd) = (
        row("missed", Some(1_000), 2),
        row("odd word", Some(1_200), 0),
    );
    let (new, undated) = (row("new", Some(1_500), 0), row("undated", None, 0));
    assert_eq!(
        told(store),
        [missed, odd.clone(), new.clone(), undated.clone()]
    );

    commit_tasks(
        store,
        &[task("missed", Status::Success, Some(1_000))],
        2_000,
    );
    assert_eq!(told(store), [odd, new, undated]);
}

pub(super) fn a_target_comes_back_as_it_was(store: &dyn Store) {
    let state = TargetState {
        list: "main\n任务 org-'1\"".to_owned(),
        first_polled: Some(at(1_000)),
        baseline: Baseline::Taken,
        failed_polls: u32::MAX,
        failing_reported: true,
        paging: "{\"unit\":\"task\"}".to_owned(),
    };
    for state in [state, TargetState::default()] {
        let commit = Commit {
            target: Some(state.clone()),
            ..Commit::default()
        };
        store.commit(&shop(), &commit).unwrap();
        assert_eq!(store.target(&shop()).unwrap(), state);
        assert_eq!(
            store.target(&"blog".into()).unwrap(),
            TargetState::default()
        );
    }
}

pub(super) fn forgetting_a_target_keeps_events_and_the_other_targets(store: &dyn Store) {
    let commit = Commit {
        tasks: vec![task("a", Status::Wait, Some(1_000))],
        events: vec![event("a", &["ops"])],
        target: Some(TargetState {
            list: "main".to_owned(),
            ..TargetState::default()
        }),
        time: at(2_000),
    };
    let blog = "blog".into();
    store.commit(&shop(), &commit).unwrap();
    store.commit(&blog, &commit).unwrap();
    store.forget_target(&shop()).unwrap();
    assert_eq!(known(store, "a"), None);
    assert_eq!(store.tasks_in_flight(&shop()).unwrap(), []);
    assert_eq!(store.target(&shop()).unwrap(), TargetState::default());
    assert_eq!(store.known_tasks(&blog, &["a".into()]).unwrap().len(), 1);
    assert_eq!(store.target(&blog).unwrap().list, "main");
    assert_eq!(drain(store, "ops").len(), 2);
}

pub(super) fn sequences_follow_the_order_of_events(store: &dyn Store) {
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

pub(super) fn the_document_carries_the_id_and_the_sequence(store: &dyn Store) {
    let new = event("a", &["ops", "chat"]);
    commit_events(store, std::slice::from_ref(&new), 2_345);
    let delivery = next(store, "ops").unwrap();
    assert!(delivery.event_id.starts_with("evt_"));
    assert_eq!(delivery.document, new.draft.document(&delivery.event_id, 1));
    assert_eq!(delivery.event_type, "task.failure");
    assert_eq!(delivery.recorded, at(2_345));
    assert_eq!((delivery.tries, delivery.next_try), (0, None));
    assert_eq!(next(store, "chat"), Some(delivery));
}

/// Seen from another thread, at any moment: all of a commit or nothing.
pub(super) fn tasks_events_and_deliveries_appear_together(store: &dyn Store) {
    let commit = |n: u32| Commit {
        tasks: vec![task(&format!("task-{n}"), Status::Failure, None)],
        events: vec![event("first", &["ops"]), event("second", &["ops", "chat"])],
        target: Some(TargetState {
            failed_polls: n,
            ..TargetState::default()
        }),
        time: at(2_000),
    };
    thread::scope(|scope| {
        let writer =
            scope.spawn(|| (1..=20).for_each(|n| store.commit(&shop(), &commit(n)).unwrap()));
        while !writer.is_finished() {
            let owed = store.owed().unwrap();
            let pending = |name: &str| {
                let of_name = owed.iter().find(|owed| owed.webhook.as_str() == name);
                of_name.map_or(0, |owed| owed.pending)
            };
            assert_eq!(pending("ops"), 2 * pending("chat"));
            let polls = store.target(&shop()).unwrap().failed_polls;
            assert!(u64::from(polls) >= pending("chat"));
            assert!(polls == 0 || known(store, &format!("task-{polls}")).is_some());
        }
    });
    assert_eq!(drain(store, "ops").len(), 40);
}

pub(super) fn deliveries_come_in_order_and_dead_ones_free_the_next(store: &dyn Store) {
    let events: Vec<_> = ["a", "b", "c"].map(|id| event(id, &["ops"])).into();
    commit_events(store, &events, 2_000);
    assert_eq!(next_sequence(store, "ops"), Some(1));
    store.record_try(&ops(), 1, &failed()).unwrap();
    assert_eq!(
        next_sequence(store, "ops"),
        Some(1),
        "a failed one holds its place"
    );
    store.record_try(&ops(), 1, &dead()).unwrap();
    assert_eq!(next_sequence(store, "ops"), Some(2));
    store.record_try(&ops(), 2, &delivered()).unwrap();
    assert_eq!(next_sequence(store, "ops"), Some(3));
    store.record_try(&ops(), 3, &delivered()).unwrap();
    assert_eq!(next_sequence(store, "ops"), None);
}

pub(super) fn webhooks_do_not_wait_for_each_other(store: &dyn Store) {
    commit_events(
        store,
        &[event("a", &["ops", "chat"]), event("b", &["chat"])],
        2_000,
    );
    store.record_try(&ops(), 1, &failed()).unwrap();
    assert_eq!(drain(store, "chat").len(), 2);
    assert_eq!(next_sequence(store, "ops"), Some(1));
}

pub(super) fn a_failed_try_is_counted_and_put_off(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"])], 2_000);
    let first = next(store, "ops").unwrap();
    for tries in 1..=3 {
        store.record_try(&ops(), 1, &failed()).unwrap();
        let expected = Delivery {
            tries,
            next_try: Some(at(2_200)),
            ..first.clone()
        };
        assert_eq!(next(store, "ops"), Some(expected));
    }
}

pub(super) fn a_try_of_what_is_not_pending_changes_nothing(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"]), event("b", &["ops"])], 2_000);
    store.record_try(&ops(), 1, &delivered()).unwrap();
    store.record_try(&ops(), 2, &dead()).unwrap();
    let before = store.owed().unwrap();
    for sequence in [0, 1, 2, 3, u64::MAX] {
        for result in [delivered(), failed(), dead()] {
            store.record_try(&ops(), sequence, &result).unwrap();
            store
                .record_try(&"nobody".into(), sequence, &result)
                .unwrap();
        }
    }
    assert_eq!(store.owed().unwrap(), before);
    assert_eq!(next(store, "ops"), None);
}

pub(super) fn what_is_owed_is_counted_by_webhook(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops", "chat"])], 2_000);
    commit_events(
        store,
        &[event("b", &["ops"]), event("c", &["ops", "all"])],
        3_000,
    );
    store.record_try(&ops(), 1, &dead()).unwrap();
    store.record_try(&"chat".into(), 1, &delivered()).unwrap();
    let row = |webhook: &str, pending, dead, oldest: Option<i64>| Owed {
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
    assert_eq!(store.owed().unwrap(), expected);
}

pub(super) fn a_webhook_is_owed_an_event_once(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops", "ops"])], 2_000);
    assert_eq!(drain(store, "ops").len(), 1);
}

pub(super) fn an_empty_commit_gives_no_sequence_away(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"])], 2_000);
    commit_events(store, &[], 2_000);
    commit_events(store, &[event("b", &["ops"])], 2_000);
    let sequences: Vec<_> = drain(store, "ops").iter().map(|one| one.sequence).collect();
    assert_eq!(sequences, [1, 2]);
}

pub(super) fn prune_takes_old_finished_and_vanished_tasks_only(store: &dyn Store) {
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
    assert_eq!(store.tasks_in_flight(&shop()).unwrap().len(), 2);
}

pub(super) fn prune_keeps_events_that_are_pending_or_dead(store: &dyn Store) {
    let owed = ["pending", "dead", "delivered"].map(|id| event(id, &["ops", "chat"]));
    commit_events(store, &owed, 4_999);
    commit_events(store, &[event("owed to nobody", &[])], 4_999);
    commit_events(store, &[event("recorded since", &[])], 5_000);
    drain(store, "chat");
    store.record_try(&ops(), 2, &dead()).unwrap();
    store.record_try(&ops(), 3, &delivered()).unwrap();
    assert_eq!(
        store.prune(at(5_000)).unwrap(),
        2,
        "`delivered` and `owed to nobody`"
    );
    assert_eq!(next_sequence(store, "ops"), Some(1));
    let owed = store.owed().unwrap();
    let counts: Vec<_> = owed.iter().map(|owed| (owed.pending, owed.dead)).collect();
    assert_eq!(counts, [(0, 0), (1, 1)]);
    assert_eq!(store.prune(at(5_001)).unwrap(), 1);
}

pub(super) fn prune_takes_more_than_one_batch(store: &dyn Store) {
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
        "the events are still owed"
    );
    drain_at_once(store, 1_100);
    assert_eq!(store.prune(at(5_000)).unwrap(), 1_100);
    assert_eq!(store.prune(at(5_000)).unwrap(), 0);
}

/// Like [`drain`], but without reading each document.
fn drain_at_once(store: &dyn Store, last: u64) {
    (1..=last).for_each(|sequence| store.record_try(&ops(), sequence, &delivered()).unwrap());
}

pub(super) fn a_sequence_is_never_given_twice(store: &dyn Store) {
    commit_events(store, &[event("a", &[]), event("b", &[])], 1_000);
    assert_eq!(store.prune(at(5_000)).unwrap(), 2);
    commit_events(store, &[event("c", &["ops"])], 6_000);
    assert_eq!(next_sequence(store, "ops"), Some(3));
}

pub(super) fn a_webhook_that_is_owed_nothing_any_more_is_still_named(store: &dyn Store) {
    commit_events(store, &[event("a", &["ops"])], 1_000);
    drain(store, "ops");
    store.prune(at(5_000)).unwrap();
    let owed = store.owed().unwrap();
    assert_eq!(owed.len(), 1);
    assert_eq!((owed[0].pending, owed[0].oldest_pending), (0, None));
}

pub(super) fn commits_of_many_threads_leave_no_gaps(store: &dyn Store) {
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
