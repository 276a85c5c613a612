//! Delivery worker: drains the outbox of one webhook in order. An event is sent after all earlier ones are delivered or dead.
//!
//! [`DeliveryWorker::turn`] is the main path: it takes the due batch from the store, sends it, and handles the response. It
//! blocks only in [`Endpoint::send`], so a test can drive it without threads.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::ack_buffer::{AckBuffer, MAX_UNRECORDED};
use super::batch::{BatchSize, DeliveryBatch};
use super::endpoint::{Endpoint, HttpEndpoint};
use super::log::DeliveryLog;
use super::response::{Disposition, EndpointResponse};
use super::retry::RetryState;
use super::status::{AttemptOutcome, DrainReport, WorkerStatus};
use crate::clock::{CancelToken, Clock, Notify, Woken};
use crate::config::Webhook;
use crate::domain::model::{Timestamp, WebhookName};
use crate::domain::schedule::delivery::delivery_delay;
use crate::domain::schedule::retry_delay;
use crate::formats::OutgoingEvent;
use crate::http::HttpError;
use crate::store::{Attempt, AttemptResult, Delivery, Store, StoreError};

/// Longest wait of an idle worker. Other processes change the outbox (`deliveries retry`) without notifying it.
const MAX_IDLE_WAIT: Duration = Duration::from_secs(15);

/// Wait of a worker that is not sure to hold the leases of the targets whose events are due.
const LEASE_WAIT: Duration = Duration::from_secs(1);

/// Sends one webhook's events to its endpoint, in the order of their sequences.
#[derive(Debug)]
pub struct DeliveryWorker {
    name: WebhookName,
    endpoint: Arc<dyn Endpoint>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    status: Arc<WorkerStatus>,
    /// The receiver answered 410. Not stored: a reload or a restart starts with a new worker.
    paused: bool,
    batch_size: BatchSize,
    retry: RetryState,
    /// Attempts without a record. They are recorded before anything else is sent, because sending a delivered event again
    /// would be worse than a delay.
    unrecorded: AckBuffer,
    /// Pending deliveries that are read but not sent. Valid until the next record: see [`Self::next_batch`].
    read_ahead: VecDeque<Delivery>,
    log: DeliveryLog,
    /// Turns in a row in which the store failed.
    store_failures: u32,
}

/// Result of one step.
enum DeliveryStep {
    /// Some deliveries were attempted or given up.
    Progress(DrainReport),
    /// Nothing can be sent now.
    Pause(Pause),
}

/// Why a worker pauses, and for how long at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// The queue's head is due, but the rate limit does not allow a request yet.
    RateLimit(Duration),
    /// Nothing is due.
    Queue(Duration),
}

impl DeliveryWorker {
    /// A worker that sends to the webhook's receiver. Connects to nothing yet.
    pub fn new(
        name: WebhookName,
        webhook: &Webhook,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpError> {
        let endpoint = Arc::new(HttpEndpoint::new(webhook)?);
        Ok(Self::with_endpoint(name, webhook, endpoint, store, clock))
    }

    /// A worker that sends to another endpoint, under the webhook's rules.
    #[must_use]
    pub fn with_endpoint(
        name: WebhookName,
        webhook: &Webhook,
        endpoint: Arc<dyn Endpoint>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            endpoint,
            status: Arc::default(),
            paused: false,
            batch_size: BatchSize::of(&webhook.format),
            retry: RetryState::new(webhook, Arc::clone(&clock)),
            unrecorded: AckBuffer::default(),
            read_ahead: VecDeque::new(),
            log: DeliveryLog::new(name.clone()),
            store_failures: 0,
            name,
            store,
            clock,
        }
    }

    /// Takes over from a worker of the same webhook that panicked: uses its status, and is paused if it was.
    #[must_use]
    pub fn resume_from(mut self, previous: &Arc<WorkerStatus>) -> Self {
        previous.call_ended();
        self.paused = previous.snapshot().paused;
        self.status = Arc::clone(previous);
        self
    }

    /// The status, for other threads.
    #[must_use]
    pub fn status(&self) -> Arc<WorkerStatus> {
        Arc::clone(&self.status)
    }

    /// The endpoint, for a stop: cancel the worker's token **first**, then call [`Endpoint::abort`]. In the other order the
    /// aborted call would count as a failed attempt.
    #[must_use]
    pub fn endpoint(&self) -> Arc<dyn Endpoint> {
        Arc::clone(&self.endpoint)
    }

    /// Runs until the stop. Notify the worker when events are committed.
    pub fn run(&mut self, notify: &Notify) {
        loop {
            let wait = self.turn(notify.stop());
            if notify.wait(Some(wait)) == Woken::Stopped {
                return;
            }
        }
    }

    /// Sends every delivery that is due, and returns how long to wait before the next turn. A fault of the store is logged
    /// once and ends the turn.
    pub fn turn(&mut self, cancel: &CancelToken) -> Duration {
        match self.drain(cancel, &mut DrainReport::default()) {
            Ok(Pause::RateLimit(wait) | Pause::Queue(wait)) => {
                self.store_failures = 0;
                self.log.store_works();
                wait
            }
            Err(error) => {
                self.store_failures = self.store_failures.saturating_add(1);
                self.log.store_failed(&error);
                retry_delay(self.store_failures)
            }
        }
    }

