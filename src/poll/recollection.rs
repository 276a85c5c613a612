//! Which tasks a walk's next page is expected to show: those that the state remembers beyond the last page, in the list's
//! order. Guesses; what comes of it is the same whichever it expects (see [`Recall`]).

use std::cmp::Ordering;

use crate::domain::model::{ListOrder, ListPosition, Remembered, TaskSummary, Timestamp};
use crate::ucdn::wire::{Listed, Recall};

/// So many more than a page shows: some may not be shown any more, and others stand where they were not expected.
const MORE: usize = 64;

/// So many are expected at the most: no page is taken to be longer before there was one.
const LONGEST: usize = 10_000;

/// The expectations of one walk.
#[derive(Debug, Default)]
pub(super) struct Recollection {
    pub(super) recall: Recall,
    order: ListOrder,
    /// How many tasks a page shows.
    length: usize,
    /// Up to where the state was asked.
    asked: Option<ListPosition>,
    rest: Rest,
    shown: Shown,
}

/// Whether a page has shown in which order the list's seconds are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Shown {
    #[default]
    OneSecond,
    Seconds,
}

/// Whether the state may remember more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rest {
    #[default]
    Nothing,
    Unknown,
}

/// What to ask the state for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) order: ListOrder,
    pub(super) beyond: Option<&'a ListPosition>,
    pub(super) at_most: usize,
}

impl Recollection {
    /// Of a walk over the list, in pages of so many tasks or less.
    pub(super) fn of_list(seed: u64, page_size: u32) -> Self {
        Self {
            recall: Recall::new(seed),
            length: usize::try_from(page_size).map_or(LONGEST, |size| size.min(LONGEST)),
            rest: Rest::Unknown,
            ..Self::default()
        }
    }

    /// What to [`Recollection::expect`] before the next page, and then to be asked again; none: there is enough, or no more.
    pub(super) fn wanted(&self) -> Option<Wanted<'_>> {
        let lacking = (self.length + MORE).saturating_sub(self.recall.len());
        let at_most = match lacking {
            0 if self.is_last_second_cut() => self.length.max(MORE),
            lacking => lacking,
        };
        (self.rest == Rest::Unknown && at_most > 0).then_some(Wanted {
            order: self.order,
            beyond: self.asked.as_ref(),
            at_most,
        })
    }

    /// Whether tasks of a second that the next page may show are still to come. Which of them come first is not known before
    /// all are, so they are all asked for, unless they are very many.
    fn is_last_second_cut(&self) -> bool {
        let shown = self.recall.second(self.length + MORE - 1);
        let last = self.recall.second(self.recall.len().saturating_sub(1));
        shown == last && self.recall.len() < LONGEST
    }

    /// Takes what the state gave of the `wanted`.
    pub(super) fn expect(&mut self, tasks: Vec<Remembered>, wanted: usize) {
        if tasks.len() < wanted {
            self.rest = Rest::Nothing;
        }
        if let Some(last) = tasks.last()
            && let Some(created) = last.footprint.created
        {
            let id = last.id.clone();
            self.asked = Some(ListPosition { created, id });
        }
        self.recall.expect(tasks, self.order);
    }

    /// Goes on behind a page: what the list's order says should have come before its end is not expected any more.
    pub(super) fn follow(&mut self, page: &[Listed]) {
        let mut dated = page.iter().filter(|task| task.created.is_some());
        let (Some(first), Some(last)) = (dated.next(), dated.next_back()) else {
            return;
        };
        let (Some(begin), Some(end)) = (first.created, last.created) else {
            return;
        };
        self.length = page.len();
        let order = self.order_after(page, begin.cmp(&end));
        if order != self.order {
            *self = Self {
                recall: Recall::new(self.recall.seed()),
                order,
                rest: Rest::Unknown,
                asked: None,
                ..std::mem::take(self)
            };
        }
        let is_past = |time: Timestamp| match order {
            ListOrder::NewestFirst => time > end,
            ListOrder::OldestFirst => time < end,
        };
        let shown = page.iter().rev().find_map(Listed::remembered);
        let is_shown = |it: &TaskSummary| {
            shown.is_some_and(|last| it.created == last.created && it.number < last.number)
        };
        self.recall.retain(|task| {
            let it = task.footprint;
            !it.created.is_some_and(is_past) && !is_shown(&it)
        });
        if self
            .asked
            .as_ref()
            .is_none_or(|place| is_past(place.created))
        {
            self.asked = Some(ListPosition {
                created: end,
                id: last.id.clone(),
            });
        }
    }

    /// The list's order, now that a page has shown tasks of one second or of several. Within one second ids may tell; where there
    /// are others, the seconds do.
    fn order_after(&mut self, page: &[Listed], begin_to_end: Ordering) -> ListOrder {
        let by_time = match begin_to_end {
            Ordering::Less => ListOrder::OldestFirst,
            Ordering::Greater => ListOrder::NewestFirst,
            Ordering::Equal if self.shown == Shown::OneSecond => {
                return order_of_ids(page).unwrap_or(self.order);
            }
            Ordering::Equal => return self.order,
        };
        self.shown = Shown::Seconds;
        by_time
    }

    /// Does not expect these any more: their records may have been written anew.
    pub(super) fn forget(&mut self, tasks: impl Iterator<Item = TaskSummary>) {
        self.recall.forget(tasks.map(|task| task.number));
    }
}

