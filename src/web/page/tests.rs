//! Pages of a real state, as a browser gets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::clock::{Age, Clock};
use crate::config::AllowedHosts;
use crate::domain::model::{Absence, KnownTask, Status, Timestamp, UrlState};
use crate::store::sqlite::{self, SqliteQueries, SqliteStore};
use crate::store::{Commit, Store};
use crate::web::overview::OverviewCache;
use crate::web::{DaemonHealth, LastPoll};

const NOW: i64 = 1_795_500_000;

const HOSTILE: &str =
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"' style=\"x\u{202e}\u{0}\n&lt;";

/// Stands still.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
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

struct Stage {
    _folder: TempDir,
    store: SqliteStore,
    state: AppState,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(seconds).unwrap()
}

fn stage() -> Stage {
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
    let state = AppState {
        hosts: AllowedHosts::Named(BTreeSet::new()),
        health: Arc::new(health),
        clock: Arc::new(Noon),
        records: Arc::new(SqliteQueries::open(&path).unwrap()),
        overview: OverviewCache::default(),
        metrics: Box::new(String::new),
    };
    Stage {
        _folder: folder,
        store,
        state,
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

impl Stage {
    fn know(&self, tasks: impl IntoIterator<Item = KnownTask>) {
        let commit = Commit {
            tasks: tasks.into_iter().map(Into::into).collect(),
            time: at(NOW - 80),
            ..Commit::default()
        };
        self.store.commit(&"shop".into(), &commit).unwrap();
    }
}

fn body(answer: Answer) -> String {
    assert_eq!(answer.content_type, "text/html; charset=utf-8");
    assert_eq!(answer.policy, POLICY);
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn a_quiet_state_is_well_and_says_so_in_the_title() {
    let stage = stage();
    stage.know([task("a", &Status::Success, &["http://example.com/a"])]);
    let page = body(front(&stage.state, ""));
    for text in [
        "<title>All is well · ucdn-watch</title>",
        "icon-well.svg",
        "The target was polled well; of 1 task submitted in the last 24 hours none failed.",
        "median 10\u{a0}s, 95 % within 10\u{a0}s",
    ] {
        assert!(page.contains(text), "no {text}: {page}");
    }
}

#[test]
fn what_failed_is_said_first_and_leads_to_its_page() {
    let stage = stage();
    stage.know([
        task("a", &Status::Failure, &["http://example.com/a"]),
        task("b", &Status::Process, &["http://example.com/b"]),
    ]);
    let page = body(front(&stage.state, ""));
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
fn texts_of_the_api_stay_texts_on_every_page() {
    let stage = stage();
    let mut hostile = task(HOSTILE, &Status::Other(HOSTILE.to_owned()), &[HOSTILE]);
    hostile.r#type = Some(HOSTILE.to_owned());
    hostile.stalled = true;
    stage.know([hostile]);
    let query = text::task_path(&"shop".into(), &HOSTILE.into());
    let query = query.strip_prefix("task?").unwrap();
    let searched = form_urlencoded::byte_serialize(HOSTILE.as_bytes()).collect::<String>();
    for page in [
        body(front(&stage.state, "")),
        body(tasks(
            &stage.state,
            &format!("url={searched}&status={searched}"),
        )),
        body(task_page(&stage, query)),
        body(front(&stage.state, &format!("{searched}=1"))),
    ] {
        assert!(page.contains("&lt;script&gt;alert(1)"), "not shown: {page}");
        for markup in ["<script>", "<img", "\u{202e}", "\u{0}", " style=\"", "\"' "] {
            assert!(!page.contains(markup), "{markup:?} in {page}");
        }
    }
}

fn task_page(stage: &Stage, query: &str) -> Answer {
    super::task(&stage.state, query)
}

/// A page is as long as it is, however much there is.
#[test]
fn a_big_state_makes_no_big_page() {
    let stage = stage();
    let urls: Vec<String> = (0..1_000)
        .map(|number| format!("http://example.com/{number}"))
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    for status in [Status::Failure, Status::Process] {
        let ids = (0..60).map(|number| format!("{status} {number:02}"));
        stage.know(ids.map(|id| task(&id, &status, &urls)));
    }
    let page = body(front(&stage.state, ""));
    assert_eq!(page.matches("<details data-key=\"task?").count(), 20 + 50);
    for text in ["and 40 more", "and 980 more", "The newest are shown"] {
        assert!(page.contains(text), "no {text}");
    }
    assert!(page.len() < 500_000, "{}", page.len());
    let first = body(task_page(&stage, "target=shop&id=failure+07"));
    assert_eq!(first.matches("class=\"url\"").count(), 200);
    assert!(first.contains("href=\"task?target=shop&amp;id=failure+07&amp;urls=200\""));
    let last = body(task_page(&stage, "target=shop&id=failure+07&urls=800"));
    assert_eq!(last.matches("class=\"url\"").count(), 200);
    assert!(!last.contains("urls=1000"));
}

#[test]
fn the_list_of_tasks_keeps_what_it_was_chosen_by() {
    let stage = stage();
    let ids = (0..60).map(|number| format!("t{number:02}"));
    stage.know(ids.map(|id| task(&id, &Status::Wait, &["http://example.com/a b"])));
    let page = body(tasks(&stage.state, "status=wait&url=a+b"));
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
fn what_is_no_page_says_why_as_a_page() {
    let stage = stage();
    for (answer, code, text) in [
        (
            front(&stage.state, "refersh=off"),
            Code::BadRequest,
            "`refersh`: no such parameter",
        ),
        (
            tasks(&stage.state, "since=x"),
            Code::BadRequest,
            "an age such as 2h",
        ),
        (
            task_page(&stage, "target=shop"),
            Code::BadRequest,
            "`id`: has to be said",
        ),
        (
            task_page(&stage, "target=shop&id=x"),
            Code::NotFound,
            "The state has no such task",
        ),
    ] {
        assert_eq!(answer.code, code, "{text}");
        let page = body(answer);
        assert!(page.contains(text), "no {text}: {page}");
    }
}

#[test]
fn a_page_that_is_to_stay_has_neither_script_nor_reload() {
    let stage = stage();
    let page = body(front(&stage.state, "refresh=off"));
    for word in ["<script", "http-equiv", "id=\"pause\""] {
        assert!(body(front(&stage.state, "")).contains(word));
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn a_task_in_the_list_is_one_line_that_opens() {
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
    let item = super::tasks::item(&record, at(NOW)).into_string();
    insta::assert_snapshot!(item.replace("><", ">\n<"));
}

/// Many who look are answered from one look at the state.
#[test]
fn an_overview_is_kept_for_a_moment() {
    let stage = stage();
    let before = body(front(&stage.state, ""));
    stage.know([task("a", &Status::Failure, &["http://example.com/a"])]);
    assert_eq!(body(front(&stage.state, "")), before);
    let later = Stage {
        state: AppState {
            overview: OverviewCache::default(),
            ..stage.state
        },
        ..stage
    };
    assert_ne!(body(front(&later.state, "")), before);
}
