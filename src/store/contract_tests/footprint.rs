//! The contract: what is known of tasks at a glance.

use std::collections::BTreeMap;

use super::{at, commit_learned, commit_tasks, in_flight, known, shop, task};
use crate::domain::model::{
    Absence, Fingerprint, KnownTask, Status, TaskId, TaskLookup, TaskRowId, TaskSummary, UrlState,
};
use crate::store::{Commit, FingerprintUpdate, PageCapacity, RecentSpan, Store, TaskUpsert};

fn footprint(store: &dyn Store, id: &str, created: Option<i64>) -> Option<TaskSummary> {
    super::footprint(store, &shop(), id, created)
}

fn commit_record(store: &dyn Store, task: KnownTask, fingerprint: Option<Fingerprint>) {
    let learned = TaskUpsert {
        fingerprint,
        ..task.into()
    };
    commit_learned(store, vec![learned], 2_000);
}

pub(in crate::store) fn a_task_keeps_its_number_and_later_ones_have_higher_numbers(
    store: &dyn Store,
) {
    assert_eq!(store.last_task_row_id().unwrap(), TaskRowId::default());
    commit_tasks(store, &[task("a", Status::Wait, Some(1_000))], 2_000);
    let before = footprint(store, "a", None).unwrap().number;
    let last = store.last_task_row_id().unwrap();
    assert!(before <= last);
    let tasks = [
        task("b", Status::Wait, Some(900)),
        task("a", Status::Process, Some(1_001)),
    ];
    commit_tasks(store, &tasks, 2_000);
    assert_eq!(footprint(store, "a", None).unwrap().number, before);
    assert!(footprint(store, "b", None).unwrap().number > last);
    assert_eq!(
        in_flight(store, &shop())[0].number,
        before,
        "every query gives the same row id"
    );
}

/// Among many others of the same second, before and after them, of another target, and with a wrong time or none.
pub(in crate::store) fn footprints_are_found_whatever_is_known_of_the_time(store: &dyn Store) {
    let tasks: Vec<_> = (0..300)
        .map(|n| {
            let status = if n % 2 == 0 {
                Status::Success
            } else {
                Status::Wait
            };
            let created = (n % 7 != 0).then_some(1_000 + n % 5);
            KnownTask {
                stalled: n % 3 == 0,
                ..task(&format!("task-{n}"), status, created)
            }
        })
        .collect();
    commit_tasks(store, &tasks, 2_000);
    let other = Commit {
        tasks: vec![task("elsewhere", Status::Wait, Some(1_002)).into()],
        ..Commit::default()
    };
    store.commit(&"blog".into(), &other).unwrap();
    for wrong_by in [0, 1, -3_000] {
        let elsewhere = TaskId::from("elsewhere");
        let mut sought: Vec<_> = tasks
            .iter()
            .enumerate()
            .filter(|(n, _)| n % 4 != 1)
            .map(|(n, task)| TaskLookup {
                id: &task.id,
                created: match (n % 11, task.created) {
                    (0, _) => None,
                    (1, _) => Some(at(5_000)),
                    (_, time) => time.map(|time| at(time.unix_seconds() + wrong_by.max(-900))),
                },
            })
            .collect();
        sought.push(TaskLookup {
            id: &elsewhere,
            created: Some(at(1_002)),
        });
        sought.push(sought[5]);
        let found = store.task_summaries(&shop(), &sought).unwrap();
        assert_eq!(found.len(), sought.len());
        let numbers: BTreeMap<TaskId, TaskRowId> = in_flight(store, &shop())
            .into_iter()
            .map(|task| (task.id, task.number))
            .collect();
        for (sought, found) in sought.iter().zip(found) {
            let Some(task) = tasks.iter().find(|task| task.id == *sought.id) else {
                assert_eq!(found, None, "it is another target's");
                continue;
            };
            let found = found.unwrap();
            assert_eq!((found.created, found.fingerprint), (task.created, None));
            assert_eq!(found.in_flight, task.is_in_flight());
            assert_eq!(found.stalled, task.stalled);
            if task.is_in_flight() {
                assert_eq!(Some(&found.number), numbers.get(&task.id));
            }
        }
    }
    assert_eq!(store.task_summaries(&shop(), &[]).unwrap(), []);
}