/// The order of tasks of one second, if it is one.
fn order_of_ids(page: &[Listed]) -> Option<ListOrder> {
    if page.is_sorted_by(|one, next| one.id < next.id) {
        return Some(ListOrder::OldestFirst);
    }
    page.is_sorted_by(|one, next| one.id > next.id)
        .then_some(ListOrder::NewestFirst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::{Fingerprint, Status, Task, TaskRowId};
    use crate::ucdn::wire::{read_expected_page, read_page};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    fn remembered(id: &str, created: i64, number: u64) -> Remembered {
        Remembered {
            id: id.into(),
            url_count: 0,
            footprint: TaskSummary {
                number: TaskRowId(number),
                fingerprint: Some(Fingerprint::of_text(9, 9)),
                created: Some(at(created)),
                in_flight: false,
                stalled: false,
            },
        }
    }

    fn page(times: &[i64]) -> Vec<Listed> {
        let tasks = times.iter().map(|created| Task {
            id: "t".into(),
            r#type: None,
            status: Some(Status::Success),
            created: Some(at(*created)),
            urls: Vec::new(),
        });
        tasks.map(Listed::from).collect()
    }

    fn expected(recollection: &mut Recollection) -> Vec<String> {
        let mut ids = Vec::new();
        recollection.recall.retain(|task| {
            ids.push(task.id.as_str().to_owned());
            true
        });
        ids
    }

    /// What is wanted, in words; empty: nothing.
    fn asks(recollection: &Recollection) -> String {
        let words = recollection.wanted().map(|wanted| {
            let beyond = wanted.beyond.map_or("the beginning".to_owned(), |place| {
                format!("{}{}", place.created.unix_seconds(), place.id.as_str())
            });
            format!("{:?}: {} beyond {beyond}", wanted.order, wanted.at_most)
        });
        words.unwrap_or_default()
    }

    #[test]
    fn a_page_more_is_expected_than_was_shown_and_each_task_once() {
        let mut list = Recollection::of_list(1, 200);
        assert_eq!(asks(&list), "NewestFirst: 264 beyond the beginning");
        let given = [("d", 30, 4), ("c", 20, 1), ("b", 20, 2), ("a", 20, 3)];
        let given = given.map(|(id, created, number)| remembered(id, created, number));
        list.expect(given.into(), 4);
        let as_they_became_known = ["d", "c", "b", "a"];
        assert_eq!(expected(&mut list), as_they_became_known);
        assert_eq!(asks(&list), "NewestFirst: 260 beyond 20a");
        list.follow(&page(&[31, 20]));
        assert_eq!(expected(&mut list), ["c", "b", "a"]);
        assert_eq!(asks(&list), "NewestFirst: 63 beyond 20a");
        list.expect(vec![remembered("z", 10, 9)], 63);
        assert_eq!(asks(&list), "", "there is no more");
        assert_eq!(expected(&mut list), ["c", "b", "a", "z"]);
    }

    #[test]
    fn a_list_that_is_the_other_way_round_is_expected_the_other_way_round() {
        let mut list = Recollection::of_list(1, 200);
        list.expect(vec![remembered("new", 90, 1)], 264);
        list.follow(&page(&[20, 20, 25]));
        assert_eq!(expected(&mut list), [""; 0]);
        assert_eq!(asks(&list), "OldestFirst: 67 beyond 25t");
        list.expect(vec![remembered("b", 25, 7), remembered("a", 25, 6)], 67);
        list.follow(&page(&[25, 25]));
        assert_eq!(expected(&mut list), ["a", "b"], "the same order still");
    }

    #[test]
    fn a_list_of_one_second_is_in_the_order_of_its_ids_or_in_none() {
        let mut list = Recollection::of_list(1, 200);
        let mut follow = |times: [i64; 3], ids: [&str; 3]| {
            let mut page = page(&times);
            for (task, id) in page.iter_mut().zip(ids) {
                task.id = id.into();
            }
            list.follow(&page);
            asks(&list)
        };
        let beyond = |ids: [&str; 3]| format!("67 beyond 25{}", ids[2]);
        for (ids, order) in [
            (["b", "a", "c"], "NewestFirst"),
            (["a", "b", "c"], "OldestFirst"),
            (["d", "a", "c"], "OldestFirst"),
            (["c", "b", "a"], "NewestFirst"),
        ] {
            assert_eq!(
                follow([25, 25, 25], ids),
                format!("{order}: {}", beyond(ids))
            );
        }
        let other = follow([24, 25, 26], ["c", "b", "a"]);
        assert_eq!(other, "OldestFirst: 67 beyond 26a", "seconds count more");
        let same = follow([26, 26, 26], ["c", "b", "a"]);
        assert_eq!(same, other);
    }

    /// Many were submitted at once, and the state keeps them in the order of their ids.
    #[test]
    fn a_second_that_a_page_may_show_is_expected_whole_and_in_the_order_of_the_first_time() {
        let mut list = Recollection::of_list(1, 2);
        let second = |numbers: std::ops::Range<u64>| {
            let tasks = numbers.map(|number| remembered(&number.to_string(), 50, 1_000 - number));
            tasks.collect::<Vec<_>>()
        };
        list.expect(second(0..66), 66);
        assert_eq!(asks(&list), "NewestFirst: 64 beyond 5065");
        let mut tasks = second(66..128);
        tasks.extend([remembered("later", 40, 1), remembered("last", 40, 2)]);
        list.expect(tasks, 64);
        assert_eq!(asks(&list), "");
        let ids = expected(&mut list);
        assert_eq!((ids[0].as_str(), ids[127].as_str()), ("127", "0"));
        assert_eq!(ids[128..], ["later", "last"]);
    }

    #[test]
    fn those_before_the_last_one_that_was_shown_of_its_second_are_not_waited_for() {
        let text = r#"{"RetCode":0,"TaskList":[{"TaskId":"b","CreateTime":50},{"TaskId":"0","CreateTime":50}]}"#;
        let mut list = Recollection::of_list(1, 2);
        let mut known = remembered("b", 50, 2);
        known.footprint.fingerprint = read_page(text.into()).unwrap().tasks[0].fingerprint(1);
        let tasks = vec![remembered("a", 50, 1), known, remembered("c", 50, 3)];
        list.expect(tasks, 66);
        let page = read_expected_page(text.into(), &mut list.recall).unwrap();
        list.follow(&page.tasks);
        assert_eq!(expected(&mut list), ["c"]);
    }

    #[test]
    fn a_page_far_on_is_followed_from_there() {
        let mut list = Recollection::of_list(1, 2);
        list.expect(vec![remembered("a", 90, 1); 66], 66);
        list.follow(&page(&[50, 40]));
        assert_eq!(asks(&list), "NewestFirst: 66 beyond 40t");
    }

    #[test]
    fn what_is_asked_for_by_id_is_not_expected_in_any_order() {
        assert_eq!(asks(&Recollection::default()), "");
    }
}
