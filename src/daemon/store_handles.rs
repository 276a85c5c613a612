//! The open state, as the daemon gets it: a read-only handle beside the store.

use std::sync::Arc;

use crate::store::Store;
use crate::store::queries::StateQueries;

/// Both handles to one open state.
#[derive(Clone, Debug)]
pub struct StoreHandles {
    /// Read-only handle for the status page and metrics.
    pub queries: Arc<dyn StateQueries>,
    /// Handle of pollers and delivery workers.
    pub store: Arc<dyn Store>,
}

impl StoreHandles {
    /// Closes the state. The store closes last, because the last connection to a database checkpoints its WAL. A thread that
    /// is left behind gets errors from then on.
    pub fn close(&self) {
        self.queries.close();
        self.store.close();
    }
}
