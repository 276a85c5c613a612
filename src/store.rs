//! The state: the `Store` contract for snapshot, events and outbox, which every engine implements. The only room with SQL.
//! It keeps and orders records; other rooms decide what a change means.

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
pub mod outbox;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod queries;
pub mod sqlite;
pub mod transfer;

/// The contract of every engine. The guarantees of the program rest on it.
///
/// - **Atomic**: each method except [`Store::prune`] happens whole or not at all, also if the process or the machine dies
///   during it.
/// - **Durable**: what a method wrote is on disk when it returns `Ok`.
/// - **Ordered**: events have sequences 1, 2, 3, …, given in the order of the commits and, within one, of
///   [`Commit::events`]. No reader sees an event before all events of lower sequences.
/// - **Quiet**: an empty [`Commit`], and every method that only reads, writes nothing. So does a [`Store::prune`] that
///   finds nothing to delete. A state that is opened, read and closed is on disk as it was, byte for byte.
///
/// Any thread may call any method at any time. The caller makes sure that only one poll of a target runs at a time.
pub trait Store: Send + Sync + fmt::Debug {
    /// Renews leases and returns the targets that this instance owns, out of `wanted` and of the targets with pending
    /// deliveries. Until the next call, only this instance polls them and makes their deliveries. Does not release targets in
    /// `under_way`, nor those whose events [`Store::pending`] returned last. Cheap; call it at least as often as
    /// [`LeaseStatus::renew_within`] says.
    ///
    /// On error the instance owns nothing. An engine for a single instance owns everything.
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

    /// Whether the leases of the last [`Store::renew_leases`] are certainly still valid. Ask before each request to a receiver,
    /// because the instance may have been frozen, and replaced, since then.
    fn lease_is_valid(&self) -> bool {
        true
    }

    /// What the last poll stored about a target. The default if it was never polled.
    fn target(&self, target: &TargetName) -> Result<TargetState, StoreError>;

    /// The target's tasks with these numbers; unknown numbers are left out. Accepts any count of numbers.
    fn known_tasks(
        &self,
        target: &TargetName,
        numbers: &[TaskRowId],
    ) -> Result<BTreeMap<TaskRowId, KnownTask>, StoreError>;

    /// The secret seed of this state's [`Fingerprint`]s. It never changes.
    fn fingerprint_seed(&self) -> u64;

