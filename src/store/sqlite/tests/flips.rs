//! Changed bytes, torn sectors and cut-off files. Opening such a file never panics. It gives back every task with its status,
//! or sets the file aside, or says that the state is older than it was.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;

use super::*;

/// How many bytes a disk writes as a whole.
const SECTOR: usize = 512;

/// A database, its write-ahead log and its lock file, as they lie on a disk.
#[derive(Clone)]
struct Files {
    database: Vec<u8>,
    journal: Vec<u8>,
    lock: Vec<u8>,
}

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
        fs::write(path, &self.database).unwrap();
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

/// Each task's status and URLs by its id, and each event's sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    statuses: BTreeMap<String, String>,
    urls: BTreeMap<String, String>,
    events: Vec<u64>,
}

fn content(store: &SqliteStore) -> Content {
    let read = store.read("read all", |state| {
        let mut tasks = state.prepare("SELECT id, status FROM task")?;
        let tasks = tasks.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut urls = state.prepare("SELECT id, urls FROM task")?;
        let urls = urls.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut events = state.prepare("SELECT sequence FROM event ORDER BY sequence")?;
        let events = events.query_map([], |row| row.get::<_, i64>(0))?;
        Ok(Content {
            statuses: tasks.collect::<Result<_, _>>()?,
            urls: urls.collect::<Result<_, _>>()?,
            events: events
                .map(|it| it.map(i64::unsigned_abs))
                .collect::<Result<_, _>>()?,
        })
    });
    read.unwrap()
}

/// A store with tasks of each status, deliveries made and pending, and a target.
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

/// The files after a clean shutdown, and their content.
fn closed_state() -> (Files, Content) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = used_store(&path);
    let content = content(&store);
    drop(store);
    (Files::read(&path), content)
}

/// The files of a killed process, whose latest commits are in the write-ahead log, and the content after each commit.
fn killed_state() -> (Files, Vec<Content>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    drop(used_store(&path));
    let store = open_sound(&path);
    let mut history = vec![content(&store)];
    for n in 0..3 {
        let id = format!("late-{n}");
        let commit = Commit {
            tasks: vec![task(&id, Status::Failure, Some(n)).into()],
            events: vec![event(&id, &["ops"])],
            time: at(3_000),
            ..Commit::default()
        };
        store.commit(&shop(), &commit).unwrap();
        history.push(content(&store));
    }
    (Files::read(&path), history)
}

/// What opening a damaged file led to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Opened(Content),
    RolledBack(Content),
    Quarantined,
    TooNew,
}

/// Opens these files in a directory of their own. Checks that a file set aside keeps its bytes, and that the next open finds
/// nothing wrong any more.
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
    let found = content(&opened.store);
    drop(opened.store);
    let again = open_sound(&path);
    assert_eq!(content(&again), found, "the second look differs");
    match opened.loss {
        None => Outcome::Opened(found),
        Some(DataLoss::RolledBack { .. }) => Outcome::RolledBack(found),
        Some(DataLoss::Quarantined(Quarantined { moved_to: to, .. })) => {
            assert!(fs::read(&to).unwrap() == files.database, "{}", to.display());
            let journal = format!("{}-wal", to.display());
            assert!(fs::read(journal).unwrap_or_default() == files.journal);
            assert_eq!(known(&again, "task-1"), None);
            Outcome::Quarantined
        }
    }
}

/// In memory where possible, so that no case waits for a disk.
fn memory_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Runs `check` for all cases on all cores.
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

/// All of the header, and `count` places of the rest; the same ones in each run.
fn sample(length: usize, count: usize) -> Vec<usize> {
    let mut chance = fastrand::Rng::with_seed(20_261_124);
    let rest = std::iter::repeat_with(|| chance.usize(100..length)).take(count);
    (0..100.min(length)).chain(rest).collect()
}

fn check_flips(places: &[usize], masks: &[u8]) {
    let (files, content) = closed_state();
    for_each_of(places, |&place| {
        for mask in masks {
            let mut files = files.clone();
            files.database[place] ^= mask;
            match outcome(&files) {
                Outcome::Quarantined => {}
                // The version's own bytes.
                Outcome::TooNew => assert!((60..64).contains(&place), "{place}"),
                // Rolled back: the counter of sequences went down, which the lock file knows.
                Outcome::Opened(found) | Outcome::RolledBack(found) => {
                    assert_eq!(found.statuses, content.statuses, "byte {place} ^ {mask:#x}");
                }
            }
        }
    });
}

/// A changed byte of a write-ahead log loses no event silently.
fn check_journal_flips(places: &[usize]) {
    let (files, history) = killed_state();
    for_each_of(places, |&place| {
        let mut files = files.clone();
        files.journal[place] ^= 0xff;
        assert_is_of_history(&outcome(&files), &history, place);
    });
}

#[track_caller]
fn assert_is_of_history(outcome: &Outcome, history: &[Content], place: usize) {
    match outcome {
        Outcome::Opened(found) => assert_eq!(Some(found), history.last(), "{place}"),
        Outcome::RolledBack(found) => {
            let mut older = history[..history.len() - 1].iter();
            assert!(
                older.any(|content| content == found),
                "{place}: neither old nor new"
            );
        }
        Outcome::Quarantined => {}
        Outcome::TooNew => panic!("{place}"),
    }
}

