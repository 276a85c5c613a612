//! Log lines of one delivery worker. A fault is logged when it begins, changes and ends. No bodies, no secrets.

use std::fmt;
use std::time::Duration;

use super::batch::DeliveryBatch;
use super::response::EndpointResponse;
use crate::domain::incident::{Incident, IncidentChange};
use crate::domain::model::{Timestamp, WebhookName};
use crate::domain::text::with_causes;
use crate::store::{Delivery, StoreError};

/// Log lines of one worker, and its current faults.
#[derive(Debug)]
pub(super) struct DeliveryLog {
    name: WebhookName,
    receiver: Incident,
    /// The receiver's last response during its current fault, in full.
    receiver_answer: Option<String>,
    /// How many events waited behind the failing one when the log last said so.
    waiting_logged: u64,
    store: Incident,
}

impl DeliveryLog {
    pub(super) fn new(name: WebhookName) -> Self {
        Self {
            name,
            receiver: Incident::default(),
            receiver_answer: None,
            waiting_logged: 0,
            store: Incident::default(),
        }
    }

    /// The receiver's last response during its current fault. `None` without a fault.
    pub(super) fn receiver_fault(&self) -> Option<&str> {
        self.receiver_answer.as_deref()
    }

    pub(super) fn attempted(
        &self,
        batch: &DeliveryBatch,
        response: &EndpointResponse,
        latency: Duration,
    ) {
        log::debug!(
            "delivery attempted: webhook={} {} answer={:?} milliseconds={}",
            self.name,
            BatchFields(batch),
            response.to_string(),
            latency.as_millis()
        );
    }

    pub(super) fn aborted(&self, batch: &DeliveryBatch) {
        log::debug!(
            "delivery aborted by the stop: webhook={} {}",
            self.name,
            BatchFields(batch)
        );
    }

    pub(super) fn batch_rejected(&self, batch: &DeliveryBatch, response: &EndpointResponse) {
        log::debug!(
            "batch rejected, sending it again in halves: webhook={} {} answer={:?}",
            self.name,
            BatchFields(batch),
            response.to_string()
        );
    }

    pub(super) fn delivered(&mut self, batch: &DeliveryBatch) {
        self.receiver_answer = None;
        let before = self.receiver.ended();
        // The fault may have begun before this process started.
        if before.is_some() || batch.head.attempts > 0 {
            log::info!(
                "webhook accepts events again: webhook={} {} before={:?}",
                self.name,
                BatchFields(batch),
                before
                    .as_deref()
                    .unwrap_or("failed attempts of an earlier run")
            );
        }
    }

    /// A failed attempt. `waiting` events wait behind it; `None` if the state could not say.
    ///
    /// A fault that goes on is logged again each time that the number of waiting events has doubled.
    pub(super) fn failed(
        &mut self,
        delivery: &Delivery,
        response: &EndpointResponse,
        next_attempt: Timestamp,
        waiting: Option<u64>,
    ) {
        let (name, event) = (&self.name, &delivery.event_id);
        let waiting = waiting.unwrap_or(self.waiting_logged);
        let has_doubled = waiting >= self.waiting_logged.saturating_mul(2).max(1);
        let change = self.receiver.failed(&response.fault());
        let answer = self.receiver_answer.insert(response.to_string());
        match change {
            IncidentChange::Begins => log::warn!(
                "delivery failed: webhook={name} event={event} answer={answer:?} next_attempt={next_attempt} waiting={waiting}"
            ),
            IncidentChange::Changes { before } => log::info!(
                "delivery failed with another error: webhook={name} event={event} answer={answer:?} before={before:?} next_attempt={next_attempt} waiting={waiting}"
            ),
            IncidentChange::Repeats if has_doubled => log::warn!(
                "delivery still fails, later events wait for it: webhook={name} event={event} answer={answer:?} next_attempt={next_attempt} waiting={waiting}"
            ),
            IncidentChange::Repeats => {
                log::debug!(
                    "delivery failed again: webhook={name} event={event} answer={answer:?} next_attempt={next_attempt} waiting={waiting}"
                );
                return;
            }
        }
        self.waiting_logged = waiting;
    }

    /// A failed attempt of an event that is dead now. [`Self::dead`] logs it; the fault continues.
    pub(super) fn failed_finally(&mut self, response: &EndpointResponse) {
        self.receiver.failed(&response.fault());
        self.receiver_answer = Some(response.to_string());
    }

    pub(super) fn dead(&self, delivery: &Delivery, answer: &str) {
        log::error!(
            "delivery is dead; `ucdn-watch deliveries retry` sends it again: webhook={} event={} type={} answer={answer:?} recorded={}",
            self.name,
            delivery.event_id,
            delivery.event_type,
            delivery.recorded
        );
    }

    pub(super) fn paused(&self, batch: &DeliveryBatch, response: &EndpointResponse) {
        log::error!(
            "webhook is paused until a reload or restart; change its `url` or remove it: webhook={} {} answer={:?}",
            self.name,
            BatchFields(batch),
            response.to_string()
        );
    }

    pub(super) fn store_failed(&mut self, error: &StoreError) {
        let error = with_causes(error);
        let name = &self.name;
        match self.store.failed(&error) {
            IncidentChange::Repeats => {
                log::debug!(
                    "deliveries still wait, the state can't be used: webhook={name} error={error:?}"
                );
            }
            IncidentChange::Begins | IncidentChange::Changes { .. } => {
                log::error!(
                    "deliveries wait, the state can't be used: webhook={name} error={error:?}"
                );
            }
        }
    }

    pub(super) fn store_works(&mut self) {
        if let Some(before) = self.store.ended() {
            log::info!(
                "deliveries continue, the state works again: webhook={} before={before:?}",
                self.name
            );
        }
    }
}

/// Fields of a batch in a log line: `event=evt_… events=3`.
struct BatchFields<'a>(&'a DeliveryBatch);

impl fmt::Display for BatchFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event={}", self.0.head.event_id)?;
        match self.0.len() {
            1 => Ok(()),
            events => write!(f, " events={events}"),
        }
    }
}
