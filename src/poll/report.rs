//! How a poll ended, and why if it failed.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::event::EventType;
use crate::domain::text::with_causes;
use crate::store::StoreError;
use crate::ucdn::error::{ApiError, ErrorKind};
use crate::ucdn::walk::WalkError;

/// How a poll ended.
#[derive(Debug)]
pub struct PollReport {
    /// Tasks seen, repeats included.
    pub tasks_seen: u64,
    /// Events recorded.
    pub events: u64,
    /// Tasks that failed, or had URLs fail, by those events.
    pub newly_failed: u64,
    /// Tasks in flight after it.
    pub in_flight: u64,
    /// Polls failed in a row, this one included.
    pub failed_polls: u32,
    /// The events by their types.
    pub types: BTreeMap<EventType, u64>,
    /// How long the tasks took that those events tell the end of, where the API says.
    pub durations: Vec<Duration>,
    /// How long it took itself.
    pub took: Duration,
    /// Whether the list was read whole.
    pub result: Result<(), PollError>,
}

/// Why a poll failed.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The list can't be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The state can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PollReport {
    /// Whether it was the state that failed.
    #[must_use]
    pub fn has_state_failed(&self) -> bool {
        matches!(self.result, Err(PollError::Store(_)))
    }

    pub(super) fn begun() -> Self {
        Self {
            tasks_seen: 0,
            events: 0,
            newly_failed: 0,
            in_flight: 0,
            failed_polls: 0,
            types: BTreeMap::new(),
            durations: Vec::new(),
            took: Duration::ZERO,
            result: Ok(()),
        }
    }
}

impl PollError {
    /// Whether the poll ended because the program stops: no fault of anybody's.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Api(error) if matches!(error.kind, ErrorKind::Stopped))
    }

    /// The same words for the same fault: a request id, or what the API adds to its code, differs each time.
    pub(super) fn dedup_key(&self) -> String {
        match self {
            Self::Api(error) => error.kind.dedup_key(),
            Self::Walk(_) | Self::Store(_) => with_causes(self),
        }
    }

    /// How long the server asked to be left alone.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after,
            Self::Walk(_) | Self::Store(_) => None,
        }
    }
}
