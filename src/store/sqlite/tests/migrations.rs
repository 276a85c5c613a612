//! The migration mechanism, with a second step that only tests have.

use rusqlite::OpenFlags;

use super::*;
use crate::store::sqlite::connection::open_beside;

const FIRST: &str = MIGRATIONS[0];
const SECOND: &str = "ALTER TABLE task ADD COLUMN note TEXT NOT NULL DEFAULT 'none';
    INSERT INTO meta (name, value) SELECT 'tasks', count(*) FROM task";

/// A state of version 1 that holds a task and a pending delivery.
fn first_version(path: &Path) -> String {
    let store = open_sound(path);
    commit_tasks(&store, &[task("a", Status::Wait, None)], 2_000);
    commit_events(&store, &[event("a", &["ops"])], 2_000);
    contract_tests::next(&store, "ops").unwrap().event_id
}

#[test]
fn a_later_migration_is_applied_once_and_keeps_tasks_and_deliveries() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let pending = first_version(&path);
    for _ in 0..2 {
        let Opened { store, loss } = open_with(&path, now(), &[FIRST, SECOND]).unwrap();
        assert_eq!(loss, None);
        assert!(known(&store, "a").is_some());
        let delivery = contract_tests::next(&store, "ops").unwrap();
        assert_eq!(delivery.event_id, pending);
        let counted = store.read("count", |state| meta::get(state, "tasks"));
        assert_eq!(counted.unwrap().as_deref(), Some("1"));
    }
    let before = fs::read(&path).unwrap();
    let refused = open(&path, now()).unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::TooNew {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{refused}"
    );
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn a_new_state_takes_every_migration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_with(&path, now(), &[FIRST, SECOND]).unwrap().store;
    let version = store.read("read the version", schema::version);
    assert_eq!(version.unwrap(), 2);
}

#[test]
fn a_migration_that_fails_leaves_the_version_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let pending = first_version(&path);
    let state_file = StateFile::existing(&path).unwrap();
    let broken = [FIRST, SECOND, "INSERT INTO nowhere VALUES (1)"];
    open::open(&state_file, &LastUse::default(), &broken).unwrap_err();
    let store = open_sound(&path);
    assert_eq!(
        contract_tests::next(&store, "ops").unwrap().event_id,
        pending
    );
}

/// A command must not migrate a state under a running daemon of the earlier version.
#[test]
fn only_the_daemon_migrates() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    first_version(&path);
    let file = StateFile::existing(&path).unwrap();
    let refused = open_beside(&file, OpenFlags::SQLITE_OPEN_READ_ONLY, 2).unwrap_err();
    let source = std::error::Error::source(&refused).unwrap().to_string();
    assert!(source.contains("when it starts"), "{source}");
    open_sound(&path);
}
