//! Wall clock history: keeps ages right when the wall clock is set.
//!
//! A delivery is dead after `give_up_after`, counted from the wall time that its event was recorded at. If the wall clock jumps a
//! day ahead, every pending delivery would look a day older and might be given up. So this process remembers what the wall
//! clock showed while monotonic time passed, as a list of segments between jumps. A stamp that falls into a segment has a known
//! monotonic time, and its age is exact. Other stamps were made by an earlier process, and their age is an estimate.

use std::time::Duration;

use crate::domain::model::Timestamp;

/// A difference of at least this much between the clocks' progress is a jump. A smaller one is drift.
const MIN_JUMP: Duration = Duration::from_secs(30);

/// Segments that are remembered. A clock that jumps all the time must not fill memory.
const MAX_SEGMENTS: usize = 256;

/// Age of a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Exact: the stamp was made while this process ran.
    Observed(Duration),
    /// Estimated: the stamp was made before this process started, or by a clock that this process has not seen.
    Reported {
        /// Age as far as the stamp and the wall clock can be trusted.
        age: Duration,
        /// The part of it that has passed in this process.
        observed: Duration,
    },
}

/// Both clocks, read at the same time.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// Wall time.
    pub wall: Timestamp,
    /// Time since the process started, with suspensions of the machine. Never goes back.
    pub steady: Duration,
}

/// Segments of wall time since the process started. Reads no clock itself.
#[derive(Debug)]
pub struct WallHistory {
    first: ClockReading,
    segments: Vec<Segment>,
}

/// A time in which the wall clock did not jump.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: ClockReading,
    last: ClockReading,
}

impl WallHistory {
    /// A history that begins with this reading.
    #[must_use]
    pub fn beginning(first: ClockReading) -> Self {
        Self {
            first,
            segments: vec![Segment::beginning(first)],
        }
    }

    /// Adds a reading. To be called for each reading.
    pub fn record(&mut self, now: ClockReading) {
        let current = self.segments.last_mut();
        if let Some(current) = current.filter(|current| current.continues_to(now)) {
            current.last = now;
            return;
        }
        if self.segments.len() == MAX_SEGMENTS {
            self.segments.remove(0);
        }
        self.segments.push(Segment::beginning(now));
    }

    /// Age of a stamp of this machine's wall clock. If several segments contain the stamp, the latest counts, because it gives
    /// the smallest age.
    #[must_use]
    pub fn age(&self, stamp: Timestamp, now: ClockReading) -> Age {
        let contains = |it: &&Segment| it.start.wall <= stamp && stamp <= it.last.wall;
        if let Some(segment) = self.segments.iter().rev().find(contains) {
            let into = stamp.since(segment.start.wall);
            return Age::Observed(now.steady.saturating_sub(segment.start.steady + into));
        }
        let observed = now.steady.saturating_sub(self.first.steady);
        let since_start = self.first.wall.since(stamp).saturating_add(observed);
        // If the wall clock was ahead when the process started, and was set back since, the present time gives a smaller age.
        let age = if stamp <= now.wall {
            since_start.min(now.wall.since(stamp))
        } else {
            since_start
        };
        Age::Reported { age, observed }
    }
}

impl Segment {
    fn beginning(reading: ClockReading) -> Self {
        Self {
            start: reading,
            last: reading,
        }
    }

