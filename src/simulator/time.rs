//! The stand-in's own clock: wall time plus an offset, and able to stand still. Owns that sum alone.

use crate::clock::{Clock, SystemClock};

/// Reads in milliseconds since 1970.
#[derive(Debug)]
pub(super) struct SimulatedClock {
    machine: SystemClock,
    base_ms: i64,
    offset_ms: i64,
    /// What the machine's part read when the clock was stopped.
    frozen_ms: Option<i64>,
}

impl SimulatedClock {
    pub(super) fn start() -> Self {
        let machine = SystemClock::start();
        // Whole seconds, so up to one second slow: a task is never newer than its watcher's clock.
        let base_ms = machine.now().unix_seconds().saturating_mul(1000);
        Self {
            machine,
            base_ms,
            offset_ms: 0,
            frozen_ms: None,
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.machine_ms().saturating_add(self.offset_ms)
    }

    pub(super) fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen_ms.is_some()
    }

    /// Milliseconds of real time since the start; nothing moves it.
    pub(super) fn elapsed_ms(&self) -> i64 {
        i64::try_from(self.machine.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn advance_ms(&mut self, span_ms: i64) {
        self.offset_ms = self.offset_ms.saturating_add(span_ms);
    }

    pub(super) fn set_offset_ms(&mut self, offset_ms: i64) {
        self.offset_ms = offset_ms;
    }

    pub(super) fn set_now_ms(&mut self, now_ms: i64) {
        self.offset_ms = now_ms.saturating_sub(self.machine_ms());
    }

    pub(super) fn freeze(&mut self) {
        self.frozen_ms = Some(self.machine_ms());
    }

    /// Goes on from the time at which it stood still.
    pub(super) fn thaw(&mut self) {
        let now_ms = self.now_ms();
        self.frozen_ms = None;
        self.set_now_ms(now_ms);
    }

    fn machine_ms(&self) -> i64 {
        self.frozen_ms
            .unwrap_or_else(|| self.base_ms.saturating_add(self.elapsed_ms()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frozen_clock_moves_only_when_it_is_told_to() {
        let mut clock = SimulatedClock::start();
        clock.freeze();
        clock.set_now_ms(5_000);
        clock.advance_ms(1_500);
        assert_eq!(clock.now_ms(), 6_500);
        clock.thaw();
        assert!((6_500..60_000).contains(&clock.now_ms()));
    }
}
