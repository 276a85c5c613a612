//! When the lock table was last looked at: asked before each request to a receiver, so nobody waits here for a commit.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// By [`crate::clock::Clock::steady`], as the server counts a silence of ours; to the millisecond before.
#[derive(Debug)]
pub(super) struct LeaseHeartbeat(AtomicU64);

/// No look: what was seen before does not hold any more.
const NONE: u64 = u64::MAX;

impl Default for LeaseHeartbeat {
    fn default() -> Self {
        Self(AtomicU64::new(NONE))
    }
}

impl LeaseHeartbeat {
    pub(super) fn note(&self, at: Duration) {
        let millis = u64::try_from(at.as_millis()).unwrap_or(NONE);
        self.0.store(millis, Ordering::Release);
    }

    pub(super) fn forget(&self) {
        self.0.store(NONE, Ordering::Release);
    }

    /// Whether it was less than so long before `now`.
    pub(super) fn is_within(&self, span: Duration, now: Duration) -> bool {
        match self.0.load(Ordering::Acquire) {
            NONE => false,
            millis => now < Duration::from_millis(millis).saturating_add(span),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_holds_for_its_span_and_no_longer() {
        let (look, second) = (LeaseHeartbeat::default(), Duration::from_secs(1));
        assert!(!look.is_within(second, Duration::ZERO), "before any");
        look.note(Duration::from_secs(2));
        assert!(look.is_within(second, Duration::from_millis(2_999)));
        assert!(!look.is_within(second, Duration::from_secs(3)));
        look.forget();
        assert!(!look.is_within(second, Duration::from_secs(2)));
    }
}
