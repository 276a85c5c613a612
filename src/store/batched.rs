//! What engines do a step at a time, each of them a transaction of some milliseconds, so that no commit waits for all of it.

use super::StoreError;
use super::queries::DeliveryCursor;

/// Rows of a step.
pub(super) const STEP: usize = 500;

/// Deletes until a step, which says how many rows it found, is not full. Returns how many there were.
pub(super) fn delete(mut step: impl FnMut() -> Result<u64, StoreError>) -> Result<u64, StoreError> {
    let mut gone = 0;
    loop {
        let rows = step()?;
        gone += rows;
        if rows < STEP as u64 {
            return Ok(gone);
        }
    }
}

/// What a step over deliveries did.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Those that it met, in the order of the walk; fewer than [`STEP`]: there are no more.
    pub(super) met: Vec<DeliveryCursor>,
    /// Those of them that it changed.
    pub(super) changed: u64,
}

/// Walks over deliveries, each met once: what a courier gives up again behind the walk's back is not met a second time, so
/// every walk ends. `step` is given the place behind which it begins. Returns how many were changed.
pub(super) fn walk(
    mut step: impl FnMut(Option<&DeliveryCursor>) -> Result<Step, StoreError>,
) -> Result<u64, StoreError> {
    let (mut changed, mut after) = (0, None);
    loop {
        let step = step(after.as_ref())?;
        changed += step.changed;
        if step.met.len() < STEP {
            return Ok(changed);
        }
        after = step.met.into_iter().next_back();
    }
}
