//! Draining one webhook's queue: head first, nothing past it until it is delivered or dead. Owns the decision what comes
//! next; what an answer means is [`super::answer`]'s, and when to try again [`crate::schedule`]'s.

use std::sync::Arc;
use std::time::Duration;

use super::journal::Journal;
use super::{Answer, CourierStatus, DrainReport, IDLE_LOOK, Outcome, Receiver, Verdict};
use crate::clock::{Age, Bell, Clock, Stop, Woken};
use crate::config::Webhook;
use crate::http::{HttpAnswer, HttpClient, HttpError};
use crate::model::{Timestamp, WebhookName};
use crate::schedule::delivery::{delivery_delay, delivery_wait, grace_left};
use crate::store::{Delivery, Store, StoreError, TryResult};

/// The longest pause between two looks into a state that fails.
const LONGEST_STORE_DELAY: Duration = Duration::from_secs(60);

/// Brings one webhook's events to its receiver, in the order of their sequences.
#[derive(Debug)]
pub struct Courier {
    name: WebhookName,
    receiver: Receiver,
    give_up_after: Duration,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    status: Arc<CourierStatus>,
    /// The receiver answered 410. Kept here alone: a reload or a restart makes a new courier.
    paused: bool,
    journal: Journal,
    appointment: Option<Appointment>,
    /// A try that is made but not written yet. It goes first: trying again what was delivered would be worse.
    unrecorded: Option<(u64, TryResult)>,
}

/// When the head of the queue is due, by the monotonic clock: a wall clock that is set can't move it.
#[derive(Debug)]
struct Appointment {
    sequence: u64,
    /// What the store says; something else there (an operator's `retry`) cancels the appointment.
    next_try: Timestamp,
    at: Duration,
}

/// What one look at the queue came to.
enum Turn {
    /// Its head was tried, or given up.
    Ended(Outcome),
    /// Its head is not due for this long; never zero.
    NotDue(Duration),
    /// Nothing to do: empty, paused, or stopped.
    Idle,
}

