//! The state in a PostgreSQL schema that several instances share (feature `postgres`).

mod balance;
mod error;
mod footprint;
mod leases;
mod outbox;
mod prune;
mod queries;
mod schema;
mod session;
mod snapshot;
mod state_lock;
mod store;
#[cfg(test)]
mod tests;
mod tls;
mod transfer;
mod url;
mod values;
mod writer;

pub use queries::PostgresQueries;
pub use store::{PostgresStore, open};
pub use transfer::{PostgresExport, PostgresImport};
pub use url::{ConnectUrl, ConnectUrlError};
