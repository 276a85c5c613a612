//! States of earlier versions: opened, they are of this one, and nothing in them is lost or told again.

use super::*;
use crate::domain::model::{Absence, KnownTask, TaskId};
use crate::store::queries::StateQueries as _;
use crate::store::{Baseline, PageCapacity, RecentSpan};

/// As version 1 left it: two tasks, an event that one webhook has had and another is still owed.
const VERSION_1: &str = "
    INSERT INTO meta VALUES ('state_id', '0123456789abcdef'), ('clean_stop', '1');
    INSERT INTO target VALUES ('shop', 'the list', 1000, 'taken', 2, 1, '');
    INSERT INTO task VALUES
        ('shop', 'new', 'file', 'success', 1500, 1600, 1600, 0, 0, 0, 0,
            '{\"http://a/\":{\"status\":\"success\",\"progress\":100,\"finished\":1550},\"http://b/\":{\"status\":\"success\"}}'),
        ('shop', 'old', NULL, 'process', 1000, 1100, 1200, 1, 2, 0, 1, '{}');
    INSERT INTO event VALUES (7, 'evt_seven', 'task.success', 1600, 1600, 'shop', 'new', '{\"id\":\"evt_seven\"}');
    INSERT INTO webhook VALUES ('ops'), ('chat');
    INSERT INTO delivery VALUES
        (7, 'ops', 'pending', 3, 1700, 1650, 'HTTP 503'), (7, 'chat', 'delivered', 0, NULL, 1650, 'HTTP 204');
";

fn version_1(path: &Path) {
    let old = Connection::open(path).unwrap();
    old.pragma_update(None, "journal_mode", "WAL").unwrap();
    old.execute_batch(include_str!("../../migrations/0001.sql"))
        .unwrap();
    old.execute_batch(VERSION_1).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
}

#[test]
fn a_state_of_version_1_keeps_all_that_it_knows_and_owes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    version_1(&path);
    // The second time there is nothing left to do.
    for _ in 0..2 {
        let store = open_sound(&path);
        let target = store.target(&shop()).unwrap();
        assert_eq!((target.list.as_str(), target.failed_polls), ("the list", 2));
        assert_eq!(target.baseline, Baseline::Taken);
        let old = known(&store, "old").unwrap();
        assert_eq!(old.absence, Absence::Missing { polls: 2 });
        assert!(old.stalled && old.is_in_flight());
        let new: KnownTask = known(&store, "new").unwrap();
        assert_eq!(new.urls["http://a/"].finished, Some(at(1_550)));
        assert_eq!(in_flight(&store, &shop()).len(), 1);
        let delivery = contract_tests::next(&store, "ops").unwrap();
        assert_eq!((delivery.sequence, delivery.attempts), (7, 3));
        assert_eq!(delivery.document, "{\"id\":\"evt_seven\"}");
        assert_eq!(contract_tests::next(&store, "chat"), None);
        let records = SqliteRecords::open(&path).unwrap();
        let counts = records.task_counts().unwrap();
        let counts: Vec<_> = counts
            .iter()
            .map(|it| (it.status.as_str(), it.total, it.stalled))
            .collect();
        assert_eq!(counts, [("process", 1, 1), ("success", 1, 0)]);
    }
}

#[test]
fn what_a_state_of_version_1_did_not_keep_is_filled_in_without_a_guess() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    version_1(&path);
    let store = open_sound(&path);
    let (new, old) = (TaskId::from("new"), TaskId::from("old"));
    let sought = [(&new, 1_500), (&old, 1_000)].map(|(id, created)| TaskLookup {
        id,
        created: Some(at(created)),
    });
    for found in store.task_summaries(&shop(), &sought).unwrap() {
        assert_eq!(found.unwrap().fingerprint, None);
    }
    // Two URLs and none.
    let reach = |room| store.reach(&shop(), room, at(0)).unwrap();
    assert_eq!(reach(PageCapacity::Urls(3)), RecentSpan::Everything);
    let (fits, newest) = (at(1_001), at(1_500));
    assert_eq!(
        reach(PageCapacity::Urls(2)),
        RecentSpan::Since { fits, newest }
    );
    assert_ne!(store.fingerprint_seed(), 0);
    drop(store);
    let seeds = ["one.db", "other.db"].map(|name| {
        let path = directory.path().join(name);
        version_1(&path);
        open_sound(&path).fingerprint_seed()
    });
    assert_ne!(seeds[0], seeds[1], "each state has a seed of its own");
}

/// Of the parts of a task's text, which is not what they stand for now.
#[test]
fn the_fingerprints_of_version_6_are_forgotten_and_the_tasks_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    let task = contract_tests::task("a", crate::domain::model::Status::Success, Some(1_000));
    let learned = crate::store::TaskUpsert {
        fingerprint: Some(crate::domain::model::Fingerprint::from_hash(7)),
        ..task.clone().into()
    };
    let commit = Commit {
        tasks: vec![learned],
        ..Commit::default()
    };
    store.commit(&shop(), &commit).unwrap();
    drop(store);
    let old = Connection::open(&path).unwrap();
    old.pragma_update(None, "user_version", 6).unwrap();
    drop(old);
    let store = open_sound(&path);
    let sought = [TaskLookup {
        id: &task.id,
        created: task.created,
    }];
    let found = store.task_summaries(&shop(), &sought).unwrap();
    assert_eq!(found[0].unwrap().fingerprint, None);
    assert_eq!(known(&store, "a"), Some(task));
}

/// A state as version 1 left it: one task of each kind, events owed, delivered and dead, the last ones pruned.
const VERSION_1_OWING: &str = include_str!("version_1.sql");

fn version_1_owing(path: &Path) {
    let other = Connection::open(path).unwrap();
    other
        .execute_batch(include_str!("../../migrations/0001.sql"))
        .unwrap();
    other.execute_batch(VERSION_1_OWING).unwrap();
}

#[test]
fn what_version_1_knew_and_owed_is_there_after_an_upgrade() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    version_1_owing(&path);
    let store = open_sound(&path);
    assert_eq!(
        known(&store, "done"),
        Some(task("done", Status::Success, Some(1_000)))
    );
    let waiting = KnownTask {
        absence: Absence::Missing { polls: 2 },
        stalled: true,
        r#type: None,
        urls: std::collections::BTreeMap::new(),
        ..task("waiting", Status::Other("unknow".to_owned()), None)
    };
    assert_eq!(known(&store, "waiting"), Some(waiting));
    assert_eq!(in_flight(&store, &shop()).len(), 1);
    let target = TargetState {
        list: "https://api.example.com/|||refresh".to_owned(),
        first_polled: Some(at(900)),
        baseline: Baseline::Taken,
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
        (pending[0].attempts, pending[0].next_attempt),
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
        version_1_owing(&path);
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
