//! The contract: what onlookers read of tasks.

use super::{Beside, at, commit_tasks, shop, task};
use crate::domain::model::{Absence, KnownTask, Status, TargetName, UrlState};
use crate::store::filter::{
    DeliveryFilter, EventFilter, EventSpan, TaskCondition, TaskFilter, UrlFilter,
};
use crate::store::queries::{HourlyCount, StateQueries, TaskCount, TaskRecord};
use crate::store::{Commit, NewEvent, Store};

fn ids(tasks: &[TaskRecord]) -> Vec<&str> {
    tasks.iter().map(|one| one.task.id.as_str()).collect()
}

/// The ids of all tasks that the filter lets through.
fn tasks(records: &dyn StateQueries, filter: &TaskFilter) -> Vec<String> {
    let found = records.tasks(filter, None, 100).unwrap();
    ids(&found).into_iter().map(str::to_owned).collect()
}

pub(super) fn with_url(id: &str, url: &str) -> KnownTask {
    let mut task = task(id, Status::Process, Some(1_000));
    let state = UrlState {
        status: Status::Wait,
        progress: None,
        finished: None,
    };
    task.urls = [(url.to_owned(), state)].into();
    task
}

pub(super) fn commit_elsewhere(
    store: &dyn Store,
    tasks: &[KnownTask],
    events: &[NewEvent],
    time: i64,
) {
    let commit = Commit {
        tasks: tasks.iter().cloned().map(Into::into).collect(),
        events: events.to_vec(),
        time: at(time),
        ..Commit::default()
    };
    store.commit(&"blog".into(), &commit).unwrap();
}

pub(in crate::store) fn an_empty_state_shows_nothing(beside: &Beside<'_>) {
    let records = beside.records;
    assert_eq!(records.tasks(&TaskFilter::default(), None, 10).unwrap(), []);
    let span = EventSpan::OldestFirst { after: 0 };
    let events = records.events(&EventFilter::default(), span, 10);
    assert_eq!(events.unwrap(), []);
    assert_eq!(
        records
            .deliveries(&DeliveryFilter::default(), None, 10)
            .unwrap(),
        []
    );
    assert_eq!(records.task_counts().unwrap(), []);
    assert_eq!(records.outbox_backlog().unwrap(), []);
    assert_eq!(records.last_sequence().unwrap(), 0);
}

pub(in crate::store) fn a_task_is_shown_as_it_is_known(beside: &Beside<'_>) {
    let known = KnownTask {
        stalled: true,
        ..task("a", Status::Failure, Some(1_000))
    };
    commit_tasks(beside.store, std::slice::from_ref(&known), 2_345);
    let shown = beside
        .records
        .tasks(&TaskFilter::default(), None, 10)
        .unwrap();
    let expected = TaskRecord {
        target: shop(),
        task: known,
        changed: at(2_345),
    };
    assert_eq!(shown, [expected]);
    let counts = shown[0].counts();
    assert_eq!((counts.total, counts.success, counts.failure), (2, 0, 2));
    assert_eq!(shown[0].finished(), Some(at(1_900)));
}

/// An undated task counts from its first sighting, which is at 2,000.
pub(in crate::store) fn tasks_come_newest_first_page_by_page(beside: &Beside<'_>) {
    let shop_tasks = [
        task("old", Status::Success, Some(1_000)),
        task("same time, b", Status::Wait, Some(1_500)),
        task("undated", Status::Wait, None),
        task("same time, a", Status::Wait, Some(1_500)),
        task("new", Status::Wait, Some(3_000)),
    ];
    commit_tasks(beside.store, &shop_tasks, 5_000);
    commit_elsewhere(
        beside.store,
        &[task("same time, c", Status::Wait, Some(1_500))],
        &[],
        5_000,
    );
    let expected = [
        "new",
        "undated",
        "same time, b",
        "same time, a",
        "same time, c",
        "old",
    ];
    let all = beside
        .records
        .tasks(&TaskFilter::default(), None, 100)
        .unwrap();
    assert_eq!(ids(&all), expected);
    for limit in 1..=6 {
        let (mut read, mut last) = (Vec::new(), None);
        loop {
            let page = beside
                .records
                .tasks(&TaskFilter::default(), last.as_ref(), limit)
                .unwrap();
            assert!(page.len() <= limit);
            let Some(end) = page.last() else { break };
            last = Some(end.cursor());
            read.extend(page);
        }
        assert_eq!(read, all, "pages of {limit}");
    }
}

