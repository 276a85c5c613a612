//! What is served over HTTP to whoever looks in: the status page, the same as JSON, metrics, health. Owns the listener and everything that a
//! stranger can do to it; reads, and changes nothing.
//!
//! One thread serves a bounded number of connections, each within a bounded time, one request a connection. It never
//! waits for a client, so nobody can keep others out: where there are too many, the oldest that has not asked for
//! anything yet goes. Nor does it wait for the state: a second thread makes what takes reading it, one page after the other.

mod answer;
mod api;
mod assets;
mod board;
mod connection;
mod desk;
mod filters;
mod overview;
mod page;
mod paging;
mod parameters;
mod refusal;
mod request;
mod server;
mod site;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Code};
pub use board::{Board, ConfigInEffect, LastPoll, Standing};
pub use overview::Lookout;
pub use request::{Method, Request};
pub use server::Server;
pub use site::Site;
