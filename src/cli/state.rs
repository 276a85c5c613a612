//! How commands look into the state, and give orders about its outbox, whether or not a daemon has it.

#[cfg(feature = "postgres")]
use crate::clock::Stop;
use crate::config::{Outline, StateLocation};
use crate::store::StoreError;
#[cfg(feature = "postgres")]
use crate::store::postgres::PostgresRecords;
use crate::store::records::{OutboxOrders, Records};
use crate::store::sqlite::{SqliteOutbox, SqliteRecords};

/// The state, to look at.
pub(super) fn records(config: &Outline) -> Result<Box<dyn Records>, StoreError> {
    Ok(match &config.state {
        StateLocation::File(path) => Box::new(SqliteRecords::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => {
            Box::new(PostgresRecords::open(address, &Stop::default())?)
        }
    })
}

/// Its outbox, for orders.
pub(super) fn outbox(config: &Outline) -> Result<Box<dyn OutboxOrders>, StoreError> {
    Ok(match &config.state {
        StateLocation::File(path) => Box::new(SqliteOutbox::open(path)?),
        #[cfg(feature = "postgres")]
        StateLocation::Postgres(address) => {
            Box::new(PostgresRecords::open(address, &Stop::default())?)
        }
    })
}
