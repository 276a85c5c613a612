//! HTTP server: the status page, `/api`, `/metrics`, `/healthz` and `/readyz`. Read-only.
//!
//! axum and hyper run on a current-thread tokio runtime in one thread, which no other room sees. Everything that reads the
//! state runs on blocking threads beside it, so that a slow read delays neither `/healthz` nor other connections.

mod api;
mod app_state;
mod assets;
mod health;
mod overview;
mod page;
mod paging;
mod query;
mod response;
mod router;
mod server;
#[cfg(test)]
mod tests;

pub use app_state::AppState;
pub use health::{ConfigStatus, DaemonHealth, HealthSnapshot, LastPoll};
pub use overview::OverviewCache;
pub use server::HttpServer;
