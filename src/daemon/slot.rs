//! A target's place in the schedule: when it is polled next. Polls nothing itself.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::schedule::poll_delay;
use crate::poll::{PollReport, Poller};
use crate::web::LastPoll;

/// A target's place in the schedule. Times are monotonic.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) poller: Arc<Poller>,
    pub(super) due: Duration,
    /// The poll under way, perhaps of a poller that a reload has replaced.
    pub(super) running: Option<Running>,
    pub(super) last: Option<LastPoll>,
    /// Whether the config has it and this instance holds it.
    pub(super) is_ours: bool,
}

#[derive(Debug)]
pub(super) struct Running {
    pub(super) poller: Arc<Poller>,
    pub(super) since: Duration,
}

impl Slot {
    /// A target that was never polled.
    pub(super) fn new(poller: Arc<Poller>, due: Duration) -> Self {
        Self {
            poller,
            due,
            running: None,
            last: None,
            is_ours: false,
        }
    }

    /// Whether a poll of it may begin once it is due.
    pub(super) fn is_free(&self) -> bool {
        self.is_ours && self.running.is_none()
    }

    /// Works by these settings from now on. A back-off or a `Retry-After` may well be longer than the interval, so only
    /// settings that are new cut it short.
    pub(super) fn obey(&mut self, poller: &Arc<Poller>, now: Duration) {
        if !Arc::ptr_eq(&self.poller, poller) {
            self.poller = Arc::clone(poller);
            let interval = poller.target().poll.interval.get();
            self.due = self.due.min(now.saturating_add(interval));
        }
    }

    /// Nothing is known of a poll that was to be made: the next one an interval later.
    pub(super) fn put_off(&mut self, now: Duration) {
        self.due = now.saturating_add(self.poller.target().poll.interval.get());
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
            settings.active_interval.get()
        } else {
            settings.interval.get()
        };
        self.due = match &report.result {
            // Counted from the last beginning, so that slow answers don't stretch the interval; one that took longer is
            // followed by one poll, not by all that were missed.
            Ok(()) => began
                .saturating_add(poll_delay(
                    pause,
                    settings.interval.get(),
                    0,
                    fastrand::f64(),
                ))
                .max(now),
            Err(error) => {
                let delay = poll_delay(
                    pause,
                    settings.interval.get(),
                    report.failed_polls,
                    fastrand::f64(),
                );
                let asked = error.retry_after().unwrap_or_default();
                now.saturating_add(delay.max(asked))
            }
        };
    }
}
