//! Retry times of one webhook: when its queue's head is due, when the rate limit allows the next request, and when a
//! delivery is given up.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Age, Clock};
use crate::config::Webhook;
use crate::domain::model::Timestamp;
use crate::domain::schedule::delivery::{delivery_wait, grace_left};
use crate::formats;
use crate::store::Delivery;

/// Retry times of one webhook.
#[derive(Debug)]
pub(super) struct RetryState {
    clock: Arc<dyn Clock>,
    give_up_after: Duration,
    /// Least time from the end of one request to the next.
    min_interval: Duration,
    /// End of the last request, in monotonic time. Not its start: a slow request may arrive late, and the receiver must see
    /// no shorter interval.
    last_request: Option<Duration>,
    retry_at: Option<RetryAt>,
}

/// When the queue's head is due, in monotonic time: a change of the wall clock does not move it.
#[derive(Debug)]
struct RetryAt {
    /// The stored time. If the store has another one (`deliveries retry`), this retry time is void.
    next_attempt: Timestamp,
    at: Duration,
}

impl RetryState {
    pub(super) fn new(webhook: &Webhook, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            give_up_after: webhook.give_up_after,
            min_interval: formats::min_interval(&webhook.format),
            last_request: None,
            retry_at: None,
        }
    }

    pub(super) fn request_ended(&mut self, now: Duration) {
        self.last_request = Some(now);
    }

    /// The queue's head is retried after `delay`, which the store records as `next_attempt`.
    pub(super) fn schedule(&mut self, next_attempt: Timestamp, delay: Duration) {
        self.retry_at = Some(RetryAt {
            next_attempt,
            at: self.clock.monotonic().saturating_add(delay),
        });
    }

    /// Zero if the head is due. The first call converts a stored time with the wall clock; later calls use monotonic time.
    pub(super) fn until_due(&mut self, head: &Delivery) -> Duration {
        let now = self.clock.monotonic();
        let Some(next_attempt) = head.next_attempt else {
            return Duration::ZERO;
        };
        let valid = self
            .retry_at
            .take()
            .filter(|retry| retry.next_attempt == next_attempt);
        let retry = valid.unwrap_or_else(|| RetryAt {
            next_attempt,
            at: now.saturating_add(delivery_wait(
                head.last_attempt,
                Some(next_attempt),
                self.clock.now(),
            )),
        });
        let wait = retry.at.saturating_sub(now);
        self.retry_at = Some(retry);
        wait
    }

    /// Zero if the rate limit allows a request.
    pub(super) fn until_rate_allows(&self) -> Duration {
        let next = self
            .last_request
            .map(|last| last.saturating_add(self.min_interval));
        next.unwrap_or_default()
            .saturating_sub(self.clock.monotonic())
    }

    /// Zero if the delivery is older than `give_up_after`. `attempts` counts the failed ones. An age that this process has
    /// not measured itself may come from a wrong clock: then the delivery also needs some failed attempts.
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
