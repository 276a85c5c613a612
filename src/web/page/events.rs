//! Events as lists: time, type and the summary that receivers get.

use maud::{Markup, html};

use super::tasks::{urgency, word};
use super::text::{outside, task_path, time};
use crate::domain::event::{EventDocument, UrlChange};
use crate::domain::model::Timestamp;
use crate::store::outbox::DeliveryState;
use crate::store::queries::{DeliveryRecord, EventRecord};

/// The latest events, one line each.
pub(super) fn latest(events: &[EventRecord], now: Timestamp) -> Markup {
    html! {
        @if events.is_empty() { p.none { "No event yet." } }
        @else { ol.events { @for event in events { li {
            (line(event, now, &EventDocument::read(&event.document).summary))
        } } } }
    }
}

/// The events of one task, with their changed URLs and their deliveries.
pub(super) fn history(
    events: &[EventRecord],
    deliveries: &[DeliveryRecord],
    now: Timestamp,
) -> Markup {
    html! {
        ol.events.history { @for event in events {
            @let document = EventDocument::read(&event.document);
            li {
                (line(event, now, &document.summary))
                (changes(event, &document))
                ul.deliveries { @for delivery in deliveries.iter().filter(|it| it.event.sequence == event.sequence) {
                    li { (outcome(delivery, now)) }
                } }
            }
        } }
    }
}

fn line(event: &EventRecord, now: Timestamp, summary: &str) -> Markup {
    html! {
        span.when { (time(event.recorded, now)) }
        " " span.word.(class(&event.event_type)) { (outside(&event.event_type)) }
        " " span.summary {
            @match &event.task {
                Some(id) => a href=(task_path(&event.target, id)) { (outside(summary)) },
                None => (outside(summary)),
            }
        }
    }
}

fn changes(event: &EventRecord, document: &EventDocument) -> Markup {
    let mut changes: Vec<&UrlChange> = document.changes.iter().collect();
    changes.sort_by_key(|change| urgency(&change.status));
    let count = changes.len() + document.changes_omitted;
    html! {
        @if count > 0 {
            details data-key=(event.sequence) {
                summary { @if count == 1 { "1 URL changed" } @else { (count) " URLs changed" } }
                ul.urls { @for change in changes { li {
                    span.status { (word(&change.status)) } " " span.url { (outside(&change.url)) }
                } } }
                @if document.changes_omitted > 0 { p.rest { "and " (document.changes_omitted) " more" } }
            }
        }
    }
}

fn outcome(delivery: &DeliveryRecord, now: Timestamp) -> Markup {
    let (class, label) = match delivery.state {
        DeliveryState::Pending if delivery.attempts > 0 => ("stalled", "to be retried"),
        DeliveryState::Pending => ("wait", "pending"),
        DeliveryState::Delivered => ("success", "delivered"),
        DeliveryState::Dead => ("failure", "dead"),
    };
    html! {
        (outside(delivery.webhook.as_str())) ": " span.word.(class) { (label) }
        @if let Some(at) = delivery.last_attempt { " " (time(at, now)) }
        @if let Some(answer) = &delivery.last_answer { ": " (outside(answer)) }
        @match delivery.attempts { 0 => {}, 1 => { ", 1 attempt failed" }, attempts => { ", " (attempts) " attempts failed" } }
        @if let Some(next) = delivery.next_attempt.filter(|_| delivery.state == DeliveryState::Pending) { "; next attempt " (time(next, now)) }
    }
}

fn class(event_type: &str) -> &'static str {
    match event_type {
        "task.failure" | "task.url_failure" | "task.vanished" => "failure",
        "task.stalled" | "task.unknown" | "watch.failing" => "stalled",
        "task.success" | "watch.recovered" => "success",
        "task.process" | "task.progress" => "process",
        _ => "wait",
    }
}
