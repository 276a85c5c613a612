//! What the wall clock said while time passed, so that setting it makes nothing older. Owns the segments between two
//! settings; reads no clock itself.

use std::time::Duration;

use crate::domain::model::Timestamp;

/// The wall clock gained or lost this much at once: no drift, it was set.
const SET: Duration = Duration::from_secs(30);

/// Stretches that are remembered. A clock that is set all the time must not fill memory.
const MAX_SEGMENTS: usize = 256;

/// How old something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// It was stamped while this process ran, which has counted the time since.
    Observed(Duration),
    /// It was stamped before, or under a clock that this process has not seen.
    Reported {
        /// As far as stamps and the wall clock can be believed.
        age: Duration,
        /// This much of it has passed in this process.
        observed: Duration,
    },
}

/// Both clocks, read at the same time.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    /// Wall time.
    pub wall: Timestamp,
    /// Time that passed since the process began, suspensions included. Never goes back.
    pub steady: Duration,
}

/// The wall clock's history since the process began.
#[derive(Debug)]
pub struct WallHistory {
    first: ClockReading,
    segments: Vec<Segment>,
}

/// A time in which nobody set the wall clock.
#[derive(Clone, Copy, Debug)]
struct Segment {
    begun: ClockReading,
    last: ClockReading,
}

impl WallHistory {
    /// Begins with the process.
    #[must_use]
    pub fn beginning(first: ClockReading) -> Self {
        Self {
            first,
            segments: vec![Segment::beginning(first)],
        }
    }

    /// Takes note of a reading; to be called at each.
    pub fn note(&mut self, now: ClockReading) {
        let current = self.segments.last_mut();
        if let Some(current) = current.filter(|current| current.leads_to(now)) {
            current.last = now;
            return;
        }
        if self.segments.len() == MAX_SEGMENTS {
            self.segments.remove(0);
        }
        self.segments.push(Segment::beginning(now));
    }

    /// The age of what was stamped by this machine's wall clock. Where several segments could hold the stamp, the
    /// latest counts: of two ages, the lesser.
    #[must_use]
    pub fn age(&self, stamp: Timestamp, now: ClockReading) -> Age {
        let holds = |it: &&Segment| it.begun.wall <= stamp && stamp <= it.last.wall;
        if let Some(segment) = self.segments.iter().rev().find(holds) {
            let into = stamp.since(segment.begun.wall);
            return Age::Observed(now.steady.saturating_sub(segment.begun.steady + into));
        }
        let observed = now.steady.saturating_sub(self.first.steady);
        let told = self.first.wall.since(stamp).saturating_add(observed);
        // A clock that was ahead when the process began has been set back since.
        let age = if stamp <= now.wall {
            told.min(now.wall.since(stamp))
        } else {
            told
        };
        Age::Reported { age, observed }
    }
}

impl Segment {
    fn beginning(reading: ClockReading) -> Self {
        Self {
            begun: reading,
            last: reading,
        }
    }

    /// Whether nobody set the clock between the last reading and this one.
    fn leads_to(&self, now: ClockReading) -> bool {
        let expected = self
            .last
            .wall
            .saturating_add(now.steady.saturating_sub(self.last.steady));
        expected.since(now.wall).max(now.wall.since(expected)) < SET
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

    /// A machine of which the wall clock can be set.
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
            self.history.note(self.now);
        }

        fn set(&mut self, seconds: i64) {
            self.now.wall = wall(seconds);
            self.history.note(self.now);
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
    fn a_clock_that_is_set_makes_nothing_older_or_younger() {
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
    fn a_boot_in_1970_is_over_when_the_clock_is_set() {
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
    fn what_an_earlier_process_stamped_is_as_old_as_the_first_reading_says() {
        let mut machine = Machine::at(START);
        let stamp = wall(START - 1000);
        machine.pass(HOUR);
        machine.step(86_400);
        assert_eq!(machine.age(stamp), reported(1000 + HOUR, HOUR));
    }

    #[test]
    fn a_process_that_began_ahead_believes_the_clock_once_it_is_set_back() {
        let mut machine = Machine::at(START + 10 * 86_400);
        let stamp = wall(START - 60);
        machine.pass(5);
        assert_eq!(machine.age(stamp), reported(10 * DAY + 65, 5));
        machine.set(START + 5);
        assert_eq!(machine.age(stamp), reported(65, 5));
    }

    #[test]
    fn a_stamp_of_the_future_is_as_old_as_the_process_at_least() {
        let mut machine = Machine::at(START);
        machine.pass(HOUR);
        assert_eq!(machine.age(wall(START + 86_400)), reported(HOUR, HOUR));
    }

    #[test]
    fn a_clock_that_is_set_all_the_time_fills_no_memory() {
        let mut machine = Machine::at(START);
        for _ in 0..10_000 {
            machine.step(HOUR.cast_signed());
        }
        assert_eq!(machine.history.segments.len(), MAX_SEGMENTS);
    }

    #[test]
    fn drift_is_no_setting() {
        let mut machine = Machine::at(START);
        for _ in 0..1000 {
            machine.pass(60);
            machine.step(1);
        }
        assert_eq!(machine.history.segments.len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_looks_older_than_it_is_however_the_clock_is_set(
            steps in prop::collection::vec((0_u64..100_000, -200_000_i64..200_000), 1..40),
            stamped_after in 0_usize..40,
        ) {
            let mut machine = Machine::at(START);
            let mut stamped = None;
            for (count, (span, step)) in steps.iter().enumerate() {
                machine.pass(*span);
                machine.step(*step);
                if count == stamped_after {
                    stamped = Some(machine.now);
                }
            }
            let Some(stamped) = stamped else { return Ok(()) };
            let (Age::Observed(age) | Age::Reported { age, .. }) = machine.age(stamped.wall);
            let truth = machine.now.steady.saturating_sub(stamped.steady);
            // Steps too small to be told from drift add up.
            let drift = SET * u32::try_from(steps.len()).unwrap();
            prop_assert!(age <= truth + drift, "{age:?} instead of {truth:?}");
        }
    }
}
