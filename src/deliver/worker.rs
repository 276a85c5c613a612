//! Draining one webhook's queue: as many of its head as a request takes, and nothing past them until they are delivered
//! or dead. Owns the decision what comes next; what an answer means is [`super::answer`]'s, and when to try again [`crate::domain::schedule`]'s.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::agenda::Agenda;
use super::batch::{Batch, Width};
use super::journal::Journal;
use super::ledger::{Ledger, UNRECORDED_AT_MOST};
use super::{Answer, DrainReport, IDLE_LOOK, Outcome, Receiver, Reply, Verdict, WorkerStatus};
use crate::clock::{CancelToken, Clock, Notify, Woken};
use crate::config::Webhook;
use crate::domain::model::{Timestamp, WebhookName};
use crate::domain::schedule::delivery::delivery_delay;
use crate::domain::schedule::retry_delay;
use crate::formats::OutgoingEvent;
use crate::http::{HttpClient, HttpError};
use crate::store::{Attempt, AttemptResult, Delivery, Store, StoreError};

/// How long a courier waits that is not sure to hold what it has in hand.
const HOLD_LOOK: Duration = Duration::from_secs(1);

/// Brings one webhook's events to its receiver, in the order of their sequences.
#[derive(Debug)]
pub struct DeliveryWorker {
    name: WebhookName,
    receiver: Receiver,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    status: Arc<WorkerStatus>,
    /// The receiver answered 410. Kept here alone: a reload or a restart makes a new courier.
    paused: bool,
    width: Width,
    journal: Journal,
    agenda: Agenda,
    /// What is pending behind the last request, as of the last time that the ledger was written down.
    ahead: VecDeque<Delivery>,
    /// Tries that are made but not written down yet. They go first: trying again what was delivered would be worse.
    ledger: Ledger,
}

/// How long a courier rests before the next look, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// For its pace: the queue's head is due.
    Pace(Duration),
    /// Because there is nothing due.
    Queue(Duration),
}

/// What one look at the queue came to.
enum Turn {
    /// Some of it was tried, or given up.
    Ended(DrainReport),
    /// Its head is not due for this long; never zero.
    NotDue(Duration),
    /// Its head is due, but the last request was made too short a time ago: not for this long; never zero.
    Paced(Duration),
    /// Nothing to do: empty, paused, or stopped.
    Idle,
}