    /// Whether the wall clock did not jump between the last reading and this one.
    fn continues_to(&self, now: ClockReading) -> bool {
        let expected = self
            .last
            .wall
            .saturating_add(now.steady.saturating_sub(self.last.steady));
        expected.since(now.wall).max(now.wall.since(expected)) < MIN_JUMP
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: u64 = 3600;
    const DAY: u64 = 24 * HOUR;
    const START: i64 = 1_700_000_000;

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds).unwrap()
    }

    /// A machine whose wall clock can be set.
    struct Machine {
        now: ClockReading,
        history: WallHistory,
    }

    impl Machine {
        fn at(seconds: i64) -> Self {
            let now = ClockReading {
                wall: wall(seconds),
                steady: Duration::from_secs(7),
            };
            Self {
                now,
                history: WallHistory::beginning(now),
            }
        }

        fn pass(&mut self, seconds: u64) {
            let span = Duration::from_secs(seconds);
            self.now.wall = self.now.wall.saturating_add(span);
            self.now.steady += span;
            self.history.record(self.now);
        }

        fn set(&mut self, seconds: i64) {
            self.now.wall = wall(seconds);
            self.history.record(self.now);
        }

        fn step(&mut self, seconds: i64) {
            self.set(self.now.wall.unix_seconds() + seconds);
        }

        fn age(&self, stamp: Timestamp) -> Age {
            self.history.age(stamp, self.now)
        }
    }

    fn observed(seconds: u64) -> Age {
        Age::Observed(Duration::from_secs(seconds))
    }

    fn reported(age: u64, observed: u64) -> Age {
        Age::Reported {
            age: Duration::from_secs(age),
            observed: Duration::from_secs(observed),
        }
    }

    #[test]
    fn setting_the_clock_changes_no_age() {
        for step in [3600, -3600, 86_400, -86_400, 365 * 86_400, -START] {
            let mut machine = Machine::at(START);
            machine.pass(100);
            let stamp = machine.now.wall;
            machine.pass(10);
            machine.step(step);
            machine.pass(60);
            assert_eq!(machine.age(stamp), observed(70), "a step of {step}");
            let later = machine.now.wall;
            machine.pass(5);
            assert_eq!(machine.age(later), observed(5), "a step of {step}");
        }
    }

    #[test]
    fn after_a_boot_in_1970_ages_are_right_once_the_clock_is_set() {
        let mut machine = Machine::at(30);
        machine.pass(10);
        let early = machine.now.wall;
        machine.set(START);
        machine.pass(10);
        assert_eq!(machine.age(early), observed(10));
        let before_the_boot = wall(START - 100);
        assert_eq!(machine.age(before_the_boot), reported(20, 20));
    }

    #[test]
    fn stamps_of_an_earlier_process_age_from_the_first_reading() {
        let mut machine = Machine::at(START);
        let stamp = wall(START - 1000);
        machine.pass(HOUR);
        machine.step(86_400);
        assert_eq!(machine.age(stamp), reported(1000 + HOUR, HOUR));
    }

    #[test]
    fn a_clock_that_was_ahead_at_the_start_is_trusted_once_it_is_set_back() {
        let mut machine = Machine::at(START + 10 * 86_400);
        let stamp = wall(START - 60);
        machine.pass(5);
        assert_eq!(machine.age(stamp), reported(10 * DAY + 65, 5));
        machine.set(START + 5);
        assert_eq!(machine.age(stamp), reported(65, 5));
    }

    #[test]
    fn a_stamp_from_the_future_is_at_least_as_old_as_the_process() {
        let mut machine = Machine::at(START);
        machine.pass(HOUR);
        assert_eq!(machine.age(wall(START + 86_400)), reported(HOUR, HOUR));
    }

    #[test]
    fn a_clock_that_jumps_all_the_time_does_not_fill_memory() {
        let mut machine = Machine::at(START);
        for _ in 0..10_000 {
            machine.step(HOUR.cast_signed());
        }
        assert_eq!(machine.history.segments.len(), MAX_SEGMENTS);
    }

    #[test]
    fn drift_is_no_jump() {
        let mut machine = Machine::at(START);
        for _ in 0..1000 {
            machine.pass(60);
            machine.step(1);
        }
        assert_eq!(machine.history.segments.len(), 1);
    }

    proptest! {
        #[test]
        fn no_stamp_looks_older_than_it_is_however_the_clock_jumps(
            steps in prop::collection::vec((0_u64..100_000, -200_000_i64..200_000), 1..40),
            stamped_at in 0_usize..40,
        ) {
            let mut machine = Machine::at(START);
            let mut stamped = None;
            for (count, (span, step)) in steps.iter().enumerate() {
                machine.pass(*span);
                machine.step(*step);
                if count == stamped_at {
                    stamped = Some(machine.now);
                }
            }
            let Some(stamped) = stamped else { return Ok(()) };
            let (Age::Observed(age) | Age::Reported { age, .. }) = machine.age(stamped.wall);
            let truth = machine.now.steady.saturating_sub(stamped.steady);
            // Steps that count as drift add up.
            let drift = MIN_JUMP * u32::try_from(steps.len()).unwrap();
            prop_assert!(age <= truth + drift, "{age:?} instead of {truth:?}");
        }
    }
}
