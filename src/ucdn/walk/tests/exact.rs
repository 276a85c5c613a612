//! What a walk makes of pages cut by hand: where it gives up, and what it no longer believes once the list has moved.

use super::super::paging::{CountUnit, TotalUnit};
use super::*;

/// A page of these tasks, with so many URLs each.
pub(super) fn page(total: u64, tasks: &[(&str, usize)]) -> ListResponse {
    let tasks = tasks.iter().map(|(id, urls)| task((*id).to_owned(), *urls));
    ListResponse {
        tasks: tasks.map(ListedTask::from).collect(),
        total_count: Some(total),
        list: TaskListField::Present,
        ..ListResponse::default()
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
fn an_answer_without_a_list_is_an_empty_one_if_it_counts_nothing() {
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
fn a_walk_has_fifty_pages_in_a_row_that_bring_nothing_new() {
    let mut walk = Walk::new(3, Paging::default());
    let reads = (0..100).map(|_| walk.accept_page(page(9, &[("a", 1), ("b", 1), ("c", 1)])));
    // The first one brought something.
    assert_eq!(reads.take_while(Result::is_ok).count(), 1 + 50);
}

/// `TotalCount` counts tasks. The walk has counted six of them, and as many URLs as there are tasks.
#[test]
fn a_total_that_fits_by_chance_is_not_believed_if_a_page_begins_with_what_is_new() {
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
fn a_short_page_is_not_the_end_unless_it_shows_what_was_seen_last() {
    let mut walk = Walk::new(4, Paging::default());
    let first = page(9, &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    walk.accept_page(first).unwrap();
    let short = page(9, &[("b", 1), ("c", 1)]);
    assert_eq!(asked_next(&walk.accept_page(short).unwrap()).offset, 6);
}

#[test]
fn a_step_that_an_insert_has_led_over_the_end_is_taken_back() {
    let mut server = Server::new(&[1, 1], CountedIn::Tasks);
    server.clamp = Some(1);
    server.moves = BTreeMap::from([(1, Move::Insert(0))]);
    assert_eq!(missed(&mut server, 5), []);
}

#[test]
fn a_list_that_moves_much_no_longer_tells_what_offsets_count() {
    for (removals, unit) in [
        (0, CountUnit::Tasks),
        (2, CountUnit::Tasks),
        (3, CountUnit::Unknown),
    ] {
        let mut server = Server::new(&[3; 30], CountedIn::Tasks);
        // Each makes a gap, and the request after it mends it.
        server.moves = (0..removals)
            .map(|n| (2 * n + 1, Move::Remove(0)))
            .collect();
        let walked = walk(&mut server, 4, Paging::default()).unwrap();
        assert!(walked.entries().is_superset(&entries(&server.tasks)));
        assert_eq!(walked.paging.unit, unit, "{removals} removals");
    }
}

#[test]
fn what_a_page_showed_that_was_stepped_back_from_is_given_out_though_the_list_is_empty_then() {
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
