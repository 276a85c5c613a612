//! Copying a whole state into another one, between any engines, and the check that all of it has arrived. The engines export and
//! import chunks; this file defines what a whole state is.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::{fmt, thread};

use super::outbox::DeliveryState;
use super::{StoreError, TargetState, TaskUpsert};
use crate::domain::model::{TargetName, TaskId, TaskRowId, Timestamp, WebhookName};

#[cfg(test)]
pub(super) mod tests;

/// How many rows a [`Chunk`] has at most.
pub(super) const CHUNK_ROWS: usize = 500;

/// What fills [`RowCounts`], in any engine.
pub(super) const COUNTS: &str = "SELECT (SELECT count(*) FROM target), (SELECT count(*) FROM task), (SELECT count(*) FROM event),
    (SELECT count(*) FROM webhook), (SELECT count(*) FROM delivery)";

/// A part of a state. The [`StoreIdentity`] comes first, then each kind of row in the order of its key. Two states are equal if
/// and only if their chunks hold the same rows in the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Once.
    Identity(StoreIdentity),
    /// By name.
    Targets(Vec<TargetRow>),
    /// By number.
    Tasks(Vec<TaskRow>),
    /// By sequence.
    Events(Vec<EventRow>),
    /// Webhooks that ever had a delivery, by name.
    Webhooks(Vec<WebhookName>),
    /// By sequence, then by webhook.
    Deliveries(Vec<DeliveryRow>),
}

/// What a copy takes over besides rows. Not the number that event ids are made with: the copy draws its own, so two states never
/// give the same id, even if both are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreIdentity {
    /// See [`super::Store::fingerprint_seed`].
    pub fingerprint_seed: u64,
    /// The last sequence that was ever given.
    pub last_sequence: u64,
    /// How many rows the engine counts.
    pub counts: RowCounts,
}

/// How many rows of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RowCounts {
    /// Targets that were ever polled.
    pub targets: u64,
    /// Tasks.
    pub tasks: u64,
    /// Events.
    pub events: u64,
    /// Webhooks that ever had a delivery.
    pub webhooks: u64,
    /// Deliveries in any state.
    pub deliveries: u64,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetRow {
    /// Its target.
    pub name: TargetName,
    /// What the last poll stored about it.
    pub state: TargetState,
}

/// A task of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskRow {
    /// Its row number.
    pub number: TaskRowId,
    /// Its target.
    pub target: TargetName,
    /// When it was last written, by our clock.
    pub changed: Timestamp,
    /// The record.
    pub learned: TaskUpsert,
}

/// An event, as it was committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventRow {
    /// Its position in the state's order.
    pub sequence: u64,
    /// `evt_…`.
    pub id: String,
    /// In the contract's words.
    pub event_type: String,
    /// When it happened.
    pub time: Timestamp,
    /// When it was committed.
    pub recorded: Timestamp,
    /// Its target.
    pub target: TargetName,
    /// Its task, if it is about one.
    pub task: Option<TaskId>,
    /// The JSON that receivers get.
    pub document: String,
}

/// A delivery, pending or past.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryRow {
    /// Its event.
    pub sequence: u64,
    /// The webhook that gets it.
    pub webhook: WebhookName,
    /// Its state.
    pub state: DeliveryState,
    /// How many attempts have failed.
    pub attempts: u32,
    /// Earliest time of the next attempt.
    pub next_attempt: Option<Timestamp>,
    /// When it was last attempted.
    pub last_attempt: Option<Timestamp>,
    /// The outcome of that attempt.
    pub last_answer: Option<String>,
}

/// Takes chunks, one after another. Returns `Break` to end the export.
pub type Sink<'a> = dyn FnMut(Chunk) -> ControlFlow<()> + 'a;

/// A state that can be read whole.
pub trait ExportSource: Send + fmt::Debug {
    /// Passes all of it to the sink, as it is at one moment. Fails while an instance uses the state; none can start meanwhile.
    fn export(&mut self, sink: &mut Sink<'_>) -> Result<(), StoreError>;
}

/// A state that another one can be copied into.
pub trait ImportTarget: fmt::Debug {
    /// Writes the chunks, reads them back, and keeps all of them or nothing. Fails unless the state is empty, and while an instance
    /// uses it.
    fn import(
        &mut self,
        chunks: &mut dyn Iterator<Item = Chunk>,
    ) -> Result<ContentHash, StoreError>;
}

/// Copies a whole state, or nothing. Holds a few chunks in memory.
pub fn copy(
    source: &mut dyn ExportSource,
    destination: &mut dyn ImportTarget,
) -> Result<ContentHash, StoreError> {
    // One chunk ahead: one side reads while the other writes.
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        // Each side may have an async runtime, and a thread has at most one.
        let reading = scope.spawn(move || {
            source.export(&mut |chunk| match sender.send(chunk) {
                Ok(()) => ControlFlow::Continue(()),
                Err(mpsc::SendError(_)) => ControlFlow::Break(()),
            })
        });
        let taken = destination.import(&mut receiver.into_iter());
        let read = reading.join();
        // An error of the export ends the import too, and is the cause to report.
        read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            .and(taken)
    })
}

/// The content of a state's chunks: how many rows, and one hash over all of them in order.
#[derive(Clone, Debug, Default)]
pub struct ContentHash {
    announced: Option<RowCounts>,
    counted: RowCounts,
    hasher: DefaultHasher,
}

impl ContentHash {
    /// Adds what comes next.
    pub(super) fn add(&mut self, chunk: &Chunk) {
        let counted = &mut self.counted;
        match chunk {
            Chunk::Identity(origin) => {
                self.announced = Some(origin.counts);
                origin.hash(&mut self.hasher);
            }
            Chunk::Targets(rows) => count(rows, &mut counted.targets, &mut self.hasher),
            Chunk::Tasks(rows) => count(rows, &mut counted.tasks, &mut self.hasher),
            Chunk::Events(rows) => count(rows, &mut counted.events, &mut self.hasher),
            Chunk::Webhooks(rows) => count(rows, &mut counted.webhooks, &mut self.hasher),
            Chunk::Deliveries(rows) => count(rows, &mut counted.deliveries, &mut self.hasher),
        }
    }

    /// How many rows there were.
    #[must_use]
    pub fn counts(&self) -> RowCounts {
        self.counted
    }

    /// The same for the same rows in the same order.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.hasher.finish()
    }

    /// Why the content that was read back is not the same as this one. `None` if it is.
    pub(super) fn difference(&self, read_back: &Self) -> Option<String> {
        let Some(came) = self.announced else {
            return Some("the source exported nothing".to_owned());
        };
        if came != self.counted {
            return Some(format!(
                "the source counts {came:?}, and exported {:?}",
                self.counted
            ));
        }
        if read_back.announced != Some(read_back.counted) || read_back.counted != self.counted {
            return Some(format!(
                "of {came:?}, {:?} were read back",
                read_back.counted
            ));
        }
        let differs = read_back.digest() != self.digest();
        differs.then(|| "what was read back is not what was written".to_owned())
    }
}

/// Row by row, because the size of the chunks is not part of the content.
fn count<T: Hash>(rows: &[T], counted: &mut u64, hasher: &mut DefaultHasher) {
    *counted += rows.len() as u64;
    for row in rows {
        row.hash(hasher);
    }
}

/// The error text if the destination is not empty.
pub(super) fn not_empty(counts: RowCounts) -> String {
    format!(
        "it is not empty (targets: {}, tasks: {}, events: {}); name one that is not there yet",
        counts.targets, counts.tasks, counts.events
    )
}
