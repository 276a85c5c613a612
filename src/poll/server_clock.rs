//! The API's clock, from the `Date` header of responses. The API stamps tasks by it, so the age of a task is counted by it.

use std::time::Duration;

use crate::clock::{Age, Clock};
use crate::domain::model::Timestamp;

/// What is known of the API's clock. Nothing before the first response.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerClock {
    last: Option<ClockSample>,
}

/// The clocks at one response.
#[derive(Clone, Copy, Debug)]
struct ClockSample {
    /// `None` if the response had no readable `Date`.
    theirs: Option<Timestamp>,
    ours: Timestamp,
}

impl ServerClock {
    /// Records the `Date` of a response that has just arrived.
    pub(super) fn record(&mut self, theirs: Option<Timestamp>, clock: &dyn Clock) {
        self.last = Some(ClockSample {
            theirs,
            ours: clock.now(),
        });
    }

    /// The API's time, or ours if it is unknown. Setting our clock does not change it.
    pub(super) fn now(&self, clock: &dyn Clock) -> Timestamp {
        self.api_now(clock).unwrap_or_else(|| clock.now())
    }

    /// How far the API's clock is ahead of ours. 0 if it is unknown.
    pub(super) fn ahead_seconds(&self, clock: &dyn Clock) -> i64 {
        self.now(clock).unix_seconds() - clock.now().unix_seconds()
    }

    /// The earlier of both clocks. `None` before the first response.
    pub(super) fn conservative_now(&self, clock: &dyn Clock) -> Option<Timestamp> {
        let last = self.last?;
        let counted = last.theirs.unwrap_or(last.ours);
        Some(clock.now().min(counted.saturating_add(last.age(clock))))
    }

    fn api_now(&self, clock: &dyn Clock) -> Option<Timestamp> {
        let last = self.last?;
        Some(last.theirs?.saturating_add(last.age(clock)))
    }
}

impl ClockSample {
    fn age(&self, clock: &dyn Clock) -> Duration {
        let (Age::Observed(age) | Age::Reported { age, .. }) = clock.age(self.ours);
        age
    }
}