    /// One summary for each of `sought`, in its order; `None` for an unknown task. Fast if the tasks were created one shortly after
    /// another, as on a page of the API's list; correct for any.
    fn task_summaries(
        &self,
        target: &TargetName,
        sought: &[TaskLookup<'_>],
    ) -> Result<Vec<Option<TaskSummary>>, StoreError>;

    /// The target's tasks in flight ([`KnownTask::is_in_flight`]) with numbers greater than `after`: at most `at_most`, in the
    /// order of their numbers. [`TaskRowId`] 0 is before all tasks.
    fn in_flight_after(
        &self,
        target: &TargetName,
        after: TaskRowId,
        at_most: u32,
    ) -> Result<Vec<TaskInFlight>, StoreError>;

    /// How many of a target's tasks are in flight.
    fn count_in_flight(&self, target: &TargetName) -> Result<u64, StoreError>;

    /// An upper bound of all known tasks' numbers. Every task that becomes known later has a greater number.
    fn last_task_row_id(&self) -> Result<TaskRowId, StoreError>;

    /// How far back the newest of the target's tasks reach that fit into `room`, among those created at `from` or later. Ignores
    /// tasks without a `created`.
    fn recent_span(
        &self,
        target: &TargetName,
        room: PageCapacity,
        from: Timestamp,
    ) -> Result<RecentSpan, StoreError>;

    /// Writes the changes of one page, or of the end of a walk, in one transaction: tasks, events and outbox rows.
    fn commit(&self, target: &TargetName, commit: &Commit) -> Result<(), StoreError>;

    /// Deletes a target's tasks and its state, but none of its events. For a target whose name now means another list.
    fn forget_target(&self, target: &TargetName) -> Result<(), StoreError>;

    /// A webhook's pending deliveries with the lowest sequences, in their order: at most `limit`, and fewer only if there are
    /// no more.
    fn pending(&self, webhook: &WebhookName, limit: usize) -> Result<Vec<Delivery>, StoreError>;

    /// Records the results of attempts in one transaction. A failed or dead one increments [`Delivery::attempts`]. Skips
    /// deliveries that are not pending any more.
    fn record_attempts(
        &self,
        webhook: &WebhookName,
        attempts: &[Attempt],
    ) -> Result<(), StoreError>;

    /// The outbox counts of each webhook that ever had a delivery, by name, also if all its deliveries were pruned.
    fn outbox_backlog(&self) -> Result<Vec<OutboxBacklog>, StoreError>;

    /// Deletes finished and vanished tasks that were created and last changed before `before`, and events recorded before it that
    /// have no pending or dead delivery. Keeps tasks without a `created`. Returns how many tasks and events it deleted.
    ///
    /// The only method that is not atomic: it works in batches, each of them atomic, so that no commit waits for all of it. The
    /// next call deletes what an error or a crash has left.
    fn prune(&self, before: Timestamp) -> Result<u64, StoreError>;

    /// Ends its connections and lets other instances take over; later calls fail. Waits only briefly for calls under way.
    /// Closing twice is harmless. Dropping a store closes it too, but only once its last owner is gone.
    fn close(&self) {}
}

/// Which targets an instance owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseStatus {
    /// The targets that it may poll and deliver for.
    pub owned: BTreeSet<TargetName>,
    /// Within which time to call again. `None` if nothing will change.
    pub renew_within: Option<Duration>,
    /// Why the server can't lock all targets, and what to do about it. `None` if it can.
    pub capacity_error: Option<String>,
}

/// What is stored about a target between polls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetState {
    /// Which API list the name meant, in the poll room's own format. Empty if never polled.
    pub list: String,
    /// When a page of the list was first read, by our clock.
    pub first_polled: Option<Timestamp>,
    /// Whether a walk was ever completed. After that, every unknown task is new.
    pub baseline: Baseline,
    /// How many polls failed in a row.
    pub failed_polls: u32,
    /// Whether `watch.failing` was reported and `watch.recovered` is due.
    pub failing_reported: bool,
    /// What walks have learned about the server's paging, in the walk's own format. Empty if nothing.
    pub paging: String,
}

/// Whether `first_run` still applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Baseline {
    /// No walk was completed yet.
    #[default]
    Open,
    /// The tasks that had finished before the first poll are known.
    Taken,
}

/// A task in flight, as [`Store::in_flight_after`] returns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskInFlight {
    /// Its row.
    pub number: TaskRowId,
    /// Its id in the API.
    pub id: TaskId,
    /// When it was submitted, by the API's clock.
    pub created: Option<Timestamp>,
    /// In how many polls it was missing.
    pub absence: Absence,
}

/// How many tasks fit, in the unit that the API counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageCapacity {
    /// This many tasks.
    Tasks(u64),
    /// Tasks with this many URLs in total. A task without URLs counts as one.
    Urls(u64),
}

/// What [`Store::recent_span`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecentSpan {
    /// All of them fit.
    Everything,
    /// Only the newest fit.
    Since {
        /// The earliest second from which on all tasks fit. Later than `newest` if not even the tasks of its second fit.
        fits: Timestamp,
        /// When the newest task was created.
        newest: Timestamp,
    },
}

/// A task to insert or to replace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskUpsert {
    /// The task, with its URLs.
    pub task: KnownTask,
    /// The task's row, if the caller knows it: saves a lookup.
    pub number: Option<TaskRowId>,
    /// The fingerprint of the API text that shows the whole task as stored. `None` if there is no such text.
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

