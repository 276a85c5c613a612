//! Deliveries: one courier a webhook drains what the state owes it, in order. Meets polls in the store alone, and never
//! looks at the API.
//!
//! An event is delivered at least once: if the program dies between a receiver's answer and its record, the same bytes go
//! out again under the same `webhook-id`. How many there can be at a time is the ledger's to say.

use std::time::Duration;

mod agenda;
mod answer;
mod batch;
mod journal;
mod ledger;
mod receiver;
mod status;
mod worker;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Verdict};
pub use receiver::{Receiver, Reply};
pub use status::{DrainReport, Outcome, Snapshot, WorkerStatus};
pub use worker::DeliveryWorker;

/// How long a courier with nothing to do waits, at most, before it looks into the store again: what another process
/// wrote there rings no bell.
pub const IDLE_LOOK: Duration = Duration::from_secs(15);
