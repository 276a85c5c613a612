//! States of every earlier version: what they hold, and what they owe, is there after an upgrade.

use super::*;

/// A state as version 1 left it: one task of each kind, events owed, delivered and dead, the last ones pruned.
const VERSION_1: &str = include_str!("version_1.sql");

fn state_of_version_1(path: &Path) {
    let other = Connection::open(path).unwrap();
    other
        .execute_batch(include_str!("../../migrations/0001.sql"))
        .unwrap();
    other.execute_batch(VERSION_1).unwrap();
}

#[test]
fn what_version_1_knew_and_owed_is_there_after_an_upgrade() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    state_of_version_1(&path);
    let store = open_sound(&path);
    assert_eq!(
        known(&store, "done"),
        Some(task("done", Status::Success, Some(1_000)))
    );
    let waiting = KnownTask {
        absence: crate::model::Absence::Missing { polls: 2 },
        stalled: true,
        r#type: None,
        urls: std::collections::BTreeMap::new(),
        ..task("waiting", Status::Other("unknow".to_owned()), None)
    };
    assert_eq!(known(&store, "waiting"), Some(waiting));
    assert_eq!(store.tasks_in_flight(&shop()).unwrap().len(), 1);
    let target = TargetState {
        list: "https://api.example.com/|||refresh".to_owned(),
        first_polled: Some(at(900)),
        baseline: crate::store::Baseline::Taken,
        failed_polls: 2,
        failing_reported: true,
        paging: "{}".to_owned(),
    };
    assert_eq!(store.target(&shop()).unwrap(), target);
    let owed = store.owed().unwrap();
    let counts: Vec<_> = owed
        .iter()
        .map(|it| (it.webhook.as_str(), it.pending, it.dead))
        .collect();
    assert_eq!(counts, [("chat", 0, 1), ("gone", 0, 0), ("ops", 2, 0)]);
    let pending = store.pending(&ops(), 10).unwrap();
    let ids: Vec<_> = pending.iter().map(|it| it.event_id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "evt_0123456789abcdef0000000000000002",
            "evt_0123456789abcdef0000000000000003"
        ]
    );
    assert_eq!(pending[0].document, "{\"id\":\"the same bytes\"}");
    assert_eq!(
        (pending[0].tries, pending[0].next_try),
        (3, Some(at(2_500)))
    );

    // 5 was given, and its event is gone.
    commit_events(&store, &[event("new", &["ops"])], 3_000);
    let last = store.pending(&ops(), 10).unwrap().pop().unwrap();
    assert_eq!(last.event_id, "evt_0123456789abcdef0000000000000006");
    drop(store);
    open_sound(&path);
}

#[test]
fn a_damaged_state_of_version_1_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    for sql in [
        "UPDATE task SET urls = '{\"a\":'",
        "UPDATE task SET created = -1",
        "UPDATE event SET document = CAST(x'ff' AS TEXT)",
        "DELETE FROM event",
        "DROP TABLE webhook",
        "DELETE FROM meta",
    ] {
        let path = directory.path().join("state.db");
        state_of_version_1(&path);
        let other = Connection::open(&path).unwrap();
        other.pragma_update(None, "foreign_keys", false).unwrap();
        other.execute_batch(sql).unwrap();
        drop(other);
        let loss = open(&path, now()).unwrap().loss;
        // Without its id a state is still whole: it gets a new one.
        let is_set_aside = matches!(loss, Some(Loss::SetAside(_)));
        assert_eq!(is_set_aside, !sql.ends_with("meta"), "{sql}: {loss:?}");
        fs::remove_file(&path).unwrap();
    }
}
