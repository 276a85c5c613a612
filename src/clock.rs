//! Time: the only `now`, and the only waiting. Owns the clock seam and the primitive that every wait ends at.

use parking_lot::{Condvar, Mutex, MutexGuard};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::domain::model::Timestamp;

mod history;

pub use history::{Age, ClockReading, WallHistory};

/// Where the time comes from. The program has [`SystemClock`]; tests drive one of their own.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall time: for the API, the state and events. It may jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment of this process: for schedules. It never goes back.
    fn monotonic(&self) -> Duration;

    /// The same, with the time in which the machine was suspended: for what others count by, who were not.
    fn steady(&self) -> Duration;

    /// How old something is that was stamped with [`Clock::now`], by this process or by an earlier one. Setting the wall
    /// clock makes it no older; a suspension does.
    fn age(&self, stamp: Timestamp) -> Age;
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
    suspended_before: Duration,
    history: Mutex<WallHistory>,
}

impl SystemClock {
    /// Starts its monotonic time at zero.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one room of `now`")]
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

    #[expect(clippy::disallowed_methods, reason = "the one room of `now`")]
    fn reading(&self) -> ClockReading {
        ClockReading {
            wall: SystemTime::now().into(),
            steady: self.steady(),
        }
    }

    /// A reading, and what it is to be held against.
    fn noted(&self) -> (ClockReading, MutexGuard<'_, WallHistory>) {
        let mut history = self.history.lock();
        let reading = self.reading();
        history.note(reading);
        (reading, history)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        self.noted().0.wall
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn steady(&self) -> Duration {
        let suspended = suspended().saturating_sub(self.suspended_before);
        self.started.elapsed().saturating_add(suspended)
    }

    fn age(&self, stamp: Timestamp) -> Age {
        let (reading, history) = self.noted();
        history.age(stamp, reading)
    }
}

/// The kernel's `CLOCK_MONOTONIC`: what systemd compares a reload's beginning with. For schedules take
/// [`Clock::monotonic`].
#[must_use]
pub fn since_boot() -> Duration {
    read(ClockId::Monotonic)
}

/// How long the machine has been suspended since it was booted: what the monotonic clock leaves out.
fn suspended() -> Duration {
    #[cfg(target_os = "linux")]
    return read(ClockId::Boottime).saturating_sub(read(ClockId::Monotonic));
    #[cfg(not(target_os = "linux"))]
    return Duration::ZERO;
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    // The kernel gives neither a time before the boot nor a second of nanoseconds.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}

/// The one order to stop, shared by all threads. Whoever waits does so here or at a [`Notify`] made from it.
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
    /// The program is to stop.
    Stopped,
    /// Somebody rang this bell since the last wait on it.
    Notified,
    /// The time was up.
    TimedOut,
}

impl CancelToken {
    /// Orders the stop and ends every wait. It can't be taken back.
    pub fn cancel(&self) {
        *self.lock() = true;
        self.shared.changed.notify_all();
    }

    /// Whether the stop was ordered.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.lock()
    }

    /// Waits `span`, or until the stop.
    #[expect(clippy::must_use_candidate, reason = "to have waited is enough")]
    pub fn sleep(&self, span: Duration) -> Woken {
        self.wait_for(Some(span), || false)
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.shared.cancelled.lock()
    }

    #[expect(clippy::disallowed_methods, reason = "the one room of waiting")]
    fn wait_for(&self, span: Option<Duration>, rung: impl Fn() -> bool) -> Woken {
        let deadline = span.and_then(|span| Instant::now().checked_add(span));
        let mut cancelled = self.lock();
        loop {
            if *cancelled {
                return Woken::Stopped;
            }
            if rung() {
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

/// Wakes one loop. A ring is remembered until the next wait; many rings count as one.
#[derive(Clone, Debug)]
pub struct Notify {
    stop: CancelToken,
    rung: Arc<AtomicBool>,
}

impl Notify {
    /// A bell whose waits also end at `stop`.
    #[must_use]
    pub fn new(stop: &CancelToken) -> Self {
        Self {
            stop: stop.clone(),
            rung: Arc::default(),
        }
    }

    /// The stop that this bell's waits end at.
    #[must_use]
    pub fn stop(&self) -> &CancelToken {
        &self.stop
    }

    /// Ends the wait under way, or the next one.
    pub fn notify(&self) {
        // Under the lock: between a waiter's check and its sleep, a ring would be lost.
        let _held = self.stop.lock();
        self.rung.store(true, Ordering::Relaxed);
        self.stop.shared.changed.notify_all();
    }

    /// Waits for a ring, a stop, or the end of `span` (`None`: without limit).
    #[expect(clippy::must_use_candidate, reason = "to have waited is enough")]
    pub fn wait(&self, span: Option<Duration>) -> Woken {
        self.stop
            .wait_for(span, || self.rung.swap(false, Ordering::Relaxed))
    }
}
