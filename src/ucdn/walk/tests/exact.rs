//! Walks over hand-made pages: where a walk gives up, and what it no longer concludes after the list has changed.

use super::super::paging::{CountUnit, TotalUnit};
use super::*;

/// A page of tasks with these numbers of URLs.
pub(super) fn page(total: u64, tasks: &[(&str, usize)]) -> ListResponse {
    let tasks = tasks.iter().map(|(id, urls)| task((*id).to_owned(), *urls));
    ListResponse {
        tasks: tasks.map(ListedTask::from).collect(),
        total_count: Some(total),
        list: TaskListField::Present,
    }
}

#[track_caller]
fn asked_next(result: &PageResult) -> PageRequest {
    match result.next {
        NextStep::Request(ask) => ask,
        NextStep::End(_) => panic!("ended: {result:?}"),
    }
}

#[track_caller]
fn learned(result: &PageResult) -> Paging {
    match &result.next {
        NextStep::End(complete) => complete.paging(),
        NextStep::Request(_) => panic!("goes on: {result:?}"),
    }
}

#[test]
fn a_response_without_a_list_is_an_empty_list_if_its_count_is_0() {
    for total_count in [None, Some(0)] {
        let mut walk = Walk::new(200, Paging::default());
        let missing = ListResponse {
            total_count,
            ..ListResponse::default()
        };
        assert_eq!(
            learned(&walk.accept_page(missing).unwrap()),
            Paging::default()
        );
    }
}

#[test]
fn a_walk_gives_up_after_fifty_pages_that_add_nothing() {
    let mut walk = Walk::new(3, Paging::default());
    let reads = (0..100).map(|_| walk.accept_page(page(9, &[("a", 1), ("b", 1), ("c", 1)])));
    // The first page adds something.
    assert_eq!(reads.take_while(Result::is_ok).count(), 1 + 50);
}

/// `TotalCount` counts tasks. The walk has counted six of them, and as many URLs as there are tasks.
#[test]
fn a_total_that_matches_by_chance_is_ignored_if_a_page_begins_with_a_new_task() {
    let mut walk = Walk::new(4, Paging::default());
    let pages = [
        page(7, &[("a", 2), ("b", 1), ("c", 1), ("d", 1)]),
        page(7, &[("new", 1), ("d", 1), ("e", 1), ("f", 1)]),
        page(7, &[("f", 1)]),
    ];
    let last = pages
        .map(|page| walk.accept_page(page).unwrap())
        .into_iter()
        .last();
    assert_eq!(learned(&last.unwrap()).total, TotalUnit::Unknown);
}

#[test]
fn a_short_page_is_the_end_only_if_it_shows_the_last_item() {
    let mut walk = Walk::new(4, Paging::default());
    let first = page(9, &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    walk.accept_page(first).unwrap();
    let short = page(9, &[("b", 1), ("c", 1)]);
    assert_eq!(asked_next(&walk.accept_page(short).unwrap()).offset, 6);
}

#[test]
fn the_walk_steps_back_if_an_insert_led_it_beyond_the_end() {
    let mut server = Server::new(&[1, 1], CountedIn::Tasks);
    server.clamp = Some(1);
    server.moves = BTreeMap::from([(1, Move::Insert(0))]);
    assert_eq!(missed(&mut server, 5), []);
}

#[test]
fn a_list_that_changes_often_does_not_show_the_unit_of_offset() {
    for (removals, unit) in [
        (0, CountUnit::Tasks),
        (2, CountUnit::Tasks),
        (3, CountUnit::Unknown),
    ] {
        let mut server = Server::new(&[3; 30], CountedIn::Tasks);
        // Each removal makes a gap, which the next request closes.
        server.moves = (0..removals)
            .map(|n| (2 * n + 1, Move::Remove(0)))
            .collect();
        let walked = walk(&mut server, 4, Paging::default()).unwrap();
        assert!(walked.entries().is_superset(&entries(&server.tasks)));
        assert_eq!(walked.paging.unit, unit, "{removals} removals");
    }
}

#[test]
fn the_tasks_of_a_page_behind_a_gap_are_reported_although_the_list_is_empty_then() {
    let mut walk = Walk::new(4, Paging::default());
    let full = page(4, &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    let pages = [
        full,
        page(4, &[("y", 1)]),
        page(0, &[]),
        page(2, &[("z", 1)]),
        page(0, &[]),
        page(0, &[]),
    ];
    let results = pages.map(|page| walk.accept_page(page).unwrap());
    let seen = results.iter().flat_map(|it| &it.tasks);
    let mut seen: Vec<&str> = seen.map(|task| task.id.as_str()).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["a", "b", "c", "d", "y", "z"]);
    let last = results.into_iter().last();
    assert_eq!(learned(&last.unwrap()).total, TotalUnit::Unknown);
}

/// The walk steps back from a page that shows a failed URL. When the task comes again, the URL has another status and the task has not.
#[test]
fn a_deferred_task_is_reported_if_its_urls_have_changed_since() {
    let page = |tasks: Vec<Task>| ListResponse {
        tasks: tasks.into_iter().map(ListedTask::from).collect(),
        list: TaskListField::Present,
        ..ListResponse::default()
    };
    let changing = |status| {
        let mut task = task("y".to_owned(), 1);
        task.urls[0].status = Some(status);
        task
    };
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|id| task(id.to_owned(), 1));
    let pages = [
        page(vec![a, b.clone(), c.clone(), d.clone()]),
        page(vec![changing(Status::Failure)]),
        page(vec![b, c, d, changing(Status::Process)]),
        page(vec![changing(Status::Process)]),
    ];
    let mut walk = Walk::new(4, Paging::default());
    let mut seen: Vec<ListedTask> = Vec::new();
    for page in pages {
        seen.extend(walk.accept_page(page).unwrap().tasks);
    }
    seen.extend(walk.into_unreported());
    let tasks = seen.iter().map(ListedTask::to_task);
    let statuses = tasks
        .filter(|task| task.id.as_str() == "y")
        .map(|task| task.urls[0].status.clone().unwrap());
    let statuses: Vec<Status> = statuses.collect();
    assert_eq!(statuses, [Status::Failure, Status::Process]);
}
