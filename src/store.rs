//! The state: snapshot, events and outbox behind one contract. The only place with SQL.
//! Keeps and orders; decides nothing about what a change means.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::domain::event::EventDraft;
use crate::domain::model::{
    Absence, Fingerprint, KnownTask, TargetName, TaskId, TaskLookup, TaskRowId, TaskSummary,
    Timestamp, WebhookName,
};

mod batched;
#[cfg(test)]
mod contract_tests;
pub mod filter;
pub mod json;
mod outbox;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod queries;
pub mod sqlite;
pub mod transfer;

/// What every state does, whatever engine holds it. The promise of the program rests on these lines.
///
/// - **Atomic**: each method (but [`Store::prune`]) happens whole or not at all, also when the process or the
///   machine dies in it.
/// - **Durable**: what a method wrote is on disk when it returns `Ok`.
/// - **Ordered**: events have sequences 1, 2, 3, …, given in the order of the commits and, within one, of
///   [`Commit::events`]. Nobody sees an event before all events of lower sequences.
/// - **Quiet**: an empty [`Commit`], and every method that only reads, writes nothing. So does a [`Store::prune`] that
///   finds nothing to forget. A state that is opened, read and closed is on disk as it was, byte for byte.
///
/// Methods may be called from any thread at the same time. A target's commits come from one poll at a time: the
/// caller sees to that.
pub trait Store: Send + Sync + fmt::Debug {
    /// Which of `wanted`, and of the targets that are owed deliveries, this instance holds from now on: it alone polls them
    /// and makes their deliveries, until a later call says otherwise. Those in `under_way`, and those whose events
    /// [`Store::pending`] handed out last, are not let go. Cheap; to be called at least as often as the answer says.
    ///
    /// An error: nothing is held. A state of one instance holds everything.
    fn renew_leases(
        &self,
        wanted: &BTreeSet<TargetName>,
        _under_way: &BTreeSet<TargetName>,
    ) -> Result<LeaseStatus, StoreError> {
        Ok(LeaseStatus {
            owned: wanted.clone(),
            ..LeaseStatus::default()
        })
    }

    /// Whether what this instance held at the last [`Store::renew_leases`] is surely still its own: to be asked before each request to
    /// a receiver, for an instance may have been frozen, and replaced, since then.
    fn lease_is_valid(&self) -> bool {
        true
    }

    /// What the last poll left of a target; a new one if there was none.
    fn target(&self, target: &TargetName) -> Result<TargetState, StoreError>;

    /// The snapshot's records of a target by their numbers, as far as there are such. Any number of numbers.
    fn known_tasks(
        &self,
        target: &TargetName,
        numbers: &[TaskRowId],
    ) -> Result<BTreeMap<TaskRowId, KnownTask>, StoreError>;

    /// What [`Fingerprint`]s are made with: a number of this state's own, the same for ever, which nobody outside knows.
    fn fingerprint_seed(&self) -> u64;

