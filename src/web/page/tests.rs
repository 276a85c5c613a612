//! Pages of a real state, as a browser gets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use tempfile::TempDir;

use super::*;
use crate::clock::{Age, Clock};
use crate::config::AllowedHosts;
use crate::domain::model::{Absence, KnownTask, Status, Timestamp, UrlState};
use crate::store::sqlite::{self, SqliteQueries, SqliteStore};
use crate::store::{Commit, Store};
use crate::web::{DaemonHealth, LastPoll, OverviewCache};

const NOW: i64 = 1_795_500_000;

const HOSTILE: &str =
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"' style=\"x\u{202e}\u{0}\n&lt;";

#[derive(Debug)]
struct FrozenClock;

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        at(NOW)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn steady(&self) -> Duration {
        self.monotonic()
    }

    fn age(&self, _: Timestamp) -> Age {
        Age::Observed(Duration::ZERO)
    }
}

struct PageFixture {
    _folder: TempDir,
    store: SqliteStore,
    app: AppState,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

fn fixture() -> PageFixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let store = sqlite::open(&path, at(NOW)).unwrap().store;
    let health = DaemonHealth::default();
    let polled = LastPoll {
        at: at(NOW - 5),
        in_flight: 0,
        failed_polls: 0,
        fault: None,
    };
    health.set_targets(BTreeMap::from([("shop".into(), Some(polled))]), None);
    health.mark_alive(Duration::from_secs(1));
    let app = AppState {
        hosts: AllowedHosts::Named(BTreeSet::new()),
        health: Arc::new(health),
        clock: Arc::new(FrozenClock),
        records: Arc::new(SqliteQueries::open(&path).unwrap()),
        overview: OverviewCache::default(),
        metrics: Box::new(String::new),
    };
    PageFixture {
        _folder: folder,
        store,
        app,
    }
}

fn task(id: &str, status: &Status, urls: &[&str]) -> KnownTask {
    let url = |url: &&str| {
        let state = UrlState {
            status: status.clone(),
            progress: Some(40),
            finished: status.is_finished().then(|| at(NOW - 90)),
        };
        ((*url).to_owned(), state)
    };
    KnownTask {
        id: id.into(),
        r#type: Some("file".to_owned()),
        urls: urls.iter().map(url).collect(),
        status: status.clone(),
        created: Some(at(NOW - 100)),
        first_seen: at(NOW - 95),
        stalled: false,
        absence: Absence::PRESENT,
    }
}

impl PageFixture {
    fn know(&self, tasks: impl IntoIterator<Item = KnownTask>) {
        let commit = Commit {
            tasks: tasks.into_iter().map(Into::into).collect(),
            time: at(NOW - 80),
            ..Commit::default()
        };
        self.store.commit(&"shop".into(), &commit).unwrap();
    }
}

fn body(response: Response) -> String {
    let headers = response.headers();
    assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
    assert!(headers.contains_key(CONTENT_SECURITY_POLICY));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.build().unwrap();
    let bytes = runtime.block_on(axum::body::to_bytes(response.into_body(), usize::MAX));
    String::from_utf8(bytes.unwrap().to_vec()).unwrap()
}

#[test]
fn a_healthy_state_says_so_in_the_title() {
    let fixture = fixture();
    fixture.know([task("a", &Status::Success, &["http://example.com/a"])]);
    let page = body(index(&fixture.app, ""));
    for text in [
        "<title>All is well · ucdn-watch</title>",
        "icon-ok.svg",
        "The target was polled successfully. 1 task was submitted in the last 24 hours, none failed.",
        "median 10\u{a0}s, 95 % within 10\u{a0}s",
    ] {
        assert!(page.contains(text), "no {text}: {page}");
    }
}