impl Courier {
    /// A courier with nothing in hand. Connects to nothing yet.
    pub fn new(
        name: WebhookName,
        webhook: &Webhook,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpError> {
        let journal = Journal::new(name.clone());
        Ok(Self {
            name,
            receiver: Receiver::new(webhook)?,
            give_up_after: webhook.give_up_after,
            store,
            clock,
            status: Arc::default(),
            paused: false,
            journal,
            appointment: None,
            unrecorded: None,
        })
    }

    /// For onlookers on other threads.
    #[must_use]
    pub fn status(&self) -> Arc<CourierStatus> {
        Arc::clone(&self.status)
    }

    /// A clone of the client. To stop a courier: request the bell's stop **first**, then
    /// [`HttpClient::shut_down`] this, so that the call cut off is not taken for a failed try.
    #[must_use]
    pub fn http_client(&self) -> HttpClient {
        self.receiver.http_client().clone()
    }

    /// Delivers until the bell's stop. Ring the bell when events have been committed.
    ///
    /// Outlives faults of the state: it logs them once and goes on.
    pub fn run(&mut self, bell: &Bell) {
        let mut store_failures: u32 = 0;
        loop {
            let wait = match self.drain(bell.stop(), &mut DrainReport::default()) {
                Ok(wait) => {
                    store_failures = 0;
                    self.journal.store_works();
                    wait
                }
                Err(error) => {
                    store_failures = store_failures.saturating_add(1);
                    self.journal.store_failed(&error);
                    store_delay(store_failures)
                }
            };
            if bell.wait(Some(wait)) == Woken::Stopped {
                return;
            }
        }
    }

    /// Makes every delivery that is due, and returns when the head of the queue is not due, when the queue is empty, when
    /// the webhook is paused, or at the stop. Goes on past those given up.
    pub fn drain_once(&mut self, stop: &Stop) -> Result<DrainReport, StoreError> {
        let mut report = DrainReport::default();
        self.drain(stop, &mut report)?;
        Ok(report)
    }

    /// Returns how long to wait before the next look.
    fn drain(&mut self, stop: &Stop, report: &mut DrainReport) -> Result<Duration, StoreError> {
        loop {
            match self.turn(stop)? {
                Turn::Ended(outcome) => report.count(outcome),
                Turn::NotDue(wait) => return Ok(wait.min(IDLE_LOOK)),
                Turn::Idle => return Ok(IDLE_LOOK),
            }
        }
    }

    fn turn(&mut self, stop: &Stop) -> Result<Turn, StoreError> {
        self.status.turned(self.clock.monotonic());
        self.record_leftover()?;
        if self.paused || stop.is_requested() {
            return Ok(Turn::Idle);
        }
        let Some(delivery) = self.store.next_delivery(&self.name)? else {
            return Ok(Turn::Idle);
        };
        let wait = self.until_due(&delivery);
        if wait.is_zero() {
            return self.try_delivery(&delivery, stop);
        }
        let left = self.until_given_up(&delivery, delivery.tries);
        if left.is_zero() && delivery.tries > 0 {
            return self.give_up_waiting(&delivery);
        }
        // Wall time is whole seconds: a shorter wait would only turn the loop.
        Ok(Turn::NotDue(wait.min(left.max(Duration::from_secs(1)))))
    }

    /// Zero: due. The first look at a stored moment takes it from the wall clock, later ones from the monotonic clock.
    fn until_due(&mut self, delivery: &Delivery) -> Duration {
        let now = self.clock.monotonic();
        let Some(next_try) = delivery.next_try else {
            return Duration::ZERO;
        };
        let kept = self.appointment.take().filter(|appointment| {
            appointment.sequence == delivery.sequence && appointment.next_try == next_try
        });
        let appointment = kept.unwrap_or_else(|| Appointment {
            sequence: delivery.sequence,
            next_try,
            at: now.saturating_add(delivery_wait(
                delivery.last_try,
                Some(next_try),
                self.clock.now(),
            )),
        });
        let wait = appointment.at.saturating_sub(now);
        self.appointment = Some(appointment);
        wait
    }

    /// `tries` counts the failed ones. An age that this process has not seen pass may be that of a clock which was
    /// wrong: it kills nothing that was not tried for a while.
    fn until_given_up(&self, delivery: &Delivery, tries: u32) -> Duration {
        match self.clock.age(delivery.recorded) {
            Age::Witnessed(age) => self.give_up_after.saturating_sub(age),
            Age::Told { age, witnessed } => self.give_up_after.saturating_sub(age).max(grace_left(
                self.give_up_after,
                tries,
                witnessed,
            )),
        }
    }

    fn try_delivery(&mut self, delivery: &Delivery, stop: &Stop) -> Result<Turn, StoreError> {
        let result = self.post(delivery);
        if result.is_err() && stop.is_requested() {
            // Most likely we cut it off ourselves. If not, the next start finds out what is wrong with the receiver.
            self.journal.cut_off(delivery);
            return Ok(Turn::Idle);
        }
        let answer = Answer::of(&result);
        let now = self.clock.now();
        match answer.verdict(now) {
            Verdict::Delivered => self.delivered(delivery, &answer, now),
            Verdict::Refused => self.dead(delivery, &answer.to_string(), now),
            Verdict::Gone => Ok(self.pause(delivery, &answer)),
            Verdict::Retry { .. }
                if self
                    .until_given_up(delivery, delivery.tries.saturating_add(1))
                    .is_zero() =>
            {
                self.journal.failed_for_good(&answer);
                self.dead(delivery, &answer.to_string(), now)
            }
            Verdict::Retry { retry_after } => self.failed(delivery, &answer, now, retry_after),
        }
    }

    fn post(&self, delivery: &Delivery) -> Result<HttpAnswer, HttpError> {
        let begun = self.clock.monotonic();
        self.status
            .call_begins(begun.saturating_add(self.receiver.timeout()));
        let result = self
            .receiver
            .post(&delivery.event_id, &delivery.document, self.clock.now());
        self.status.call_ended();
        let latency = self.clock.monotonic().saturating_sub(begun);
        self.journal.tried(delivery, &Answer::of(&result), latency);
        result
    }

    fn delivered(
        &mut self,
        delivery: &Delivery,
        answer: &Answer<'_>,
        at: Timestamp,
    ) -> Result<Turn, StoreError> {
        self.journal.delivered(delivery);
        let answer = answer.to_string();
        self.finish(
            delivery,
            Outcome::Delivered,
            TryResult::Delivered { at, answer },
        )
    }

    fn failed(
        &mut self,
        delivery: &Delivery,
        answer: &Answer<'_>,
        at: Timestamp,
        retry_after: Option<Duration>,
    ) -> Result<Turn, StoreError> {
        let tries = delivery.tries.saturating_add(1);
        let delay = delivery_delay(tries, retry_after, fastrand::f64());
        let next_try = at.saturating_add(in_whole_seconds(delay));
        self.appointment = Some(Appointment {
            sequence: delivery.sequence,
            next_try,
            at: self.clock.monotonic().saturating_add(delay),
        });
        let answer = answer.to_string();
        self.journal.failed(delivery, &answer, next_try);
        self.finish(
            delivery,
            Outcome::Failed,
            TryResult::Failed {
                at,
                answer,
                next_try,
            },
        )
    }

    /// The head is too old and has had its tries, and the next one lies ahead.
    fn give_up_waiting(&mut self, delivery: &Delivery) -> Result<Turn, StoreError> {
        let answer = self
            .journal
            .fault()
            .map_or_else(|| "given up while waiting".to_owned(), ToOwned::to_owned);
        self.dead(delivery, &answer, self.clock.now())
    }

    fn dead(
        &mut self,
        delivery: &Delivery,
        answer: &str,
        at: Timestamp,
    ) -> Result<Turn, StoreError> {
        self.journal.dead(delivery, answer);
        let answer = answer.to_owned();
        self.finish(delivery, Outcome::Dead, TryResult::Dead { at, answer })
    }

    /// Nothing is written: the event waits as it was, and the next start tries it again.
    fn pause(&mut self, delivery: &Delivery, answer: &Answer<'_>) -> Turn {
        self.paused = true;
        self.status
            .try_ended(Outcome::Paused, Some(answer.to_string()));
        self.journal.paused(delivery, answer);
        Turn::Ended(Outcome::Paused)
    }

    fn finish(
        &mut self,
        delivery: &Delivery,
        outcome: Outcome,
        result: TryResult,
    ) -> Result<Turn, StoreError> {
        let fault = self.journal.fault().map(ToOwned::to_owned);
        self.status.try_ended(outcome, fault);
        self.unrecorded = Some((delivery.sequence, result));
        self.record_leftover()?;
        Ok(Turn::Ended(outcome))
    }

    fn record_leftover(&mut self) -> Result<(), StoreError> {
        if let Some((sequence, result)) = &self.unrecorded {
            self.store.record_try(&self.name, *sequence, result)?;
            self.unrecorded = None;
        }
        Ok(())
    }
}

/// 1 s, doubled with each failure in a row.
fn store_delay(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.saturating_sub(1).min(6)).min(LONGEST_STORE_DELAY)
}

/// Moments are whole seconds, cut off. One more makes up for it: a restart must not try sooner than `Retry-After` said.
fn in_whole_seconds(delay: Duration) -> Duration {
    Duration::from_secs(delay.as_secs().saturating_add(1))
}
