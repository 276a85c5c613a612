//! The contract: what is remembered of tasks in a list's order.

use super::{at, shop, task};
use crate::domain::model::{Fingerprint, ListOrder, ListPosition, Status, TaskLookup};
use crate::store::{Commit, Store, TaskUpsert};

fn learned(id: &str, created: Option<i64>, fingerprint: Option<Fingerprint>) -> TaskUpsert {
    TaskUpsert {
        fingerprint,
        ..task(id, Status::Success, created).into()
    }
}

/// The places and ids that a walk through all of it gives, so many at a time.
fn walk(store: &dyn Store, order: ListOrder, at_most: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut beyond = None;
    loop {
        let found = store
            .remembered(&shop(), order, beyond.as_ref(), at_most)
            .unwrap();
        ids.extend(found.iter().map(|task| task.id.as_str().to_owned()));
        let Some(last) = found.last().filter(|_| found.len() == at_most) else {
            return ids;
        };
        beyond = Some(ListPosition {
            created: last.footprint.created.unwrap(),
            id: last.id.clone(),
        });
    }
}

pub(in crate::store) fn tasks_are_remembered_in_either_order_from_any_place_on(store: &dyn Store) {
    let known = Some(Fingerprint::of_text(700, 5));
    let tasks = vec![
        learned("b", Some(1_000), known),
        learned("a", Some(1_001), known),
        learned(
            "c",
            Some(1_001),
            Some(Fingerprint::of_text(0xffff, u64::MAX)),
        ),
        learned("d", Some(1_002), known),
        learned("undated", None, known),
        learned("unread", Some(1_001), None),
        learned("unstable", Some(1_001), Some(Fingerprint::UNSTABLE)),
        learned(
            "too long",
            Some(1_001),
            Some(Fingerprint::of_text(70_000, u64::MAX)),
        ),
    ];
    let commit = |tasks| Commit {
        tasks,
        ..Commit::default()
    };
    store.commit(&shop(), &commit(tasks)).unwrap();
    let elsewhere = vec![learned("elsewhere", Some(1_001), known)];
    store.commit(&"blog".into(), &commit(elsewhere)).unwrap();
    for at_most in [1, 2, 3, 9] {
        assert_eq!(
            walk(store, ListOrder::NewestFirst, at_most),
            ["d", "c", "a", "b"]
        );
        assert_eq!(
            walk(store, ListOrder::OldestFirst, at_most),
            ["b", "a", "c", "d"]
        );
    }
    let of_second = |order, created| {
        let (created, id) = (at(created), "".into());
        let place = ListPosition { created, id };
        let found = store.remembered(&shop(), order, Some(&place), 1).unwrap();
        found[0].id.as_str().to_owned()
    };
    assert_eq!(of_second(ListOrder::OldestFirst, 1_001), "a");
    assert_eq!(of_second(ListOrder::NewestFirst, 1_002), "c");
    let [first] = store
        .remembered(&shop(), ListOrder::NewestFirst, None, 1)
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(first.url_count, task("d", Status::Success, None).urls.len());
    let sought = [TaskLookup {
        id: &first.id,
        created: None,
    }];
    let task_summaries = store.task_summaries(&shop(), &sought).unwrap();
    assert_eq!(task_summaries, [Some(first.footprint)]);
}
