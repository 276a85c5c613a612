//! When a courier may try again: by appointment, at its format's pace, and until when a delivery is worth trying. Tells
//! time by the clock that it is given; sends and records nothing.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Age, Clock};
use crate::config::Webhook;
use crate::domain::model::Timestamp;
use crate::domain::schedule::delivery::{delivery_wait, grace_left};
use crate::formats;
use crate::store::Delivery;

/// One courier's plans.
#[derive(Debug)]
pub(super) struct Agenda {
    clock: Arc<dyn Clock>,
    give_up_after: Duration,
    /// At least so long from one request's end to the next.
    pace: Duration,
    /// When the last one ended, by the monotonic clock: one that travelled slowly arrived no later than that, so the
    /// receiver sees no less than the pace.
    last_request: Option<Duration>,
    appointment: Option<Appointment>,
}

/// When the head of the queue is due, by the monotonic clock: a wall clock that is set can't move it.
#[derive(Debug)]
struct Appointment {
    /// What the store says; something else there (an operator's `retry`) cancels the appointment.
    next_attempt: Timestamp,
    at: Duration,
}

impl Agenda {
    pub(super) fn new(webhook: &Webhook, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            give_up_after: webhook.give_up_after,
            pace: formats::pace(&webhook.format),
            last_request: None,
            appointment: None,
        }
    }

    pub(super) fn request_ended(&mut self, now: Duration) {
        self.last_request = Some(now);
    }

    /// The queue's head is tried again after this delay, which is written down as this moment.
    pub(super) fn put_off(&mut self, next_attempt: Timestamp, delay: Duration) {
        self.appointment = Some(Appointment {
            next_attempt,
            at: self.clock.monotonic().saturating_add(delay),
        });
    }

    /// Zero: due. The first look at a stored moment takes it from the wall clock, later ones from the monotonic clock.
    pub(super) fn until_due(&mut self, head: &Delivery) -> Duration {
        let now = self.clock.monotonic();
        let Some(next_attempt) = head.next_attempt else {
            return Duration::ZERO;
        };
        let kept = self
            .appointment
            .take()
            .filter(|appointment| appointment.next_attempt == next_attempt);
        let appointment = kept.unwrap_or_else(|| Appointment {
            next_attempt,
            at: now.saturating_add(delivery_wait(
                head.last_attempt,
                Some(next_attempt),
                self.clock.now(),
            )),
        });
        let wait = appointment.at.saturating_sub(now);
        self.appointment = Some(appointment);
        wait
    }

    pub(super) fn until_pace_allows(&self) -> Duration {
        let next = self.last_request.map(|last| last.saturating_add(self.pace));
        next.unwrap_or_default()
            .saturating_sub(self.clock.monotonic())
    }

    /// `attempts` counts the failed ones. An age that this process has not seen pass may be that of a clock which was
    /// wrong: it kills nothing that was not tried for a while.
    pub(super) fn until_given_up(&self, delivery: &Delivery, attempts: u32) -> Duration {
        match self.clock.age(delivery.recorded) {
            Age::Observed(age) => self.give_up_after.saturating_sub(age),
            Age::Reported { age, observed } => self
                .give_up_after
                .saturating_sub(age)
                .max(grace_left(self.give_up_after, attempts, observed)),
        }
    }
}
