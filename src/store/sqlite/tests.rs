//! What SQLite's state promises beyond the contract: its lock, its file, and what becomes of a damaged one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::Connection;

use super::file::StateFile;
use super::lock::LastUse;
use super::schema::MIGRATIONS;
use super::store::open_with;
use super::*;
use crate::domain::model::{Status, TaskRowId, Timestamp};
use crate::store::contract_tests::{
    self, at, commit_events, commit_tasks, drain, event, in_flight, known, ops, shop,
    store_contract, task,
};
use crate::store::{Commit, LeaseStatus, Store, StoreError, TargetState};

mod contract {
    super::store_contract!(crate::store::sqlite::tests::with_store);
    super::store_contract!(beside crate::store::sqlite::tests::with_beside);
}
mod beside;
mod damage;
mod files;
mod flips;
mod migrations;
mod strangers;

fn with_store(test: fn(&dyn Store)) {
    let directory = tempfile::tempdir().unwrap();
    test(&open_sound(&directory.path().join("state.db")));
}

fn with_beside(test: fn(&contract_tests::Beside<'_>)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    test(&contract_tests::Beside {
        store: &open_sound(&path),
        records: &SqliteQueries::open(&path).unwrap(),
        orders: &SqliteOutboxAdmin::open(&path).unwrap(),
    });
}

/// 2026-11-23T21:16:30Z
fn now() -> Timestamp {
    at(1_795_468_590)
}

fn open_sound(path: &Path) -> SqliteStore {
    let opened = open(path, now()).unwrap();
    assert_eq!(opened.loss, None);
    opened.store
}

/// The files of a state that a dying process leaves behind, as `name` beside it.
fn copy_mid_life(path: &Path, name: &str) -> PathBuf {
    let copy = path.with_file_name(name);
    for part in ["", "-wal"] {
        let (from, to) = (
            format!("{}{part}", path.display()),
            format!("{}{part}", copy.display()),
        );
        if fs::exists(&from).unwrap() {
            fs::copy(from, to).unwrap();
        }
    }
    copy
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The kernel's list of locks is long, and changes while it is read.
#[test]
fn the_holder_is_found_among_locks_that_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let _store = open_sound(&path);
    let others: Vec<fs::File> = (0..200)
        .map(|number| fs::File::create(directory.path().join(number.to_string())).unwrap())
        .collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for file in &others {
                    file.lock().unwrap();
                }
                for file in &others {
                    file.unlock().unwrap();
                }
            }
        });
        let holders: Vec<_> = (0..100)
            .map(|_| match open(&path, now()) {
                Err(StoreError::Held { holder, .. }) => holder,
                _ => None,
            })
            .collect();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(holders, [Some(std::process::id()); 100]);
    });
}

#[test]
fn a_second_instance_is_told_who_holds_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    std::os::unix::fs::symlink(&path, directory.path().join("alias.db")).unwrap();
    for path in [&path, &directory.path().join("alias.db")] {
        match open(path, now()).unwrap_err() {
            StoreError::Held { holder, .. } => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other}"),
        }
    }
    drop(store);
    open_sound(&path);
}

#[test]
fn the_one_instance_holds_every_target_that_it_wants_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_sound(&directory.path().join("state.db"));
    let wanted = BTreeSet::from([shop(), "other".into()]);
    let held = LeaseStatus {
        owned: wanted.clone(),
        ..LeaseStatus::default()
    };
    assert_eq!(store.renew_leases(&wanted, &BTreeSet::new()).unwrap(), held);
    assert!(store.lease_is_valid());
}

#[test]
fn a_closed_state_is_one_file_and_its_lock() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/deep/state.db");
    commit_tasks(&open_sound(&path), &[task("a", Status::Wait, None)], 2_000);
    let directory = path.parent().unwrap();
    assert_eq!(names(directory), ["state.db", "state.db.lock"]);
    assert!(known(&open_sound(&path), "a").is_some());
}

#[test]
fn other_users_cannot_read_the_state() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new/state.db");
    let store = open_sound(&path);
    commit_tasks(&store, &[task("a", Status::Wait, None)], 2_000);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let parent = path.parent().unwrap();
    assert_eq!(mode(parent), 0o700);
    let files = names(parent);
    assert!(files.len() >= 3, "{files:?}");
    assert!(files.iter().all(|name| mode(&parent.join(name)) == 0o600));
}

#[test]
fn a_later_version_is_left_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    commit_tasks(&store, &[task("a", Status::Wait, None)], 2_000);
    let latest = schema::LATEST;
    store
        .write("pretend a later version", |state| {
            Ok(state.pragma_update(None, "user_version", latest + 1)?)
        })
        .unwrap();
    // In the copy the version is in the journal; in the original it is then in the file.
    let copy = copy_mid_life(&path, "copy.db");
    drop(store);
    for path in [path, copy] {
        let content = |suffix: &str| fs::read(format!("{}{suffix}", path.display())).ok();
        let before = (content(""), content("-wal"));
        match open(&path, now()).unwrap_err() {
            StoreError::TooNew { found, known, .. } => {
                assert_eq!((found, known), (latest + 1, latest));
            }
            other => panic!("{other}"),
        }
        assert!(
            (content(""), content("-wal")) == before,
            "{}",
            path.display()
        );
    }
    assert!(
        !names(directory.path())
            .iter()
            .any(|name| name.contains("damaged"))
    );
}

