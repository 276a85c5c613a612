//! A target's place in the schedule: when it is polled next. Polls nothing itself.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::poll::{PollReport, Poller};
use crate::schedule::poll_delay;
use crate::status::LastPoll;

/// A target's place in the schedule. Times are monotonic.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) poller: Arc<Poller>,
    pub(super) due: Duration,
    /// The poll under way, perhaps of a poller that a reload has replaced.
    pub(super) running: Option<Running>,
    pub(super) last: Option<LastPoll>,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) poller: Arc<Poller>,
    pub(super) since: Duration,
}

impl Slot {
    /// The poll under way ended without a word.
    pub(super) fn poll_died(&mut self, clock: &dyn Clock) {
        self.running = None;
        let pause = self.poller.target().poll.interval;
        self.due = clock.monotonic().saturating_add(pause);
    }

    /// Notes how the poll under way ended, and when the next one is due.
    pub(super) fn poll_ended(&mut self, report: &PollReport, clock: &dyn Clock) {
        let now = clock.monotonic();
        let began = self.running.take().map_or(now, |running| running.since);
        self.last = Some(LastPoll {
            at: clock.now(),
            in_flight: report.in_flight,
            failed_polls: report.failed_polls,
            fault: report.result.as_ref().err().map(ToString::to_string),
        });
        let settings = &self.poller.target().poll;
        let pause = if report.in_flight > 0 {
            settings.active_interval
        } else {
            settings.interval
        };
        self.due = match &report.result {
            // Counted from the last beginning, so that slow answers don't stretch the interval; one that took longer is
            // followed by one poll, not by all that were missed.
            Ok(()) => began
                .saturating_add(poll_delay(pause, settings.interval, 0, fastrand::f64()))
                .max(now),
            Err(error) => {
                let delay = poll_delay(
                    pause,
                    settings.interval,
                    report.failed_polls,
                    fastrand::f64(),
                );
                let asked = error.retry_after().unwrap_or_default();
                now.saturating_add(delay.max(asked))
            }
        };
    }
}
