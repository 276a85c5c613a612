//! What one courier is doing, for those who watch it from other threads. Owns no decision.

use parking_lot::{Mutex, MutexGuard};
use std::fmt;
use std::sync::OnceLock;
use std::time::Duration;

use crate::store::AttemptResult;

/// Shared by a courier and its onlookers. Cheap to read at any time.
#[derive(Default)]
pub struct WorkerStatus {
    current: Mutex<Snapshot>,
    /// Told of each try's end.
    listener: OnceLock<Box<dyn Fn(Outcome) + Send + Sync>>,
}

impl fmt::Debug for WorkerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerStatus").field(&self.current).finish()
    }
}

/// What [`WorkerStatus::snapshot`] saw. Times are of [`crate::clock::Clock::monotonic`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Whether the receiver answered 410: nothing is sent until reload or restart.
    pub paused: bool,
    /// What is wrong with the receiver, in short and without secrets; none: the last try got through, or there was none.
    pub fault: Option<String>,
    /// How the last try ended.
    pub last_outcome: Option<Outcome>,
    /// Tries since the courier began, by how they ended.
    pub attempts: DrainReport,
    /// When the loop last turned. It turns at least every [`super::IDLE_LOOK`] unless a call is under way.
    pub last_turn: Duration,
    /// When the call under way will have ended at the latest; none: no call.
    pub busy_until: Option<Duration>,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The receiver has the event.
    Delivered,
    /// It will be tried again.
    Failed,
    /// It was given up.
    Dead,
    /// The webhook was paused; the event waits.
    Paused,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Delivered, Self::Failed, Self::Dead, Self::Paused];

    pub(super) fn of(result: &AttemptResult) -> Self {
        match result {
            AttemptResult::Delivered { .. } => Self::Delivered,
            AttemptResult::Failed { .. } => Self::Failed,
            AttemptResult::Dead { .. } => Self::Dead,
        }
    }

    /// In a word, such as `delivered`: for metrics.
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

/// Tries of one webhook's deliveries, counted by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// The receiver has them.
    pub delivered: u64,
    /// To be tried again.
    pub failed: u64,
    /// Newly given up.
    pub dead: u64,
    /// Answered 410: 1 at the most, for nothing is sent after it.
    pub paused: u64,
}

impl DrainReport {
    pub(super) fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
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

    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Delivered => &mut self.delivered,
            Outcome::Failed => &mut self.failed,
            Outcome::Dead => &mut self.dead,
            Outcome::Paused => &mut self.paused,
        } += 1;
    }
}

impl WorkerStatus {
    /// The state of things now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    /// Has each try's end told to this listener; to the first one, if it is called again.
    pub fn tell(&self, listener: impl Fn(Outcome) + Send + Sync + 'static) {
        let _ = self.listener.set(Box::new(listener));
    }

    pub(super) fn turned(&self, now: Duration) {
        self.lock().last_turn = now;
    }

    pub(super) fn call_begins(&self, until: Duration) {
        self.lock().busy_until = Some(until);
    }

    pub(super) fn call_ended(&self) {
        self.lock().busy_until = None;
    }

    pub(super) fn try_ended(&self, outcome: Outcome, fault: Option<String>) {
        let mut current = self.lock();
        current.attempts.count(outcome);
        current.last_outcome = Some(outcome);
        current.paused |= outcome == Outcome::Paused;
        current.fault = fault;
        drop(current);
        if let Some(listener) = self.listener.get() {
            listener(outcome);
        }
    }

    /// Each change is one assignment: whoever panicked can't have left it half-written.
    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.current.lock()
    }
}
