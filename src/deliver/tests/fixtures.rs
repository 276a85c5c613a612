//! Fixtures of the worker tests: a manual clock and a webhook.

use std::sync::Mutex;
use std::time::Duration;

use crate::clock::{Age, Clock, ClockReading, WallHistory};
use crate::config::{Format, HttpSettings, TargetFilter, Webhook};
use crate::domain::event_pattern::EventPattern;
use crate::domain::model::Timestamp;
use crate::secret::{Secret, SecretUrl};

/// A clock that only moves when a test moves it.
#[derive(Debug)]
pub(super) struct TestClock {
    times: Mutex<ManualTimes>,
}

#[derive(Debug)]
struct ManualTimes {
    now: ClockReading,
    history: WallHistory,
}

impl Default for TestClock {
    fn default() -> Self {
        Self::at(Timestamp::from_unix_seconds(1_700_000_000).unwrap())
    }
}

impl TestClock {
    /// The clock of a process that starts at this wall time.
    pub(super) fn at(wall: Timestamp) -> Self {
        let now = ClockReading {
            wall,
            steady: Duration::from_secs(5),
        };
        Self {
            times: Mutex::new(ManualTimes {
                now,
                history: WallHistory::beginning(now),
            }),
        }
    }

    /// Both clocks advance.
    pub(super) fn advance(&self, span: Duration) {
        self.change(|now| {
            now.wall = now.wall.saturating_add(span);
            now.steady += span;
        });
    }

    /// The wall clock is set.
    pub(super) fn set_wall(&self, wall: Timestamp) {
        self.change(|now| now.wall = wall);
    }

    fn change(&self, change: impl FnOnce(&mut ClockReading)) {
        let mut times = self.times.lock().unwrap();
        change(&mut times.now);
        let now = times.now;
        times.history.record(now);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.times.lock().unwrap().now.wall
    }

    fn monotonic(&self) -> Duration {
        self.times.lock().unwrap().now.steady
    }

    fn steady(&self) -> Duration {
        self.monotonic()
    }

    fn age(&self, stamp: Timestamp) -> Age {
        let times = self.times.lock().unwrap();
        times.history.age(stamp, times.now)
    }
}

/// A webhook for all events, unsigned, with the default `give_up_after`.
pub(super) fn webhook(url: &str) -> Webhook {
    Webhook {
        url: SecretUrl::parse(Secret::new(url.to_owned())).unwrap(),
        on: vec![EventPattern::new("*")],
        targets: TargetFilter::All,
        format: Format::Json,
        secrets: Vec::new(),
        give_up_after: Duration::from_secs(3 * 86_400),
        http: HttpSettings {
            timeout: Duration::from_secs(20),
            headers: Vec::new(),
            proxy: None,
            ca_certificates: None,
        },
    }
}
