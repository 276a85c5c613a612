//! The front page, from the worst news to the least.

use maud::{Markup, html};

use super::verdict::{Level, concerns};
use super::{Mood, Page, Refresh, events, plots, tasks, verdict, watcher};
use crate::domain::model::Timestamp;
use crate::domain::text::counted;
use crate::store::queries::TaskRecord;
use crate::web::app_state::AppState;
use crate::web::health::HealthSnapshot;
use crate::web::overview::{MOST_IN_FLIGHT, MOST_TROUBLES, Overview};
use crate::web::refusal::Refusal;

pub(super) fn page(state: &AppState, refresh: Refresh) -> Result<Page, Refusal> {
    let snapshot = state.health.snapshot();
    let overview = state.overview.get(&*state.records, &*state.clock)?;
    let now = state.clock.now();
    let mut concerns = concerns(&snapshot, &overview, now);
    if let Some(stuck) = state.stuck_for() {
        concerns.insert(0, verdict::stuck(stuck));
    }
    let mood = match concerns.iter().map(|concern| concern.level).max() {
        None => Mood::Well,
        Some(Level::Warning) => Mood::Warning,
        Some(Level::Trouble) => Mood::Trouble,
    };
    Ok(Page {
        title: match concerns.len() {
            0 => "All is well".to_owned(),
            several => format!("({several})"),
        },
        refresh,
        mood,
        now,
        main: html! {
            h1.hidden { "Status of ucdn-watch" }
            (verdict::section(&concerns, &quiet(&snapshot, &overview)))
            (attention(&overview, now))
            (in_flight(&snapshot, &overview, now))
            section.plots data-part="plots" aria-labelledby="plots" {
                h2 id="plots" { "The last 24 hours" }
                div.pair {
                    (plots::durations(&overview.hours))
                    (plots::failures(&overview.hours, overview.day()))
                }
            }
            (watcher::section(&snapshot, &overview, now))
            section data-part="events" aria-labelledby="events" {
                h2 id="events" { "Latest events" }
                (events::latest(&overview.events, now))
            }
        },
    })
}

/// What there is to say when all is well.
fn quiet(snapshot: &HealthSnapshot, overview: &Overview) -> String {
    format!(
        "{} polled well; of {} submitted in the last 24 hours none failed.",
        match snapshot.targets.len() {
            1 => "The target was".to_owned(),
            several => format!("All {several} targets were"),
        },
        counted(overview.day().total, "task", "tasks")
    )
}

fn attention(overview: &Overview, now: Timestamp) -> Markup {
    let day = overview.day();
    let listed = overview.failed.len() + overview.stalled.len();
    let rest = (day.failed + day.vanished).saturating_sub(overview.failed.len() as u64);
    html! {
        section #attention data-part="attention" aria-labelledby="attention-title" {
            h2 id="attention-title" { "Failed or stuck" }
            @if listed == 0 { p.none { "No task of the last 24 hours failed, and none is stalled." } }
            @if !overview.stalled.is_empty() { (tasks::list(&overview.stalled, now)) }
            @if !overview.failed.is_empty() { (tasks::list(&overview.failed, now)) }
            @if rest > 0 { p.rest { "and " (rest) " more: " a href="tasks?status=failure&status=vanished&since=1d" { "all of them" } } }
            @if overview.stalled.len() == MOST_TROUBLES { p.rest { a href="tasks?status=stalled" { "All that are stalled" } } }
        }
    }
}

fn in_flight(snapshot: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Markup {
    let polled = snapshot.targets.values().flatten();
    let total: u64 = polled.map(|last| last.in_flight).sum();
    let going: Vec<TaskRecord> = overview
        .in_flight
        .iter()
        .filter(|task| !overview.stalled.contains(task))
        .cloned()
        .collect();
    html! {
        section data-part="flight" aria-labelledby="flight" {
            h2 id="flight" { "In flight" }
            @if going.is_empty() { p.none { "No other task is in flight." } }
            @else { (tasks::list(&going, now)) }
            @if overview.in_flight.len() == MOST_IN_FLIGHT {
                p.rest { "The newest are shown, of " (total.max(MOST_IN_FLIGHT as u64)) ": " a href="tasks?status=in-flight" { "all of them" } }
            }
        }
    }
}
