//! `/api/tasks` and `/api/events`: what `--json` prints, page by page. Owns where a page ends and how the next one is asked
//! for; a page costs a bounded time and memory, whatever is asked for.

use std::collections::HashMap;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::model::{TargetName, TaskId, Timestamp};
use crate::status::answer::{Answer, Code};
use crate::status::filters;
use crate::status::parameters::Parameters;
use crate::status::refusal::Refusal;
use crate::status::site::Site;
use crate::store::StoreError;
use crate::store::filter::{EventSpan, TaskFilter, UrlFilter};
use crate::store::records::{EventRecord, Records, TaskPlace, TaskRecord};

/// Records of a page, unless `limit` says otherwise.
const USUAL_LIMIT: Limit = Limit(50);

/// Records of a page at the most.
const HIGHEST_LIMIT: usize = 500;

/// Records that a page which looks for URLs looks through: some tenths of a second.
const MOST_LOOKED_AT: usize = 5_000;

/// Records in memory at a time.
const CHUNK: usize = 50;

/// A page ends with the record that makes it so long, in bytes.
const LONG_ENOUGH: usize = 4 << 20;

/// `limit`.
#[derive(Clone, Copy, Debug)]
struct Limit(usize);

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
struct Cursor(TaskPlace);

impl Cursor {
    fn text(&self) -> String {
        let TaskPlace { time, target, id } = &self.0;
        let place = (time.unix_seconds(), target, id);
        // Numbers and strings can't fail to be JSON.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&place).unwrap_or_default())
    }
}

impl FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || -> Option<TaskPlace> {
            let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
            let (seconds, target, id): (i64, TargetName, TaskId) =
                serde_json::from_slice(&bytes).ok()?;
            let time = Timestamp::from_unix_seconds(seconds)?;
            Some(TaskPlace { time, target, id })
        };
        read()
            .map(Self)
            .ok_or("expected the `next` of the page before")
    }
}

/// A page in the making.
struct Page<R> {
    /// As JSON, one a line.
    items: String,
    /// The record that the next page begins behind; none: there is no next page.
    end: Option<R>,
}

/// Reads on until there are enough of the records that are meant, or enough was looked at.
fn read<R: Serialize>(
    limit: Limit,
    mut chunk: impl FnMut(Option<&R>, usize) -> Result<Vec<R>, StoreError>,
    mut is_meant: impl FnMut(&R) -> Result<bool, StoreError>,
) -> Result<Page<R>, Refusal> {
    let (mut items, mut count, mut looked_at, mut end) = (String::new(), 0, 0, None);
    loop {
        let mut records = chunk(end.as_ref(), CHUNK)?.into_iter();
        let is_last = records.len() < CHUNK;
        while let Some(record) = records.next() {
            looked_at += 1;
            if is_meant(&record)? {
                items.push_str(if count > 0 { ",\n" } else { "\n" });
                items.push_str(&serde_json::to_string(&record)?);
                count += 1;
            }
            let is_full =
                count == limit.0 || items.len() >= LONG_ENOUGH || looked_at == MOST_LOOKED_AT;
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

/// `/api/tasks`.
pub(super) fn tasks(site: &Site, query: &str) -> Result<Answer, Refusal> {
    let parameters = Parameters::read(query, filters::OF_TASKS)?;
    let mut filter = filters::of_tasks(&parameters, site)?;
    // Looked for here, where what is looked at is counted.
    let url = filter.url.take();
    let limit = parameters.one("limit")?.unwrap_or(USUAL_LIMIT);
    let after: Option<Cursor> = parameters.one("after")?;
    let chunk = |end: Option<&TaskRecord>, wanted| {
        let place = end.map(TaskRecord::place);
        let place = place.as_ref().or(after.as_ref().map(|cursor| &cursor.0));
        site.records.tasks(&filter, place, wanted)
    };
    let page = read(limit, chunk, |record| {
        Ok(url.as_ref().is_none_or(|url| has(record, url)))
    })?;
    let next = page.end.map(|record| Cursor(record.place()).text());
    document("tasks", &page.items, next.as_ref())
}

/// `/api/events`.
pub(super) fn events(site: &Site, query: &str) -> Result<Answer, Refusal> {
    let parameters = Parameters::read(query, filters::OF_EVENTS)?;
    parameters.refuse_both("after", "before")?;
    let mut filter = filters::of_events(&parameters, site)?;
    let url = filter.url.take();
    let limit = parameters.one("limit")?.unwrap_or(USUAL_LIMIT);
    let after: Option<u64> = parameters.one("after")?;
    let before: Option<u64> = parameters.one("before")?;
    let chunk = |end: Option<&EventRecord>, wanted| {
        let end = end.map(|event| event.sequence);
        let span = match after {
            Some(after) => EventSpan::OldestFirst {
                after: end.unwrap_or(after),
            },
            None => EventSpan::NewestFirst {
                before: end.or(before),
            },
        };
        site.records.events(&filter, span, wanted)
    };
    let mut tasks = TasksLookedAt::default();
    let page = read(limit, chunk, |event| match &url {
        Some(url) if !url.is_named_in(&event.document) => tasks.one_has(&*site.records, event, url),
        _ => Ok(true),
    })?;
    let next = page.end.map(|event| event.sequence);
    document("events", &page.items, next.as_ref())
}

/// Which tasks have a URL that is looked for: several events are of the same one.
#[derive(Default)]
struct TasksLookedAt {
    known: HashMap<(TargetName, TaskId), bool>,
}

impl TasksLookedAt {
    /// Whether the event's task, as the state has it now, has such a URL.
    fn one_has(
        &mut self,
        records: &dyn Records,
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

fn has(record: &TaskRecord, url: &UrlFilter) -> bool {
    record.task.urls.keys().any(|one| url.matches(one))
}

fn document<N: Serialize>(name: &str, items: &str, next: Option<&N>) -> Result<Answer, Refusal> {
    let next = serde_json::to_string(&next)?;
    let body = format!("{{\"{name}\":[{items}\n],\"next\":{next}}}\n");
    Ok(Answer::json(Code::Ok, body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went_and_needs_no_escaping(seconds in 0..253_402_300_799_i64, target in ".*", id in ".*") {
            let place = TaskPlace {
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
                let page = read(Limit(limit), chunk, |number| Ok(number % every == 0)).unwrap();
                let items = format!("[{}]", page.items);
                let items: Vec<usize> = serde_json::from_str(&items).unwrap();
                prop_assert!(items.len() <= limit);
                seen.extend(items);
                match page.end {
                    Some(end) => after = Some(end),
                    None => break,
                }
            }
            let expected: Vec<usize> = (0..count).step_by(every).collect();
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
        let page = read(USUAL_LIMIT, chunk, |_| {
            looked_at += 1;
            Ok(false)
        });
        let page = page.unwrap();
        assert_eq!((page.items.as_str(), page.end), ("", Some(4_999)));
        assert_eq!(looked_at, 5_000);
    }

    #[test]
    fn a_page_ends_when_it_is_long() {
        let chunk = |_: Option<&String>, wanted: usize| Ok(vec!["x".repeat(1 << 20); wanted]);
        let page = read(USUAL_LIMIT, chunk, |_| Ok(true)).unwrap();
        assert!(page.items.len() < 5 << 20);
        assert!(page.end.is_some());
    }
}
