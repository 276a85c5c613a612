//! How pages lie beside each other, page by page.

use super::super::extent::Extent;
use super::super::paging::Unit;
use super::exact::page;

fn extent(offset: u64, tasks: &[(&str, usize)]) -> Extent {
    Extent::of(offset, &page(0, tasks).tasks)
}

#[test]
fn pages_are_alike_if_they_show_the_same_tasks_with_the_same_urls() {
    let one = [("a", 2), ("b", 0)];
    for (other, alike) in [
        (&[("a", 2), ("b", 0)][..], true),
        (&[("a", 1), ("b", 0)], false),
        (&[("a", 2), ("c", 0)], false),
        (&[("a", 2)], false),
        (&[("a", 2), ("b", 0), ("c", 1)], false),
    ] {
        let other = extent(7, other);
        assert_eq!(extent(0, &one).is_like(&other), alike, "{other:?}");
    }
}

#[test]
fn what_a_page_adds_begins_after_its_overlap_also_in_the_middle_of_a_task() {
    let page = extent(0, &[("a", 2), ("b", 0), ("c", 3)]);
    let urls = |tail| page.after(tail).map(|added| added.urls).collect::<Vec<_>>();
    assert_eq!(urls(None), [2, 0, 3]);
    assert_eq!(urls(Some(1)), [0, 3]);
    assert_eq!(urls(Some(2)), [3]);
    assert_eq!(urls(Some(4)), [1]);
    assert_eq!(urls(Some(5)), [0u64; 0]);
}

#[test]
fn a_page_lags_by_what_was_inserted_before_it() {
    let last = extent(10, &[("a", 3), ("b", 2)]);
    let page = |offset| extent(offset, &[("b", 2)]);
    for (unit, offset, lag) in [
        (Unit::Tasks, 11, 0),
        (Unit::Tasks, 13, 2),
        (Unit::Urls, 13, 0),
        (Unit::Urls, 14, 1),
    ] {
        assert_eq!(last.lag(&page(offset), unit), lag, "{unit:?} {offset}");
    }
    assert_eq!(last.lag(&extent(14, &[("c", 1)]), Unit::Urls), 0);
}
