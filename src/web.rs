//! What is served over HTTP to whoever looks in: the status page, the same as JSON, metrics, health. Owns the listener and everything that a
//! stranger can do to it; reads, and changes nothing.
//!
//! One thread serves a bounded number of connections, each within a bounded time, one request a connection. It never
//! waits for a client, so nobody can keep others out: where there are too many, the oldest that has not asked for
//! anything yet goes. Nor does it wait for the state: a second thread makes what takes reading it, one page after the other.

mod answer;
mod api;
mod app_state;
mod assets;
mod connection;
mod desk;
mod filters;
mod health;
mod overview;
mod page;
mod paging;
mod parameters;
mod refusal;
mod request;
mod server;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Code};
pub use app_state::AppState;
pub use health::{ConfigStatus, DaemonHealth, HealthSnapshot, LastPoll};
pub use overview::OverviewCache;
pub use request::{Method, Request};
pub use server::Server;
