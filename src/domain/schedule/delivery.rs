//! Delivery retries: the delays of the contract, and when an event is given up. Pure: time and jitter are arguments.

use std::time::Duration;

use crate::domain::model::Timestamp;
use crate::domain::schedule::MAX_RETRY_AFTER;

/// Delay after the first failed attempt, the second, …. The last one repeats.
const DELIVERY_DELAYS_SECONDS: [u32; 7] = [1, 5, 30, 120, 600, 1_800, 3_600];

/// Jitter makes a delay up to this part longer or shorter.
const DELIVERY_JITTER: f64 = 0.2;

/// Time synchronisation sets a clock back by at most this.
const CLOCK_CORRECTION: Duration = Duration::from_secs(5);

/// Longest [`grace_left`].
const MAX_GRACE: Duration = Duration::from_secs(60 * 60);

/// Delay before the next attempt, after `attempts` failed ones (1 or more).
///
/// `jitter` is from [0, 1): 0 makes the shortest delay, 1 the longest. Never shorter than `retry_after`, of which at most
/// [`MAX_RETRY_AFTER`] counts.
#[must_use]
pub fn delivery_delay(attempts: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let step = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let seconds = DELIVERY_DELAYS_SECONDS
        .get(step)
        .or(DELIVERY_DELAYS_SECONDS.last())
        .map_or(0.0, |seconds| f64::from(*seconds));
    let swing = DELIVERY_JITTER * (2.0 * jitter.clamp(0.0, 1.0) - 1.0);
    let delay = Duration::from_secs_f64(seconds * (1.0 + swing));
    delay.max(retry_after.unwrap_or_default().min(MAX_RETRY_AFTER))
}

/// Time until a stored `next_attempt`, by wall time. Zero if it is due.
///
/// If `next_attempt` is further away than the longest delay, or if `last_attempt` is in the future, the clock was wrong when they were
/// stored. Then the delivery is due.
#[must_use]
pub fn delivery_wait(
    last_attempt: Option<Timestamp>,
    next_attempt: Option<Timestamp>,
    now: Timestamp,
) -> Duration {
    if last_attempt.is_some_and(|last_attempt| last_attempt.since(now) > CLOCK_CORRECTION) {
        return Duration::ZERO;
    }
    let wait = next_attempt.map_or(Duration::ZERO, |next_attempt| next_attempt.since(now));
    // One second more, because stored times are rounded up to whole seconds.
    if wait > MAX_RETRY_AFTER + Duration::from_secs(1) {
        return Duration::ZERO;
    }
    wait
}

/// How long an event that looks older than `give_up_after` is still retried, if this process has not observed its whole age: the
/// clock may have been wrong. Zero if it has been retried for long enough.
///
/// The grace period is a tenth of `give_up_after`, and an hour at most. It has passed after that much `observed` time of this process, or
/// after as many `attempts` as fit into it. The second rule is for `--once`, where each process lives for a moment.
#[must_use]
pub fn grace_left(give_up_after: Duration, attempts: u32, observed: Duration) -> Duration {
    let grace = (give_up_after / 10).min(MAX_GRACE);
    if attempts >= attempts_within(grace) {
        return Duration::ZERO;
    }
    grace.saturating_sub(observed)
}

