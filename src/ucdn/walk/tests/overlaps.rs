//! Overlaps of hand-made pages.

use super::super::overlap::PageExtent;
use super::super::paging::CountUnit;
use super::exact::page;

fn extent(offset: u64, tasks: &[(&str, usize)]) -> PageExtent {
    PageExtent::of(offset, &page(0, tasks).tasks)
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
        (CountUnit::Tasks, 11, 0),
        (CountUnit::Tasks, 13, 2),
        (CountUnit::Urls, 13, 0),
        (CountUnit::Urls, 14, 1),
    ] {
        assert_eq!(last.lag(&page(offset), unit), lag, "{unit:?} {offset}");
    }
    assert_eq!(last.lag(&extent(14, &[("c", 1)]), CountUnit::Urls), 0);
}

/// Checks the last shared item, whether it ends the first page, and whether the second page begins with a shared item.
#[test]
fn a_page_overlaps_its_predecessor_as_far_as_both_show_the_same() {
    let last = extent(0, &[("a", 1), ("b", 3)]);
    let overlap = |page: &[(&str, usize)], unit| {
        let overlap = last.overlap(&extent(1, page), unit)?;
        Some((overlap.tail, overlap.reaches_tail, overlap.begins_known))
    };
    let whole = [("b", 3), ("c", 1)];
    for unit in [CountUnit::Unknown, CountUnit::Tasks, CountUnit::Urls] {
        assert_eq!(overlap(&whole, unit), Some((2, true, true)), "{unit:?}");
        assert_eq!(overlap(&[("c", 1)], unit), None, "{unit:?}");
    }
    // A part of the task ends before the first page does, unless pages show tasks whole.
    assert_eq!(
        overlap(&[("b", 2)], CountUnit::Urls),
        Some((1, false, true))
    );
    assert_eq!(
        overlap(&[("b", 2)], CountUnit::Unknown),
        Some((1, false, true))
    );
    assert_eq!(
        overlap(&[("b", 2)], CountUnit::Tasks),
        Some((1, true, true))
    );
    // If pages show tasks whole, all items of a longer task are shared.
    assert_eq!(overlap(&[("b", 4)], CountUnit::Urls), Some((2, true, true)));
    assert_eq!(
        overlap(&[("b", 4)], CountUnit::Tasks),
        Some((3, true, true))
    );
    let without_urls = [("c", 1), ("b", 0)];
    assert_eq!(
        overlap(&without_urls, CountUnit::Urls),
        Some((1, true, false))
    );
    let inserted = [("new", 1), ("a", 1)];
    assert_eq!(
        overlap(&inserted, CountUnit::Unknown),
        Some((1, false, false))
    );
}
