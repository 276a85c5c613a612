//! Clock, cancellation and notification: the only source of time, and the only place where a thread waits.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::model::Timestamp;

mod history;

pub use history::{Age, ClockReading, WallHistory};

/// Source of time. The program uses [`SystemClock`]; tests set their own clocks.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall time, for the API, the state and events. It may jump.
    fn now(&self) -> Timestamp;

    /// Time since this process started, without suspensions of the machine: for schedules. It never goes back.
    fn monotonic(&self) -> Duration;

    /// Time since this process started, with suspensions of the machine: for comparison with other machines' clocks. It never
    /// goes back.
    fn steady(&self) -> Duration;

    /// Age of a `stamp` that [`Clock::now`] returned to this process or an earlier one. Setting the wall clock does not change
    /// it. A suspension of the machine counts.
    fn age(&self, stamp: Timestamp) -> Age;
}

/// The clocks of this machine.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    suspended_before: Duration,
    history: Mutex<WallHistory>,
}

impl SystemClock {
    /// A clock whose monotonic time starts at zero.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the only source of time")]
    pub fn start() -> Self {
        let first = ClockReading {
            wall: SystemTime::now().into(),
            steady: Duration::ZERO,
        };
        Self {
            started: Instant::now(),
            suspended_before: suspended(),
            history: Mutex::new(WallHistory::beginning(first)),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the only source of time")]
    fn reading(&self) -> ClockReading {
        ClockReading {
            wall: SystemTime::now().into(),
            steady: self.steady(),
        }
    }

    /// Reads the clocks and adds the reading to the history.
    fn record(&self) -> (ClockReading, MutexGuard<'_, WallHistory>) {
        let mut history = self.history.lock();
        let reading = self.reading();
        history.record(reading);
        (reading, history)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.record().0.wall
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn steady(&self) -> Duration {
        let suspended = suspended().saturating_sub(self.suspended_before);
        self.started.elapsed().saturating_add(suspended)
    }

    fn age(&self, stamp: Timestamp) -> Age {
        let (reading, history) = self.record();
        history.age(stamp, reading)
    }
}

/// The kernel's `CLOCK_MONOTONIC`, which systemd expects in a reload notification. Schedules use [`Clock::monotonic`].
#[must_use]
pub fn since_boot() -> Duration {
    read(ClockId::Monotonic)
}

/// How long the machine has been suspended since boot. The monotonic clock leaves that out.
fn suspended() -> Duration {
    #[cfg(target_os = "linux")]
    return read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic));
    #[cfg(not(target_os = "linux"))]
    return Duration::ZERO;
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // The kernel returns no negative seconds, and fewer nanoseconds than a second has.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// Cancellation shared by threads: ends their waits and makes them stop. A thread waits here or at a [`Notify`] made from
/// it.
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    cancelled: Mutex<bool>,
    changed: Condvar,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// The token was cancelled.
    Stopped,
    /// [`Notify::notify`] was called since the last wait.
    Notified,
    /// The time is over.
    TimedOut,
}

impl CancelToken {
    /// Cancels for good, and ends every wait.
    pub fn cancel(&self) {
        *self.lock() = true;
        self.shared.changed.notify_all();
    }

    /// Whether [`Self::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.lock()
    }

    /// Waits for `span`, or until the token is cancelled.
    #[expect(clippy::must_use_candidate, reason = "a caller may only want to wait")]
    pub fn sleep(&self, span: Duration) -> Woken {
        self.wait_for(Some(span), || false)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.shared.cancelled.lock()
    }

    #[expect(clippy::disallowed_methods, reason = "the only place that waits")]
    fn wait_for(&self, span: Option<Duration>, is_notified: impl Fn() -> bool) -> Woken {
        let deadline = span.and_then(|span| Instant::now().checked_add(span));
        let mut cancelled = self.lock();
        loop {
            if *cancelled {
                return Woken::Stopped;
            }
            if is_notified() {
                return Woken::Notified;
            }
            match deadline {
                None => self.shared.changed.wait(&mut cancelled),
                Some(deadline) if Instant::now() >= deadline => return Woken::TimedOut,
                Some(deadline) => {
                    self.shared.changed.wait_until(&mut cancelled, deadline);
                }
            }
        }
    }
}

/// Wakes one waiting thread. A notification lasts until the next wait; several count as one.
#[derive(Clone, Debug)]
pub struct Notify {
    stop: CancelToken,
    notified: Arc<AtomicBool>,
}

impl Notify {
    /// A notification whose waits also end when `stop` is cancelled.
    #[must_use]
    pub fn new(stop: &CancelToken) -> Self {
        Self {
            stop: stop.clone(),
            notified: Arc::default(),
        }
    }

    /// The token that ends waits for good.
    #[must_use]
    pub fn stop(&self) -> &CancelToken {
        &self.stop
    }

    /// Ends the wait under way, or the next one.
    pub fn notify(&self) {
        // Under the lock, because a notification between a waiter's check and its sleep would be lost.
        let _guard = self.stop.lock();
        self.notified.store(true, Ordering::Relaxed);
        self.stop.shared.changed.notify_all();
    }

    /// Waits for a notification, the stop, or the end of `span`. `None` waits without limit.
    #[expect(clippy::must_use_candidate, reason = "a caller may only want to wait")]
    pub fn wait(&self, span: Option<Duration>) -> Woken {
        self.stop
            .wait_for(span, || self.notified.swap(false, Ordering::Relaxed))
    }
}
