//! The page of one task: what it is, its URLs, and all that happened to it.

use maud::{Markup, html};

use super::bar::Progress;
use super::tasks::{status, urgency, url_line};
use super::text::{moment, outside, span, time};
use super::{Mood, Page, events};
use crate::domain::model::{TargetName, TaskId, Timestamp, UrlState};
use crate::store::filter::{DeliveryFilter, EventFilter, EventRef, EventSpan, TaskFilter};
use crate::store::queries::{DeliveryRecord, EventRecord, TaskRecord};
use crate::web::app_state::AppState;
use crate::web::parameters::{Mistake, Parameters};
use crate::web::refusal::Refusal;

/// URLs of a page, and events.
const MOST_URLS: usize = 200;
const MOST_EVENTS: usize = 50;

/// Deliveries of one event, as far as they are shown: webhooks are few.
const MOST_DELIVERIES: usize = 20;

/// Where in a task's lists a page begins.
struct Place {
    /// URLs passed over.
    urls: usize,
    /// The sequence of the last event before.
    events: u64,
}

/// None: there is no such task.
pub(super) fn page(state: &AppState, query: &str) -> Result<Option<Page>, Refusal> {
    let parameters = Parameters::read(query, &["target", "id", "urls", "events", "refresh"])?;
    let needed = |name| {
        let said: Option<String> = parameters.one(name)?;
        said.ok_or_else(|| Mistake::new(name, "has to be said"))
    };
    let (target, id) = (TargetName(needed("target")?), TaskId(needed("id")?));
    let place = Place {
        urls: parameters.one("urls")?.unwrap_or(0),
        events: parameters.one("events")?.unwrap_or(0),
    };
    let filter = TaskFilter {
        targets: vec![target],
        id: Some(id),
        ..TaskFilter::default()
    };
    let Some(record) = state.records.tasks(&filter, None, 1)?.pop() else {
        return Ok(None);
    };
    let events = history(state, &record, place.events)?;
    let deliveries = deliveries(state, &events)?;
    let now = state.clock.now();
    Ok(Some(Page {
        title: record.task.id.to_string(),
        refresh: super::refresh(&parameters)?,
        mood: Mood::Unsaid,
        now,
        main: html! {
            h1 { "Task " span.id { (outside(record.task.id.as_str())) } }
            section data-part="facts" aria-label="Facts" { (facts(&record, now)) }
            section data-part="urls" aria-labelledby="urls" {
                h2 id="urls" { "URLs" }
                (urls(&record, &place, &parameters))
            }
            section data-part="history" aria-labelledby="history" {
                h2 id="history" { "History" }
                @if events.is_empty() { p.none { "No event of it is kept." } }
                (events::history(&events, &deliveries, now))
                (onward(&parameters, "events", place.events, events.get(MOST_EVENTS - 1).map(|event| event.sequence)))
            }
        },
    }))
}

fn history(state: &AppState, record: &TaskRecord, after: u64) -> Result<Vec<EventRecord>, Refusal> {
    let filter = EventFilter {
        targets: vec![record.target.clone()],
        task: Some(record.task.id.clone()),
        ..EventFilter::default()
    };
    Ok(state
        .records
        .events(&filter, EventSpan::OldestFirst { after }, MOST_EVENTS)?)
}

fn deliveries(state: &AppState, events: &[EventRecord]) -> Result<Vec<DeliveryRecord>, Refusal> {
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
    let most = events.len() * MOST_DELIVERIES;
    Ok(state.records.deliveries(&filter, None, most)?)
}

fn facts(record: &TaskRecord, now: Timestamp) -> Markup {
    let task = &record.task;
    let progress = Progress::of(task);
    let told_at = |at: Timestamp| html! { (moment(at)) " (" (time(at, now)) ")" };
    let took = record.took().map(span);
    html! {
        dl.facts {
            div { dt { "Status" } dd { (status(record)) } }
            div { dt { "Progress" } dd { (progress.bar()) " " (progress.sentence()) } }
            div { dt { "Target" } dd { (outside(record.target.as_str())) } }
            @if let Some(kind) = &task.r#type { div { dt { "Type" } dd { (outside(kind)) } } }
            @if let Some(created) = task.created { div { dt { "Submitted" } dd { (told_at(created)) } } }
            div { dt { "First seen" } dd { (told_at(task.first_seen)) } }
            div { dt { "Last change" } dd { (told_at(record.changed)) } }
            @if let Some(took) = took { div { dt { "Took" } dd { (took) } } }
        }
    }
}

fn urls(record: &TaskRecord, place: &Place, parameters: &Parameters) -> Markup {
    let mut urls: Vec<(&String, &UrlState)> = record.task.urls.iter().collect();
    urls.sort_by_key(|(_, state)| urgency(&state.status));
    let end = place.urls.saturating_add(MOST_URLS);
    let next = (urls.len() > end).then_some(end as u64);
    html! {
        ul.urls { @for (url, state) in urls.iter().skip(place.urls).take(MOST_URLS) { li {
            (url_line(url, state))
            @if let Some(finished) = state.finished { " " time.of datetime=(finished) { "finished " (moment(finished)) } }
        } } }
        (onward(parameters, "urls", place.urls as u64, next))
    }
}

/// A way to the next part of a list, and back to its beginning.
fn onward(parameters: &Parameters, name: &str, here: u64, next: Option<u64>) -> Markup {
    let link = |value: &str| format!("task?{}", parameters.with(name, value));
    html! {
        @if here > 0 { p { a href=(link("")) { "From the beginning" } } }
        @if let Some(next) = next { p { a.next rel="next" href=(link(&next.to_string())) { "The ones after these" } } }
    }
}