#[test]
fn a_changed_byte_makes_up_no_status() {
    let (files, _) = closed_state();
    check_flips(&sample(files.database.len(), 200), &[0x01]);
}

#[test]
#[ignore = "every byte: minutes"]
fn no_changed_byte_at_all_makes_up_a_status() {
    let (files, _) = closed_state();
    let places: Vec<_> = (0..files.database.len()).collect();
    eprintln!("{} bytes, each changed in two ways", places.len());
    check_flips(&places, &[0xff, 0x01]);
}

/// What a disk without power may leave of a sector that was being written.
#[test]
fn a_torn_sector_makes_up_no_status() {
    let (files, content) = closed_state();
    let sectors: Vec<_> = (0..files.database.len() / SECTOR).collect();
    for_each_of(&sectors, |&sector| {
        let mut chance = fastrand::Rng::with_seed(sector as u64);
        let place = sector * SECTOR..(sector + 1) * SECTOR;
        for fill in ["zeros", "noise", "the sector before"] {
            let mut files = files.clone();
            match fill {
                "zeros" => files.database[place.clone()].fill(0),
                "noise" => chance.fill(&mut files.database[place.clone()]),
                _ if sector == 0 => continue,
                _ => files
                    .database
                    .copy_within(place.start - SECTOR..place.start, place.start),
            }
            match outcome(&files) {
                Outcome::Opened(found) => {
                    assert_eq!(found.statuses, content.statuses, "sector {sector}: {fill}");
                    assert_eq!(found.urls, content.urls, "sector {sector}: {fill}");
                }
                Outcome::Quarantined => {}
                other => panic!("sector {sector}: {fill}: {other:?}"),
            }
        }
    });
}

#[test]
fn a_changed_byte_of_the_write_ahead_log_loses_no_event_silently() {
    let (files, _) = killed_state();
    check_journal_flips(&sample(files.journal.len(), 100));
}

#[test]
#[ignore = "every byte: minutes"]
fn no_changed_byte_at_all_of_the_write_ahead_log_loses_an_event_silently() {
    let (files, _) = killed_state();
    let places: Vec<_> = (0..files.journal.len()).collect();
    eprintln!("{} bytes", places.len());
    check_journal_flips(&places);
}

#[test]
fn a_database_that_was_cut_off_is_set_aside() {
    let (files, _) = closed_state();
    let lengths: Vec<_> = (0..files.database.len())
        .step_by(SECTOR)
        .chain([7])
        .collect();
    for_each_of(&lengths, |&length| {
        let mut files = files.clone();
        files.database.truncate(length);
        assert_eq!(outcome(&files), Outcome::Quarantined, "{length}");
    });
}

#[test]
fn a_write_ahead_log_that_was_cut_off_loses_no_event_silently() {
    let (files, history) = killed_state();
    let lengths: Vec<_> = (0..files.journal.len()).step_by(SECTOR).collect();
    for_each_of(&lengths, |&length| {
        let mut files = files.clone();
        files.journal.truncate(length);
        assert_is_of_history(&outcome(&files), &history, length);
    });
}

#[test]
fn shared_memory_of_a_dead_process_is_not_believed() {
    let (files, history) = killed_state();
    for shared in [
        &b""[..],
        b"garbage",
        &vec![0xff; 32_768],
        &vec![0; 32_768],
        &vec![1; 40_000],
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.db");
        files.write(&path);
        fs::write(format!("{}-shm", path.display()), shared).unwrap();
        assert_eq!(content(&open_sound(&path)), history[3]);
    }
}

/// Everything is checked although no journal says that the last stop was unclean.
#[test]
fn a_page_that_changes_after_a_clean_stop_is_found_at_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = used_store(&path);
    // No start reads this index, unless it checks everything.
    let page = store.read("find a page", |state| {
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = 'event_type'";
        Ok(state.query_row(sql, [], |row| row.get::<_, i64>(0))?)
    });
    let page = usize::try_from(page.unwrap()).unwrap();
    drop(store);
    let sealed = lock::FileStamp::of(&path).unwrap();
    let lock = fs::read_to_string(format!("{}.lock", path.display())).unwrap();
    assert!(lock.ends_with(&format!("closed {sealed}\n")), "{lock}");
    let mut content = fs::read(&path).unwrap();
    content[(page - 1) * 4096..page * 4096].fill(0);
    // Times of change are as coarse as the kernel's ticks.
    while lock::FileStamp::of(&path).unwrap() == sealed {
        fs::write(&path, &content).unwrap();
    }
    let loss = open(&path, now()).unwrap().loss;
    assert!(matches!(loss, Some(DataLoss::Quarantined(_))), "{loss:?}");
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
    assert_eq!(loss, Some(DataLoss::RolledBack { has: 20, had: 22 }));
    commit_events(&store, &[event("c", &["late"])], 2_000);
    let next = store.pending(&"late".into(), 1).unwrap().remove(0);
    assert_eq!(next.sequence, 23);
    assert!(!sent.contains(&next.event_id));
    drop(store);
    open_sound(&path);
}