impl DeliveryWorker {
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
            agenda: Agenda::new(webhook, Arc::clone(&clock)),
            store,
            clock,
            status: Arc::default(),
            paused: false,
            journal,
            ahead: VecDeque::new(),
            ledger: Ledger::default(),
            width: Width::of(&webhook.format),
        })
    }

    /// Goes on in the place of another courier of this webhook: reports where that one did, and is paused if that one was.
    #[must_use]
    pub fn in_place_of(mut self, other: &Arc<WorkerStatus>) -> Self {
        other.call_ended();
        self.paused = other.snapshot().paused;
        self.status = Arc::clone(other);
        self
    }

    /// For onlookers on other threads.
    #[must_use]
    pub fn status(&self) -> Arc<WorkerStatus> {
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
    pub fn run(&mut self, bell: &Notify) {
        let mut store_failures: u32 = 0;
        loop {
            let wait = match self.drain(bell.stop(), &mut DrainReport::default()) {
                Ok(Rest::Pace(wait) | Rest::Queue(wait)) => {
                    store_failures = 0;
                    self.journal.store_works();
                    wait
                }
                Err(error) => {
                    store_failures = store_failures.saturating_add(1);
                    self.journal.store_failed(&error);
                    retry_delay(store_failures)
                }
            };
            if bell.wait(Some(wait)) == Woken::Stopped {
                return;
            }
        }
    }

    /// Makes every delivery that is due, at the format's pace, and returns when the head of the queue is not due, when the queue is empty, when
    /// the webhook is paused, or at the stop. Goes on past those given up.
    pub fn drain_once(&mut self, stop: &CancelToken) -> Result<DrainReport, StoreError> {
        let mut report = DrainReport::default();
        while let Rest::Pace(wait) = self.drain(stop, &mut report)? {
            if stop.sleep(wait) == Woken::Stopped {
                break;
            }
        }
        Ok(report)
    }

    pub(super) fn drain(
        &mut self,
        stop: &CancelToken,
        report: &mut DrainReport,
    ) -> Result<Rest, StoreError> {
        let rest = loop {
            match self.turn(stop)? {
                Turn::Ended(ended) => report.add(ended),
                Turn::Paced(wait) => break Rest::Pace(wait),
                Turn::NotDue(wait) => break Rest::Queue(wait.min(IDLE_LOOK)),
                Turn::Idle => break Rest::Queue(IDLE_LOOK),
            }
        };
        self.write_down()?;
        Ok(rest)
    }

    fn turn(&mut self, stop: &CancelToken) -> Result<Turn, StoreError> {
        self.status.turned(self.clock.monotonic());
        if self.paused || stop.is_cancelled() {
            return Ok(Turn::Idle);
        }
        let Some(batch) = self.next_batch()? else {
            return Ok(Turn::Idle);
        };
        let wait = self.agenda.until_due(&batch.head);
        if wait.is_zero() && !self.store.lease_is_valid() {
            // Somebody else may be delivering them by now. The next look shows what is still ours.
            return Ok(Turn::NotDue(HOLD_LOOK));
        }
        if wait.is_zero() {
            let pause = self.agenda.until_pace_allows();
            if !pause.is_zero() {
                return Ok(Turn::Paced(pause));
            }
            return self.try_batch(&batch, stop);
        }
        let left = self.agenda.until_given_up(&batch.head, batch.head.attempts);
        if left.is_zero() && batch.head.attempts > 0 {
            return Ok(self.give_up_waiting(&batch.head));
        }
        // Wall time is whole seconds: a shorter wait would only turn the loop.
        Ok(Turn::NotDue(wait.min(left.max(Duration::from_secs(1)))))
    }

    /// Reads ahead, so that the store is asked once for as many deliveries as are written down at once. What is read is
    /// of use only until then: what was written down is no longer pending, and may not be the only change.
    fn next_batch(&mut self) -> Result<Option<Batch>, StoreError> {
        if self.ahead.is_empty() || !self.ledger.may_wait(self.clock.monotonic()) {
            self.write_down()?;
            let limit = self.width.now().max(UNRECORDED_AT_MOST);
            self.ahead = self.store.pending(&self.name, limit)?.into();
        }
        let count = self.width.now().min(self.ahead.len());
        Ok(Batch::new(self.ahead.drain(..count).collect()))
    }

    fn try_batch(&mut self, batch: &Batch, stop: &CancelToken) -> Result<Turn, StoreError> {
        let result = self.post(batch);
        if result.is_err() && stop.is_cancelled() {
            // Most likely we cut it off ourselves. If not, the next start finds out what is wrong with the receiver.
            self.journal.cut_off(batch);
            return Ok(Turn::Idle);
        }
        let answer = Answer::of(&result);
        let now = self.clock.now();
        match answer.verdict(now) {
            Verdict::Delivered => Ok(self.delivered(batch, &answer, now)),
            Verdict::Refused if batch.len() > 1 => {
                self.width.narrow(batch.len());
                self.journal.narrowed(batch, &answer);
                self.write_down()?;
                Ok(Turn::Ended(DrainReport::default()))
            }
            Verdict::Refused => Ok(self.refused(&batch.head, &answer, now)),
            Verdict::Gone => Ok(self.pause(batch, &answer)),
            Verdict::Retry { retry_after } => Ok(self.failed(batch, &answer, now, retry_after)),
        }
    }

    fn post(&mut self, batch: &Batch) -> Result<Reply, HttpError> {
        let events: Vec<OutgoingEvent<'_>> = batch
            .iter()
            .map(|delivery| OutgoingEvent {
                id: &delivery.event_id,
                document: &delivery.document,
            })
            .collect();
        let begun = self.clock.monotonic();
        self.ledger.request_begins(begun);
        self.status
            .call_begins(begun.saturating_add(self.receiver.timeout()));
        let result = self.receiver.post(&events, self.clock.now());
        self.status.call_ended();
        let ended = self.clock.monotonic();
        self.agenda.request_ended(ended);
        let latency = ended.saturating_sub(begun);
        self.journal.tried(batch, &Answer::of(&result), latency);
        result
    }

    fn delivered(&mut self, batch: &Batch, answer: &Answer<'_>, at: Timestamp) -> Turn {
        self.journal.delivered(batch);
        self.width.widen();
        let answer = answer.to_string();
        self.finish(batch.iter().map(|delivery| Attempt {
            sequence: delivery.sequence,
            result: AttemptResult::Delivered {
                at,
                answer: answer.clone(),
            },
        }))
    }

    fn refused(&mut self, delivery: &Delivery, answer: &Answer<'_>, at: Timestamp) -> Turn {
        self.width.widen();
        let dead = self.dead(delivery, &answer.to_string(), at);
        self.finish([dead])
    }

    /// All of them are put off by the same delay, except those that have become too old.
    fn failed(
        &mut self,
        batch: &Batch,
        answer: &Answer<'_>,
        at: Timestamp,
        retry_after: Option<Duration>,
    ) -> Turn {
        let attempts = batch.head.attempts.saturating_add(1);
        let delay = delivery_delay(attempts, retry_after, fastrand::f64());
        let next_attempt = at.saturating_add(in_whole_seconds(delay));
        self.agenda.put_off(next_attempt, delay);
        let answer = answer.to_string();
        let (old, young): (Vec<_>, Vec<_>) = batch.iter().partition(|delivery| {
            self.agenda
                .until_given_up(delivery, delivery.attempts.saturating_add(1))
                .is_zero()
        });
        match young.first() {
            Some(first) => self.journal.failed(first, &answer, next_attempt),
            None => self.journal.failed_for_good(&answer),
        }
        let old = old
            .into_iter()
            .map(|delivery| self.dead(delivery, &answer, at));
        let young = young.into_iter().map(|delivery| Attempt {
            sequence: delivery.sequence,
            result: AttemptResult::Failed {
                at,
                answer: answer.clone(),
                next_attempt,
            },
        });
        let attempts: Vec<Attempt> = old.chain(young).collect();
        self.finish(attempts)
    }

    /// The head is too old and has had its attempts, and the next one lies ahead.
    fn give_up_waiting(&mut self, head: &Delivery) -> Turn {
        let answer = self
            .journal
            .fault()
            .unwrap_or("given up while waiting")
            .to_owned();
        let dead = self.dead(head, &answer, self.clock.now());
        self.finish([dead])
    }

    fn dead(&self, delivery: &Delivery, answer: &str, at: Timestamp) -> Attempt {
        self.journal.dead(delivery, answer);
        Attempt {
            sequence: delivery.sequence,
            result: AttemptResult::Dead {
                at,
                answer: answer.to_owned(),
            },
        }
    }

    /// Nothing is written: the events wait as they were, and the next start attempts them again.
    fn pause(&mut self, batch: &Batch, answer: &Answer<'_>) -> Turn {
        self.paused = true;
        self.status
            .try_ended(Outcome::Paused, Some(answer.to_string()));
        self.journal.paused(batch, answer);
        Turn::Ended(DrainReport::of([Outcome::Paused]))
    }

    fn finish(&mut self, attempts: impl IntoIterator<Item = Attempt>) -> Turn {
        let attempts: Vec<Attempt> = attempts.into_iter().collect();
        let outcomes = attempts.iter().map(|one| Outcome::of(&one.result));
        for outcome in outcomes.clone() {
            let fault = self.journal.fault().map(ToOwned::to_owned);
            self.status.try_ended(outcome, fault);
        }
        let report = DrainReport::of(outcomes);
        self.ledger.add(attempts);
        Turn::Ended(report)
    }

    /// What was read ahead is forgotten with it: see [`Self::next_batch`].
    fn write_down(&mut self) -> Result<(), StoreError> {
        // First, so that nothing of it is used if the record fails: it may lack what a request was just made with.
        self.ahead.clear();
        if !self.ledger.attempts().is_empty() {
            self.store
                .record_attempts(&self.name, self.ledger.attempts())?;
            self.ledger.clear();
        }
        Ok(())
    }
}

/// Moments are whole seconds, cut off. One more makes up for it: a restart must not try sooner than `Retry-After` said.
fn in_whole_seconds(delay: Duration) -> Duration {
    Duration::from_secs(delay.as_secs().saturating_add(1))
}
