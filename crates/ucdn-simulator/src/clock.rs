//! Time: the simulator's adjustable clock, and a wait that ends when the simulator stops. No other file reads a clock.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::{Condvar, Mutex};

/// Wall time plus an offset, in milliseconds since 1970. It can be frozen.
#[derive(Debug)]
pub(crate) struct SimulatedClock {
    started: Instant,
    /// Wall time at the start.
    base_ms: i64,
    offset_ms: i64,
    /// [`Self::machine_ms`] at the moment of freezing, while frozen.
    frozen_ms: Option<i64>,
}

impl SimulatedClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place of this crate that reads the machine's clocks"
    )]
    pub(crate) fn start() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        // Whole seconds, so up to one second slow: a task is never newer than the clock of the client that lists it.
        let seconds = since_1970.map_or(0, |span| span.as_secs());
        Self {
            started: Instant::now(),
            base_ms: i64::try_from(seconds)
                .unwrap_or(i64::MAX)
                .saturating_mul(1000),
            offset_ms: 0,
            frozen_ms: None,
        }
    }

    pub(crate) fn now_ms(&self) -> i64 {
        self.machine_ms().saturating_add(self.offset_ms)
    }

    /// [`Self::now_ms`] in whole seconds, as the API shows times.
    pub(crate) fn now_seconds(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    pub(crate) fn is_frozen(&self) -> bool {
        self.frozen_ms.is_some()
    }

    /// Real time since the start. Freezing, setting and advancing the clock do not change it.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// [`Self::elapsed`] in milliseconds.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    pub(crate) fn advance_ms(&mut self, span_ms: i64) {
        self.offset_ms = self.offset_ms.saturating_add(span_ms);
    }

    pub(crate) fn set_now_ms(&mut self, now_ms: i64) {
        self.offset_ms = now_ms.saturating_sub(self.machine_ms());
    }

    pub(crate) fn freeze(&mut self) {
        self.frozen_ms = Some(self.machine_ms());
    }

    /// Lets a frozen clock run on from the time that it shows.
    pub(crate) fn thaw(&mut self) {
        let now_ms = self.now_ms();
        self.frozen_ms = None;
        self.set_now_ms(now_ms);
    }

    fn machine_ms(&self) -> i64 {
        self.frozen_ms
            .unwrap_or_else(|| self.base_ms.saturating_add(self.elapsed_ms()))
    }
}

/// A point in time for `httpdate` and `humantime`. Times before 1970 become 1970.
pub(crate) fn system_time(unix_seconds: i64) -> SystemTime {
    let seconds = u64::try_from(unix_seconds).unwrap_or(0);
    UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))
        .unwrap_or(UNIX_EPOCH)
}

/// Shared flag that ends all waits of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct StopSignal {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl StopSignal {
    pub(crate) fn stop(&self) {
        let (stopped, changed) = &*self.shared;
        *stopped.lock() = true;
        changed.notify_all();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        *self.shared.0.lock()
    }

    /// Waits for `span`, or until the stop. Returns whether it was stopped.
    pub(crate) fn wait(&self, span: Duration) -> bool {
        let (stopped, changed) = &*self.shared;
        let mut stopped = stopped.lock();
        changed.wait_while_for(&mut stopped, |stopped| !*stopped, span);
        *stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_it_is_set_or_advanced() {
        let mut clock = SimulatedClock::start();
        clock.freeze();
        clock.set_now_ms(5_000);
        clock.advance_ms(1_500);
        assert_eq!(clock.now_ms(), 6_500);
        clock.thaw();
        assert!((6_500..60_000).contains(&clock.now_ms()));
    }

    #[test]
    fn a_stop_ends_a_wait() {
        let signal = StopSignal::default();
        assert!(!signal.wait(Duration::from_millis(1)));
        signal.stop();
        assert!(signal.wait(Duration::from_secs(600)));
    }
}
