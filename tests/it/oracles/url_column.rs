//! The column in which a state keeps a task's URLs, with any bytes in it. They are read as what they say, or refused as
//! damage; and what was written is found again by every filter that means it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::{Connection, params};
use tempfile::TempDir;
use ucdn_watch::domain::model::{
    Absence, KnownTask, Status, TargetName, TaskId, Timestamp, UrlState,
};
use ucdn_watch::store::filter::{TaskFilter, UrlFilter};
use ucdn_watch::store::queries::StateQueries;
use ucdn_watch::store::sqlite::{self, SqliteQueries, SqliteStore};
use ucdn_watch::store::{Commit, Store, StoreError};

type Urls = BTreeMap<String, UrlState>;

/// One state for all cases of a thread: to make one takes longer than to judge a case.
struct Bench {
    store: SqliteStore,
    records: SqliteQueries,
    /// Writes where the program would not.
    beside: Connection,
    _folder: TempDir,
}

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

pub(crate) fn check(input: &[u8]) {
    BENCH.with_borrow_mut(|bench| {
        let bench = bench.get_or_insert_with(Bench::new);
        bench.check_read(input);
        if let Ok(urls) = serde_json::from_slice::<Urls>(input) {
            bench.check_written(&urls);
        }
    });
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        let folder = folder.unwrap();
        let path: PathBuf = folder.path().join("state.db");
        let store = sqlite::open(&path, Timestamp::EPOCH).unwrap().store;
        let beside = Connection::open(&path).unwrap();
        let bench = Self {
            records: SqliteQueries::open(&path).unwrap(),
            store,
            beside,
            _folder: folder,
        };
        bench.commit(&Urls::new());
        bench
    }

    fn commit(&self, urls: &Urls) {
        let commit = Commit {
            tasks: vec![task(urls.clone()).into()],
            ..Commit::default()
        };
        self.store.commit(&shop(), &commit).unwrap();
    }

    fn known(&self) -> Result<Urls, StoreError> {
        let first = self.store.last_task_row_id()?;
        let mut known = self.store.known_tasks(&shop(), &[first])?;
        Ok(known.remove(&first).unwrap().urls)
    }

    /// As text, which it may not be.
    fn check_read(&self, input: &[u8]) {
        let update = "UPDATE task SET urls = CAST(?1 AS TEXT)";
        self.beside.execute(update, params![input]).unwrap();
        let expected = str::from_utf8(input).ok();
        let expected = expected.and_then(|text| serde_json::from_str::<Urls>(text).ok());
        match (self.known(), expected) {
            (Ok(urls), Some(expected)) => assert_eq!(urls, expected),
            (Err(StoreError::Damaged { what, .. }), None) => {
                assert!(what.contains("\"t\""), "{what}");
            }
            (other, expected) => panic!("{other:?}, expected {expected:?}"),
        }
        let listed = self.records.tasks(&TaskFilter::default(), None, 10);
        assert_eq!(listed.is_ok(), self.known().is_ok());
    }

    fn check_written(&self, urls: &Urls) {
        self.commit(urls);
        assert_eq!(self.known().unwrap(), *urls);
        let texts = urls.keys().flat_map(|url| {
            let middle = url.chars().skip(url.chars().count() / 2).collect();
            [url.clone(), middle, url.to_uppercase()]
        });
        for text in texts.take(20) {
            self.check_filter(urls, UrlFilter::Containing(text.clone()));
            if let Ok(domain) = text.parse() {
                self.check_filter(urls, UrlFilter::UnderDomain(domain));
            }
        }
    }

    fn check_filter(&self, urls: &Urls, filter: UrlFilter) {
        let expected = urls.keys().any(|url| filter.matches(url));
        let filter = TaskFilter {
            url: Some(filter),
            ..TaskFilter::default()
        };
        let found = self.records.tasks(&filter, None, 10).unwrap();
        assert_eq!(found.len(), usize::from(expected), "{filter:?} in {urls:?}");
    }
}

fn shop() -> TargetName {
    TargetName("shop".to_owned())
}

fn task(urls: Urls) -> KnownTask {
    KnownTask {
        id: TaskId("t".to_owned()),
        r#type: None,
        status: Status::Process,
        created: None,
        first_seen: Timestamp::EPOCH,
        urls,
        stalled: false,
        absence: Absence::PRESENT,
    }
}