    /// Sends every delivery that is due and waits for the rate limit between requests. Returns when the queue is empty, its
    /// head is not due, the webhook is paused, or at the stop. For `--once`.
    pub fn drain_once(&mut self, cancel: &CancelToken) -> Result<DrainReport, StoreError> {
        let mut report = DrainReport::default();
        while let Pause::RateLimit(wait) = self.drain(cancel, &mut report)? {
            if cancel.sleep(wait) == Woken::Stopped {
                break;
            }
        }
        Ok(report)
    }

    /// Takes steps until there is nothing to do, and records their attempts.
    pub(super) fn drain(
        &mut self,
        cancel: &CancelToken,
        report: &mut DrainReport,
    ) -> Result<Pause, StoreError> {
        let pause = loop {
            match self.step(cancel)? {
                DeliveryStep::Progress(progress) => report.add(progress),
                DeliveryStep::Pause(pause) => break pause,
            }
        };
        self.record()?;
        Ok(pause)
    }

    /// Sends the batch at the queue's head if it is due.
    fn step(&mut self, cancel: &CancelToken) -> Result<DeliveryStep, StoreError> {
        self.status.step_starts(self.clock.monotonic());
        if self.paused || cancel.is_cancelled() {
            return Ok(DeliveryStep::idle(MAX_IDLE_WAIT));
        }
        let Some(batch) = self.next_batch()? else {
            return Ok(DeliveryStep::idle(MAX_IDLE_WAIT));
        };
        let until_due = self.retry.until_due(&batch.head);
        if !until_due.is_zero() {
            return Ok(self.give_up_or_wait(&batch.head, until_due));
        }
        if !self.store.lease_is_valid() {
            // Another instance may be delivering the batch. The next read shows what this instance still owns.
            return Ok(DeliveryStep::idle(LEASE_WAIT));
        }
        let until_allowed = self.retry.until_rate_allows();
        if !until_allowed.is_zero() {
            return Ok(DeliveryStep::Pause(Pause::RateLimit(until_allowed)));
        }
        let response = self.send(&batch);
        if matches!(response, EndpointResponse::NoResponse(_)) && cancel.is_cancelled() {
            // The stop most likely aborted the call. If the receiver is at fault, the next run finds out.
            self.log.aborted(&batch);
            return Ok(DeliveryStep::idle(MAX_IDLE_WAIT));
        }
        self.handle_response(&batch, &response)
    }

    /// Takes the next batch from the deliveries that were read ahead, or reads more of them.
    ///
    /// One read returns as many deliveries as one commit records. A record ends the validity of what was read ahead: the
    /// recorded deliveries are no longer pending, and other processes may have changed the rest.
    fn next_batch(&mut self) -> Result<Option<DeliveryBatch>, StoreError> {
        if self.read_ahead.is_empty() || !self.unrecorded.may_grow(self.clock.monotonic()) {
            self.record()?;
            let limit = self.batch_size.get().max(MAX_UNRECORDED);
            self.read_ahead = self.store.pending(&self.name, limit)?.into();
        }
        let count = self.batch_size.get().min(self.read_ahead.len());
        Ok(DeliveryBatch::new(self.read_ahead.drain(..count).collect()))
    }

    /// The head's next attempt is in the future. The head dies before it if it is too old and was attempted.
    fn give_up_or_wait(&mut self, head: &Delivery, until_due: Duration) -> DeliveryStep {
        let left = self.retry.until_given_up(head, head.attempts);
        if left.is_zero() && head.attempts > 0 {
            let fault = self.log.receiver_fault();
            let answer = fault.unwrap_or("given up while waiting").to_owned();
            let dead = self.dead(head, &answer, self.clock.now());
            return self.finish([dead]);
        }
        // Wall time has whole seconds. A shorter wait would only repeat the step.
        let wait = until_due.min(left.max(Duration::from_secs(1)));
        DeliveryStep::idle(wait.min(MAX_IDLE_WAIT))
    }

    fn send(&mut self, batch: &DeliveryBatch) -> EndpointResponse {
        let events: Vec<OutgoingEvent<'_>> = batch
            .iter()
            .map(|delivery| OutgoingEvent {
                id: &delivery.event_id,
                document: &delivery.document,
            })
            .collect();
        let started = self.clock.monotonic();
        self.unrecorded.request_starts(started);
        self.status
            .call_starts(started.saturating_add(self.endpoint.timeout()));
        let response = self.endpoint.send(&events, self.clock.now());
        self.status.call_ended();
        let ended = self.clock.monotonic();
        self.retry.request_ended(ended);
        self.log
            .attempted(batch, &response, ended.saturating_sub(started));
        response
    }

