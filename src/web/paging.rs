//! Where a page ends, and how the next one is asked for: a page costs a bounded time and memory, whatever is asked for.

use std::collections::HashMap;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::model::{TargetName, TaskId, Timestamp};
use crate::store::StoreError;
use crate::store::filter::{TaskFilter, UrlFilter};
use crate::store::queries::{EventRecord, StateQueries, TaskCursor, TaskRecord};
use crate::web::refusal::Refusal;

/// Rows of a page, unless `limit` says otherwise.
pub(super) const USUAL_LIMIT: Limit = Limit(50);

/// Rows of a page at the most.
const HIGHEST_LIMIT: usize = 500;

/// Rows that a page which looks for URLs looks through: some tenths of a second.
const MOST_LOOKED_AT: usize = 5_000;

/// Rows in memory at a time.
const CHUNK: usize = 50;

/// A page ends with the record that makes it so long, in bytes.
const LONG_ENOUGH: usize = 4 << 20;

/// `limit`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit(pub(super) usize);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=HIGHEST_LIMIT).contains(number));
        number
            .map(Self)
            .ok_or_else(|| format!("expected a number from 1 to {HIGHEST_LIMIT}"))
    }
}

/// A task's place, as `next` tells it: for us alone, in letters that no URL has to escape.
pub(super) struct Cursor(pub(super) TaskCursor);

impl Cursor {
    pub(super) fn text(&self) -> String {
        let TaskCursor { time, target, id } = &self.0;
        let place = (time.unix_seconds(), target, id);
        // Numbers and strings can't fail to be JSON.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).unwrap_or_default())
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || -> Option<TaskCursor> {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (seconds, target, id): (i64, TargetName, TaskId) =
                serde_json::from_slice(&bytes).ok()?;
            let time = Timestamp::from_unix_seconds(seconds)?;
            Some(TaskCursor { time, target, id })
        };
        read()
            .map(Self)
            .ok_or("expected the `next` of the page before")
    }
}

/// A page in the making.
pub(super) struct Page<R> {
    /// Each told in the form that was asked for.
    pub(super) items: Vec<String>,
    /// The record that the next page begins behind; none: there is no next page.
    pub(super) end: Option<R>,
}

/// Reads on until there are enough of the records that are meant, or enough was looked at.
pub(super) fn read<R>(
    limit: Limit,
    mut chunk: impl FnMut(Option<&R>, usize) -> Result<Vec<R>, StoreError>,
    mut is_meant: impl FnMut(&R) -> Result<bool, StoreError>,
    mut tell: impl FnMut(&R) -> Result<String, Refusal>,
) -> Result<Page<R>, Refusal> {
    let (mut items, mut bytes, mut looked_at, mut end) = (Vec::new(), 0, 0, None);
    loop {
        let mut records = chunk(end.as_ref(), CHUNK)?.into_iter();
        let is_last = records.len() < CHUNK;
        while let Some(record) = records.next() {
            looked_at += 1;
            if is_meant(&record)? {
                let item = tell(&record)?;
                bytes += item.len();
                items.push(item);
            }
            let is_full =
                items.len() == limit.0 || bytes >= LONG_ENOUGH || looked_at == MOST_LOOKED_AT;
            end = Some(record);
            if is_full {
                let is_over = is_last && records.len() == 0;
                let end = end.filter(|_| !is_over);
                return Ok(Page { items, end });
            }
        }
        if is_last {
            return Ok(Page { items, end: None });
        }
    }
}

/// Which tasks have a URL that is looked for: several events are of the same one.
#[derive(Default)]
pub(super) struct TasksLookedAt {
    known: HashMap<(TargetName, TaskId), bool>,
}

impl TasksLookedAt {
    /// Whether the event's task, as the state has it now, has such a URL.
    pub(super) fn one_has(
        &mut self,
        records: &dyn StateQueries,
        event: &EventRecord,
        url: &UrlFilter,
    ) -> Result<bool, StoreError> {
        let Some(id) = &event.task else {
            return Ok(false);
        };
        let name = (event.target.clone(), id.clone());
        if let Some(has_one) = self.known.get(&name) {
            return Ok(*has_one);
        }
        let filter = TaskFilter {
            targets: vec![event.target.clone()],
            id: Some(id.clone()),
            ..TaskFilter::default()
        };
        let tasks = records.tasks(&filter, None, 1)?;
        let has_one = tasks.iter().any(|task| has(task, url));
        self.known.insert(name, has_one);
        Ok(has_one)
    }
}

/// Whether the task has such a URL.
pub(super) fn has(record: &TaskRecord, url: &UrlFilter) -> bool {
    record.task.urls.keys().any(|one| url.matches(one))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went_and_needs_no_escaping(seconds in 0..253_402_300_799_i64, target in ".*", id in ".*") {
            let place = TaskCursor {
                time: Timestamp::from_unix_seconds(seconds).unwrap(),
                target: TargetName(target),
                id: TaskId(id),
            };
            let text = Cursor(place.clone()).text();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(text.parse::<Cursor>().unwrap().0, place);
        }

        /// However the records are cut into pages, each that is meant comes once and in order.
        #[test]
        fn pages_leave_nothing_out_and_repeat_nothing(count in 0..300_usize, limit in 1..120_usize, every in 1..7_usize) {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let chunk = |end: Option<&usize>, wanted: usize| {
                    let first = end.copied().or(after).map_or(0, |end| end + 1);
                    Ok((first..count).take(wanted).collect())
                };
                let is_meant = |number: &usize| Ok(number.is_multiple_of(every));
                let page = read(Limit(limit), chunk, is_meant, |number| Ok(number.to_string())).unwrap();
                prop_assert!(page.items.len() <= limit);
                seen.extend(page.items);
                match page.end {
                    Some(end) => after = Some(end),
                    None => break,
                }
            }
            let expected: Vec<String> = (0..count).step_by(every).map(|number| number.to_string()).collect();
            prop_assert_eq!(seen, expected);
        }
    }

    #[test]
    fn who_looks_for_what_is_not_there_is_told_where_to_go_on() {
        let mut looked_at = 0;
        let chunk = |end: Option<&usize>, wanted: usize| {
            let first = end.map_or(0, |end| end + 1);
            Ok((first..first + wanted).collect())
        };
        let is_meant = |_: &usize| {
            looked_at += 1;
            Ok(false)
        };
        let page = read(USUAL_LIMIT, chunk, is_meant, |_| Ok(String::new())).unwrap();
        assert_eq!((page.items.len(), page.end), (0, Some(4_999)));
        assert_eq!(looked_at, 5_000);
    }

    #[test]
    fn a_page_ends_when_it_is_long() {
        let chunk = |_: Option<&String>, wanted: usize| Ok(vec!["x".repeat(1 << 20); wanted]);
        let page = read(USUAL_LIMIT, chunk, |_| Ok(true), |text| Ok(text.clone())).unwrap();
        assert_eq!(page.items.len(), 4);
        assert!(page.end.is_some());
    }
}
