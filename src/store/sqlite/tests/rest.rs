//! A state at rest: one file that reading does not touch, and what the first change and the close do to it.

use super::*;

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
    assert!(look() == before, "not even a file beside it");
    drop(store);
    assert!(look() == before);
}

#[test]
fn a_database_that_somebody_reads_is_written_without_a_journal_of_its_own_until_it_is_free() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    commit_tasks(&open_sound(&path), &[task("a", Status::Wait, None)], 2_000);
    let reader = Connection::open(&path).unwrap();
    let store = open_sound(&path);
    reader.execute_batch("BEGIN; SELECT * FROM task").unwrap();
    let busy = store.commit(&shop(), &a_commit()).unwrap_err();
    assert!(matches!(busy, StoreError::Unusable { .. }), "{busy}");
    reader.execute_batch("COMMIT").unwrap();
    store.commit(&shop(), &a_commit()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM task").unwrap();
    store.commit(&shop(), &a_commit()).unwrap();
    // Closed while it is read: it stays as readers need it, and the next to close puts it at rest.
    drop(store);
    drop(reader);
    store_is_at_rest_after_a_commit(&path);
}

fn a_commit() -> Commit {
    Commit {
        tasks: vec![task("b", Status::Wait, None).into()],
        ..Commit::default()
    }
}

fn store_is_at_rest_after_a_commit(path: &Path) {
    let store = open_sound(path);
    assert!(known(&store, "b").is_some());
    store.commit(&shop(), &a_commit()).unwrap();
    drop(store);
    assert_eq!(names(path.parent().unwrap()), ["state.db", "state.db.lock"]);
    let look = open_sound(path);
    assert!(known(&look, "b").is_some());
    assert_eq!(names(path.parent().unwrap()), ["state.db", "state.db.lock"]);
}

#[test]
fn a_stop_without_a_close_is_noticed_once_something_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    commit_tasks(&open_sound(&path), &[task("a", Status::Wait, None)], 2_000);
    let is_sealed = || {
        let lock = fs::read_to_string(format!("{}.lock", path.display())).unwrap();
        let journal = fs::read(format!("{}-wal", path.display())).unwrap_or_default();
        let sealed = format!("closed {}\n", seal::Seal::of(&path).unwrap());
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