    fn handle_response(
        &mut self,
        batch: &DeliveryBatch,
        response: &EndpointResponse,
    ) -> Result<DeliveryStep, StoreError> {
        let now = self.clock.now();
        match response.disposition(now) {
            Disposition::Delivered => Ok(self.handle_delivered(batch, response, now)),
            Disposition::Retry { retry_after } => {
                Ok(self.handle_failed_attempt(batch, response, now, retry_after))
            }
            Disposition::Rejected if batch.len() > 1 => {
                self.batch_size.halve(batch.len());
                self.log.batch_rejected(batch, response);
                self.record()?;
                Ok(DeliveryStep::Progress(DrainReport::default()))
            }
            Disposition::Rejected => {
                self.batch_size.double();
                let dead = self.dead(&batch.head, &response.to_string(), now);
                Ok(self.finish([dead]))
            }
            Disposition::Gone => Ok(self.pause(batch, response)),
        }
    }

    fn handle_delivered(
        &mut self,
        batch: &DeliveryBatch,
        response: &EndpointResponse,
        at: Timestamp,
    ) -> DeliveryStep {
        self.log.delivered(batch);
        self.batch_size.double();
        let answer = response.to_string();
        self.finish(batch.iter().map(|delivery| Attempt {
            sequence: delivery.sequence,
            result: AttemptResult::Delivered {
                at,
                answer: answer.clone(),
            },
        }))
    }

    /// Schedules the retry: the same delay for the whole batch. Deliveries that are too old are dead.
    fn handle_failed_attempt(
        &mut self,
        batch: &DeliveryBatch,
        response: &EndpointResponse,
        at: Timestamp,
        retry_after: Option<Duration>,
    ) -> DeliveryStep {
        let attempts = batch.head.attempts.saturating_add(1);
        let delay = delivery_delay(attempts, retry_after, fastrand::f64());
        let next_attempt = at.saturating_add(in_whole_seconds(delay));
        self.retry.schedule(next_attempt, delay);
        let answer = response.to_string();
        let (old, young): (Vec<_>, Vec<_>) = batch.iter().partition(|delivery| {
            let attempts = delivery.attempts.saturating_add(1);
            self.retry.until_given_up(delivery, attempts).is_zero()
        });
        match young.first() {
            Some(first) => {
                let waiting = self.count_waiting(batch.len());
                self.log.failed(first, response, next_attempt, waiting);
            }
            None => self.log.failed_finally(response),
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

    /// How many events wait behind the batch. `None` if the store fails, which the next record reports.
    fn count_waiting(&self, batch_len: usize) -> Option<u64> {
        let backlog = self.store.outbox_backlog().ok()?;
        let backlog = backlog.iter().find(|one| one.webhook == self.name)?;
        let not_waiting = batch_len.saturating_add(self.unrecorded.attempts().len());
        let not_waiting = u64::try_from(not_waiting).unwrap_or(u64::MAX);
        Some(backlog.pending.saturating_sub(not_waiting))
    }

    fn dead(&self, delivery: &Delivery, answer: &str, at: Timestamp) -> Attempt {
        self.log.dead(delivery, answer);
        Attempt {
            sequence: delivery.sequence,
            result: AttemptResult::Dead {
                at,
                answer: answer.to_owned(),
            },
        }
    }

    /// Records nothing: the events stay as they were, and the next run attempts them again.
    fn pause(&mut self, batch: &DeliveryBatch, response: &EndpointResponse) -> DeliveryStep {
        self.paused = true;
        self.status
            .attempt_ended(AttemptOutcome::Paused, Some(response.to_string()));
        self.log.paused(batch, response);
        DeliveryStep::Progress(DrainReport::of([AttemptOutcome::Paused]))
    }

    /// Buffers the attempts for the next record, and reports them.
    fn finish(&mut self, attempts: impl IntoIterator<Item = Attempt>) -> DeliveryStep {
        let attempts: Vec<Attempt> = attempts.into_iter().collect();
        let outcomes = attempts.iter().map(|one| AttemptOutcome::of(&one.result));
        for outcome in outcomes.clone() {
            let fault = self.log.receiver_fault().map(ToOwned::to_owned);
            self.status.attempt_ended(outcome, fault);
        }
        let report = DrainReport::of(outcomes);
        self.unrecorded.add(attempts);
        DeliveryStep::Progress(report)
    }

    /// Records the buffered attempts in one commit. Drops what was read ahead: see [`Self::next_batch`].
    fn record(&mut self) -> Result<(), StoreError> {
        // First, so that a failed record leaves none of it: it may lack the batch of the last request.
        self.read_ahead.clear();
        if !self.unrecorded.attempts().is_empty() {
            self.store
                .record_attempts(&self.name, self.unrecorded.attempts())?;
            self.unrecorded.clear();
        }
        Ok(())
    }
}

impl DeliveryStep {
    fn idle(wait: Duration) -> Self {
        Self::Pause(Pause::Queue(wait))
    }
}

/// Stored times are truncated to whole seconds. One more second makes up for it: after a restart, a retry must not be sooner
/// than `Retry-After`.
fn in_whole_seconds(delay: Duration) -> Duration {
    Duration::from_secs(delay.as_secs().saturating_add(1))
}
