//! Damaged bytes, one at a time: whatever a file holds, opening it either gives back every row as it was written, or
//! sets the file aside, or says that it is older than it was. It never panics.

use std::sync::atomic::AtomicUsize;

use rusqlite::types::ValueRef;

use super::*;

/// A database, its journal and its lock file, as they lie on a disk.
#[derive(Clone)]
struct Files {
    database: Vec<u8>,
    journal: Vec<u8>,
    lock: Vec<u8>,
}

/// Every row but for checksums, as text.
type Rows = Vec<String>;

const PARTS: [&str; 3] = ["", "-wal", ".lock"];

impl Files {
    fn read(path: &Path) -> Self {
        let [database, journal, lock] =
            PARTS.map(|part| fs::read(format!("{}{part}", path.display())).unwrap_or_default());
        Self {
            database,
            journal,
            lock,
        }
    }

    fn write(&self, path: &Path) {
        for (part, content) in PARTS
            .iter()
            .zip([&self.database, &self.journal, &self.lock])
        {
            if !content.is_empty() {
                fs::write(format!("{}{part}", path.display()), content).unwrap();
            }
        }
    }
}

fn rows(store: &SqliteStore) -> Rows {
    let reader = store.reader.lock();
    let mut all = Rows::new();
    for table in ["meta", "target", "task", "event", "webhook", "delivery"] {
        let mut statement = reader.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count() - 1;
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values = (0..columns).map(|column| match row.get_ref(column).unwrap() {
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            });
            all.push(format!("{table} {}", values.collect::<Vec<_>>().join(" ")));
        }
    }
    all
}

/// A store that has seen something of everything.
fn used_store(path: &Path) -> SqliteStore {
    let store = open_sound(path);
    let words = ["success", "wait", "process", "failure", "unknow"];
    let tasks: Vec<_> = (0..40_u8)
        .map(|n| {
            task(
                &format!("task-{n}"),
                Status::from_word(words[usize::from(n % 5)]),
                Some(i64::from(n)),
            )
        })
        .collect();
    commit_tasks(&store, &tasks, 2_000);
    let events: Vec<_> = (0..20)
        .map(|n| event(&n.to_string(), &["ops", "chat"]))
        .collect();
    commit_events(&store, &events, 2_000);
    drain(&store, "chat");
    let target = TargetState {
        list: "https://api.example.com/|org|true|refresh".to_owned(),
        first_polled: Some(at(1_500)),
        failed_polls: 2,
        ..TargetState::default()
    };
    let commit = Commit {
        target: Some(target),
        ..Commit::default()
    };
    store.commit(&shop(), &commit).unwrap();
    store
}

/// Closed well, and what is in it.
fn closed_state() -> (Files, Rows) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = used_store(&path);
    let rows = rows(&store);
    drop(store);
    (Files::read(&path), rows)
}

/// As a killed process leaves it: the latest commits in the journal. And what is in it after each of its commits.
fn killed_state() -> (Files, Vec<Rows>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    drop(used_store(&path));
    let store = open_sound(&path);
    let mut history = vec![rows(&store)];
    for n in 0..3 {
        let id = format!("late-{n}");
        let commit = Commit {
            tasks: vec![task(&id, Status::Failure, Some(n)).into()],
            events: vec![event(&id, &["ops"])],
            time: at(3_000),
            ..Commit::default()
        };
        store.commit(&shop(), &commit).unwrap();
        history.push(rows(&store));
    }
    (Files::read(&path), history)
}

/// What opening came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole(Rows),
    RolledBack(Rows),
    SetAside,
    TooNew,
}

