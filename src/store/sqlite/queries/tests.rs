//! Searches for events by the URLs of their tasks.

use super::*;
use crate::domain::model::Status;
use crate::store::contract_tests::{at, commit_events, commit_tasks, event, task};
use crate::store::filter::UrlFilter;
use crate::store::sqlite::open;

#[test]
fn events_are_found_by_the_urls_of_their_tasks() {
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
    let found = |domain: &str| -> Vec<u64> {
        let filter = EventFilter {
            url: Some(UrlFilter::UnderDomain(domain.parse().unwrap())),
            ..EventFilter::default()
        };
        let span = EventSpan::OldestFirst { after: 0 };
        let page = events::page(&connection, &filter, span, 100).unwrap();
        page.iter().map(|event| event.sequence).collect()
    };
    let of_images: Vec<u64> = (0..30).filter(|n| n % 3 != 1).map(|n| 2 * n + 1).collect();
    assert_eq!(found("img.example.com"), of_images);
    assert_eq!(found("example.com").len(), 30);
    assert_eq!(found("example.org"), [0; 0]);
}
