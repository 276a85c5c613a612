//! The list of tasks, with a form to choose them by.

use maud::{Markup, PreEscaped, html};

use super::text::outside_plain;
use super::{Mood, Page, Refresh};
use crate::domain::model::{TargetName, Timestamp};
use crate::store::queries::TaskRecord;
use crate::web::app_state::AppState;
use crate::web::paging::{Cursor, Page as Found};
use crate::web::parameters::Parameters;

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
const SPANS: [&str; 4] = ["1h", "6h", "1d", "7d"];

pub(super) fn page(
    state: &AppState,
    parameters: &Parameters,
    found: &Found<TaskRecord>,
    now: Timestamp,
) -> Page {
    let next = found.end.as_ref().map(|end| {
        let cursor = Cursor(end.cursor()).text();
        format!("tasks?{}", parameters.with("after", &cursor))
    });
    Page {
        title: "Tasks".to_owned(),
        // Who reads a list page by page does not want it to move.
        refresh: Refresh::Off,
        mood: Mood::Unsaid,
        now,
        main: html! {
            h1 { "Tasks" }
            (form(state, parameters))
            @if found.items.is_empty() {
                p.none { @if next.is_some() { "None among those that were looked at; there are older ones." } @else { "No such task." } }
            } @else {
                ul.tasks { @for item in &found.items { (PreEscaped(item)) } }
            }
            @if let Some(next) = next { p { a.next rel="next" href=(next) { "Older ones" } } }
        },
    }
}

fn form(state: &AppState, parameters: &Parameters) -> Markup {
    let said = |name: &'static str| parameters.values(name).next().unwrap_or_default();
    let targets = state.health.snapshot().kinds;
    html! {
        form method="get" action="tasks" role="search" aria-label="Tasks" {
            label { "Id " input type="search" name="id" value=(outside_plain(said("id"))) autocomplete="off" spellcheck="false"; }
            label { "URL holds " input type="search" name="url" value=(outside_plain(said("url"))) autocomplete="off" spellcheck="false"; }
            (choice("Status ", "status", said("status"), CONDITIONS))
            (choice("Target ", "target", said("target"), targets.keys().map(TargetName::as_str)))
            (choice("Since ", "since", said("since"), SPANS))
            button type="submit" { "Show" }
        }
    }
}

fn choice<'a>(
    label: &str,
    name: &str,
    said: &str,
    words: impl IntoIterator<Item = &'a str>,
) -> Markup {
    let words: Vec<&str> = words.into_iter().collect();
    let other = !said.is_empty() && !words.contains(&said);
    html! {
        label { (label) select name=(name) {
            option value="" { "any" }
            @if other { option value=(outside_plain(said)) selected { (outside_plain(said)) } }
            @for word in words { option value=(word) selected[word == said] { (word) } }
        } }
    }
}