    /// One answer for each of `sought`, in its order; none: not known. Quick for tasks that were created one shortly
    /// after the other, which is how lists show them; right for any.
    fn task_summaries(
        &self,
        target: &TargetName,
        sought: &[TaskLookup<'_>],
    ) -> Result<Vec<Option<TaskSummary>>, StoreError>;

    /// A target's tasks in flight ([`KnownTask::is_in_flight`]) with numbers beyond `after`: at most so many, in the order
    /// of their numbers. [`TaskRowId`] 0 stands before all.
    fn in_flight_after(
        &self,
        target: &TargetName,
        after: TaskRowId,
        at_most: u32,
    ) -> Result<Vec<TaskInFlight>, StoreError>;

    /// How many of a target's tasks are in flight.
    fn count_in_flight(&self, target: &TargetName) -> Result<u64, StoreError>;

    /// A number that no known task's exceeds, and that every task of this target which becomes known later exceeds.
    fn last_task_row_id(&self) -> Result<TaskRowId, StoreError>;

    /// Of a target's tasks that were created at `from` or later, how far back the newest of them reach that fit into
    /// `room`. Tasks without a `created` are not looked at.
    fn recent_span(
        &self,
        target: &TargetName,
        room: PageCapacity,
        from: Timestamp,
    ) -> Result<RecentSpan, StoreError>;

    /// Writes what one page, or the end of a walk, taught: snapshot, events and what is owed for them, at once.
    fn commit(&self, target: &TargetName, commit: &Commit) -> Result<(), StoreError>;

    /// Forgets a target's tasks and its state, but none of its events: for a target whose name now means
    /// another list.
    fn forget_target(&self, target: &TargetName) -> Result<(), StoreError>;

    /// The pending deliveries of the lowest sequences that a webhook is owed, in the order of their sequences: at most
    /// `limit` of them, and fewer only if there are no more.
    fn pending(&self, webhook: &WebhookName, limit: usize) -> Result<Vec<Delivery>, StoreError>;

    /// Writes how attempts of pending deliveries ended, all at once; a failed or dead one counts into
    /// [`Delivery::attempts`]. Nothing happens to one that is not pending any more: the others are written all the same.
    fn record_attempts(
        &self,
        webhook: &WebhookName,
        attempts: &[Attempt],
    ) -> Result<(), StoreError>;

    /// What each webhook that was ever owed anything is owed now, by name; also when all of it was pruned.
    fn outbox_backlog(&self) -> Result<Vec<OutboxBacklog>, StoreError>;

    /// Forgets finished and vanished tasks that were created and last changed before `before`, and events of before it
    /// of which nothing is pending or dead. A task without a `created` stays. Returns how many tasks and events went.
    ///
    /// The one method that is not atomic: it goes in steps, each of them atomic, so that no commit waits for all of
    /// it. What an error or a death leaves behind goes the next time.
    fn prune(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Ends its connections and lets other instances take over; later calls fail. Waits only briefly for calls under way.
    /// Closing twice is harmless. Dropping a store closes it too, but only once its last owner is gone.
    fn close(&self) {}
}

/// What an instance holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The targets that it may poll.
    pub owned: BTreeSet<TargetName>,
    /// When to call again, at the latest; none: nothing will change.
    pub renew_within: Option<Duration>,
    /// Why some targets are held by nobody, and what to do about it; none: all can be held.
    pub capacity_error: Option<String>,
}

/// A target, as the last poll left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetState {
    /// Which list the name meant, in the words of the poll; empty: never polled.
    pub list: String,
    /// When a page of the list was first read, by our clock.
    pub first_polled: Option<Timestamp>,
    /// Whether the first walk was ever completed: after that, everything unknown is new.
    pub baseline: Baseline,
    /// Polls failed in a row.
    pub failed_polls: u32,
    /// Whether `watch.failing` was reported and `watch.recovered` is due.
    pub failing_reported: bool,
    /// What walks have learned of the server's paging, in the words of the walk; empty: nothing.
    pub paging: String,
}

/// Whether `first_run` still applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Baseline {
    /// No walk was completed yet.
    #[default]
    Open,
    /// What finished before the target was first polled is known.
    Taken,
}

/// What [`Store::in_flight_after`] says of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInFlight {
    /// Which record it is.
    pub number: TaskRowId,
    /// Its identifier.
    pub id: TaskId,
    /// When it was submitted, by the API's clock.
    pub created: Option<Timestamp>,
    /// In how many polls it was missed.
    pub absence: Absence,
}

/// How many entries may fit, in what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCapacity {
    /// So many tasks.
    Tasks(u64),
    /// Tasks with so many URLs in all; one without URLs counts as one.
    Urls(u64),
}

/// What [`Store::recent_span`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecentSpan {
    /// All of them fit.
    Everything,
    /// Not all.
    Since {
        /// The earliest second from which on all fit; after `newest` if not even those of its second do.
        fits: Timestamp,
        /// When the newest was created.
        newest: Timestamp,
    },
}

/// A record, and the text that it was learned from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskUpsert {
    /// The record, URLs included.
    pub task: KnownTask,
    /// Which record of this task there is already, as far as is known: told of, it need not be looked for.
    pub number: Option<TaskRowId>,
    /// Of the text that shows the task whole and as the record has it; none if there is no such text.
    pub fingerprint: Option<Fingerprint>,
}

