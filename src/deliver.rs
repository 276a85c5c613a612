//! Delivery workers: one per webhook. A worker drains the webhook's rows of the outbox in order, and retries failures with
//! backoff. `worker.rs` has the main path.
//!
//! An event is delivered at least once. If the program dies between a receiver's response and its record, the next run
//! sends the same bytes again with the same `webhook-id`. `ack_buffer.rs` bounds how many events that concerns.

mod ack_buffer;
mod batch;
mod endpoint;
mod log;
mod response;
mod retry;
mod status;
mod worker;

#[cfg(test)]
mod tests;

pub use endpoint::{Endpoint, HttpEndpoint};
pub use response::{Disposition, EndpointResponse};
pub use status::{AttemptOutcome, DrainReport, WorkerSnapshot, WorkerStatus};
pub use worker::DeliveryWorker;