pub(in crate::store) fn tasks_are_chosen_by_all_that_a_filter_says(beside: &Beside<'_>) {
    let vanished = KnownTask {
        absence: Absence::Vanished,
        ..task("vanished", Status::Process, Some(1_000))
    };
    let stalled = |id: &str, status| KnownTask {
        stalled: true,
        ..task(id, status, Some(2_000))
    };
    let known = [
        vanished,
        stalled("stalled", Status::Process),
        stalled("once stalled", Status::Success),
        KnownTask {
            r#type: Some("dir".to_owned()),
            ..task("failed", Status::Failure, Some(3_000))
        },
        task("odd", Status::from_word("unknow"), Some(4_000)),
    ];
    commit_tasks(beside.store, &known, 5_000);
    commit_elsewhere(
        beside.store,
        &[task("other", Status::Failure, Some(3_000))],
        &[],
        5_000,
    );
    let of = |conditions: &[TaskCondition]| {
        let conditions = conditions.to_vec();
        let targets = vec![shop()];
        tasks(
            beside.records,
            &TaskFilter {
                targets,
                conditions,
                ..TaskFilter::default()
            },
        )
    };
    assert_eq!(
        of(&[TaskCondition::Status(Status::Process)]),
        ["stalled", "vanished"]
    );
    assert_eq!(of(&[TaskCondition::Unknown]), ["odd"]);
    assert_eq!(of(&[TaskCondition::InFlight]), ["odd", "stalled"]);
    assert_eq!(of(&[TaskCondition::Stalled]), ["stalled"]);
    assert_eq!(of(&[TaskCondition::Vanished]), ["vanished"]);
    assert_eq!(
        of(&[
            TaskCondition::Status(Status::Failure),
            TaskCondition::Vanished
        ]),
        ["failed", "vanished"]
    );
    let chosen = |filter: TaskFilter| tasks(beside.records, &filter);
    let all = TaskFilter::default;
    assert_eq!(
        chosen(TaskFilter {
            targets: vec!["blog".into()],
            ..all()
        }),
        ["other"]
    );
    assert_eq!(
        chosen(TaskFilter {
            targets: vec!["blog".into(), shop()],
            ..all()
        })
        .len(),
        6
    );
    assert_eq!(
        chosen(TaskFilter {
            id: Some("odd".into()),
            ..all()
        }),
        ["odd"]
    );
    assert_eq!(
        chosen(TaskFilter {
            r#type: Some("dir".to_owned()),
            ..all()
        }),
        ["failed"]
    );
    assert_eq!(
        chosen(TaskFilter {
            since: Some(at(4_000)),
            ..all()
        }),
        ["odd"]
    );
    assert_eq!(
        chosen(TaskFilter {
            until: Some(at(1_000)),
            ..all()
        }),
        ["vanished"]
    );
}

pub(in crate::store) fn tasks_are_chosen_by_their_urls(beside: &Beside<'_>) {
    let known = [
        with_url("a", "http://example.com/x?q=\"1\""),
        with_url("b", "https://IMG.example.com/图.jpg"),
        with_url("c", "http://example.org/?from=example.com"),
    ];
    commit_tasks(beside.store, &known, 5_000);
    let of = |url: UrlFilter| {
        let mut found = tasks(
            beside.records,
            &TaskFilter {
                url: Some(url),
                ..TaskFilter::default()
            },
        );
        found.sort();
        found
    };
    let containing = |text: &str| of(UrlFilter::Containing(text.to_owned()));
    assert_eq!(
        of(UrlFilter::UnderDomain("example.com".parse().unwrap())),
        ["a", "b"]
    );
    assert_eq!(containing("example.com"), ["a", "b", "c"]);
    assert_eq!(containing("q=\"1\""), ["a"]);
    assert_eq!(containing("图"), ["b"]);
    assert_eq!(containing("img"), [""; 0]);
    let first = TaskFilter {
        url: Some(UrlFilter::Containing("http".to_owned())),
        ..TaskFilter::default()
    };
    assert_eq!(beside.records.tasks(&first, None, 2).unwrap().len(), 2);
}

pub(in crate::store) fn tasks_are_counted_by_target_and_status(beside: &Beside<'_>) {
    let known = [
        task("a", Status::Wait, None),
        KnownTask {
            stalled: true,
            ..task("b", Status::Wait, None)
        },
        KnownTask {
            stalled: true,
            absence: Absence::Vanished,
            ..task("c", Status::Wait, None)
        },
        task("d", Status::Success, None),
    ];
    commit_tasks(beside.store, &known, 5_000);
    commit_elsewhere(beside.store, &[task("e", Status::Wait, None)], &[], 5_000);
    let count = |target: TargetName, status, total, stalled, vanished| TaskCount {
        target,
        status,
        total,
        stalled,
        vanished,
    };
    let expected = [
        count("blog".into(), Status::Wait, 1, 0, 0),
        count(shop(), Status::Success, 1, 0, 0),
        count(shop(), Status::Wait, 3, 1, 1),
    ];
    assert_eq!(beside.records.task_counts().unwrap(), expected);
}

pub(in crate::store) fn tasks_are_counted_by_the_hour(beside: &Beside<'_>) {
    let odd = |id: &str, word| task(id, Status::from_word(word), Some(9_000));
    let known = [
        task("too old", Status::Failure, Some(3_599)),
        task("first second", Status::Failure, Some(3_600)),
        task("last second", Status::Failure, Some(7_199)),
        task("next hour", Status::Success, Some(7_200)),
        odd("odd", "unknow"),
        odd("odder", "whatever"),
        KnownTask {
            absence: Absence::Vanished,
            ..odd("gone", "unknow")
        },
        // First seen at 2,000.
        task("undated", Status::Wait, None),
    ];
    commit_tasks(beside.store, &known, 9_000);
    let elsewhere = task("e", Status::Wait, Some(8_000));
    commit_elsewhere(beside.store, &[elsewhere], &[], 9_000);
    let count = |target: TargetName, hour, total, failed, vanished| HourlyCount {
        target,
        hour: at(hour),
        total,
        failed,
        vanished,
    };
    let expected = [
        count("blog".into(), 7_200, 1, 0, 0),
        count(shop(), 3_600, 2, 2, 0),
        count(shop(), 7_200, 4, 0, 1),
    ];
    assert_eq!(beside.records.hourly_counts(at(3_600)).unwrap(), expected);
}
