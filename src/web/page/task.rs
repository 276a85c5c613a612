//! The page of one task: facts, URLs, events and their deliveries.

use maud::{Markup, html};

use super::events;
use super::layout::{HtmlPage, Refresh};
use super::progress_bar::UrlProgress;
use super::tasks::{status, urgency, url_line};
use super::text::{moment, outside, span, time};
use crate::domain::model::{TargetName, TaskId, Timestamp, UrlState};
use crate::store::filter::{DeliveryFilter, EventFilter, EventRef, EventSpan, TaskFilter};
use crate::store::queries::{DeliveryRecord, EventRecord, TaskRecord};
use crate::web::app_state::AppState;
use crate::web::query::{QueryParams, RequestError};

/// URLs on one page.
const MAX_URLS: usize = 200;

/// Events on one page.
const MAX_EVENTS: usize = 50;

/// Deliveries shown of one event. A config has few webhooks.
const MAX_DELIVERIES: usize = 20;

/// Where the lists of a page begin.
struct Offsets {
    /// URLs skipped.
    urls: usize,
    /// Sequence of the event before the first one.
    events: u64,
}

/// `None` if the state has no such task.
pub(super) fn page(app: &AppState, query: &str) -> Result<Option<HtmlPage>, RequestError> {
    let params = QueryParams::parse(query, &["target", "id", "urls", "events", "refresh"])?;
    let target = TargetName(params.required("target")?);
    let id = TaskId(params.required("id")?);
    let offsets = Offsets {
        urls: params.one("urls")?.unwrap_or(0),
        events: params.one("events")?.unwrap_or(0),
    };
    let filter = TaskFilter {
        targets: vec![target],
        id: Some(id),
        ..TaskFilter::default()
    };
    let Some(record) = app.records.tasks(&filter, None, 1)?.pop() else {
        return Ok(None);
    };
    let events = history(app, &record, offsets.events)?;
    let deliveries = deliveries(app, &events)?;
    let now = app.clock.now();
    Ok(Some(HtmlPage {
        title: record.task.id.to_string(),
        refresh: Refresh::from_params(&params)?,
        severity: None,
        now,
        main: html! {
            h1 { "Task " span.id { (outside(record.task.id.as_str())) } }
            section data-part="facts" aria-label="Facts" { (facts(&record, now)) }
            section data-part="urls" aria-labelledby="urls" {
                h2 id="urls" { "URLs" }
                (urls(&record, &offsets, &params))
            }
            section data-part="history" aria-labelledby="history" {
                h2 id="history" { "History" }
                @if events.is_empty() { p.none { "The state has no event of this task." } }
                (events::history(&events, &deliveries, now))
                (onward(&params, "events", offsets.events, events.get(MAX_EVENTS - 1).map(|event| event.sequence)))
            }
        },
    }))
}

fn history(
    app: &AppState,
    record: &TaskRecord,
    after: u64,
) -> Result<Vec<EventRecord>, RequestError> {
    let filter = EventFilter {
        targets: vec![record.target.clone()],
        task: Some(record.task.id.clone()),
        ..EventFilter::default()
    };
    Ok(app
        .records
        .events(&filter, EventSpan::OldestFirst { after }, MAX_EVENTS)?)
}

fn deliveries(app: &AppState, events: &[EventRecord]) -> Result<Vec<DeliveryRecord>, RequestError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let sequences = events
        .iter()
        .map(|event| EventRef::Sequence(event.sequence));
    let filter = DeliveryFilter {
        events: sequences.collect(),
        ..DeliveryFilter::default()
    };
    let max = events.len() * MAX_DELIVERIES;
    Ok(app.records.deliveries(&filter, None, max)?)
}

fn facts(record: &TaskRecord, now: Timestamp) -> Markup {
    let task = &record.task;
    let progress = UrlProgress::of(task);
    let dated = |at: Timestamp| html! { (moment(at)) " (" (time(at, now)) ")" };
    let took = record.took().map(span);
    html! {
        dl.facts {
            div { dt { "Status" } dd { (status(record)) } }
            div { dt { "Progress" } dd { (progress.bar()) " " (progress.sentence()) } }
            div { dt { "Target" } dd { (outside(record.target.as_str())) } }
            @if let Some(kind) = &task.r#type { div { dt { "Type" } dd { (outside(kind)) } } }
            @if let Some(created) = task.created { div { dt { "Submitted" } dd { (dated(created)) } } }
            div { dt { "First seen" } dd { (dated(task.first_seen)) } }
            div { dt { "Last change" } dd { (dated(record.changed)) } }
            @if let Some(took) = took { div { dt { "Took" } dd { (took) } } }
        }
    }
}

fn urls(record: &TaskRecord, offsets: &Offsets, params: &QueryParams) -> Markup {
    let mut urls: Vec<(&String, &UrlState)> = record.task.urls.iter().collect();
    urls.sort_by_key(|(_, state)| urgency(&state.status));
    let end = offsets.urls.saturating_add(MAX_URLS);
    let next = (urls.len() > end).then_some(end as u64);
    html! {
        ul.urls { @for (url, state) in urls.iter().skip(offsets.urls).take(MAX_URLS) { li {
            (url_line(url, state))
            @if let Some(finished) = state.finished { " " time.of datetime=(finished) { "finished " (moment(finished)) } }
        } } }
        (onward(params, "urls", offsets.urls as u64, next))
    }
}

/// Links to the next part of a list and back to its beginning.
fn onward(params: &QueryParams, name: &str, here: u64, next: Option<u64>) -> Markup {
    let link = |value: &str| format!("task?{}", params.with(name, value));
    html! {
        @if here > 0 { p { a href=(link("")) { "Back to the beginning" } } }
        @if let Some(next) = next { p { a.next rel="next" href=(link(&next.to_string())) { "Next" } } }
    }
}
