//! The contract: what becomes of tasks and targets.

use std::collections::BTreeMap;

use super::{at, commit_learned, commit_tasks, drain, event, in_flight, known, number, shop, task};
use crate::domain::model::{Absence, KnownTask, Status, TaskRowId, Timestamp, UrlState};
use crate::store::{Baseline, Commit, Store, TargetState, TaskUpsert};

pub(in crate::store) fn a_task_comes_back_as_it_was(store: &dyn Store) {
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

pub(in crate::store) fn a_record_is_replaced_by_the_next(store: &dyn Store) {
    let first = task("a", Status::Wait, Some(1_000));
    let mut second = task("a", Status::Success, None);
    second.urls.pop_last();
    commit_tasks(store, &[first.clone(), second.clone()], 2_000);
    assert_eq!(known(store, "a").as_ref(), Some(&second));
    commit_tasks(store, std::slice::from_ref(&first), 2_000);
    assert_eq!(known(store, "a"), Some(first));
}

pub(in crate::store) fn a_record_is_replaced_by_its_number(store: &dyn Store) {
    let first = task("a", Status::Wait, Some(1_000));
    commit_tasks(store, std::slice::from_ref(&first), 2_000);
    let number = number(store, &shop(), "a");
    let failed = task("a", Status::Failure, Some(1_000));
    let of_another_time = task("a", Status::Success, Some(1_001));
    for task in [failed, first, of_another_time] {
        commit_numbered(store, &task, number);
        assert_eq!(known(store, "a").as_ref(), Some(&task));
        assert_eq!(super::number(store, &shop(), "a"), number);
    }
}

/// A number is a hint: what is written is the task that bears the name.
pub(in crate::store) fn a_number_that_is_not_the_task_s_replaces_no_other(store: &dyn Store) {
    let other = task("other", Status::Wait, Some(1_000));
    commit_tasks(store, std::slice::from_ref(&other), 2_000);
    let wrong = [number(store, &shop(), "other"), Some(TaskRowId(u64::MAX))];
    for (id, number) in ["a", "b"].into_iter().zip(wrong) {
        let task = task(id, Status::Process, Some(1_000));
        commit_numbered(store, &task, number);
        assert_eq!(known(store, id), Some(task));
    }
    assert_eq!(known(store, "other"), Some(other));
}

fn commit_numbered(store: &dyn Store, task: &KnownTask, number: Option<TaskRowId>) {
    let learned = TaskUpsert {
        number,
        ..task.clone().into()
    };
    commit_learned(store, vec![learned], 2_000);
}

pub(in crate::store) fn thousands_of_tasks_are_known_at_once(store: &dyn Store) {
    let tasks: Vec<_> = (0..2_500)
        .map(|n| task(&format!("task-{n}"), Status::Wait, Some(n)))
        .collect();
    commit_tasks(store, &tasks, 2_000);
    let last = store.last_task_row_id().unwrap();
    let twice = last.0 / 2;
    let numbers = (0..last.0 + 40_000).chain([twice, u64::MAX]);
    let numbers: Vec<TaskRowId> = numbers.map(TaskRowId).collect();
    let known = store.known_tasks(&shop(), &numbers).unwrap();
    assert_eq!(known.len(), 2_500);
    let known: BTreeMap<_, _> = known
        .into_values()
        .map(|task| (task.id.clone(), task))
        .collect();
    assert!(tasks.iter().all(|task| known.get(&task.id) == Some(task)));
}

pub(in crate::store) fn tasks_of_another_target_are_not_known(store: &dyn Store) {
    commit_tasks(store, &[task("a", Status::Wait, None)], 2_000);
    let other = "blog".into();
    let number = number(store, &shop(), "a").unwrap();
    assert_eq!(
        store.known_tasks(&other, &[number]).unwrap(),
        BTreeMap::new()
    );
    assert_eq!(in_flight(store, &other), []);
}

pub(in crate::store) fn tasks_in_flight_come_in_the_order_of_their_numbers(store: &dyn Store) {
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
    let listed = |store: &dyn Store| -> Vec<_> {
        let tasks = in_flight(store, &shop()).into_iter();
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
        listed(store),
        [undated.clone(), new.clone(), odd.clone(), missed]
    );

    commit_tasks(
        store,
        &[task("missed", Status::Success, Some(1_000))],
        2_000,
    );
    assert_eq!(listed(store), [undated, new, odd]);
    assert_eq!(store.count_in_flight(&shop()).unwrap(), 3);
    let [first, second] = store
        .in_flight_after(&shop(), TaskRowId::default(), 2)
        .unwrap()
        .try_into()
        .unwrap();
    assert!(first.number < second.number);
    let rest = store.in_flight_after(&shop(), second.number, 2).unwrap();
    assert_eq!(rest.len(), 1, "earlier tasks are not listed again");
}

pub(in crate::store) fn a_target_comes_back_as_it_was(store: &dyn Store) {
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

pub(in crate::store) fn forgetting_a_target_keeps_events_and_the_other_targets(store: &dyn Store) {
    let commit = Commit {
        tasks: vec![task("a", Status::Wait, Some(1_000)).into()],
        events: vec![event("a", &["ops"])],
        target: Some(TargetState {
            list: "main".to_owned(),
            ..TargetState::default()
        }),
        time: at(2_000),
        ..Commit::default()
    };
    let blog = "blog".into();
    store.commit(&shop(), &commit).unwrap();
    store.commit(&blog, &commit).unwrap();
    store.forget_target(&shop()).unwrap();
    assert_eq!(known(store, "a"), None);
    assert_eq!(in_flight(store, &shop()), []);
    assert_eq!(store.target(&shop()).unwrap(), TargetState::default());
    let number = number(store, &blog, "a").unwrap();
    assert_eq!(store.known_tasks(&blog, &[number]).unwrap().len(), 1);
    assert_eq!(store.target(&blog).unwrap().list, "main");
    assert_eq!(drain(store, "ops").len(), 2);
}
