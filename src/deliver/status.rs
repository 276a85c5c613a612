//! Status of a delivery worker, for other threads: health checks, the status page and metrics.

use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::store::AttemptResult;

/// Shared by a worker and the threads that watch it.
#[derive(Default)]
pub struct WorkerStatus {
    current: Mutex<WorkerSnapshot>,
    /// Called after each attempt.
    listener: OnceLock<Box<dyn Fn(AttemptOutcome) + Send + Sync>>,
}

impl fmt::Debug for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerStatus").field(&self.current).finish()
    }
}

/// Result of [`WorkerStatus::snapshot`]. Times are from [`crate::clock::Clock::monotonic`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerSnapshot {
    /// Whether the receiver answered 410: nothing is sent until a reload or restart.
    pub paused: bool,
    /// Last error of the receiver, in short and without secrets. `None` if the last attempt succeeded or there was none.
    pub fault: Option<String>,
    /// Outcome of the last attempt.
    pub last_outcome: Option<AttemptOutcome>,
    /// Attempts since the worker started, by outcome.
    pub attempts: DrainReport,
    /// When the worker's last step began. Steps are at most 15 s apart unless a call is under way.
    pub last_turn: Duration,
    /// Latest end of the call under way. `None` without a call.
    pub busy_until: Option<Duration>,
}

/// Outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptOutcome {
    /// The receiver accepted the event.
    Delivered,
    /// The event will be retried.
    Failed,
    /// The event is dead.
    Dead,
    /// The webhook is paused, and the event waits.
    Paused,
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Failed, Self::Dead, Self::Paused];

    pub(super) fn of(result: &AttemptResult) -> Self {
        match result {
            AttemptResult::Delivered { .. } => Self::Delivered,
            AttemptResult::Failed { .. } => Self::Failed,
            AttemptResult::Dead { .. } => Self::Dead,
        }
    }

    /// The name in metrics, such as `delivered`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dead => "dead",
            Self::Paused => "paused",
        }
    }
}

/// Attempts of one webhook, counted by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Accepted by the receiver.
    pub delivered: u64,
    /// To be retried.
    pub failed: u64,
    /// Newly dead.
    pub dead: u64,
    /// Answered with 410. At most 1, because nothing is sent after it.
    pub paused: u64,
}

impl DrainReport {
    pub(super) fn of(outcomes: impl IntoIterator<Item = AttemptOutcome>) -> Self {
        let mut report = Self::default();
        outcomes
            .into_iter()
            .for_each(|outcome| report.count(outcome));
        report
    }

    pub(super) fn add(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.dead += other.dead;
        self.paused += other.paused;
    }

    fn count(&mut self, outcome: AttemptOutcome) {
        *match outcome {
            AttemptOutcome::Delivered => &mut self.delivered,
            AttemptOutcome::Failed => &mut self.failed,
            AttemptOutcome::Dead => &mut self.dead,
            AttemptOutcome::Paused => &mut self.paused,
        } += 1;
    }
}

impl WorkerStatus {
    /// The status now.
    #[must_use]
    pub fn snapshot(&self) -> WorkerSnapshot {
        self.lock().clone()
    }

    /// Calls `listener` after each attempt. Only the first call of this method has an effect.
    pub fn on_attempt(&self, listener: impl Fn(AttemptOutcome) + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }

    pub(super) fn step_starts(&self, now: Duration) {
        self.lock().last_turn = now;
    }

    pub(super) fn call_starts(&self, until: Duration) {
        self.lock().busy_until = Some(until);
    }

    pub(super) fn call_ended(&self) {
        self.lock().busy_until = None;
    }

    pub(super) fn attempt_ended(&self, outcome: AttemptOutcome, fault: Option<String>) {
        let mut current = self.lock();
        current.attempts.count(outcome);
        current.last_outcome = Some(outcome);
        current.paused |= outcome == AttemptOutcome::Paused;
        current.fault = fault;
        drop(current);
        if let Some(listener) = self.listener.get() {
            listener(outcome);
        }
    }

    fn lock(&self) -> MutexGuard<'_, WorkerSnapshot> {
        self.current.lock()
    }
}
