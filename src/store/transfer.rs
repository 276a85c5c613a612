//! A state on its way into another one, whatever their engines: everything that it holds, and the proof that all of it has
//! arrived. Owns what "whole" means; the engines read it out and take it in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::{fmt, thread};

use super::queries::DeliveryState;
use super::{StoreError, TargetState, TaskUpsert};
use crate::domain::model::{TargetName, TaskId, TaskRowId, Timestamp, WebhookName};

#[cfg(test)]
pub(super) mod tests;

/// Rows of one [`Chunk`].
pub(super) const CHUNK_ROWS: usize = 500;

/// What fills [`RowCounts`], in any engine.
pub(super) const COUNTS: &str = "SELECT (SELECT count(*) FROM target), (SELECT count(*) FROM task), (SELECT count(*) FROM event),
    (SELECT count(*) FROM webhook), (SELECT count(*) FROM delivery)";

/// A part of a state. First comes the [`StoreIdentity`], then each kind of row, by its key: what two states hold is the same if
/// and only if their portions hold the same rows in the same order.
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
    /// Who was ever owed anything, by name.
    Webhooks(Vec<WebhookName>),
    /// By sequence, then by webhook.
    Deliveries(Vec<DeliveryRow>),
}

/// What a state is told apart by, and goes on from. Not what makes the ids of its next events: two states never give the
/// same one, even if both are used after a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreIdentity {
    /// See [`super::Store::fingerprint_seed`].
    pub fingerprint_seed: u64,
    /// The last that was ever given.
    pub last_sequence: u64,
    /// How many rows the engine says that there are.
    pub counts: RowCounts,
}

/// Rows of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RowCounts {
    /// Targets that were ever polled.
    pub targets: u64,
    /// Tasks.
    pub tasks: u64,
    /// Events.
    pub events: u64,
    /// Webhooks that were ever owed anything.
    pub webhooks: u64,
    /// Deliveries in any state.
    pub deliveries: u64,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TargetRow {
    /// Whose.
    pub name: TargetName,
    /// As the last poll left it.
    pub state: TargetState,
}

/// A task of the snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TaskRow {
    /// Which record it is.
    pub number: TaskRowId,
    /// Whose.
    pub target: TargetName,
    /// When it was last written, by our clock.
    pub changed: Timestamp,
    /// The record.
    pub learned: TaskUpsert,
}

/// An event, as it was committed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventRow {
    /// Its place in the state's order.
    pub sequence: u64,
    /// `evt_…`.
    pub id: String,
    /// In the contract's words.
    pub event_type: String,
    /// When it happened.
    pub time: Timestamp,
    /// When it was committed.
    pub recorded: Timestamp,
    /// Whose.
    pub target: TargetName,
    /// Of which task, if of any.
    pub task: Option<TaskId>,
    /// The JSON that receivers get.
    pub document: String,
}

/// What a webhook is or was owed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryRow {
    /// Of which event.
    pub sequence: u64,
    /// To whom.
    pub webhook: WebhookName,
    /// What it has come to.
    pub state: DeliveryState,
    /// How many attempts have failed.
    pub attempts: u32,
    /// Not before then.
    pub next_attempt: Option<Timestamp>,
    /// When it was last tried.
    pub last_attempt: Option<Timestamp>,
    /// What came of that.
    pub last_answer: Option<String>,
}

/// Takes portions, one after the other; breaks off what hands them out when nobody wants more.
pub type Sink<'a> = dyn FnMut(Chunk) -> ControlFlow<()> + 'a;

/// A state that is read whole.
pub trait ExportSource: Send + fmt::Debug {
    /// Hands out all of it, as it is at one moment. Refused while somebody watches with it; nobody can begin to meanwhile.
    fn export(&mut self, receiver: &mut Sink<'_>) -> Result<(), StoreError>;
}

/// A state that takes in another one.
pub trait ImportTarget: fmt::Debug {
    /// Takes in what comes, reads it back, and keeps all of it, or nothing. Refused unless it is empty, and while somebody
    /// watches with it.
    fn import(
        &mut self,
        portions: &mut dyn Iterator<Item = Chunk>,
    ) -> Result<ContentHash, StoreError>;
}

/// Copies a state whole, or not at all. Holds a few portions in memory.
pub fn copy(
    source: &mut dyn ExportSource,
    destination: &mut dyn ImportTarget,
) -> Result<ContentHash, StoreError> {
    // One portion ahead: one side reads while the other writes.
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        // Each side may have an async runtime, and a thread has one at the most.
        let reading = scope.spawn(move || {
            source.export(&mut |portion| match sender.send(portion) {
                Ok(()) => ControlFlow::Continue(()),
                Err(mpsc::SendError(_)) => ControlFlow::Break(()),
            })
        });
        let taken = destination.import(&mut receiver.into_iter());
        let read = reading.join();
        // What breaks off the reading breaks off the writing too, and is the reason.
        read.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            .and(taken)
    })
}

/// What was seen of a state's portions: how many rows, and a digest of each in its place.
#[derive(Clone, Debug, Default)]
pub struct ContentHash {
    announced: Option<RowCounts>,
    counted: RowCounts,
    hasher: DefaultHasher,
}

impl ContentHash {
    /// Adds what comes next.
    pub(super) fn add(&mut self, portion: &Chunk) {
        let counted = &mut self.counted;
        match portion {
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

    /// Why what was read back is not all that should have come; none: it is.
    pub(super) fn difference(&self, read_back: &Self) -> Option<String> {
        let Some(came) = self.announced else {
            return Some("its source gave nothing".to_owned());
        };
        if came != self.counted {
            return Some(format!(
                "its source says that it holds {came:?}, and gave {:?}",
                self.counted
            ));
        }
        if read_back.announced != Some(read_back.counted) || read_back.counted != self.counted {
            return Some(format!(
                "of {came:?}, there are {:?} in it now",
                read_back.counted
            ));
        }
        let differs = read_back.digest() != self.digest();
        differs.then(|| "what was read back is not what was written".to_owned())
    }
}

/// Row by row: how many come at a time is no part of what they say.
fn count<T: Hash>(rows: &[T], counted: &mut u64, hasher: &mut DefaultHasher) {
    *counted += rows.len() as u64;
    for row in rows {
        row.hash(hasher);
    }
}

/// Why a state that holds something takes in no other.
pub(super) fn not_empty(counts: RowCounts) -> String {
    format!(
        "it is not empty (targets: {}, tasks: {}, events: {}); name one that is not there yet",
        counts.targets, counts.tasks, counts.events
    )
}
