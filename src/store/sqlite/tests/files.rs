//! The state's files: what reading, writing and closing leave on disk.

use super::*;
use crate::store::queries::StateQueries as _;

#[test]
fn a_state_that_was_only_read_is_as_it_was_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    commit_tasks(&open_sound(&path), &[task("a", Status::Wait, None)], 2_000);
    let look = || -> Vec<_> {
        let files = names(directory.path()).into_iter();
        files
            .map(|name| {
                let file = directory.path().join(&name);
                let changed = fs::metadata(&file).unwrap().modified().unwrap();
                (name, fs::read(file).unwrap(), changed)
            })
            .collect()
    };
    let before = look();
    let store = open_sound(&path);
    assert!(known(&store, "a").is_some());
    assert_eq!(store.prune(at(1_000)).unwrap(), 0);
    drop(store);
    assert!(look() == before);
}

#[test]
fn a_closed_state_is_one_file_that_others_may_use_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    let queries = SqliteQueries::open(&path).unwrap();
    commit_tasks(&store, &[task("a", Status::Wait, None)], 2_000);
    queries.close();
    store.close();
    assert_eq!(names(directory.path()), ["state.db", "state.db.lock"]);
    let other = open_sound(&path);
    assert!(known(&other, "a").is_some());
    for refused in [
        store.target(&shop()).map(drop),
        store.count_in_flight(&shop()).map(drop),
        store.forget_target(&shop()),
        queries.task_counts().map(drop),
    ] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StoreError::Unusable { .. }), "{refused}");
    }
    // Again, and when it is dropped: the other instance keeps its lock.
    store.close();
    drop(store);
    let held = open(&path, now()).unwrap_err();
    assert!(matches!(held, StoreError::Held { .. }), "{held}");
}

/// An operator's program keeps the state open.
#[test]
fn a_state_that_another_program_reads_is_written_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    commit_tasks(&open_sound(&path), &[task("a", Status::Wait, None)], 2_000);
    let reader = Connection::open(&path).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM task").unwrap();
    let store = open_sound(&path);
    commit_tasks(&store, &[task("b", Status::Wait, None)], 2_000);
    drop(store);
    drop(reader);
    let store = open_sound(&path);
    assert!(known(&store, "b").is_some());
}

#[test]
fn a_stop_without_a_close_is_noticed_once_something_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    commit_tasks(&open_sound(&path), &[task("a", Status::Wait, None)], 2_000);
    let is_sealed = || {
        let lock = fs::read_to_string(format!("{}.lock", path.display())).unwrap();
        let journal = fs::read(format!("{}-wal", path.display())).unwrap_or_default();
        let sealed = format!("closed {}\n", lock::FileStamp::of(&path).unwrap());
        journal.is_empty() && lock.ends_with(&sealed)
    };
    let store = open_sound(&path);
    assert!(is_sealed());
    commit_tasks(&store, &[task("b", Status::Wait, None)], 2_000);
    assert!(!is_sealed());
    drop(store);
    assert!(is_sealed());
    // Opened and closed, without a word written: it was checked, and that is noted.
    let copy = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, copy).unwrap();
    assert!(!is_sealed());
    drop(open_sound(&path));
    assert!(is_sealed());
}

/// Of a long list a page of the journal each: what is written and synced for a change is what a busy poll costs.
#[test]
fn a_changed_task_rewrites_its_row_and_one_index_and_no_index_of_all_that_it_did_not_change_in() {
    const CHANGED: i64 = 20;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    let task_of = |number: i64, status| task(&format!("task-{number:06}"), status, Some(number));
    let all: Vec<_> = (0..CHANGED * 200)
        .map(|number| task_of(number, Status::Success))
        .collect();
    commit_tasks(&store, &all, 9_000);
    let journal = format!("{}-wal", path.display());
    let pages = || fs::metadata(&journal).unwrap().len() / 4_096;
    let before = pages();
    let failed: Vec<_> = (0..CHANGED)
        .map(|number| task_of(number * 200, Status::Failure))
        .collect();
    commit_tasks(&store, &failed, 9_001);
    let written = pages() - before;
    // Two each; and what all of them share, which is the index of those that failed and the roots of trees.
    let expected = 2 * CHANGED.unsigned_abs()..2 * CHANGED.unsigned_abs() + 8;
    assert!(expected.contains(&written), "{written} pages");
    let counts = SqliteQueries::open(&path).unwrap().task_counts().unwrap();
    let counts: Vec<_> = counts
        .iter()
        .map(|it| (it.status.as_str(), it.total))
        .collect();
    assert_eq!(counts, [("failure", 20), ("success", 3_980)]);
}