pub(in crate::store) fn a_record_that_is_written_again_has_the_fingerprint_that_it_is_written_with(
    store: &dyn Store,
) {
    let a = || task("a", Status::Wait, Some(1_000));
    let stored = |store: &dyn Store| footprint(store, "a", Some(1_000)).unwrap().fingerprint;
    for hash in [1, 7, u64::MAX, 1 << 63] {
        let fingerprint = Some(Fingerprint::from_hash(hash));
        commit_record(store, a(), fingerprint);
        assert_eq!(stored(store), fingerprint);
    }
    let mut missed = a();
    missed.absence = Absence::Missing { polls: 1 };
    commit_record(store, missed, None);
    assert_eq!(stored(store), None);
}

pub(in crate::store) fn a_retouch_changes_the_fingerprint_and_nothing_else(store: &dyn Store) {
    let old = task("a", Status::Success, Some(1_000));
    commit_tasks(store, std::slice::from_ref(&old), 1_000);
    let before = footprint(store, "a", None).unwrap();
    let retouch = |number| Commit {
        fingerprints: vec![FingerprintUpdate {
            number,
            fingerprint: Fingerprint::UNSTABLE,
        }],
        time: at(9_000),
        ..Commit::default()
    };
    store
        .commit(&"blog".into(), &retouch(before.number))
        .unwrap();
    assert_eq!(
        footprint(store, "a", None),
        Some(before),
        "another target's"
    );
    store
        .commit(&shop(), &retouch(TaskRowId(before.number.0 + 1)))
        .unwrap();
    store.commit(&shop(), &retouch(before.number)).unwrap();
    let after = TaskSummary {
        fingerprint: Some(Fingerprint::UNSTABLE),
        ..before
    };
    assert_eq!(footprint(store, "a", None), Some(after));
    assert_eq!(known(store, "a"), Some(old));
    assert_eq!(
        store.prune(at(2_000)).unwrap(),
        1,
        "it is as old as it was before"
    );
}

pub(in crate::store) fn the_newest_tasks_that_fit_are_found(store: &dyn Store) {
    let reach = |room, from| store.recent_span(&shop(), room, at(from)).unwrap();
    assert_eq!(reach(PageCapacity::Tasks(0), 0), RecentSpan::Everything);
    // Two URLs each, but for the last, which has none.
    let mut tasks: Vec<_> = [1_000, 1_001, 1_001, 1_002]
        .into_iter()
        .enumerate()
        .map(|(n, created)| task(&n.to_string(), Status::Success, Some(created)))
        .collect();
    tasks[3].urls = BTreeMap::<String, UrlState>::new();
    tasks.push(task("undated", Status::Wait, None));
    commit_tasks(store, &tasks, 2_000);
    let since = |fits| RecentSpan::Since {
        fits: at(fits),
        newest: at(1_002),
    };
    let expected = [since(1_003), since(1_002), since(1_002), since(1_001)];
    for (room, expected) in (0..).zip(expected) {
        assert_eq!(
            reach(PageCapacity::Tasks(room), 0),
            expected,
            "{room} tasks"
        );
    }
    assert_eq!(reach(PageCapacity::Tasks(4), 0), RecentSpan::Everything);
    assert_eq!(reach(PageCapacity::Tasks(3), 1_001), RecentSpan::Everything);
    let expected = [1_003, 1_002, 1_002, 1_002, 1_002, 1_001, 1_001];
    for (room, expected) in (0..).zip(expected) {
        assert_eq!(
            reach(PageCapacity::Urls(room), 0),
            since(expected),
            "{room} URLs"
        );
    }
    assert_eq!(reach(PageCapacity::Urls(7), 0), RecentSpan::Everything);
    assert_eq!(
        store
            .recent_span(&"blog".into(), PageCapacity::Tasks(0), at(0))
            .unwrap(),
        RecentSpan::Everything
    );
}

pub(in crate::store) fn the_seed_stays_the_same(store: &dyn Store) {
    let seed = store.fingerprint_seed();
    commit_tasks(store, &[task("a", Status::Wait, None)], 2_000);
    assert_eq!(store.fingerprint_seed(), seed);
}
