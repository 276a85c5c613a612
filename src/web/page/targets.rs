//! Tables of targets and webhooks: last polls, pending deliveries and faults.

use maud::{Markup, html};

use super::text::{outside, span, time};
use crate::deliver::{AttemptOutcome, WorkerSnapshot};
use crate::domain::model::{TargetName, TaskKind, Timestamp, WebhookName};
use crate::store::OutboxBacklog;
use crate::web::health::HealthSnapshot;
use crate::web::overview::{Overview, Tally};

/// Both tables.
pub(super) fn section(health: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Markup {
    html! {
        section #targets data-part="targets" aria-labelledby="targets-title" {
            h2 id="targets-title" { "Targets and webhooks" }
            (targets(health, overview, now))
            @if health.webhooks.is_empty() && overview.outbox.is_empty() {
                p.none { "The config has no webhooks." }
            } @else { (webhooks(health, overview, now)) }
        }
    }
}

fn targets(health: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Markup {
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
            tbody { @for (name, kind) in &health.kinds {
                (target(name, *kind, health, overview.days.get(name).copied().unwrap_or_default(), now))
            } }
        }
    }
}

fn target(
    name: &TargetName,
    kind: TaskKind,
    health: &HealthSnapshot,
    day: Tally,
    now: Timestamp,
) -> Markup {
    let here = health.targets.get(name);
    let last = here.and_then(Option::as_ref);
    html! {
        tr {
            th scope="row" { (outside(name.as_str())) " " span.of { (kind) } }
            td { @match (here, last) {
                (None, _) => { span.of { "by another instance" } }
                (_, None) => { span.word.stalled { "not yet" } }
                (_, Some(last)) => {
                    @if last.fault.is_some() { span.word.failure { "failed" } " " }
                    @else { span.word.success { "succeeded" } " " }
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

fn webhooks(health: &HealthSnapshot, overview: &Overview, now: Timestamp) -> Markup {
    let backlog_of = |name: &WebhookName| {
        overview
            .outbox
            .iter()
            .find(|backlog| backlog.webhook == *name)
    };
    // Webhooks that the config no longer has, but the outbox does.
    let removed = overview.outbox.iter().filter(|backlog| {
        backlog.pending + backlog.dead > 0 && !health.webhooks.contains_key(&backlog.webhook)
    });
    html! {
        table {
            caption { "Webhooks" }
            thead { tr {
                th scope="col" { "Webhook" }
                th scope="col" { "Last attempt" }
                th.number scope="col" { "Pending" }
                th.number scope="col" { "Oldest" }
                th.number scope="col" { "Dead" }
            } }
            tbody {
                @for (name, worker) in &health.webhooks {
                    (webhook(name, Some(worker), backlog_of(name), now))
                }
                @for backlog in removed { (webhook(&backlog.webhook, None, Some(backlog), now)) }
            }
        }
    }
}

fn last_attempt(worker: &WorkerSnapshot) -> Markup {
    html! { @match worker.last_outcome {
        None => { span.of { "none yet" } }
        Some(AttemptOutcome::Delivered) => { span.word.success { "succeeded" } }
        Some(AttemptOutcome::Failed) => { span.word.failure { "failed" } }
        Some(AttemptOutcome::Dead) => { span.word.failure { "rejected" } }
        Some(AttemptOutcome::Paused) => { span.word.failure { "paused" } }
    } }
}

fn webhook(
    name: &WebhookName,
    worker: Option<&WorkerSnapshot>,
    backlog: Option<&OutboxBacklog>,
    now: Timestamp,
) -> Markup {
    let (pending, dead) = backlog.map_or((0, 0), |backlog| (backlog.pending, backlog.dead));
    let oldest = backlog.and_then(|backlog| backlog.oldest_pending);
    let fault = worker.and_then(|worker| worker.fault.as_ref());
    html! {
        tr {
            th scope="row" { (outside(name.as_str())) }
            td { @match worker {
                None => { span.word.stalled { "not in the config" } }
                Some(worker) if worker.paused => { span.word.failure { "paused" } }
                Some(worker) => (last_attempt(worker)),
            } }
            td.number { (pending) }
            td.number { @match oldest { Some(oldest) => { (span(now.since(oldest))) } None => { "–" } } }
            td.number.(if dead > 0 { "bad" } else { "none" }) { (dead) }
        }
        @if let Some(fault) = fault { tr.fault { td colspan="5" { (outside(fault)) } } }
    }
}
