//! Integration tests: the real program over real sockets, and checks of the source and the documents.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in a test each of these is an assertion; clippy.toml's exception covers only functions marked as tests"
)]

mod absence;
mod alertmanager;
mod api;
mod api_faults;
mod architecture;
mod chats;
mod commands;
mod completions;
mod configs;
mod container;
mod crash;
mod deliveries;
mod documents;
mod echoes;
mod frugal;
mod full_disk;
mod fuzz;
mod harness;
mod heartbeat;
mod metrics;
mod once;
mod operating;
mod oracles;
mod output;
mod page;
mod paging;
mod panics;
mod parts;
mod power;
mod readme;
mod receivers;
mod recipes;
mod schedule;
mod schema;
mod secrets;
#[cfg(feature = "postgres")]
mod shared;
mod signals;
mod soak;
mod state;
mod state_commands;
mod state_copy;
mod status;
mod stops;
mod time;
mod tls;
mod transitions;
mod translation;
mod unreachable;
mod unread;
mod wait;
mod webhook_faults;
