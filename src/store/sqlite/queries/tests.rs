//! Searches come to the same whichever way they go.

use super::*;
use crate::domain::model::Status;
use crate::store::contract_tests::{at, commit_events, commit_tasks, event, task};
use crate::store::filter::UrlFilter;
use crate::store::sqlite::open;

#[test]
fn events_are_found_by_urls_of_tasks_whether_these_are_looked_up_or_read_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.db");
    let store = open(&path, at(1_000)).unwrap().store;
    let ids: Vec<String> = (0..30).map(|n| format!("task-{n}")).collect();
    for (n, id) in ids.iter().enumerate() {
        let mut task = task(id, Status::Success, Some(1_000));
        let state = task.urls.pop_first().unwrap().1;
        let url = format!("http://{}.example.com/{id}", ["IMG", "www", "img"][n % 3]);
        task.urls = [(url, state)].into();
        commit_tasks(&store, &[task], 2_000);
        commit_events(&store, &[event(id, &[]), event("forgotten", &[])], 2_000);
    }
    let connection = Connection::open(&path).unwrap();
    let found = |domain: &str, look_ups| -> Vec<u64> {
        let filter = EventFilter {
            url: Some(UrlFilter::UnderDomain(domain.parse().unwrap())),
            ..EventFilter::default()
        };
        let span = EventSpan::OldestFirst { after: 0 };
        let page = events::page_within(&connection, &filter, span, 100, look_ups).unwrap();
        page.iter().map(|event| event.sequence).collect()
    };
    for look_ups in [0, 1, 29, 1_000] {
        let of_images: Vec<u64> = (0..30).filter(|n| n % 3 != 1).map(|n| 2 * n + 1).collect();
        assert_eq!(found("img.example.com", look_ups), of_images, "{look_ups}");
        assert_eq!(found("example.com", look_ups).len(), 30, "{look_ups}");
        assert_eq!(found("example.org", look_ups), [0; 0], "{look_ups}");
    }
}
