//! The world around a courier: a clock that tests turn, and a config.

use std::sync::Mutex;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{EventPattern, Format, HttpSettings, TargetFilter, Webhook};
use crate::model::Timestamp;
use crate::secret::{Secret, SecretUrl};

/// Stands still until told otherwise.
#[derive(Debug)]
pub(super) struct ManualClock {
    times: Mutex<(Timestamp, Duration)>,
}

impl Default for ManualClock {
    fn default() -> Self {
        let now = Timestamp::from_unix_seconds(1_700_000_000).unwrap();
        Self {
            times: Mutex::new((now, Duration::from_secs(5))),
        }
    }
}

impl ManualClock {
    /// Time passes.
    pub(super) fn pass(&self, span: Duration) {
        let mut times = self.times.lock().unwrap();
        times.0 = times.0.saturating_add(span);
        times.1 += span;
    }

    /// Somebody sets the wall clock.
    pub(super) fn set_wall(&self, now: Timestamp) {
        self.times.lock().unwrap().0 = now;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.times.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.times.lock().unwrap().1
    }
}

/// A webhook of everything, unsigned, that gives up after three days.
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
