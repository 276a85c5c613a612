//! Read-only queries and outbox commands: the contract of every engine for pages, metrics and commands, beside a running daemon
//! or without one. [`super::filter`] selects records; this file says what a record holds.

use std::fmt;
use std::time::Duration;

use super::filter::{DeliveryFilter, EventFilter, EventSpan, TaskFilter};
use super::outbox::DeliveryState;
use super::{OutboxBacklog, StoreError};
use crate::domain::event::UrlCounts;
use crate::domain::model::{KnownTask, Status, TargetName, TaskId, Timestamp, WebhookName};

/// The state as commands, the status page and metrics read it. Never writes, never waits for a commit, and blocks no
/// commit.
///
/// Each result shows one moment and holds at most `limit` records: one page of a list. Pass the cursor of its last record to get
/// the next page. So reading a million records takes little memory, and no read is long. Changes that are committed
/// between two pages may or may not be seen; a record that stays is neither missed nor seen twice.
pub trait StateQueries: Send + Sync + fmt::Debug {
    /// Tasks, newest first: by when they were submitted, or first seen if the API does not say. Begins after `after`, or with the
    /// newest.
    fn tasks(
        &self,
        filter: &TaskFilter,
        after: Option<&TaskCursor>,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError>;

    /// How many tasks there are, by target and status, in the order of both.
    fn task_counts(&self) -> Result<Vec<TaskCount>, StoreError>;

    /// How many tasks were submitted (or first seen) then or later, by target and hour, in the order of both.
    fn hourly_counts(&self, since: Timestamp) -> Result<Vec<HourlyCount>, StoreError>;

    /// Events of a span, in its order.
    fn events(
        &self,
        filter: &EventFilter,
        span: EventSpan,
        limit: usize,
    ) -> Result<Vec<EventRecord>, StoreError>;

    /// The sequence of the last event that was ever committed. 0 if there was none.
    fn last_sequence(&self) -> Result<u64, StoreError>;

    /// Deliveries, those of the newest events first, then by webhook. Begins after `after`, or with the newest.
    fn deliveries(
        &self,
        filter: &DeliveryFilter,
        after: Option<&DeliveryCursor>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError>;

    /// See [`super::Store::outbox_backlog`].
    fn outbox_backlog(&self) -> Result<Vec<OutboxBacklog>, StoreError>;

    /// Ends its connection; later reads fail. To be called before [`super::Store::close`] of the same state, which is the
    /// last to close it.
    fn close(&self) {}
}

/// An operator's commands about deliveries. Works beside a daemon, whose delivery workers see the change at their next read.
///
/// Durable when it returns. Works in batches, each of them atomic, so that no commit waits for all of it.
pub trait OutboxAdmin: Send + Sync + fmt::Debug {
    /// Makes the dead and pending deliveries that match due at once, as if they had never been attempted. Ignores delivered ones.
    /// Returns how many it changed.
    fn retry(&self, filter: &DeliveryFilter) -> Result<u64, StoreError>;

    /// Deletes the dead and pending deliveries that match. Ignores delivered ones. Their events stay. Returns how many it
    /// deleted.
    fn discard(&self, filter: &DeliveryFilter) -> Result<u64, StoreError>;
}

/// A task of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// Its target.
    pub target: TargetName,
    /// The task as last seen.
    pub task: KnownTask,
    /// When the record was last written, by our clock.
    pub changed: Timestamp,
}

impl TaskRecord {
    /// Its position in the list.
    #[must_use]
    pub fn cursor(&self) -> TaskCursor {
        TaskCursor {
            time: self.time(),
            target: self.target.clone(),
            id: self.task.id.clone(),
        }
    }

    /// When it was submitted, by the API's clock, or first seen, by ours.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.task.created.unwrap_or(self.task.first_seen)
    }

    /// See [`KnownTask::finished`].
    #[must_use]
    pub fn finished(&self) -> Option<Timestamp> {
        self.task.finished()
    }

    /// From its submission to the end of its last URL. `None` if either is unknown.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        let (created, finished) = (self.task.created?, self.finished()?);
        (finished >= created).then(|| finished.since(created))
    }

    /// Its URLs, counted.
    #[must_use]
    pub fn counts(&self) -> UrlCounts {
        UrlCounts::of(&self.task)
    }
}

/// A task's position in the list of all tasks: where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCursor {
    /// See [`TaskRecord::time`].
    pub time: Timestamp,
    /// Tasks of one time are ordered by target and id.
    pub target: TargetName,
    /// See `target`.
    pub id: TaskId,
}

/// The number of tasks of one target in one status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCount {
    /// Its target.
    pub target: TargetName,
    /// The status last seen.
    pub status: Status,
    /// How many there are.
    pub total: u64,
    /// How many of them are in flight, and reported as stalled.
    pub stalled: u64,
    /// How many of them the API no longer shows.
    pub vanished: u64,
}

/// The number of tasks of one target that were submitted in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourlyCount {
    /// Its target.
    pub target: TargetName,
    /// When the hour begins, in UTC.
    pub hour: Timestamp,
    /// How many there are.
    pub total: u64,
    /// How many of them were last seen in `failure`.
    pub failed: u64,
    /// How many of them the API no longer shows.
    pub vanished: u64,
}

/// An event, as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Its position in the state's order.
    pub sequence: u64,
    /// `evt_…`.
    pub id: String,
    /// In the contract's words.
    pub event_type: String,
    /// When it was committed, by our clock.
    pub recorded: Timestamp,
    /// Its target.
    pub target: TargetName,
    /// Its task, if it is about one.
    pub task: Option<TaskId>,
    /// The JSON that receivers get.
    pub document: String,
}

/// A delivery, pending or past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// The webhook that gets it.
    pub webhook: WebhookName,
    /// Its state.
    pub state: DeliveryState,
    /// How many attempts have failed. A delivered one has had one more.
    pub attempts: u32,
    /// Earliest time of the next attempt. `None`: at once, or never again.
    pub next_attempt: Option<Timestamp>,
    /// When it was last attempted, by our clock.
    pub last_attempt: Option<Timestamp>,
    /// The outcome of the last attempt, in short; no secrets.
    pub last_answer: Option<String>,
    /// The event that it carries.
    pub event: EventRecord,
}

impl DeliveryRecord {
    /// Its position in the list.
    #[must_use]
    pub fn cursor(&self) -> DeliveryCursor {
        DeliveryCursor {
            sequence: self.event.sequence,
            webhook: self.webhook.clone(),
        }
    }
}

/// A delivery's position in the list of all deliveries: where the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryCursor {
    /// The event's.
    pub sequence: u64,
    /// Deliveries of one event are ordered by webhook.
    pub webhook: WebhookName,
}
