//! Damaged files: whatever is wrong with one, opening it either works or sets it aside. It never panics, and what
//! was opened never goes on damaged after the next start.

use super::*;

/// A closed state, of some size; clean or as a crash leaves it, all of it in the one file.
fn real_state(directory: &Path, clean: bool) -> Vec<u8> {
    let path = directory.join("real.db");
    let store = open_sound(&path);
    let tasks: Vec<_> = (0..60)
        .map(|n| {
            let status = if n % 2 == 0 {
                Status::Success
            } else {
                Status::Wait
            };
            task(&format!("task-{n}"), status, Some(n))
        })
        .collect();
    commit_tasks(&store, &tasks, 2_000);
    let events: Vec<_> = (0..30)
        .map(|n| event(&n.to_string(), &["ops", "chat"]))
        .collect();
    commit_events(&store, &events, 2_000);
    drain(&store, "chat");
    store.damaged.store(!clean, Ordering::Relaxed);
    drop(store);
    let content = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    content
}

/// Reads and writes whatever there is. Whether all of it was readable.
fn use_all(store: &SqliteStore) -> bool {
    let ids: Vec<TaskId> = (0..60)
        .map(|n| format!("task-{n}").as_str().into())
        .collect();
    let commit = Commit {
        tasks: vec![task("new", Status::Wait, None).into()],
        events: vec![event("new", &["ops"])],
        target: Some(TargetState::default()),
        time: now(),
        ..Commit::default()
    };
    let mut results = vec![
        store.known_tasks(&shop(), &ids).map(|_| ()),
        store
            .in_flight_after(&shop(), TaskNumber::default(), 9)
            .map(|_| ()),
        store.reach(&shop(), Room::Tasks(9), at(0)).map(|_| ()),
        store.target(&shop()).map(|_| ()),
        store.owed().map(|_| ()),
    ];
    for _ in 0..40 {
        let pending = store.pending(&ops(), 1);
        for delivery in pending.iter().flatten() {
            let one = Try {
                sequence: delivery.sequence,
                result: contract_tests::delivered(),
            };
            results.push(store.record_tries(&ops(), &[one]));
        }
        results.push(pending.map(|_| ()));
    }
    results.push(store.commit(&shop(), &commit));
    results.push(store.prune(now()).map(|_| ()));
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{error}: {error:?}"
        );
    }
    results.iter().all(Result::is_ok)
}

/// Opens `content` as a state, uses it, and opens it once more. Whether it was set aside at the first time.
fn open_damaged(directory: &Path, content: &[u8], clean: bool) -> bool {
    let path = directory.join("state.db");
    fs::write(&path, content).unwrap();
    let opened = match open(&path, now()) {
        Ok(opened) => opened,
        Err(StoreError::TooNew { .. }) => return true,
        Err(other) => panic!("{other}: {other:?}"),
    };
    let was_set_aside = opened.set_aside.is_some();
    if let Some(SetAside { to, .. }) = opened.set_aside {
        assert!(fs::read(&to).unwrap() == content);
        fs::remove_file(to).unwrap();
    }
    let readable = use_all(&opened.store);
    assert!(
        readable || clean,
        "the check after an unclean stop found nothing"
    );
    drop(opened.store);
    let again = open(&path, now()).unwrap();
    // Set aside now, unless the use itself has removed what was damaged.
    assert!(use_all(&again.store), "damage survived a restart");
    drop(again);
    for name in names(directory) {
        fs::remove_file(directory.join(name)).unwrap();
    }
    was_set_aside
}

#[test]
fn a_truncated_file_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let content = real_state(directory.path(), true);
    for length in (512..content.len()).step_by(512) {
        assert!(
            open_damaged(directory.path(), &content[..length], true),
            "{length}"
        );
    }
    assert!(open_damaged(directory.path(), &content[..7], true));
    assert!(
        !open_damaged(directory.path(), &[], true),
        "an empty file is a new state"
    );
}

