//! What onlookers read of a state, and what operators order about its outbox: the contract of every engine, beside a
//! running daemon or without one. Owns what a record holds; [`super::filter`] owns which are asked for.

use std::fmt;
use std::time::Duration;

use super::filter::{DeliveryFilter, EventFilter, EventSpan, TaskFilter};
use super::{OutboxBacklog, StoreError};
use crate::domain::event::UrlCounts;
use crate::domain::model::{KnownTask, Status, TargetName, TaskId, Timestamp, WebhookName};

/// The state as onlookers see it: commands, the status page, metrics. Never writes, never waits for a commit, and is in
/// no commit's way.
///
/// Each answer is of one moment, holds at most `limit` records, and is one page of a list: the place of its last
/// record, given back, leads to the next page. So a million records are read in little memory, and no read is
/// long. What is committed between two pages may or may not be seen; nothing that stays is missed or seen twice.
pub trait StateQueries: Send + Sync + fmt::Debug {
    /// Tasks, newest first: by when they were submitted, or first seen where the API does not say. Those after the place
    /// `after`, or from the newest on.
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

    /// The sequence of the last event that was ever committed; 0: none was.
    fn last_sequence(&self) -> Result<u64, StoreError>;

    /// Deliveries, those of the newest events first, then by webhook. Those after the place `after`, or from the newest on.
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

/// What an operator may order about deliveries. Works beside a daemon, whose couriers see it when they next look.
///
/// Durable when it returns. Goes in steps, each of them atomic, so that no commit waits for all of it.
pub trait OutboxAdmin: Send + Sync + fmt::Debug {
    /// Makes the dead and the pending deliveries that the filter lets through due at once, as if they had never been tried; of
    /// the delivered ones, none. Returns how many that changed.
    fn retry(&self, filter: &DeliveryFilter) -> Result<u64, StoreError>;

    /// Forgets the dead and the pending deliveries that the filter lets through; of the delivered ones, none. Their events
    /// stay. Returns how many went.
    fn discard(&self, filter: &DeliveryFilter) -> Result<u64, StoreError>;
}

/// A task of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// Whose.
    pub target: TargetName,
    /// All that was learned of it.
    pub task: KnownTask,
    /// When anything of this was last written, by our clock.
    pub changed: Timestamp,
}

impl TaskRecord {
    /// Where it stands in the list.
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

    /// From its submission to the end of its last URL; none if either is not known.
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

/// A task's place in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCursor {
    /// See [`TaskRecord::time`].
    pub time: Timestamp,
    /// Of tasks of one time, by target and id.
    pub target: TargetName,
    /// See `target`.
    pub id: TaskId,
}

/// Tasks of one target in one status, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCount {
    /// Whose.
    pub target: TargetName,
    /// The status last seen.
    pub status: Status,
    /// All of them.
    pub total: u64,
    /// Of them: in flight, and reported as stalled.
    pub stalled: u64,
    /// Of them: no longer shown by the API.
    pub vanished: u64,
}

/// Tasks of one target that were submitted in one hour, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourlyCount {
    /// Whose.
    pub target: TargetName,
    /// When the hour begins, in UTC.
    pub hour: Timestamp,
    /// All of them.
    pub total: u64,
    /// Of them: last seen in `failure`.
    pub failed: u64,
    /// Of them: no longer shown by the API.
    pub vanished: u64,
}

/// An event, as it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Its place in the state's order.
    pub sequence: u64,
    /// `evt_…`.
    pub id: String,
    /// In the contract's words.
    pub event_type: String,
    /// When it was committed, by our clock.
    pub recorded: Timestamp,
    /// Whose.
    pub target: TargetName,
    /// Of which task, if of any.
    pub task: Option<TaskId>,
    /// The JSON that receivers get.
    pub document: String,
}

/// What a delivery has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeliveryState {
    /// Still to be made.
    Pending,
    /// The receiver has it.
    Delivered,
    /// Given up.
    Dead,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    /// Reads [`DeliveryState::as_str`].
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// In a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl fmt::Display for DeliveryState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a webhook is or was owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// To whom.
    pub webhook: WebhookName,
    /// What it has come to.
    pub state: DeliveryState,
    /// How many attempts have failed; a delivered one has had one more.
    pub attempts: u32,
    /// Not before then; none: at once, or never again.
    pub next_attempt: Option<Timestamp>,
    /// When it was last tried, by our clock.
    pub last_attempt: Option<Timestamp>,
    /// What came of that, in short; no secrets.
    pub last_answer: Option<String>,
    /// Of what.
    pub event: EventRecord,
}

impl DeliveryRecord {
    /// Where it stands in the list.
    #[must_use]
    pub fn cursor(&self) -> DeliveryCursor {
        DeliveryCursor {
            sequence: self.event.sequence,
            webhook: self.webhook.clone(),
        }
    }
}

/// A delivery's place in the list of all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryCursor {
    /// The event's.
    pub sequence: u64,
    /// Of one event's deliveries, by name.
    pub webhook: WebhookName,
}
