//! Tasks as a list: a line each, and on opening it their URLs. Pure.

use maud::{Markup, html};

use super::bar::Progress;
use super::text::{outside, path_of, span, time};
use crate::domain::model::{Absence, KnownTask, Status, Timestamp, UrlState};
use crate::store::queries::TaskRecord;

/// URLs that a line opens to.
const MOST_URLS: usize = 20;

/// Tasks, each a line.
pub(super) fn list(tasks: &[TaskRecord], now: Timestamp) -> Markup {
    html! {
        ul.tasks { @for task in tasks { (item(task, now)) } }
    }
}

/// One of the list.
pub(super) fn item(record: &TaskRecord, now: Timestamp) -> Markup {
    let progress = Progress::of(&record.task);
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
                (urls(&record.task, MOST_URLS))
                p { a href=(path) { "History and deliveries of this task" } }
            }
        }
    }
}

/// A task's status in a word, with what that alone does not tell.
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

/// A status in the API's word, in the colour of how good it is.
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

/// Some of a task's URLs, those first that somebody might look for.
fn urls(task: &KnownTask, most: usize) -> Markup {
    let mut urls: Vec<(&String, &UrlState)> = task.urls.iter().collect();
    urls.sort_by_key(|(_, state)| urgency(&state.status));
    let rest = urls.len().saturating_sub(most);
    html! {
        ul.urls { @for (url, state) in urls.iter().take(most) { li { (url_line(url, state)) } } }
        @if rest > 0 { p.rest { "and " (rest) " more" } }
    }
}

/// A URL and how far it is. Never a link: who looks on does not mean to visit it.
pub(super) fn url_line(url: &str, state: &UrlState) -> Markup {
    html! {
        span.status {
            (word(&state.status))
            @if let Some(percent) = state.progress.filter(|percent| *percent > 0 && !state.status.is_finished()) { " " span.count { (percent) " %" } }
        }
        " " span.url { (outside(url)) }
    }
}

/// The lower the sooner.
pub(super) fn urgency(status: &Status) -> u8 {
    match status {
        Status::Failure => 0,
        Status::Other(_) => 1,
        Status::Process => 2,
        Status::Wait => 3,
        Status::Success => 4,
    }
}
