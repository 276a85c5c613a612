//! What a courier logs, at which level, and how often: a fault when it begins, changes and ends. No bodies, no secrets.

use std::fmt;
use std::time::Duration;

use super::Answer;
use super::batch::Batch;
use crate::domain::incident::{Incident, IncidentChange};
use crate::domain::model::{Timestamp, WebhookName};
use crate::domain::text::with_causes;
use crate::store::{Delivery, StoreError};

/// One courier's log lines, and what is wrong at the moment.
#[derive(Debug)]
pub(super) struct Journal {
    name: WebhookName,
    receiver: Incident,
    store: Incident,
}

impl Journal {
    pub(super) fn new(name: WebhookName) -> Self {
        Self {
            name,
            receiver: Incident::default(),
            store: Incident::default(),
        }
    }

    /// What is wrong with the receiver.
    pub(super) fn fault(&self) -> Option<&str> {
        self.receiver.current()
    }

    pub(super) fn tried(&self, batch: &Batch, answer: &Answer<'_>, latency: Duration) {
        log::debug!(
            "delivery tried: webhook={} {} answer={:?} milliseconds={}",
            self.name,
            Named(batch),
            answer.to_string(),
            latency.as_millis()
        );
    }

    pub(super) fn cut_off(&self, batch: &Batch) {
        log::debug!(
            "delivery cut off by the stop: webhook={} {}",
            self.name,
            Named(batch)
        );
    }

    /// A refusal of many, which says nothing yet of any one of them.
    pub(super) fn narrowed(&self, batch: &Batch, answer: &Answer<'_>) {
        log::debug!(
            "delivery of several events refused, they go out in halves: webhook={} {} answer={:?}",
            self.name,
            Named(batch),
            answer.to_string()
        );
    }

    pub(super) fn delivered(&mut self, batch: &Batch) {
        let before = self.receiver.ended();
        // The failed attempts may be those of an earlier process.
        if before.is_some() || batch.head.attempts > 0 {
            log::info!(
                "webhook takes events again: webhook={} {} before={:?}",
                self.name,
                Named(batch),
                before
                    .as_deref()
                    .unwrap_or("failed attempts of an earlier run")
            );
        }
    }

    pub(super) fn failed(&mut self, delivery: &Delivery, answer: &str, next_attempt: Timestamp) {
        let (name, event) = (&self.name, &delivery.event_id);
        match self.receiver.failed(answer) {
            IncidentChange::Begins => log::warn!(
                "delivery failed: webhook={name} event={event} answer={answer:?} next_attempt={next_attempt}"
            ),
            IncidentChange::Changes { before } => log::info!(
                "delivery fails in another way: webhook={name} event={event} answer={answer:?} before={before:?} next_attempt={next_attempt}"
            ),
            IncidentChange::Repeats => log::debug!(
                "delivery failed again: webhook={name} event={event} answer={answer:?} next_attempt={next_attempt}"
            ),
        }
    }

    /// A failed try without a next one: the line on the event's death says it all, but the fault goes on.
    pub(super) fn failed_for_good(&mut self, answer: &str) {
        self.receiver.failed(answer);
    }

    pub(super) fn dead(&self, delivery: &Delivery, answer: &str) {
        log::error!(
            "delivery is dead: webhook={} event={} type={} answer={answer:?} recorded={}",
            self.name,
            delivery.event_id,
            delivery.event_type,
            delivery.recorded
        );
    }

    pub(super) fn paused(&self, batch: &Batch, answer: &Answer<'_>) {
        log::error!(
            "webhook is paused until reload or restart; give it another `url`, or remove it: webhook={} {} answer={:?}",
            self.name,
            Named(batch),
            answer.to_string()
        );
    }

    pub(super) fn store_failed(&mut self, error: &StoreError) {
        let error = with_causes(error);
        let name = &self.name;
        match self.store.failed(&error) {
            IncidentChange::Repeats => {
                log::debug!("deliveries still wait for the state: webhook={name} error={error:?}");
            }
            IncidentChange::Begins | IncidentChange::Changes { .. } => {
                log::error!("deliveries wait for the state: webhook={name} error={error:?}");
            }
        }
    }

    pub(super) fn store_works(&mut self) {
        if let Some(before) = self.store.ended() {
            log::info!(
                "deliveries go on, the state works again: webhook={} before={before:?}",
                self.name
            );
        }
    }
}

/// A batch in a log line.
struct Named<'a>(&'a Batch);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event={}", self.0.head.event_id)?;
        match self.0.len() {
            1 => Ok(()),
            events => write!(f, " events={events}"),
        }
    }
}
