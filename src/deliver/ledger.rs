//! What was sent and is not written down yet. Owns the bound on that; writes nothing itself.
//!
//! A receiver that answers at once is sent one event after the other, and its answers are written down together: a commit
//! waits for the disk, and a delivery need not wait for each of them. The price is paid at a crash, and is bounded here.

use std::time::Duration;

use crate::store::{Try, TryResult};

/// So many deliveries, at the most, are made before they are written down: a crash sends no more of them a second time.
/// (One message of a format that groups more events is written down as a whole.)
pub(super) const UNRECORDED_AT_MOST: usize = 32;

/// No further delivery is begun so long after the first one that is not written down began. So a slow receiver's
/// answers are written down one by one.
const UNRECORDED_FOR: Duration = Duration::from_millis(10);

/// Tries of one webhook's deliveries, in their order.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    tries: Vec<Try>,
    /// When the request of the first of them began, by the monotonic clock.
    begun: Duration,
}

impl Ledger {
    /// Takes note of a request before it is made.
    pub(super) fn request_begins(&mut self, now: Duration) {
        if self.tries.is_empty() {
            self.begun = now;
        }
    }

    pub(super) fn add(&mut self, tries: impl IntoIterator<Item = Try>) {
        self.tries.extend(tries);
    }

    /// Whether another delivery may be made before these are written down. Never after one that was not taken: what
    /// becomes of it decides what comes next.
    pub(super) fn may_wait(&self, now: Duration) -> bool {
        let delivered = |it: &Try| matches!(it.result, TryResult::Delivered { .. });
        self.tries.is_empty()
            || self.tries.len() < UNRECORDED_AT_MOST
                && now.saturating_sub(self.begun) < UNRECORDED_FOR
                && self.tries.iter().all(delivered)
    }

    pub(super) fn tries(&self) -> &[Try] {
        &self.tries
    }

    /// They are written down.
    pub(super) fn clear(&mut self) {
        self.tries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    const AT: Timestamp = Timestamp::EPOCH;

    fn delivered(sequence: u64) -> Try {
        let answer = "HTTP 204".to_owned();
        Try {
            sequence,
            result: TryResult::Delivered { at: AT, answer },
        }
    }

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn answers_wait_for_each_other_up_to_a_number() {
        let mut ledger = Ledger::default();
        for sequence in 1..=32 {
            assert!(ledger.may_wait(Duration::ZERO), "{sequence}");
            ledger.request_begins(Duration::ZERO);
            ledger.add([delivered(sequence)]);
        }
        assert!(!ledger.may_wait(Duration::ZERO));
        ledger.clear();
        assert!(ledger.may_wait(Duration::ZERO));
    }

    #[test]
    fn answers_wait_for_each_other_up_to_a_time_counted_from_the_first_request() {
        let mut ledger = Ledger::default();
        ledger.request_begins(milliseconds(100));
        ledger.add([delivered(1)]);
        ledger.request_begins(milliseconds(108));
        ledger.add([delivered(2)]);
        assert!(ledger.may_wait(milliseconds(109)));
        assert!(!ledger.may_wait(milliseconds(110)));
    }

    #[test]
    fn a_slow_receivers_answer_is_written_down_before_the_next_request() {
        let mut ledger = Ledger::default();
        ledger.request_begins(milliseconds(100));
        ledger.add([delivered(1)]);
        assert!(!ledger.may_wait(milliseconds(150)));
    }

    #[test]
    fn what_was_not_taken_is_written_down_at_once() {
        let answer = "HTTP 503".to_owned();
        for result in [
            TryResult::Failed {
                at: AT,
                answer: answer.clone(),
                next_try: AT,
            },
            TryResult::Dead {
                at: AT,
                answer: answer.clone(),
            },
        ] {
            let mut ledger = Ledger::default();
            ledger.add([
                delivered(1),
                Try {
                    sequence: 2,
                    result,
                },
            ]);
            assert!(!ledger.may_wait(Duration::ZERO));
        }
    }
}
