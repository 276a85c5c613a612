//! Result pages: how many records one response holds, and the cursor of the next page. Time and memory of a response are
//! bounded, whatever the request selects.

use std::collections::HashMap;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::model::{TargetName, TaskId, Timestamp};
use crate::store::StoreError;
use crate::store::filter::{EventSpan, TaskFilter, UrlFilter};
use crate::store::queries::{EventRecord, StateQueries, TaskCursor, TaskRecord};
use crate::web::app_state::AppState;
use crate::web::query::{QueryParams, RequestError, event_filter, task_filter};

/// Records of a page if `limit` is absent.
const DEFAULT_LIMIT: Limit = Limit(50);

const MAX_LIMIT: usize = 500;

/// Records examined for one page of a search for URLs, which takes some tenths of a second.
const MAX_EXAMINED: usize = 5_000;

/// Records read from the state at once.
const CHUNK: usize = 50;

/// Bytes after which a page ends. The record that reaches the limit is still part of it.
const MAX_BYTES: usize = 4 << 20;

/// `limit`.
#[derive(Clone, Copy, Debug)]
struct Limit(usize);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse().ok();
        let number = number.filter(|number| (1..=MAX_LIMIT).contains(number));
        number
            .map(Self)
            .ok_or_else(|| format!("expected a number from 1 to {MAX_LIMIT}"))
    }
}

/// A task's position in the list, as `next` of `/api/tasks` encodes it. Opaque to clients, and safe in a URL.
pub(super) struct PageCursor(pub(super) TaskCursor);

impl PageCursor {
    pub(super) fn text(&self) -> String {
        let TaskCursor { time, target, id } = &self.0;
        let place = (time.unix_seconds(), target, id);
        // Serialising numbers and strings can't fail.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).unwrap_or_default())
    }
}

impl FromStr for PageCursor {
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
            .ok_or("expected the `next` of the previous page")
    }
}

/// One page of results.
pub(super) struct ResultPage<R> {
    /// The selected records, rendered.
    pub(super) items: Vec<String>,
    /// The last record examined, after which the next page begins. `None` if there is no next page.
    pub(super) end: Option<R>,
}

/// The page of tasks that a request selects, newest first.
pub(super) fn tasks(
    app: &AppState,
    params: &QueryParams,
    render: impl FnMut(&TaskRecord) -> Result<String, RequestError>,
) -> Result<ResultPage<TaskRecord>, RequestError> {
    let mut filter = task_filter(params, app)?;
    // Applied here instead of in the store, so that examined records are counted.
    let url = filter.url.take();
    let limit = params.one("limit")?.unwrap_or(DEFAULT_LIMIT);
    let after: Option<PageCursor> = params.one("after")?;
    let read_chunk = |end: Option<&TaskRecord>, count| {
        let place = end.map(TaskRecord::cursor);
        let place = place.as_ref().or(after.as_ref().map(|cursor| &cursor.0));
        app.records.tasks(&filter, place, count)
    };
    let is_selected = |record: &TaskRecord| Ok(url.as_ref().is_none_or(|url| has_url(record, url)));
    read_page(limit, read_chunk, is_selected, render)
}

/// The page of events that a request selects: newest first, or oldest first with `after`.
pub(super) fn events(
    app: &AppState,
    params: &QueryParams,
    render: impl FnMut(&EventRecord) -> Result<String, RequestError>,
) -> Result<ResultPage<EventRecord>, RequestError> {
    params.refuse_both("after", "before")?;
    let mut filter = event_filter(params, app)?;
    let url = filter.url.take();
    let limit = params.one("limit")?.unwrap_or(DEFAULT_LIMIT);
    let after: Option<u64> = params.one("after")?;
    let before: Option<u64> = params.one("before")?;
    let read_chunk = |end: Option<&EventRecord>, count| {
        let end = end.map(|event| event.sequence);
        let span = match after {
            Some(after) => EventSpan::OldestFirst {
                after: end.unwrap_or(after),
            },
            None => EventSpan::NewestFirst {
                before: end.or(before),
            },
        };
        app.records.events(&filter, span, count)
    };
    let mut tasks = TaskUrlCache::default();
    let is_selected = |event: &EventRecord| match &url {
        Some(url) if !url.matches_document(&event.document) => {
            tasks.has_url(&*app.records, event, url)
        }
        _ => Ok(true),
    };
    read_page(limit, read_chunk, is_selected, render)
}