/// Opens these files in a directory of their own, and checks that what is set aside stays as it is, and that the
/// next open finds nothing any more.
fn outcome(files: &Files) -> Outcome {
    let directory = memory_directory();
    let path = directory.path().join("state.db");
    files.write(&path);
    let opened = match open(&path, now()) {
        Ok(opened) => opened,
        Err(StoreError::TooNew { .. }) => {
            assert!(Files::read(&path).database == files.database);
            return Outcome::TooNew;
        }
        Err(other) => panic!("{other}: {other:?}"),
    };
    let found = rows(&opened.store);
    drop(opened.store);
    let again = open_sound(&path);
    assert_eq!(rows(&again), found, "the second look differs");
    match opened.loss {
        None => Outcome::Whole(found),
        Some(Loss::RolledBack { .. }) => Outcome::RolledBack(found),
        Some(Loss::SetAside(SetAside { to, .. })) => {
            assert!(fs::read(&to).unwrap() == files.database, "{}", to.display());
            let journal = format!("{}-wal", to.display());
            assert!(fs::read(journal).unwrap_or_default() == files.journal);
            assert_eq!(known(&again, "task-1"), None);
            Outcome::SetAside
        }
    }
}

/// No disk is waited for, where there is such a place.
fn memory_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Checks all these on all cores.
fn for_each_of<T: Sync>(cases: &[T], check: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    check(case);
                }
            });
        }
    });
}

/// All of the header, and so many places of the rest; the same ones each time.
fn sample(length: usize, count: usize) -> Vec<usize> {
    let mut chance = fastrand::Rng::with_seed(20_261_124);
    let rest = std::iter::repeat_with(|| chance.usize(100..length)).take(count);
    (0..100.min(length)).chain(rest).collect()
}

/// A changed byte of a closed database changes no row that is read.
fn check_flips(places: &[usize], masks: &[u8]) {
    let (files, rows) = closed_state();
    for_each_of(places, |&place| {
        for mask in masks {
            let mut files = files.clone();
            files.database[place] ^= mask;
            match outcome(&files) {
                Outcome::Whole(found) => assert_eq!(found, rows, "byte {place} ^ {mask:#x}"),
                Outcome::SetAside => {}
                // The version's own bytes.
                Outcome::TooNew => assert!((60..64).contains(&place), "{place}"),
                Outcome::RolledBack(_) => panic!("byte {place} ^ {mask:#x}"),
            }
        }
    });
}

/// A changed byte of a journal loses no event silently, and changes no row.
fn check_journal_flips(places: &[usize]) {
    let (files, history) = killed_state();
    for_each_of(places, |&place| {
        let mut files = files.clone();
        files.journal[place] ^= 0xff;
        assert_is_of_history(&outcome(&files), &history, place);
    });
}

#[track_caller]
fn assert_is_of_history(outcome: &Outcome, history: &[Rows], place: usize) {
    match outcome {
        Outcome::Whole(found) => assert_eq!(Some(found), history.last(), "{place}"),
        Outcome::RolledBack(found) => {
            // But for the last sequence, which goes on from where it was.
            let content = |rows: &Rows| -> Rows {
                let kept = rows.iter().filter(|row| !row.contains("last_sequence"));
                kept.cloned().collect()
            };
            let mut older = history[..history.len() - 1].iter();
            assert!(
                older.any(|rows| content(rows) == content(found)),
                "{place}: neither old nor new"
            );
        }
        Outcome::SetAside => {}
        Outcome::TooNew => panic!("{place}"),
    }
}

#[test]
fn a_changed_byte_changes_no_row_that_is_read() {
    let (files, _) = closed_state();
    check_flips(&sample(files.database.len(), 200), &[0x01]);
}

#[test]
#[ignore = "every byte: minutes"]
fn no_changed_byte_at_all_changes_a_row_that_is_read() {
    let (files, _) = closed_state();
    let places: Vec<_> = (0..files.database.len()).collect();
    eprintln!("{} bytes, each changed in two ways", places.len());
    check_flips(&places, &[0xff, 0x01]);
}

#[test]
fn a_changed_byte_of_the_journal_loses_no_event_silently() {
    let (files, _) = killed_state();
    check_journal_flips(&sample(files.journal.len(), 100));
}

