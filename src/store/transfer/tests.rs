//! Copies between files, and what copies of any engine are tried with.

use std::fs;
use std::path::Path;

use super::*;
use crate::domain::model::{Absence, Fingerprint, Status};
use crate::store::contract_tests::{
    at, commit_events, dead, delivered, event, next, ops, record, shop, task,
};
use crate::store::sqlite::{self, SqliteExport, SqliteImport};
use crate::store::{
    Attempt, AttemptResult, Baseline, Commit, FingerprintUpdate, Store, TaskUpsert,
};

/// Fills a state with one of everything that a state can hold.
pub(in crate::store) fn fill(store: &dyn Store) {
    let mut gone = task("gone\0\u{2400}", Status::Other("unknow\0".to_owned()), None);
    gone.absence = Absence::Vanished;
    gone.r#type = None;
    let mut missing = task("missing", Status::Process, Some(1_000));
    missing.absence = Absence::Missing { polls: 2 };
    missing.stalled = true;
    let forgotten = task("forgotten", Status::Success, Some(1));
    let tasks = [
        gone,
        missing,
        forgotten,
        task("done", Status::Success, Some(1_900)),
    ];
    let commit = Commit {
        tasks: tasks.map(TaskUpsert::from).to_vec(),
        events: vec![event("pruned", &["once"])],
        target: Some(crate::store::TargetState {
            list: "refresh of org-1".to_owned(),
            first_polled: Some(at(900)),
            baseline: Baseline::Taken,
            failed_polls: 2,
            failing_reported: true,
            paging: "tasks".to_owned(),
        }),
        time: at(5),
        ..Commit::default()
    };
    store.commit(&shop(), &commit).unwrap();
    record(store, "once", &[1], &delivered());
    assert_eq!(store.prune(at(10)).unwrap(), 2, "one task and one event");
    let number = store.task_summaries(
        &shop(),
        &[crate::domain::model::TaskLookup {
            id: &"done".into(),
            created: None,
        }],
    );
    let retouch = FingerprintUpdate {
        number: number.unwrap()[0].unwrap().number,
        fingerprint: Fingerprint::from_hash(77),
    };
    let retouch = Commit {
        fingerprints: vec![retouch],
        ..Commit::default()
    };
    store.commit(&shop(), &retouch).unwrap();
    store
        .commit(
            &"blog".into(),
            &Commit {
                tasks: vec![task("done", Status::Failure, Some(1_800)).into()],
                time: at(1_999),
                ..Commit::default()
            },
        )
        .unwrap();
    for id in ["delivered", "dead", "tried", "due"] {
        commit_events(store, &[event(id, &["ops", "chat"])], 2_000);
    }
    record(store, "ops", &[2], &delivered());
    record(store, "ops", &[3], &dead());
    let tried = Attempt {
        sequence: 4,
        result: AttemptResult::Failed {
            at: at(2_100),
            answer: "HTTP 503 \u{2400}".to_owned(),
            next_attempt: at(2_200),
        },
    };
    store.record_attempts(&ops(), &[tried]).unwrap();
}

/// All that a state holds, in its order.
pub(in crate::store) fn everything(source: &mut dyn ExportSource) -> Vec<Chunk> {
    let mut portions = Vec::new();
    source
        .export(&mut |portion| {
            portions.push(portion);
            ControlFlow::Continue(())
        })
        .unwrap();
    portions
}

/// Whether a state goes on where the filled one was, under ids of its own.
pub(in crate::store) fn check_that_it_goes_on(store: &dyn Store, filled: &dyn Store) {
    let owed = next(store, "ops").unwrap();
    assert_eq!(
        (owed.sequence, owed.attempts, owed.next_attempt),
        (4, 1, Some(at(2_200)))
    );
    assert_eq!(
        Some(&owed),
        next(filled, "ops").as_ref(),
        "the same bytes under the same id"
    );
    assert_eq!(store.fingerprint_seed(), filled.fingerprint_seed());
    let last = filled.last_task_row_id().unwrap();
    assert_eq!(store.last_task_row_id().unwrap(), last);
    let of_next = |store: &dyn Store| {
        store
            .commit(
                &shop(),
                &Commit {
                    tasks: vec![task("next", Status::Wait, None).into()],
                    events: vec![event("next", &["new"])],
                    ..Commit::default()
                },
            )
            .unwrap();
        assert!(store.last_task_row_id().unwrap() > last);
        next(store, "new").unwrap()
    };
    let (here, there) = (of_next(store), of_next(filled));
    assert_eq!((here.sequence, there.sequence), (6, 6));
    assert_ne!(here.event_id, there.event_id, "two events under one id");
}

fn filled(path: &Path) {
    fill(&sqlite::open(path, at(2_000)).unwrap().store);
}

fn copy_files(from: &Path, to: &Path) -> Result<ContentHash, StoreError> {
    copy(&mut SqliteExport::open(from)?, &mut SqliteImport::open(to)?)
}