#[test]
fn a_file_with_a_wrong_byte_is_sound_or_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    for clean in [false, true] {
        let content = real_state(directory.path(), clean);
        let step = content.len() / 37 + 1;
        let places = (0..100)
            .step_by(5)
            .chain((100..content.len()).step_by(step));
        for place in places {
            let mut content = content.clone();
            content[place] ^= 0xff;
            open_damaged(directory.path(), &content, clean);
        }
    }
}

#[test]
fn garbage_is_set_aside_under_a_dated_name_and_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    for (n, suffix) in ["", "-1", "-2"].into_iter().enumerate() {
        let garbage = format!("garbage {n} ").repeat(100);
        fs::write(&path, &garbage).unwrap();
        fs::write(format!("{}-wal", path.display()), "journal").unwrap();
        let Opened { store, set_aside } = open(&path, now()).unwrap();
        let SetAside { to, why } = set_aside.unwrap();
        let name = format!("state.db.damaged-20261123T211630Z{suffix}");
        assert_eq!(to.file_name().unwrap().to_str(), Some(name.as_str()));
        assert_eq!(why, "it is not a SQLite database");
        assert_eq!(fs::read_to_string(&to).unwrap(), garbage);
        assert_eq!(
            fs::read_to_string(format!("{}-wal", to.display())).unwrap(),
            "journal"
        );
        commit_tasks(&store, &[task("a", Status::Wait, None)], 2_000);
        drop(store);
        assert!(known(&open_sound(&path), "a").is_some());
    }
}

#[test]
fn a_journal_without_its_database_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    for empty in [true, false] {
        if empty {
            fs::write(&path, "").unwrap();
        }
        fs::write(format!("{}-wal", path.display()), "journal").unwrap();
        let to = open(&path, now()).unwrap().set_aside.unwrap().to;
        assert_eq!(
            fs::read_to_string(format!("{}-wal", to.display())).unwrap(),
            "journal"
        );
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_death_in_the_first_transaction_leaves_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    fs::write(&path, "").unwrap();
    fs::write(format!("{}-journal", path.display()), "begun").unwrap();
    commit_tasks(&open_sound(&path), &[task("a", Status::Wait, None)], 2_000);
    assert!(known(&open_sound(&path), "a").is_some());
}

#[test]
fn a_missing_table_is_damage() {
    for table in ["meta", "target", "task", "event", "webhook", "delivery"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        drop(open_sound(&path));
        let other = Connection::open(&path).unwrap();
        other.execute_batch(&format!("DROP TABLE {table}")).unwrap();
        drop(other);
        assert!(open(&path, now()).unwrap().set_aside.is_some(), "{table}");
    }
}

#[test]
fn damage_found_at_run_time_is_set_aside_at_the_next_start() {
    let breakages = [
        "UPDATE task SET urls = '{\"a\":'",
        "UPDATE task SET created = -1",
        "UPDATE task SET type = CAST(x'ff' AS TEXT)",
        "UPDATE event SET document = CAST(x'ff' AS TEXT)",
        "PRAGMA foreign_keys = 0; DELETE FROM event",
        "UPDATE delivery SET tries = -1",
    ];
    for sql in breakages {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let store = open_sound(&path);
        commit_tasks(&store, &[task("a", Status::Wait, Some(1_000))], 2_000);
        commit_events(&store, &[event("a", &["ops"])], 2_000);
        drop(store);
        let other = Connection::open(&path).unwrap();
        other.execute_batch(sql).unwrap();
        drop(other);

        let store = open_sound(&path);
        let read = store.known_tasks(&shop(), &["a".into()]).map(|_| ());
        let error = read.and(store.pending(&ops(), 1).map(|_| ())).unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. }),
            "{sql}: {error}"
        );
        drop(store);
        assert!(open(&path, now()).unwrap().set_aside.is_some(), "{sql}");
    }
}

#[test]
fn a_disk_that_fails_a_check_is_not_damage() {
    // Not to be had from a real disk here: the words are SQLite's own (checkTreePage in its btree.c).
    assert!(open::is_io_error(
        "Tree 3 page 7: unable to get the page. error code=266"
    ));
    assert!(!open::is_io_error(
        "Tree 3 page 7: unable to get the page. error code=11"
    ));
    assert!(!open::is_io_error(
        "Tree 3 page 7 cell 0: invalid page number 99"
    ));
}