/// A new fingerprint for a task that stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FingerprintUpdate {
    /// The task's row.
    pub number: TaskRowId,
    /// See [`TaskUpsert::fingerprint`].
    pub fingerprint: Fingerprint,
}

/// What one transaction writes. The default is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commit {
    /// Tasks to insert or to replace. Of two for one task, the last wins. A task keeps its number.
    pub tasks: Vec<TaskUpsert>,
    /// Fingerprints of tasks that stay as they are, written after `tasks`. Unknown numbers are skipped.
    pub fingerprints: Vec<FingerprintUpdate>,
    /// Events, in the order in which they happened.
    pub events: Vec<NewEvent>,
    /// The target's new state, if it changed.
    pub target: Option<TargetState>,
    /// The time of the commit, by our clock. Retention counts from it.
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

/// An event, and the webhooks that get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// What happened. The store gives it its sequence and id, and keeps [`EventDraft::document`].
    pub draft: EventDraft,
    /// The webhooks that get it; may be empty. A name given twice gets it once.
    pub subscribers: Vec<WebhookName>,
}

/// A pending delivery: an event for a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The event's place in the state's order.
    pub sequence: u64,
    /// `evt_…`; never changes.
    pub event_id: String,
    /// The event's type, in the contract's words.
    pub event_type: String,
    /// The event's document; its bytes never change.
    pub document: String,
    /// When the event was recorded, by our clock.
    pub recorded: Timestamp,
    /// How many attempts have failed.
    pub attempts: u32,
    /// When the last attempt was made, by our clock.
    pub last_attempt: Option<Timestamp>,
    /// Earliest time of the next attempt. `None` before the first attempt.
    pub next_attempt: Option<Timestamp>,
}

/// One attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its [`Delivery::sequence`].
    pub sequence: u64,
    /// How it ended.
    pub result: AttemptResult,
}

/// How one attempt of a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The receiver has it.
    Delivered {
        /// By our clock.
        at: Timestamp,
        /// In short, such as `HTTP 204`; no secrets.
        answer: String,
    },
    /// The worker retries it.
    Failed {
        /// By our clock.
        at: Timestamp,
        /// In short, such as `HTTP 503`; no secrets.
        answer: String,
        /// Earliest time of the retry.
        next_attempt: Timestamp,
    },
    /// Given up. It stays until an operator retries or drops it, and blocks no other delivery.
    Dead {
        /// By our clock.
        at: Timestamp,
        /// In short, such as `HTTP 400`; no secrets.
        answer: String,
    },
}

/// The outbox counts of one webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxBacklog {
    /// Its name; the config may no longer have it.
    pub webhook: WebhookName,
    /// How many deliveries are still to be made.
    pub pending: u64,
    /// How many deliveries were given up.
    pub dead: u64,
    /// When the event of the oldest pending delivery was recorded.
    pub oldest_pending: Option<Timestamp>,
}

/// Errors of the state, by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another instance uses it: stop.
    #[error("the state `{state}` is held by another instance{}; stop that one, or give this one a `state` of its own",
        holder.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Held {
        /// Its path or URL, without secrets.
        state: String,
        /// The holder's process id, where known.
        holder: Option<u32>,
    },
    /// A later version wrote it: stop, and change nothing.
    #[error(
        "the state `{state}` is of version {found}, and this program knows versions up to {known}; upgrade the program, or give it another `state`"
    )]
    TooNew {
        /// Its path or URL, without secrets.
        state: String,
        /// The version found.
        found: i64,
        /// The latest version that this program knows.
        known: i64,
    },
    /// It can't be opened, read or written now: stop (at start), or retry (later).
    #[error("the state `{state}`: can't {action}")]
    Unusable {
        /// Its path or URL, without secrets.
        state: String,
        /// What was to be done, such as `commit a page`.
        action: &'static str,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is damaged. Stop: the next start checks all of it and sets it aside.
    #[error("the state `{state}` is damaged: {what}")]
    Damaged {
        /// Its path or URL, without secrets.
        state: String,
        /// What is wrong, and with which row.
        what: String,
    },
}
