//! Poll report: the result of a poll, its counts, and the log lines of its events.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::event::{EventDraft, EventType};
use crate::domain::text::with_causes;
use crate::store::StoreError;
use crate::ucdn::error::{ApiError, ErrorKind};
use crate::ucdn::walk::WalkError;

/// The result of a poll.
#[derive(Debug)]
pub struct PollReport {
    /// Listed tasks, repeats included.
    pub tasks_seen: u64,
    /// Events recorded.
    pub events: u64,
    /// Events that report a new failure of a task or of its URLs.
    pub newly_failed: u64,
    /// Tasks in flight after the poll.
    pub in_flight: u64,
    /// Consecutive failed polls, this one included.
    pub failed_polls: u32,
    /// Events by type.
    pub types: BTreeMap<EventType, u64>,
    /// Creation to finish of each task that finished, where the API gives both.
    pub durations: Vec<Duration>,
    /// How long the poll took.
    pub took: Duration,
    /// Why the poll failed, if it did.
    pub result: Result<(), PollError>,
}

/// Why a poll failed.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// A call failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The list has no readable end.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The state can't be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PollReport {
    /// Whether the state could not be read or written.
    #[must_use]
    pub fn has_state_failed(&self) -> bool {
        matches!(self.result, Err(PollError::Store(_)))
    }

    pub(super) fn new() -> Self {
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

    /// Counts a committed event.
    pub(super) fn add_event(&mut self, draft: &EventDraft) {
        self.events += 1;
        self.newly_failed += u64::from(draft.is_new_failure());
        *self.types.entry(draft.r#type).or_default() += 1;
        self.durations.extend(draft.took);
    }
}

impl PollError {
    /// Whether the poll ended because the program is stopping, which is no failure.
    #[must_use]
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Api(error) if matches!(error.kind, ErrorKind::Stopped))
    }

    /// Equal for equal errors: leaves out what differs at each attempt, such as the request id.
    pub(super) fn dedup_key(&self) -> String {
        match self {
            Self::Api(error) => error.kind.dedup_key(),
            Self::Walk(_) | Self::Store(_) => with_causes(self),
        }
    }

    /// The `Retry-After` header of the response.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Api(error) => error.retry_after,
            Self::Walk(_) | Self::Store(_) => None,
        }
    }
}

/// Logs a committed event at the level of its type.
pub(super) fn log_event(draft: &EventDraft) {
    let level = match draft.r#type {
        EventType::TaskFailure | EventType::TaskUrlFailure | EventType::TaskVanished => {
            log::Level::Error
        }
        EventType::TaskStalled | EventType::TaskUnknown | EventType::WatchFailing => {
            log::Level::Warn
        }
        _ => log::Level::Info,
    };
    log::log!(level, "{}: {}", draft.r#type.as_str(), draft.summary);
}
