//! How commands look into the state, and give orders about its outbox, whether or not a daemon has it.

use crate::config::{Outline, StateLocation};
use crate::store::StoreError;
use crate::store::records::{OutboxOrders, Records};
use crate::store::sqlite::{SqliteOutbox, SqliteRecords};

/// The state, to look at.
pub(super) fn records(config: &Outline) -> Result<Box<dyn Records>, StoreError> {
    let StateLocation::File(path) = &config.state;
    Ok(Box::new(SqliteRecords::open(path)?))
}

/// Its outbox, for orders.
pub(super) fn outbox(config: &Outline) -> Result<Box<dyn OutboxOrders>, StoreError> {
    let StateLocation::File(path) = &config.state;
    Ok(Box::new(SqliteOutbox::open(path)?))
}
