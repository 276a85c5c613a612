//! The status page `/`, from the most urgent section to the least.

use maud::{Markup, html};

use super::issues::{self, Issue};
use super::layout::{HtmlPage, Refresh, Severity};
use super::{events, plots, targets, tasks};
use crate::domain::model::Timestamp;
use crate::domain::text::counted;
use crate::store::queries::TaskRecord;
use crate::web::app_state::AppState;
use crate::web::health::HealthSnapshot;
use crate::web::overview::{MAX_FAILED, MAX_IN_FLIGHT, Overview};
use crate::web::query::RequestError;

pub(super) fn page(app: &AppState, refresh: Refresh) -> Result<HtmlPage, RequestError> {
    let health = app.health.snapshot();
    let overview = app.overview.get(&*app.records, &*app.clock)?;
    let now = app.clock.now();
    let mut issues = issues::find(&health, &overview, now);
    if let Some(span) = app.hung_for() {
        issues.insert(0, Issue::hung(span));
    }
    let worst = issues.iter().map(|issue| issue.severity).max();
    Ok(HtmlPage {
        title: match issues.len() {
            0 => "All is well".to_owned(),
            count => format!("({count})"),
        },
        refresh,
        severity: Some(worst.unwrap_or(Severity::Ok)),
        now,
        main: html! {
            h1.hidden { "Status of ucdn-watch" }
            (issues::section(&issues, &all_is_well(&health, &overview)))
            (attention(&overview, now))
            (in_flight(&health, &overview, now))
            section.plots data-part="plots" aria-labelledby="plots" {
                h2 id="plots" { "The last 24 hours" }
                div.pair {
                    (plots::durations(&overview.hours))
                    (plots::failures(&overview.hours, overview.day()))
                }
            }
            (targets::section(&health, &overview, now))
            section data-part="events" aria-labelledby="events" {
                h2 id="events" { "Latest events" }
                (events::latest(&overview.events, now))
            }
        },
    })
}

/// The summary if there is no issue.
fn all_is_well(health: &HealthSnapshot, overview: &Overview) -> String {
    format!(
        "{} polled successfully. {} submitted in the last 24 hours, none failed.",
        match health.targets.len() {
            1 => "The target was".to_owned(),
            count => format!("All {count} targets were"),
        },
        counted(overview.day().total, "task was", "tasks were")
    )
}

fn attention(overview: &Overview, now: Timestamp) -> Markup {
    let day = overview.day();
    let listed = overview.failed.len() + overview.stalled.len();
    let rest = (day.failed + day.vanished).saturating_sub(overview.failed.len() as u64);
    html! {
        section #attention data-part="attention" aria-labelledby="attention-title" {
            h2 id="attention-title" { "Failed or stalled" }
            @if listed == 0 { p.none { "No task of the last 24 hours failed, and no task is stalled." } }
            @if !overview.stalled.is_empty() { (tasks::list(&overview.stalled, now)) }
            @if !overview.failed.is_empty() { (tasks::list(&overview.failed, now)) }
            @if rest > 0 { p.rest { "and " (rest) " more: " a href="tasks?status=failure&status=vanished&since=1d" { "all failed or vanished tasks" } } }
            @if overview.stalled.len() == MAX_FAILED { p.rest { a href="tasks?status=stalled" { "All stalled tasks" } } }
        }
    }
}

fn in_flight(health: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Markup {
    let polled = health.targets.values().flatten();
    let total: u64 = polled.map(|last| last.in_flight).sum();
    let others: Vec<TaskRecord> = overview
        .in_flight
        .iter()
        .filter(|task| !overview.stalled.contains(task))
        .cloned()
        .collect();
    html! {
        section data-part="flight" aria-labelledby="flight" {
            h2 id="flight" { "In flight" }
            @if others.is_empty() { p.none { "No other task is in flight." } }
            @else { (tasks::list(&others, now)) }
            @if overview.in_flight.len() == MAX_IN_FLIGHT {
                p.rest { "The newest of " (total.max(MAX_IN_FLIGHT as u64)) " are shown: " a href="tasks?status=in-flight" { "all tasks in flight" } }
            }
        }
    }
}
