//! How the watcher itself is: its targets and its webhooks. Pure.

use maud::{Markup, html};

use super::text::{outside, span, time};
use crate::deliver::{AttemptOutcome, WorkerSnapshot};
use crate::domain::model::{TargetName, TaskKind, Timestamp, WebhookName};
use crate::store::OutboxBacklog;
use crate::web::health::HealthSnapshot;
use crate::web::overview::{Overview, Tally};

/// Both tables.
pub(super) fn section(snapshot: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Markup {
    html! {
        section #watcher data-part="watcher" aria-labelledby="watcher-title" {
            h2 id="watcher-title" { "Watcher" }
            (targets(snapshot, overview, now))
            @if snapshot.webhooks.is_empty() && overview.owed.is_empty() {
                p.none { "The config has no webhooks." }
            } @else { (webhooks(snapshot, overview, now)) }
        }
    }
}

fn targets(snapshot: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Markup {
    html! {
        table {
            caption { "Targets" }
            thead { tr {
                th scope="col" { "Target" }
                th scope="col" { "Last poll" }
                th.number scope="col" { "In flight" }
                th.number scope="col" { "Failed, 24 h" }
                th.number.wide scope="col" { "Tasks, 24 h" }
            } }
            tbody { @for (name, kind) in &snapshot.kinds {
                (target(name, *kind, snapshot, overview.days.get(name).copied().unwrap_or_default(), now))
            } }
        }
    }
}

fn target(
    name: &TargetName,
    kind: TaskKind,
    snapshot: &HealthSnapshot,
    day: Tally,
    now: Timestamp,
) -> Markup {
    let here = snapshot.targets.get(name);
    let last = here.and_then(Option::as_ref);
    html! {
        tr {
            th scope="row" { (outside(name.as_str())) " " span.of { (kind) } }
            td { @match (here, last) {
                (None, _) => { span.of { "by another instance" } }
                (_, None) => { span.word.stalled { "not yet" } }
                (_, Some(last)) => {
                    @if last.fault.is_some() { span.word.failure { "failed" } " " }
                    @else { span.word.success { "good" } " " }
                    (time(last.at, now))
                }
            } }
            td.number { @match last { Some(last) => { (last.in_flight) } None => { "–" } } }
            td.number.(failed_class(day)) { (day.failed) }
            td.number.wide { (day.total) }
        }
        @if let Some(fault) = last.and_then(|last| last.fault.as_ref()) {
            tr.fault { td colspan="5" { (outside(fault)) } }
        }
    }
}

fn failed_class(day: Tally) -> &'static str {
    if day.failed > 0 { "bad" } else { "none" }
}

fn webhooks(snapshot: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Markup {
    let owed_of = |name: &WebhookName| overview.owed.iter().find(|owed| owed.webhook == *name);
    let strangers = overview.owed.iter();
    let strangers = strangers.filter(|owed| {
        owed.pending + owed.dead > 0 && !snapshot.webhooks.contains_key(&owed.webhook)
    });
    html! {
        table {
            caption { "Webhooks" }
            thead { tr {
                th scope="col" { "Webhook" }
                th scope="col" { "Now" }
                th.number scope="col" { "OutboxBacklog" }
                th.number scope="col" { "Oldest" }
                th.number scope="col" { "Given up" }
            } }
            tbody {
                @for (name, courier) in &snapshot.webhooks {
                    (webhook(name, Some(courier), owed_of(name), now))
                }
                @for owed in strangers { (webhook(&owed.webhook, None, Some(owed), now)) }
            }
        }
    }
}

fn last_attempt(courier: &WorkerSnapshot) -> Markup {
    html! { @match courier.last_outcome {
        None => { span.of { "nothing sent yet" } }
        Some(AttemptOutcome::Delivered) => { span.word.success { "good" } }
        Some(AttemptOutcome::Failed) => { span.word.failure { "failing" } }
        Some(AttemptOutcome::Dead) => { span.word.failure { "refuses" } }
        Some(AttemptOutcome::Paused) => { span.word.failure { "paused" } }
    } }
}

fn webhook(
    name: &WebhookName,
    courier: Option<&WorkerSnapshot>,
    owed: Option<&OutboxBacklog>,
    now: Timestamp,
) -> Markup {
    let (pending, dead) = owed.map_or((0, 0), |owed| (owed.pending, owed.dead));
    let oldest = owed.and_then(|owed| owed.oldest_pending);
    let fault = courier.and_then(|courier| courier.fault.as_ref());
    html! {
        tr {
            th scope="row" { (outside(name.as_str())) }
            td { @match courier {
                None => { span.word.stalled { "not in the config" } }
                Some(courier) if courier.paused => { span.word.failure { "paused" } }
                Some(courier) => (last_attempt(courier)),
            } }
            td.number { (pending) }
            td.number { @match oldest { Some(oldest) => { (span(now.since(oldest))) } None => { "–" } } }
            td.number.(if dead > 0 { "bad" } else { "none" }) { (dead) }
        }
        @if let Some(fault) = fault { tr.fault { td colspan="5" { (outside(fault)) } } }
    }
}
