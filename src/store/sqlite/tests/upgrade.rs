//! States of earlier versions: opened, they are of this one, and nothing in them is lost or told again.

use super::*;
use crate::model::{Absence, KnownTask};
use crate::store::{Baseline, Reach, Room};

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
        assert_eq!((delivery.sequence, delivery.tries), (7, 3));
        assert_eq!(delivery.document, "{\"id\":\"evt_seven\"}");
        assert_eq!(contract_tests::next(&store, "chat"), None);
    }
}

#[test]
fn what_a_state_of_version_1_did_not_keep_is_filled_in_without_a_guess() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    version_1(&path);
    let store = open_sound(&path);
    let (new, old) = (TaskId::from("new"), TaskId::from("old"));
    let sought = [(&new, 1_500), (&old, 1_000)].map(|(id, created)| Sought {
        id,
        created: Some(at(created)),
    });
    for found in store.footprints(&shop(), &sought).unwrap() {
        assert_eq!(found.unwrap().fingerprint, None);
    }
    // Two URLs and none.
    let reach = |room| store.reach(&shop(), room, at(0)).unwrap();
    assert_eq!(reach(Room::Urls(3)), Reach::Everything);
    let (fits, newest) = (at(1_001), at(1_500));
    assert_eq!(reach(Room::Urls(2)), Reach::Since { fits, newest });
    assert_ne!(store.fingerprint_seed(), 0);
    drop(store);
    let seeds = ["one.db", "other.db"].map(|name| {
        let path = directory.path().join(name);
        version_1(&path);
        open_sound(&path).fingerprint_seed()
    });
    assert_ne!(seeds[0], seeds[1], "each state has a seed of its own");
}
