//! Waiting until something holds, with a deadline that only a hang can reach. Owns the tests' clock.

use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks again and again until there is something to see.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let watch = Stopwatch::start();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(watch.elapsed() < PATIENCE, "waited in vain for: {what}");
        pause(LOOK_EVERY);
    }
}

/// For those who give other processes time; to wait for something, take [`eventually`].
#[expect(
    clippy::disallowed_methods,
    reason = "the tests wait for other processes, which nothing wakes them for"
)]
pub(crate) fn pause(span: Duration) {
    thread::sleep(span);
}

/// How long something took.
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
