//! Damaged files: what is set aside, under which name, and what is left alone.

use super::*;

#[test]
fn garbage_is_set_aside_under_a_dated_name_and_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    for (n, suffix) in ["", "-1", "-2"].into_iter().enumerate() {
        let garbage = format!("garbage {n} ").repeat(100);
        fs::write(&path, &garbage).unwrap();
        fs::write(format!("{}-wal", path.display()), "journal").unwrap();
        let Opened { store, loss } = open(&path, now()).unwrap();
        let Quarantined {
            moved_to: to,
            reason: why,
        } = set_aside(loss);
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
        let to = set_aside(open(&path, now()).unwrap().loss).moved_to;
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
        change(&path, &format!("DROP TABLE {table}"));
        set_aside(open(&path, now()).unwrap().loss);
    }
}

#[test]
fn what_an_operator_adds_is_not_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    drop(open_sound(&path));
    change(
        &path,
        "CREATE INDEX mine ON task (status); CREATE TABLE notes (text); ANALYZE",
    );
    open_sound(&path);
}

/// SQL from outside, as an operator's `sqlite3` runs it.
fn change(path: &Path, sql: &str) {
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn an_operator_may_change_rows_and_vacuum_a_stopped_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    commit_tasks(&store, &[task("a", Status::Wait, Some(1_000))], 2_000);
    commit_events(&store, &[event("a", &["ops"])], 2_000);
    drop(store);
    for sql in [
        "UPDATE task SET status = 'success', in_flight = 0",
        "UPDATE delivery SET attempts = 4",
        "VACUUM",
        "PRAGMA journal_mode = DELETE",
    ] {
        change(&path, sql);
        let store = open_sound(&path);
        let a = known(&store, "a").unwrap();
        assert_eq!(a.status, Status::Success, "{sql}");
        commit_tasks(&store, &[a], 2_001);
    }
    let store = open_sound(&path);
    assert!(in_flight(&store, &shop()).is_empty());
    assert_eq!(contract_tests::next(&store, "ops").unwrap().attempts, 4);
}

#[test]
fn a_value_that_no_version_writes_is_damage() {
    for sql in [
        "UPDATE target SET first_polled = -1",
        "UPDATE task SET urls = '{\"a\":'",
        "UPDATE task SET created = -1",
        "UPDATE event SET document = CAST(x'ff' AS TEXT)",
        "DELETE FROM event",
        "UPDATE meta SET value = 'x' WHERE name = 'state_id'",
        "DELETE FROM meta WHERE name = 'fingerprint_seed'",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let store = open_sound(&path);
        let commit = Commit {
            tasks: vec![task("a", Status::Success, Some(1_000)).into()],
            events: vec![event("a", &["ops"])],
            target: Some(TargetState::default()),
            ..Commit::default()
        };
        store.commit(&shop(), &commit).unwrap();
        drop(store);
        change(&path, &format!("PRAGMA foreign_keys = 0; {sql}"));
        set_aside(open(&path, now()).unwrap().loss);
    }
}

#[test]
fn damage_found_at_run_time_is_set_aside_at_the_next_start() {
    let breakages = [
        "UPDATE task SET urls = '{'",
        "UPDATE task SET created = -1",
        "UPDATE task SET type = CAST(x'ff' AS TEXT)",
        "UPDATE event SET document = CAST(x'ff' AS TEXT)",
        "PRAGMA foreign_keys = 0; DELETE FROM event",
        "UPDATE delivery SET next_attempt = 99999999999999",
        "UPDATE target SET failed_polls = -1",
        "UPDATE meta SET value = '0' WHERE name = 'last_sequence'",
    ];
    for sql in breakages {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        let store = open_sound(&path);
        commit_tasks(&store, &[task("a", Status::Wait, Some(1_000))], 2_000);
        commit_events(&store, &[event("a", &["ops"])], 2_000);
        let target = Commit {
            target: Some(TargetState::default()),
            ..Commit::default()
        };
        store.commit(&shop(), &target).unwrap();
        change(&path, sql);

        let used = [
            store.known_tasks(&shop(), &[TaskRowId(1)]).map(|_| ()),
            store.pending(&ops(), 1).map(|_| ()),
            store.target(&shop()).map(|_| ()),
            store.commit(
                &shop(),
                &Commit {
                    events: vec![event("b", &["chat"])],
                    ..Commit::default()
                },
            ),
        ];
        let errors: Vec<_> = used.into_iter().filter_map(Result::err).collect();
        assert!(
            matches!(errors[..], [StoreError::Damaged { .. }]),
            "{sql}: {errors:?}"
        );
        drop(store);
        set_aside(open(&path, now()).unwrap().loss);
    }
}

fn set_aside(loss: Option<DataLoss>) -> Quarantined {
    match loss {
        Some(DataLoss::Quarantined(set_aside)) => set_aside,
        other => panic!("not set aside: {other:?}"),
    }
}

#[test]
fn a_disk_that_fails_a_check_is_not_damage() {
    // Not to be had from a real disk here: the words are SQLite's own (checkTreePage in its btree.c).
    assert!(recovery::is_io_error(
        "Tree 3 page 7: unable to get the page. error code=266"
    ));
    assert!(!recovery::is_io_error(
        "Tree 3 page 7: unable to get the page. error code=11"
    ));
    assert!(!recovery::is_io_error(
        "Tree 3 page 7 cell 0: invalid page number 99"
    ));
}