#[test]
#[ignore = "every byte: minutes"]
fn no_changed_byte_at_all_of_the_journal_loses_an_event_silently() {
    let (files, _) = killed_state();
    let places: Vec<_> = (0..files.journal.len()).collect();
    eprintln!("{} bytes", places.len());
    check_journal_flips(&places);
}

#[test]
fn a_database_that_was_cut_off_is_set_aside() {
    let (files, _) = closed_state();
    let lengths: Vec<_> = (0..files.database.len()).step_by(512).chain([7]).collect();
    for_each_of(&lengths, |&length| {
        let mut files = files.clone();
        files.database.truncate(length);
        match outcome_of_length(&files, length) {
            Outcome::SetAside => {}
            other => panic!("{length}: {other:?}"),
        }
    });
}

/// [`Files::write`] writes no empty file.
fn outcome_of_length(files: &Files, length: usize) -> Outcome {
    if length > 0 {
        return outcome(files);
    }
    let directory = memory_directory();
    let path = directory.path().join("state.db");
    files.write(&path);
    fs::write(&path, "").unwrap();
    match open(&path, now()).unwrap().loss {
        Some(Loss::SetAside(_)) => Outcome::SetAside,
        other => panic!("an emptied file: {other:?}"),
    }
}

#[test]
fn a_journal_that_was_cut_off_loses_no_event_silently() {
    let (files, history) = killed_state();
    let lengths: Vec<_> = (0..files.journal.len()).step_by(512).collect();
    for_each_of(&lengths, |&length| {
        let mut files = files.clone();
        files.journal.truncate(length);
        assert_is_of_history(&outcome(&files), &history, length);
    });
}

#[test]
fn shared_memory_of_a_dead_process_is_not_believed() {
    let (files, history) = killed_state();
    for content in [
        &b""[..],
        b"garbage",
        &vec![0xff; 32_768],
        &vec![0; 32_768],
        &vec![1; 40_000],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        files.write(&path);
        fs::write(format!("{}-shm", path.display()), content).unwrap();
        assert_eq!(rows(&open_sound(&path)), history[3]);
    }
}

#[test]
fn a_byte_that_changes_after_a_clean_stop_is_found_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    drop(used_store(&path));
    let sealed = seal::Seal::of(&path).unwrap();
    let lock = fs::read_to_string(format!("{}.lock", path.display())).unwrap();
    assert!(lock.ends_with(&format!("closed {sealed}\n")), "{lock}");
    let mut content = fs::read(&path).unwrap();
    // All of them: some are what deleted rows have left behind.
    for place in 0..content.len() {
        if content[place..].starts_with(b"success") {
            content[place] ^= 1;
        }
    }
    // Times of change are as coarse as the kernel's ticks.
    while seal::Seal::of(&path).unwrap() == sealed {
        fs::write(&path, &content).unwrap();
    }
    let loss = open(&path, now()).unwrap().loss;
    assert!(matches!(loss, Some(Loss::SetAside(_))), "{loss:?}");
}

#[test]
fn an_old_copy_is_used_and_its_ids_are_not_given_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    drop(used_store(&path));
    let copy = fs::read(&path).unwrap();
    let store = open_sound(&path);
    commit_events(
        &store,
        &[event("a", &["late"]), event("b", &["late"])],
        2_000,
    );
    let sent: Vec<_> = drain(&store, "late")
        .into_iter()
        .map(|it| it.event_id)
        .collect();
    drop(store);
    fs::write(&path, copy).unwrap();

    let Opened { store, loss } = open(&path, now()).unwrap();
    assert_eq!(loss, Some(Loss::RolledBack { has: 20, had: 22 }));
    commit_events(&store, &[event("c", &["late"])], 2_000);
    let next = store.pending(&"late".into(), 1).unwrap().remove(0);
    assert_eq!(next.sequence, 23);
    assert!(!sent.contains(&next.event_id));
    drop(store);
    open_sound(&path);
}