impl From<KnownTask> for TaskUpsert {
    fn from(task: KnownTask) -> Self {
        Self {
            task,
            number: None,
            fingerprint: None,
        }
    }
}

/// Another text for a record that stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FingerprintUpdate {
    /// Which record.
    pub number: TaskRowId,
    /// See [`TaskUpsert::fingerprint`].
    pub fingerprint: Fingerprint,
}

/// What one transaction writes. The default is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Rows to insert or to replace; of two for one task the last one holds. A task keeps its number.
    pub tasks: Vec<TaskUpsert>,
    /// Fingerprints of records that stay as they are; written after `tasks`. A number that is not known is passed over.
    pub fingerprints: Vec<FingerprintUpdate>,
    /// Events, in the order that they happened.
    pub events: Vec<NewEvent>,
    /// The target's new state, if it changed.
    pub target: Option<TargetState>,
    /// When this was written, by our clock: retention counts from it.
    pub time: Timestamp,
}

impl Commit {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
            && self.fingerprints.is_empty()
            && self.events.is_empty()
            && self.target.is_none()
    }
}

/// An event, and the webhooks that it is owed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened. The store gives it its sequence and id, and keeps [`EventDraft::document`].
    pub draft: EventDraft,
    /// To whom; may be empty. A name given twice is owed it once.
    pub subscribers: Vec<WebhookName>,
}

/// An event that a webhook is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event's place in the state's order.
    pub sequence: u64,
    /// `evt_…`, the same for ever.
    pub event_id: String,
    /// The event's type, in the contract's words.
    pub event_type: String,
    /// The event's document: the same bytes for ever.
    pub document: String,
    /// When the event was recorded, by our clock.
    pub recorded: Timestamp,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When the last of them was made, by our clock.
    pub last_attempt: Option<Timestamp>,
    /// Not before then; none before the first try.
    pub next_attempt: Option<Timestamp>,
}

/// One try of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which: [`Delivery::sequence`].
    pub sequence: u64,
    /// How it ended.
    pub result: AttemptResult,
}

/// How one try of a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver has it.
    Delivered {
        /// By our clock.
        at: Timestamp,
        /// In short, such as `HTTP 204`; no secrets.
        answer: String,
    },
    /// To be tried again.
    Failed {
        /// By our clock.
        at: Timestamp,
        /// In short, such as `HTTP 503`; no secrets.
        answer: String,
        /// Not before then.
        next_attempt: Timestamp,
    },
    /// Given up: stays until an operator says what to do, and holds up nothing.
    Dead {
        /// By our clock.
        at: Timestamp,
        /// In short, such as `HTTP 400`; no secrets.
        answer: String,
    },
}

/// One webhook's outbox, counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxBacklog {
    /// The name that the events are owed under; the config may no longer know it.
    pub webhook: WebhookName,
    /// Deliveries still to be made.
    pub pending: u64,
    /// Deliveries given up.
    pub dead: u64,
    /// When the oldest pending one's event was recorded.
    pub oldest_pending: Option<Timestamp>,
}

/// What can go wrong with the state, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another instance has it: stop.
    #[error("the state `{state}` is held by another instance{}; stop that one, or give this one a `state` of its own",
        holder.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Held {
        /// Where it is, without secrets.
        state: String,
        /// The holder's process id, where known.
        holder: Option<u32>,
    },
    /// Written by a later version: stop, touch nothing.
    #[error(
        "the state `{state}` is of version {found}, and this program knows {known} at the most; upgrade the program, or give it another `state`"
    )]
    TooNew {
        /// Where it is, without secrets.
        state: String,
        /// The version found.
        found: i64,
        /// The latest that we know.
        known: i64,
    },
    /// Can't be opened, read or written now: stop (at start), or try again (later).
    #[error("the state `{state}`: can't {action}")]
    Unusable {
        /// Where it is, without secrets.
        state: String,
        /// What was to be done, such as `commit a page`.
        action: &'static str,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was read can't be right: the file is damaged. Stop: the next start checks all of it and sets it aside.
    #[error("the state `{state}` is damaged: {what}")]
    Damaged {
        /// Where it is, without secrets.
        state: String,
        /// What is wrong, and with which row.
        what: String,
    },
}
