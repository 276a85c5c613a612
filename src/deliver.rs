//! Deliveries: one courier a webhook drains what the state owes it, in order. Meets polls in the store alone, and never
//! looks at the API.
//!
//! An event is delivered at least once: if the program dies between a receiver's answer and its record, the same bytes go
//! out again under the same `webhook-id`. How many there can be at a time is the ledger's to say.

use std::time::Duration;

mod agenda;
mod answer;
mod batch;
mod courier;
mod format;
mod journal;
mod ledger;
mod receiver;
mod sign;
mod status;

#[cfg(test)]
mod tests;

pub use answer::{Answer, Verdict};
pub use courier::Courier;
pub use format::Refusal;
pub use receiver::{Outgoing, Receiver, Reply};
pub use sign::signature;
pub use status::{CourierStatus, DrainReport, Outcome, Snapshot};

/// How long a courier with nothing to do waits, at most, before it looks into the store again: what another process
/// wrote there rings no bell.
pub const IDLE_LOOK: Duration = Duration::from_secs(15);