/// Reads chunks until the page is full or enough records were examined.
fn read_page<R>(
    limit: Limit,
    mut read_chunk: impl FnMut(Option<&R>, usize) -> Result<Vec<R>, StoreError>,
    mut is_selected: impl FnMut(&R) -> Result<bool, StoreError>,
    mut render: impl FnMut(&R) -> Result<String, RequestError>,
) -> Result<ResultPage<R>, RequestError> {
    let (mut items, mut bytes, mut examined, mut end) = (Vec::new(), 0, 0, None);
    loop {
        let mut records = read_chunk(end.as_ref(), CHUNK)?.into_iter();
        let is_last = records.len() < CHUNK;
        while let Some(record) = records.next() {
            examined += 1;
            if is_selected(&record)? {
                let item = render(&record)?;
                bytes += item.len();
                items.push(item);
            }
            let is_full = items.len() == limit.0 || bytes >= MAX_BYTES || examined == MAX_EXAMINED;
            end = Some(record);
            if is_full {
                let is_over = is_last && records.len() == 0;
                let end = end.filter(|_| !is_over);
                return Ok(ResultPage { items, end });
            }
        }
        if is_last {
            return Ok(ResultPage { items, end: None });
        }
    }
}

/// Which tasks have a URL that a search for events asks for. Several events are of the same task.
#[derive(Default)]
struct TaskUrlCache {
    known: HashMap<(TargetName, TaskId), bool>,
}

impl TaskUrlCache {
    /// Whether the event's task has such a URL in the state now.
    fn has_url(
        &mut self,
        records: &dyn StateQueries,
        event: &EventRecord,
        url: &UrlFilter,
    ) -> Result<bool, StoreError> {
        let Some(id) = &event.task else {
            return Ok(false);
        };
        let key = (event.target.clone(), id.clone());
        if let Some(known) = self.known.get(&key) {
            return Ok(*known);
        }
        let filter = TaskFilter {
            targets: vec![event.target.clone()],
            id: Some(id.clone()),
            ..TaskFilter::default()
        };
        let tasks = records.tasks(&filter, None, 1)?;
        let has_url = tasks.iter().any(|task| has_url(task, url));
        self.known.insert(key, has_url);
        Ok(has_url)
    }
}

fn has_url(record: &TaskRecord, url: &UrlFilter) -> bool {
    record.task.urls.keys().any(|one| url.matches(one))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_survives_encoding_and_needs_no_escaping(seconds in 0..253_402_300_799_i64, target in ".*", id in ".*") {
            let place = TaskCursor {
                time: Timestamp::from_unix_seconds(seconds).unwrap(),
                target: TargetName(target),
                id: TaskId(id),
            };
            let text = PageCursor(place.clone()).text();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(text.parse::<PageCursor>().unwrap().0, place);
        }

        #[test]
        fn each_selected_record_is_on_exactly_one_page_and_in_order(count in 0..300_usize, limit in 1..120_usize, every in 1..7_usize) {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let chunk = |end: Option<&usize>, wanted: usize| {
                    let first = end.copied().or(after).map_or(0, |end| end + 1);
                    Ok((first..count).take(wanted).collect())
                };
                let is_selected = |number: &usize| Ok(number.is_multiple_of(every));
                let page = read_page(Limit(limit), chunk, is_selected, |number| Ok(number.to_string())).unwrap();
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
    fn a_search_without_a_hit_ends_and_says_where_to_continue() {
        let mut examined = 0;
        let chunk = |end: Option<&usize>, wanted: usize| {
            let first = end.map_or(0, |end| end + 1);
            Ok((first..first + wanted).collect())
        };
        let is_selected = |_: &usize| {
            examined += 1;
            Ok(false)
        };
        let page = read_page(DEFAULT_LIMIT, chunk, is_selected, |_| Ok(String::new())).unwrap();
        assert_eq!((page.items.len(), page.end), (0, Some(4_999)));
        assert_eq!(examined, 5_000);
    }

    #[test]
    fn a_page_ends_after_4_mib() {
        let chunk = |_: Option<&String>, wanted: usize| Ok(vec!["x".repeat(1 << 20); wanted]);
        let page = read_page(DEFAULT_LIMIT, chunk, |_| Ok(true), |text| Ok(text.clone())).unwrap();
        assert_eq!(page.items.len(), 4);
        assert!(page.end.is_some());
    }
}