#[test]
fn a_copy_holds_the_same_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (
        folder.path().join("from.db"),
        folder.path().join("new/to.db"),
    );
    filled(&from);
    let before = fs::read(&from).unwrap();
    let tally = copy_files(&from, &to).unwrap();
    let counts = RowCounts {
        targets: 1,
        tasks: 4,
        events: 4,
        webhooks: 3,
        deliveries: 8,
    };
    assert_eq!(tally.counts(), counts);
    assert!(fs::read(&from).unwrap() == before, "the source was changed");
    let [there, here] = [&from, &to].map(|path| everything(&mut SqliteExport::open(path).unwrap()));
    assert_eq!(here, there);
    let [there, here] = [&from, &to].map(|path| sqlite::open(path, at(3_000)).unwrap());
    assert_eq!(here.loss, None);
    check_that_it_goes_on(&here.store, &there.store);
}

#[test]
fn a_state_that_holds_something_takes_in_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    filled(&from);
    commit_events(
        &sqlite::open(&to, at(1)).unwrap().store,
        &[event("mine", &[])],
        1,
    );
    let before = fs::read(&to).unwrap();
    let refused = copy_files(&from, &to).unwrap_err();
    assert!(
        crate::domain::text::with_causes(&refused)
            .contains("it is not empty (targets: 0, tasks: 0, events: 1)"),
        "{refused:?}"
    );
    assert!(fs::read(&to).unwrap() == before, "the state was changed");
}

#[test]
fn an_empty_state_takes_in_another() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    filled(&from);
    drop(sqlite::open(&to, at(1)).unwrap());
    copy_files(&from, &to).unwrap();
    let [there, here] = [&from, &to].map(|path| everything(&mut SqliteExport::open(path).unwrap()));
    assert_eq!(here, there);
}

#[test]
fn a_state_that_is_watched_with_is_neither_read_nor_filled() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    filled(&from);
    for watched in [&from, &to] {
        let watcher = sqlite::open(watched, at(2_000)).unwrap();
        let refused = copy_files(&from, &to).unwrap_err();
        assert!(
            matches!(&refused, StoreError::Held { state, .. } if *state == watched.display().to_string()),
            "{refused:?}"
        );
        drop(watcher);
    }
    copy_files(&from, &to).unwrap();
}

/// Whatever is missing, and wherever it stopped: the destination is empty afterwards.
#[test]
fn what_does_not_arrive_whole_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
    filled(&from);
    let portions = everything(&mut SqliteExport::open(&from).unwrap());
    for missing in 0..portions.len() {
        let mut rest = portions.clone();
        rest.remove(missing);
        let first = rest.clone().into_iter().take(missing);
        for mut broken in [rest.into_iter(), first.collect::<Vec<_>>().into_iter()] {
            SqliteImport::open(&to)
                .unwrap()
                .import(&mut broken)
                .unwrap_err();
        }
    }
    SqliteImport::open(&to)
        .unwrap()
        .import(&mut portions.into_iter())
        .unwrap();
}

/// A disk's error that leaves the pages in order.
#[test]
fn a_row_that_can_not_be_read_is_not_copied() {
    for sql in [
        "UPDATE target SET list = CAST(x'ff' AS TEXT)",
        "UPDATE task SET urls = '{'",
        "UPDATE event SET recorded = -1",
        "UPDATE delivery SET next_attempt = -1",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from.db"), folder.path().join("to.db"));
        filled(&from);
        let disk = rusqlite::Connection::open(&from).unwrap();
        disk.execute_batch(sql).unwrap();
        drop(disk);
        let refused = copy_files(&from, &to).unwrap_err();
        assert!(
            matches!(refused, StoreError::Damaged { .. }),
            "{sql}: {refused:?}"
        );
        SqliteImport::open(&to).expect("the destination is empty");
    }
}

#[test]
fn one_row_more_less_or_other_makes_another_tally() {
    let tally = |portions: &[Chunk]| {
        let mut tally = ContentHash::default();
        for portion in portions {
            tally.add(portion);
        }
        tally
    };
    let webhooks =
        |names: &[&str]| Chunk::Webhooks(names.iter().map(|name| (*name).into()).collect());
    let origin = Chunk::Identity(StoreIdentity {
        fingerprint_seed: 1,
        last_sequence: 2,
        counts: RowCounts {
            webhooks: 2,
            ..RowCounts::default()
        },
    });
    let whole = tally(&[origin.clone(), webhooks(&["a", "b"])]);
    assert_eq!(
        whole.difference(&tally(&[
            origin.clone(),
            webhooks(&["a"]),
            webhooks(&["b"])
        ])),
        None
    );
    for other in [
        &[][..],
        &["a"],
        &["a", "b", "c"],
        &["b", "a"],
        &["a", "c"],
        &["ab", ""],
    ] {
        let other = tally(&[origin.clone(), webhooks(other)]);
        assert_ne!(whole.difference(&other), None, "{other:?}");
    }
}
