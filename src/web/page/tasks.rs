//! Tasks as a list whose rows open to their URLs, and the page that searches for tasks.

use maud::{Markup, PreEscaped, html};

use super::layout::{HtmlPage, Refresh};
use super::progress_bar::UrlProgress;
use super::text::{outside, outside_plain, path_of, span, time};
use crate::domain::model::{Absence, KnownTask, Status, TargetName, Timestamp, UrlState};
use crate::store::queries::TaskRecord;
use crate::web::app_state::AppState;
use crate::web::paging::{PageCursor, ResultPage};
use crate::web::query::QueryParams;

/// URLs in a row.
const MAX_URLS: usize = 20;

/// Values of `status` that the form offers.
const CONDITIONS: [&str; 8] = [
    "in-flight",
    "stalled",
    "failure",
    "vanished",
    "wait",
    "process",
    "success",
    "unknown",
];

/// Values of `since` that the form offers.
const SPANS: [&str; 4] = ["1h", "6h", "1d", "7d"];

pub(super) fn page(
    app: &AppState,
    params: &QueryParams,
    found: &ResultPage<TaskRecord>,
    now: Timestamp,
) -> HtmlPage {
    let next = found.end.as_ref().map(|end| {
        let cursor = PageCursor(end.cursor()).text();
        format!("tasks?{}", params.with("after", &cursor))
    });
    HtmlPage {
        title: "Tasks".to_owned(),
        // A list that is read page by page must not move.
        refresh: Refresh::Off,
        severity: None,
        now,
        main: html! {
            h1 { "Tasks" }
            (form(app, params))
            @if found.items.is_empty() {
                p.none { @if next.is_some() { "No task found in this part of the list; older tasks follow." } @else { "No such task." } }
            } @else {
                ul.tasks { @for item in &found.items { (PreEscaped(item)) } }
            }
            @if let Some(next) = next { p { a.next rel="next" href=(next) { "Older tasks" } } }
        },
    }
}

fn form(app: &AppState, params: &QueryParams) -> Markup {
    let chosen = |name: &'static str| params.raw(name).next().unwrap_or_default();
    let targets = app.health.snapshot().kinds;
    html! {
        form method="get" action="tasks" role="search" aria-label="Tasks" {
            label { "Id " input type="search" name="id" value=(outside_plain(chosen("id"))) autocomplete="off" spellcheck="false"; }
            label { "URL contains " input type="search" name="url" value=(outside_plain(chosen("url"))) autocomplete="off" spellcheck="false"; }
            (choice("Status ", "status", chosen("status"), CONDITIONS))
            (choice("Target ", "target", chosen("target"), targets.keys().map(TargetName::as_str)))
            (choice("Since ", "since", chosen("since"), SPANS))
            button type="submit" { "Show" }
        }
    }
}

/// A select field. A chosen value that is not among `words` is offered, too.
fn choice<'a>(
    label: &str,
    name: &str,
    chosen: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Markup {
    let words: Vec<&str> = words.into_iter().collect();
    let is_other = !chosen.is_empty() && !words.contains(&chosen);
    html! {
        label { (label) select name=(name) {
            option value="" { "any" }
            @if is_other { option value=(outside_plain(chosen)) selected { (outside_plain(chosen)) } }
            @for word in words { option value=(word) selected[word == chosen] { (word) } }
        } }
    }
}

/// Tasks, one row each.
pub(super) fn list(tasks: &[TaskRecord], now: Timestamp) -> Markup {
    html! {
        ul.tasks { @for task in tasks { (row(task, now)) } }
    }
}

/// One row.
pub(super) fn row(record: &TaskRecord, now: Timestamp) -> Markup {
    let progress = UrlProgress::of(&record.task);
    let path = path_of(record);
    html! {
        li {
            details data-key=(path) {
                summary {
                    (status(record))
                    span.name {
                        span.id { (outside(record.task.id.as_str())) }
                        " " span.of { (outside(record.target.as_str())) @if let Some(kind) = &record.task.r#type { " · " (outside(kind)) } }
                    }
                    span.done { (progress.bar()) " " span.count { @if record.task.is_in_flight() { (progress.percent) "\u{a0}%, " } (progress.success + progress.failure) "/" (progress.total) } }
                    span.age { (time(record.time(), now)) @if let Some(took) = record.took() { span.took { " · took " (span(took)) } } }
                }
                (urls(&record.task, MAX_URLS))
                p { a href=(path) { "History and deliveries of this task" } }
            }
        }
    }
}

/// A task's status, and `vanished` or `stalled` beside it.
pub(super) fn status(record: &TaskRecord) -> Markup {
    let task = &record.task;
    let note = match task.absence {
        Absence::Vanished => Some("vanished"),
        Absence::Missing { .. } if task.stalled && task.is_in_flight() => Some("stalled"),
        Absence::Missing { .. } => None,
    };
    html! {
        span.status {
            (word(&task.status))
            @if let Some(note) = note { " " span.word.stalled { (note) } }
        }
    }
}

/// A status in the API's word, coloured.
pub(super) fn word(status: &Status) -> Markup {
    html! { span.word.(class(status)) { (outside(status.as_str())) } }
}

fn class(status: &Status) -> &'static str {
    match status {
        Status::Wait => "wait",
        Status::Process => "process",
        Status::Success => "success",
        Status::Failure => "failure",
        Status::Other(_) => "unknown",
    }
}

/// A task's most urgent URLs, at most `max`.
fn urls(task: &KnownTask, max: usize) -> Markup {
    let mut urls: Vec<(&String, &UrlState)> = task.urls.iter().collect();
    urls.sort_by_key(|(_, state)| urgency(&state.status));
    let rest = urls.len().saturating_sub(max);
    html! {
        ul.urls { @for (url, state) in urls.iter().take(max) { li { (url_line(url, state)) } } }
        @if rest > 0 { p.rest { "and " (rest) " more" } }
    }
}

/// A URL with its status and progress. Not a link, because viewers do not mean to visit it.
pub(super) fn url_line(url: &str, state: &UrlState) -> Markup {
    html! {
        span.status {
            (word(&state.status))
            @if let Some(percent) = state.progress.filter(|percent| *percent > 0 && !state.status.is_finished()) { " " span.count { (percent) " %" } }
        }
        " " span.url { (outside(url)) }
    }
}

/// Sort key: the most urgent status first.
pub(super) fn urgency(status: &Status) -> u8 {
    match status {
        Status::Failure => 0,
        Status::Other(_) => 1,
        Status::Process => 2,
        Status::Wait => 3,
        Status::Success => 4,
    }
}
