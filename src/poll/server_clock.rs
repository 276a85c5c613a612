//! The API's clock, as its last answer told it. Tasks are stamped by it, so it decides what is old; reads no header
//! itself.

use std::time::Duration;

use crate::clock::{Age, Clock};
use crate::domain::model::Timestamp;

/// What is known of the API's clock: at first nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ServerClock {
    heard: Option<Heard>,
}

#[derive(Clone, Copy, Debug)]
struct Heard {
    /// None: that answer told no time.
    theirs: Option<Timestamp>,
    /// When it came.
    ours: Timestamp,
}

impl ServerClock {
    /// Takes note of an answer.
    pub(super) fn hear(&mut self, theirs: Option<Timestamp>, clock: &dyn Clock) {
        self.heard = Some(Heard {
            theirs,
            ours: clock.now(),
        });
    }

    /// The API's time; ours if it does not tell. Setting our clock does not move what it told.
    pub(super) fn now(&self, clock: &dyn Clock) -> Timestamp {
        self.told(clock).unwrap_or_else(|| clock.now())
    }

    /// How far the API's clock is ahead of ours; 0 if it does not tell.
    pub(super) fn ahead_seconds(&self, clock: &dyn Clock) -> i64 {
        self.now(clock).unix_seconds() - clock.now().unix_seconds()
    }

    /// What both clocks agree is past: the earlier of them. None before the first answer.
    pub(super) fn vouched_now(&self, clock: &dyn Clock) -> Option<Timestamp> {
        let heard = self.heard?;
        let counted = heard.theirs.unwrap_or(heard.ours);
        Some(clock.now().min(counted.saturating_add(heard.since(clock))))
    }

    fn told(&self, clock: &dyn Clock) -> Option<Timestamp> {
        let heard = self.heard?;
        Some(heard.theirs?.saturating_add(heard.since(clock)))
    }
}

impl Heard {
    fn since(&self, clock: &dyn Clock) -> Duration {
        let (Age::Observed(age) | Age::Reported { age, .. }) = clock.age(self.ours);
        age
    }
}