#[test]
fn all_that_was_committed_is_there_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    let mut copies = Vec::new();
    for n in 0..5 {
        let id = format!("task-{n}");
        commit_tasks(&store, &[task(&id, Status::Process, None)], 2_000);
        commit_events(&store, &[event(&id, &["ops"])], 2_000);
        copies.push(copy_mid_life(&path, &format!("copy-{n}.db")));
    }
    let first_id = contract_tests::next(&store, "ops").unwrap().event_id;
    for (n, copy) in copies.iter().enumerate() {
        let store = open_sound(copy);
        assert_eq!(in_flight(&store, &shop()).len(), n + 1);
        let drained = drain(&store, "ops");
        assert_eq!(drained.len(), n + 1);
        assert_eq!(drained[0].event_id, first_id, "an id never changes");
    }
}

#[test]
fn two_states_give_different_ids() {
    let directory = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|name| {
        let store = open_sound(&directory.path().join(name));
        commit_events(&store, &[event("a", &["ops"])], 2_000);
        contract_tests::next(&store, "ops").unwrap().event_id
    });
    assert_ne!(one, other);
    assert_eq!(one.len(), "evt_".len() + 32);
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open_sound(&path);
    commit_tasks(&store, &[task("a", Status::Wait, None)], 2_000);
    commit_events(&store, &[event("a", &["ops"])], 2_000);
    let files = || {
        [path.clone(), path.with_file_name("state.db-wal")].map(|file| {
            let changed = fs::metadata(&file).unwrap().modified().unwrap();
            (fs::read(&file).unwrap(), changed)
        })
    };
    let before = files();
    store.commit(&shop(), &Commit::default()).unwrap();
    store.target(&shop()).unwrap();
    assert!(known(&store, "a").is_some());
    in_flight(&store, &shop());
    store.pending(&ops(), 9).unwrap();
    store.outbox_backlog().unwrap();
    contract_tests::record(&store, "ops", &[99], &contract_tests::delivered());
    contract_tests::record(&store, "ops", &[], &contract_tests::delivered());
    store.forget_target(&"blog".into()).unwrap();
    store.prune(at(1_000)).unwrap();
    assert!(files() == before);
}

#[test]
fn no_question_reads_finished_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let _store = open_sound(&path);
    let reader = Connection::open(&path).unwrap();
    let statements = [
        (snapshot::IN_FLIGHT, "COVERING INDEX task_in_flight"),
        (snapshot::COUNT_IN_FLIGHT, "COVERING INDEX task_in_flight"),
        (footprint::FROM_HERE, "COVERING INDEX task_footprint"),
        (footprint::NEWEST, "COVERING INDEX task_footprint"),
        (outbox::PENDING, "INDEX delivery_pending"),
        (outbox::OWED, "COVERING INDEX delivery_pending"),
        (outbox::OWED, "COVERING INDEX delivery_dead"),
        (prune::TASKS, "INDEX task_newest"),
        (prune::EVENTS, "INDEX event_recorded"),
    ];
    for (sql, index) in statements {
        let mut statement = reader
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let count = statement.parameter_count();
        let rows = statement.query_map(rusqlite::params_from_iter(vec![1; count]), |row| {
            row.get::<_, String>(3)
        });
        let plan: Vec<String> = rows.unwrap().map(Result::unwrap).collect();
        assert!(
            plan.iter().any(|line| line.contains(index)),
            "{sql}\n{plan:#?}"
        );
        let scans = |table: &str| {
            plan.iter()
                .any(|line| line.starts_with(&format!("SCAN {table}")))
        };
        assert!(
            !["task", "event", "e", "delivery", "d"]
                .into_iter()
                .any(scans),
            "{sql}\n{plan:#?}"
        );
    }
}

#[test]
fn a_panic_amid_a_commit_undoes_it_and_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_sound(&directory.path().join("state.db"));
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _: Result<(), _> = store.write("panic", |state| {
            snapshot::set_tasks(
                state,
                &shop(),
                &[task("lost", Status::Wait, None).into()],
                now(),
            )?;
            panic!("amid a commit");
        });
    }));
    assert!(panicked.is_err());
    commit_tasks(&store, &[task("kept", Status::Wait, None)], 2_000);
    assert!(known(&store, "lost").is_none());
    assert!(known(&store, "kept").is_some());
}

/// SQLite is limited to a number of pages, like a disk that is full.
#[test]
fn a_full_disk_is_not_damage_and_leaves_no_gap() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_sound(&directory.path().join("state.db"));
    let limit = |pages: u32| {
        let limit = format!("PRAGMA max_page_count = {pages}");
        let limited = store.write("set the limit", |state| {
            Ok(state.query_row(&limit, [], |_| Ok(()))?)
        });
        limited.unwrap();
    };
    limit(1);
    let commit = Commit {
        tasks: (0..1000)
            .map(|n| task(&n.to_string(), Status::Wait, None).into())
            .collect(),
        events: vec![event("a", &["ops"])],
        ..Commit::default()
    };
    let error = store.commit(&shop(), &commit).unwrap_err();
    assert!(matches!(error, StoreError::Unusable { .. }), "{error}");
    assert!(in_flight(&store, &shop()).is_empty());
    limit(1_000_000);
    store.commit(&shop(), &commit).unwrap();
    assert_eq!(contract_tests::next(&store, "ops").unwrap().sequence, 1);
}
