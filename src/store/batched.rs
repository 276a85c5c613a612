//! Work in batches: each is a transaction of some milliseconds, so that no commit waits for all of it.

use super::StoreError;
use super::queries::DeliveryCursor;

/// Rows of a batch.
pub(super) const BATCH_ROWS: usize = 500;

/// Deletes until a batch is not full. `batch` deletes up to [`BATCH_ROWS`] rows and returns how many it deleted. Returns the sum.
pub(super) fn delete(
    mut batch: impl FnMut() -> Result<u64, StoreError>,
) -> Result<u64, StoreError> {
    let mut gone = 0;
    loop {
        let rows = batch()?;
        gone += rows;
        if rows < BATCH_ROWS as u64 {
            return Ok(gone);
        }
    }
}

/// What one batch did to deliveries.
#[derive(Clone, Debug)]
pub(super) struct VisitedBatch {
    /// Those that it visited, in order. Fewer than [`BATCH_ROWS`] if there are no more.
    pub(super) visited: Vec<DeliveryCursor>,
    /// How many of them it changed.
    pub(super) changed: u64,
}

/// Visits deliveries, each once: one that a delivery worker gives up again after its visit is not visited a second time, so the
/// walk ends. `batch` gets the cursor after which it begins. Returns how many deliveries were changed.
pub(super) fn walk(
    mut batch: impl FnMut(Option<&DeliveryCursor>) -> Result<VisitedBatch, StoreError>,
) -> Result<u64, StoreError> {
    let (mut changed, mut after) = (0, None);
    loop {
        let batch = batch(after.as_ref())?;
        changed += batch.changed;
        if batch.visited.len() < BATCH_ROWS {
            return Ok(changed);
        }
        after = batch.visited.into_iter().next_back();
    }
}
