//! What a poller remembers between polls. Nothing about tasks: the store is the snapshot.

use std::time::Duration;

use super::scan_window::ScanHistory;
use super::server_clock::ServerClock;
use crate::domain::incident::Incident;

#[derive(Clone, Debug, Default)]
pub(super) struct PollState {
    /// The ongoing failure of polls, for log deduplication.
    pub(super) incident: Incident,
    pub(super) server_clock: ServerClock,
    /// When the last page was requested, by the monotonic clock.
    pub(super) last_request_at: Duration,
    /// `None` if the last poll failed: the next one reads the whole list.
    pub(super) history: Option<ScanHistory>,
}

impl PollState {
    /// Without the scan history, because a reload may change the lookback or the page size.
    pub(super) fn after_reload(self) -> Self {
        Self {
            history: None,
            ..self
        }
    }
}