#[test]
fn failed_tasks_come_first_and_link_to_their_pages() {
    let fixture = fixture();
    fixture.know([
        task("a", &Status::Failure, &["http://example.com/a"]),
        task("b", &Status::Process, &["http://example.com/b"]),
    ]);
    let page = body(index(&fixture.app, ""));
    let places = [
        "<title>(1) · ucdn-watch</title>",
        "1 task failed in the last 24 hours, the latest within an hour",
        "href=\"task?target=shop&amp;id=a\"",
        "aria-valuenow=\"40\"",
    ];
    let places = places.map(|text| {
        page.find(text)
            .unwrap_or_else(|| panic!("no {text}: {page}"))
    });
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn text_from_the_api_is_escaped_on_every_page() {
    let fixture = fixture();
    let mut hostile = task(HOSTILE, &Status::Other(HOSTILE.to_owned()), &[HOSTILE]);
    hostile.r#type = Some(HOSTILE.to_owned());
    hostile.stalled = true;
    fixture.know([hostile]);
    let query = text::task_path(&"shop".into(), &HOSTILE.into());
    let query = query.strip_prefix("task?").unwrap();
    let searched = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    for page in [
        body(index(&fixture.app, "")),
        body(tasks(
            &fixture.app,
            &format!("url={searched}&status={searched}"),
        )),
        body(task_page(&fixture, query)),
        body(index(&fixture.app, &format!("{searched}=1"))),
    ] {
        assert!(page.contains("&lt;script&gt;alert(1)"), "not shown: {page}");
        for markup in ["<script>", "<img", "\u{202e}", "\u{0}", " style=\"", "\"' "] {
            assert!(!page.contains(markup), "{markup:?} in {page}");
        }
    }
}

fn task_page(fixture: &PageFixture, query: &str) -> Response {
    super::task(&fixture.app, query)
}

#[test]
fn a_large_state_makes_no_large_page() {
    let fixture = fixture();
    let urls: Vec<String> = (0..1_000)
        .map(|number| format!("http://example.com/{number}"))
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    for status in [Status::Failure, Status::Process] {
        let ids = (0..60).map(|number| format!("{status} {number:02}"));
        fixture.know(ids.map(|id| task(&id, &status, &urls)));
    }
    let page = body(index(&fixture.app, ""));
    assert_eq!(page.matches("<details data-key=\"task?").count(), 20 + 50);
    for text in ["and 40 more", "and 980 more", "The newest of"] {
        assert!(page.contains(text), "no {text}");
    }
    assert!(page.len() < 500_000, "{}", page.len());
    let first = body(task_page(&fixture, "target=shop&id=failure+07"));
    assert_eq!(first.matches("class=\"url\"").count(), 200);
    assert!(first.contains("href=\"task?target=shop&amp;id=failure+07&amp;urls=200\""));
    let last = body(task_page(&fixture, "target=shop&id=failure+07&urls=800"));
    assert_eq!(last.matches("class=\"url\"").count(), 200);
    assert!(!last.contains("urls=1000"));
}

#[test]
fn the_list_of_tasks_keeps_its_filters() {
    let fixture = fixture();
    let ids = (0..60).map(|number| format!("t{number:02}"));
    fixture.know(ids.map(|id| task(&id, &Status::Wait, &["http://example.com/a b"])));
    let page = body(tasks(&fixture.app, "status=wait&url=a+b"));
    assert_eq!(page.matches("<details data-key=\"task?").count(), 50);
    for text in [
        "<option value=\"wait\" selected>",
        "name=\"url\" value=\"a b\"",
        "href=\"tasks?status=wait&amp;url=a+b&amp;after=",
    ] {
        assert!(page.contains(text), "no {text}: {page}");
    }
}

#[test]
fn an_error_is_a_page_with_the_reason() {
    let fixture = fixture();
    for (response, status, text) in [
        (
            index(&fixture.app, "refersh=off"),
            StatusCode::BAD_REQUEST,
            "`refersh`: unknown parameter",
        ),
        (
            tasks(&fixture.app, "since=x"),
            StatusCode::BAD_REQUEST,
            "an age such as 2h",
        ),
        (
            task_page(&fixture, "target=shop"),
            StatusCode::BAD_REQUEST,
            "`id`: is required",
        ),
        (
            task_page(&fixture, "target=shop&id=x"),
            StatusCode::NOT_FOUND,
            "The state has no such task",
        ),
    ] {
        assert_eq!(response.status(), status, "{text}");
        let page = body(response);
        assert!(page.contains(text), "no {text}: {page}");
    }
}

#[test]
fn without_refresh_a_page_has_neither_script_nor_reload() {
    let fixture = fixture();
    let page = body(index(&fixture.app, "refresh=off"));
    for word in ["<script", "http-equiv", "id=\"pause\""] {
        assert!(body(index(&fixture.app, "")).contains(word));
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn a_task_is_one_row_that_opens_to_its_urls() {
    let mut shown = task(
        "20190121141137_4d8031d5",
        &Status::Process,
        &["http://example.com/a.jpg"],
    );
    shown.stalled = true;
    let record = crate::store::queries::TaskRecord {
        target: "shop".into(),
        task: shown,
        changed: at(NOW),
    };
    let row = super::tasks::row(&record, at(NOW)).into_string();
    insta::assert_snapshot!(row.replace("><", ">\n<"));
}

#[test]
fn the_overview_is_cached_briefly() {
    let fixture = fixture();
    let before = body(index(&fixture.app, ""));
    fixture.know([task("a", &Status::Failure, &["http://example.com/a"])]);
    assert_eq!(body(index(&fixture.app, "")), before);
    let later = PageFixture {
        app: AppState {
            overview: OverviewCache::default(),
            ..fixture.app
        },
        ..fixture
    };
    assert_ne!(body(index(&later.app, "")), before);
}
