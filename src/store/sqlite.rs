//! The state in one SQLite file.

mod connection;
mod error;
mod file;
mod footprint;
mod lock;
mod meta;
mod open;
mod outbox;
mod prune;
mod queries;
mod recovery;
mod schema;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
mod transfer;
mod values;

pub use queries::{SqliteOutboxAdmin, SqliteQueries};
pub use recovery::{DataLoss, Quarantined};
pub use store::{Opened, SqliteStore, open};
pub use transfer::{SqliteExport, SqliteImport};
