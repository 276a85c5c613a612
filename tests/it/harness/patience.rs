//! Waiting for a condition with a generous deadline, and measuring time.

use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Calls `look` until it returns something. Panics after 60 s.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let watch = Stopwatch::start();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(watch.elapsed() < PATIENCE, "timed out waiting for: {what}");
        pause(LOOK_EVERY);
    }
}

/// Gives other processes time. To wait for a condition, use [`eventually`].
#[expect(
    clippy::disallowed_methods,
    reason = "nothing wakes a test that waits for another process"
)]
pub(crate) fn pause(span: Duration) {
    thread::sleep(span);
}

/// Measures a duration.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "outside the program: its clock is not the tests'"
    )]
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
