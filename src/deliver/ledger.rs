//! What was sent and is not written down yet. Owns the bound on that; writes nothing itself.
//!
//! A receiver that answers at once is sent one event after the other, and its answers are written down together: a commit
//! waits for the disk, and a delivery need not wait for each of them. The price is paid at a crash, and is bounded here.

use std::time::Duration;

use crate::store::{Attempt, AttemptResult};

/// So many deliveries, at the most, are made before they are written down: a crash sends no more of them a second time.
/// (One message of a format that groups more events is written down as a whole.)
pub(super) const UNRECORDED_AT_MOST: usize = 32;

/// No further delivery is begun so long after the first one that is not written down began. So a slow receiver's
/// answers are written down one by one.
const UNRECORDED_FOR: Duration = Duration::from_millis(10);

/// Tries of one webhook's deliveries, in their order.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    attempts: Vec<Attempt>,
    /// When the request of the first of them began, by the monotonic clock.
    begun: Duration,
}

impl Ledger {
    /// Takes note of a request before it is made.
    pub(super) fn request_begins(&mut self, now: Duration) {
        if self.attempts.is_empty() {
            self.begun = now;
        }
    }

    pub(super) fn add(&mut self, attempts: impl IntoIterator<Item = Attempt>) {
        self.attempts.extend(attempts);
    }

    /// Whether another delivery may be made before these are written down. Never after one that was not taken: what
    /// becomes of it decides what comes next.
    pub(super) fn may_wait(&self, now: Duration) -> bool {
        let delivered = |it: &Attempt| matches!(it.result, AttemptResult::Delivered { .. });
        self.attempts.is_empty()
            || self.attempts.len() < UNRECORDED_AT_MOST
                && now.saturating_sub(self.begun) < UNRECORDED_FOR
                && self.attempts.iter().all(delivered)
    }

    pub(super) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// They are written down.
    pub(super) fn clear(&mut self) {
        self.attempts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::model::Timestamp;

    const AT: Timestamp = Timestamp::EPOCH;

    fn delivered(sequence: u64) -> Attempt {
        let answer = "HTTP 204".to_owned();
        Attempt {
            sequence,
            result: AttemptResult::Delivered { at: AT, answer },
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
            AttemptResult::Failed {
                at: AT,
                answer: answer.clone(),
                next_attempt: AT,
            },
            AttemptResult::Dead {
                at: AT,
                answer: answer.clone(),
            },
        ] {
            let mut ledger = Ledger::default();
            ledger.add([
                delivered(1),
                Attempt {
                    sequence: 2,
                    result,
                },
            ]);
            assert!(!ledger.may_wait(Duration::ZERO));
        }
    }
}
