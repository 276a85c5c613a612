//! The contract: what onlookers read of events.

use super::records::{commit_elsewhere, with_url};
use super::{Beside, at, commit_events, commit_tasks, event, next, shop};
use crate::domain::event::{EventType, UrlChange};
use crate::domain::model::Status;
use crate::store::filter::{EventFilter, EventSpan, UrlFilter};
use crate::store::queries::{EventRecord, StateQueries};

fn sequences(events: &[EventRecord]) -> Vec<u64> {
    events.iter().map(|one| one.sequence).collect()
}

fn newest(records: &dyn StateQueries, filter: &EventFilter) -> Vec<u64> {
    let span = EventSpan::NewestFirst { before: None };
    sequences(&records.events(filter, span, 100).unwrap())
}

pub(in crate::store) fn events_are_shown_as_they_were_committed(beside: &Beside<'_>) {
    let new = event("a", &["ops"]);
    commit_events(beside.store, std::slice::from_ref(&new), 2_345);
    let delivery = next(beside.store, "ops").unwrap();
    let span = EventSpan::OldestFirst { after: 0 };
    let shown = beside
        .records
        .events(&EventFilter::default(), span, 10)
        .unwrap();
    let expected = EventRecord {
        sequence: 1,
        id: delivery.event_id,
        event_type: "task.failure".to_owned(),
        recorded: at(2_345),
        target: shop(),
        task: Some("a".into()),
        document: delivery.document,
    };
    assert_eq!(shown, [expected]);
    assert_eq!(beside.records.last_sequence().unwrap(), 1);
}

pub(in crate::store) fn events_are_read_from_either_end(beside: &Beside<'_>) {
    let events: Vec<_> = (0..5).map(|n| event(&n.to_string(), &[])).collect();
    commit_events(beside.store, &events, 2_000);
    let read = |span, limit| {
        sequences(
            &beside
                .records
                .events(&EventFilter::default(), span, limit)
                .unwrap(),
        )
    };
    assert_eq!(read(EventSpan::NewestFirst { before: None }, 2), [5, 4]);
    assert_eq!(read(EventSpan::NewestFirst { before: Some(4) }, 2), [3, 2]);
    assert_eq!(read(EventSpan::NewestFirst { before: Some(1) }, 2), [0; 0]);
    assert_eq!(read(EventSpan::OldestFirst { after: 0 }, 2), [1, 2]);
    assert_eq!(read(EventSpan::OldestFirst { after: 3 }, 9), [4, 5]);
    assert_eq!(read(EventSpan::OldestFirst { after: 5 }, 9), [0; 0]);
    assert_eq!(read(EventSpan::OldestFirst { after: u64::MAX }, 9), [0; 0]);
}

pub(in crate::store) fn events_are_chosen_by_all_that_a_filter_says(beside: &Beside<'_>) {
    let of_type = |r#type, id: &str| {
        let mut event = event(id, &[]);
        event.draft.r#type = r#type;
        event
    };
    let mut of_blog = of_type(EventType::TaskWait, "a");
    of_blog.draft.target = "blog".into();
    let mut of_no_task = of_type(EventType::WatchFailing, "");
    of_no_task.draft.task = None;
    commit_events(beside.store, &[of_type(EventType::TaskWait, "a")], 1_000);
    commit_events(beside.store, &[of_type(EventType::TaskFailure, "b")], 2_000);
    commit_elsewhere(beside.store, &[], &[of_blog], 3_000);
    commit_events(beside.store, &[of_no_task], 4_000);
    let all = EventFilter::default;
    let chosen = |filter| newest(beside.records, &filter);
    assert_eq!(
        chosen(EventFilter {
            targets: vec![shop()],
            ..all()
        }),
        [4, 2, 1]
    );
    let types = vec![EventType::TaskWait, EventType::WatchFailing];
    assert_eq!(chosen(EventFilter { types, ..all() }), [4, 3, 1]);
    assert_eq!(
        chosen(EventFilter {
            task: Some("a".into()),
            ..all()
        }),
        [3, 1]
    );
    assert_eq!(
        chosen(EventFilter {
            since: Some(at(3_000)),
            ..all()
        }),
        [4, 3]
    );
    assert_eq!(
        chosen(EventFilter {
            since: Some(at(4_001)),
            ..all()
        }),
        [0; 0]
    );
    assert_eq!(
        chosen(EventFilter {
            until: Some(at(2_000)),
            ..all()
        }),
        [2, 1]
    );
}

/// Also when the event itself names none, such as that a task has stalled.
pub(in crate::store) fn events_are_chosen_by_the_urls_of_their_task(beside: &Beside<'_>) {
    let mut naming = event("gone", &[]);
    naming.draft.changes = vec![UrlChange {
        url: "http://example.com/a".to_owned(),
        status: Status::Failure,
        previous_status: None,
        progress: None,
        finished: None,
    }];
    commit_tasks(
        beside.store,
        &[with_url("known", "http://img.example.com/b")],
        2_000,
    );
    commit_events(
        beside.store,
        &[naming, event("known", &[]), event("other", &[])],
        2_000,
    );
    let of = |domain: &str| {
        let url = Some(UrlFilter::UnderDomain(domain.parse().unwrap()));
        newest(
            beside.records,
            &EventFilter {
                url,
                ..EventFilter::default()
            },
        )
    };
    assert_eq!(of("example.com"), [2, 1]);
    assert_eq!(of("img.example.com"), [2]);
    assert_eq!(of("example.org"), [0; 0]);
}
