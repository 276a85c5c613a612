//! ucdn-watch watches UCloud CDN refresh tasks and reports every transition to its log and to webhooks.

pub mod cli;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod diff;
pub mod event;
pub mod http;
pub mod logging;
pub mod model;
pub mod poll;
pub mod schedule;
pub mod secret;
#[cfg(feature = "simulator")]
pub mod simulator;
pub mod store;
pub mod systemd;
pub mod ucdn;
pub mod watch;
