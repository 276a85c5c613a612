//! Buffer of attempts that are made but not recorded yet, for group commits.
//!
//! A commit waits for the disk. A fast receiver gets one event after the other, and one commit records several responses.
//! The price is paid after a crash: the events of the lost records are sent again. This file bounds how many.

use std::time::Duration;

use crate::store::{Attempt, AttemptResult};

/// Most deliveries without a record: a crash repeats at most so many. A request that carries more events is recorded as a
/// whole.
pub(super) const MAX_UNRECORDED: usize = 32;

/// Longest time from the first request without a record to the start of another one. The responses of a slow receiver are
/// therefore recorded one by one.
const MAX_UNRECORDED_AGE: Duration = Duration::from_millis(10);

/// Attempts of one webhook, in order.
#[derive(Debug, Default)]
pub(super) struct AckBuffer {
    attempts: Vec<Attempt>,
    /// Start of the first attempt's request, in monotonic time.
    first_started: Duration,
}

impl AckBuffer {
    /// Must be called before each request.
    pub(super) fn request_starts(&mut self, now: Duration) {
        if self.attempts.is_empty() {
            self.first_started = now;
        }
    }

    pub(super) fn add(&mut self, attempts: impl IntoIterator<Item = Attempt>) {
        self.attempts.extend(attempts);
    }

    /// Whether another request may be made before these attempts are recorded. Never after a failed one: its record decides
    /// what is sent next.
    pub(super) fn may_grow(&self, now: Duration) -> bool {
        let delivered = |it: &Attempt| matches!(it.result, AttemptResult::Delivered { .. });
        self.attempts.is_empty()
            || self.attempts.len() < MAX_UNRECORDED
                && now.saturating_sub(self.first_started) < MAX_UNRECORDED_AGE
                && self.attempts.iter().all(delivered)
    }

    pub(super) fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The attempts are recorded.
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
    fn responses_are_buffered_up_to_a_number() {
        let mut buffer = AckBuffer::default();
        for sequence in 1..=32 {
            assert!(buffer.may_grow(Duration::ZERO), "{sequence}");
            buffer.request_starts(Duration::ZERO);
            buffer.add([delivered(sequence)]);
        }
        assert!(!buffer.may_grow(Duration::ZERO));
        buffer.clear();
        assert!(buffer.may_grow(Duration::ZERO));
    }

    #[test]
    fn responses_are_buffered_up_to_an_age_counted_from_the_first_request() {
        let mut buffer = AckBuffer::default();
        buffer.request_starts(milliseconds(100));
        buffer.add([delivered(1)]);
        buffer.request_starts(milliseconds(108));
        buffer.add([delivered(2)]);
        assert!(buffer.may_grow(milliseconds(109)));
        assert!(!buffer.may_grow(milliseconds(110)));
    }

    #[test]
    fn a_slow_response_is_recorded_before_the_next_request() {
        let mut buffer = AckBuffer::default();
        buffer.request_starts(milliseconds(100));
        buffer.add([delivered(1)]);
        assert!(!buffer.may_grow(milliseconds(150)));
    }

    #[test]
    fn a_failed_attempt_is_recorded_at_once() {
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
            let mut buffer = AckBuffer::default();
            buffer.add([
                delivered(1),
                Attempt {
                    sequence: 2,
                    result,
                },
            ]);
            assert!(!buffer.may_grow(Duration::ZERO));
        }
    }
}