/// How many attempts at least an event gets in its first `span`.
fn attempts_within(span: Duration) -> u32 {
    let mut elapsed = Duration::ZERO;
    let mut attempts = 0;
    while elapsed <= span {
        attempts += 1;
        elapsed += delivery_delay(attempts, None, 1.0);
    }
    attempts
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{CLOCK_CORRECTION, attempts_within, delivery_delay, delivery_wait, grace_left};
    use crate::domain::model::Timestamp;
    use crate::domain::schedule::MAX_RETRY_AFTER;

    #[test]
    fn the_delays_are_those_of_the_contract() {
        let seconds: Vec<u64> = (1..=9)
            .map(|attempts| delivery_delay(attempts, None, 0.5).as_secs())
            .collect();
        assert_eq!(seconds, [1, 5, 30, 120, 600, 1800, 3600, 3600, 3600]);
        assert_eq!(delivery_delay(u32::MAX, None, 0.5).as_secs(), 3600);
        assert_eq!(delivery_delay(0, None, 0.5).as_secs(), 1);
    }

    #[test]
    fn a_time_further_away_than_the_longest_delay_is_due() {
        let now = Timestamp::from_unix_seconds(1_000_000).unwrap();
        let ahead = |span| Some(now.saturating_add(span));
        assert_eq!(delivery_wait(None, None, now), Duration::ZERO);
        assert_eq!(
            delivery_wait(None, Some(Timestamp::EPOCH), now),
            Duration::ZERO
        );
        assert_eq!(
            delivery_wait(None, ahead(MAX_RETRY_AFTER), now),
            MAX_RETRY_AFTER
        );
        assert_eq!(
            delivery_wait(None, ahead(MAX_RETRY_AFTER * 2), now),
            Duration::ZERO
        );
    }

    /// If the clock was an hour ahead when an attempt failed, and was right after a restart, the next attempt was once an hour late.
    #[test]
    fn a_time_of_a_clock_that_was_set_back_since_is_due() {
        let now = Timestamp::from_unix_seconds(1_000_000).unwrap();
        let ahead = |seconds| Some(now.saturating_add(Duration::from_secs(seconds)));
        assert_eq!(delivery_wait(ahead(3600), ahead(3602), now), Duration::ZERO);
        assert_eq!(delivery_wait(ahead(1), ahead(3), now).as_secs(), 3);
    }

    #[test]
    fn a_clock_correction_and_rounding_are_tolerated() {
        let now = Timestamp::from_unix_seconds(1_000_000).unwrap();
        let ahead = |span| Some(now.saturating_add(span));
        let second = Duration::from_secs(1);
        assert_eq!(
            delivery_wait(ahead(CLOCK_CORRECTION), ahead(second), now),
            second
        );
        let longest = MAX_RETRY_AFTER + second;
        assert_eq!(delivery_wait(None, ahead(longest), now), longest);
    }

    #[test]
    fn the_least_jitter_makes_the_shortest_delay() {
        let delay = |jitter| delivery_delay(5, None, jitter).as_secs();
        assert_eq!([0.0, 0.5, 1.0].map(delay), [480, 600, 720]);
    }

    #[test]
    fn an_unobserved_age_counts_after_a_grace_period_or_some_attempts() {
        let (second, hour, days) = (1, 3600, 3 * 86_400);
        let left = |give_up_after, attempts, observed| {
            let span = Duration::from_secs;
            grace_left(span(give_up_after), attempts, span(observed)).as_secs()
        };
        assert_eq!(left(days, 1, 0), hour);
        assert_eq!(left(days, 6, hour - 1), 1);
        assert_eq!(left(days, 1, hour), 0);
        assert_eq!(left(days, 7, 0), 0);
        assert_eq!(left(second, 1, 0), 0);
        assert_eq!(left(hour, 1, 0), 360);
        assert_eq!(attempts_within(Duration::from_secs(10)), 3);
    }

    proptest! {
        #[test]
        fn jitter_changes_a_delay_by_at_most_a_fifth(attempts in 1_u32.., jitter in 0.0..1.0_f64) {
            let middle = delivery_delay(attempts, None, 0.5).as_secs_f64();
            let delay = delivery_delay(attempts, None, jitter).as_secs_f64();
            prop_assert!(delay >= middle * 0.8 - 1e-6 && delay <= middle * 1.2 + 1e-6);
        }

        #[test]
        fn no_delay_is_shorter_than_retry_after(attempts: u32, asked: u32, jitter in 0.0..1.0_f64) {
            let asked = Duration::from_secs(asked.into());
            let delay = delivery_delay(attempts, Some(asked), jitter);
            prop_assert!(delay >= asked.min(MAX_RETRY_AFTER));
            prop_assert!(delay <= MAX_RETRY_AFTER);
            prop_assert!(delay >= delivery_delay(attempts, None, jitter));
        }

        #[test]
        fn later_delays_are_longer_with_any_jitter(attempts in 1_u32..6, a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            prop_assert!(delivery_delay(attempts, None, a) < delivery_delay(attempts + 1, None, b));
        }
    }
}
