//! `/api/tasks` and `/api/events`: what `--json` prints, page by page.

use serde::Serialize;

use crate::store::filter::EventSpan;
use crate::store::queries::{EventRecord, TaskRecord};
use crate::web::answer::{Answer, Code};
use crate::web::app_state::AppState;
use crate::web::filters;
use crate::web::paging::{Cursor, TasksLookedAt, USUAL_LIMIT, has, read};
use crate::web::parameters::Parameters;
use crate::web::refusal::Refusal;

/// `/api/tasks`.
pub(super) fn tasks(state: &AppState, query: &str) -> Result<Answer, Refusal> {
    let parameters = Parameters::read(query, filters::OF_TASKS)?;
    let mut filter = filters::of_tasks(&parameters, state)?;
    // Looked for here, where what is looked at is counted.
    let url = filter.url.take();
    let limit = parameters.one("limit")?.unwrap_or(USUAL_LIMIT);
    let after: Option<Cursor> = parameters.one("after")?;
    let chunk = |end: Option<&TaskRecord>, wanted| {
        let place = end.map(TaskRecord::cursor);
        let place = place.as_ref().or(after.as_ref().map(|cursor| &cursor.0));
        state.records.tasks(&filter, place, wanted)
    };
    let is_meant = |record: &TaskRecord| Ok(url.as_ref().is_none_or(|url| has(record, url)));
    let page = read(limit, chunk, is_meant, json)?;
    let next = page.end.map(|record| Cursor(record.cursor()).text());
    document("tasks", &page.items, next.as_ref())
}

/// `/api/events`.
pub(super) fn events(state: &AppState, query: &str) -> Result<Answer, Refusal> {
    let parameters = Parameters::read(query, filters::OF_EVENTS)?;
    parameters.refuse_both("after", "before")?;
    let mut filter = filters::of_events(&parameters, state)?;
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
        state.records.events(&filter, span, wanted)
    };
    let mut tasks = TasksLookedAt::default();
    let is_meant = |event: &EventRecord| match &url {
        Some(url) if !url.matches_document(&event.document) => {
            tasks.one_has(&*state.records, event, url)
        }
        _ => Ok(true),
    };
    let page = read(limit, chunk, is_meant, json)?;
    let next = page.end.map(|event| event.sequence);
    document("events", &page.items, next.as_ref())
}

fn json(record: &impl Serialize) -> Result<String, Refusal> {
    Ok(serde_json::to_string(record)?)
}

fn document<N: Serialize>(
    name: &str,
    items: &[String],
    next: Option<&N>,
) -> Result<Answer, Refusal> {
    let next = serde_json::to_string(&next)?;
    let items = items.join(",\n");
    let body = format!("{{\"{name}\":[\n{items}\n],\"next\":{next}}}\n");
    Ok(Answer::json(Code::Ok, &body))
}
