//! Schedules: poll intervals, backoff, `Retry-After` and request budgets. Pure: time and jitter are arguments.

use std::time::Duration;

use crate::domain::model::Timestamp;

pub mod delivery;

/// A longer `Retry-After` counts as this.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest [`retry_delay`].
pub const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Rate limit: the requests of one second may be made at once, further ones at even intervals.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Between two requests.
    gap: Duration,
    /// How far ahead of the even intervals requests may be.
    burst: Duration,
    /// When the requests so far would all have been made at even intervals.
    spent_until: Duration,
}

impl Budget {
    /// A budget of `per_second` requests, which is more than 0.
    #[must_use]
    pub fn new(per_second: f64) -> Self {
        let gap = Duration::try_from_secs_f64(per_second.recip()).unwrap_or(Duration::MAX);
        Self {
            gap,
            burst: Duration::from_secs(1).saturating_sub(gap),
            spent_until: Duration::ZERO,
        }
    }

    /// Reserves one request. Returns how long to wait before making it.
    pub fn reserve(&mut self, now: Duration) -> Duration {
        let due = self.spent_until.max(now);
        self.spent_until = due.saturating_add(self.gap);
        due.saturating_sub(self.burst).saturating_sub(now)
    }
}

/// Delay before the next poll after `failed_polls` failed polls in a row.
///
/// `pause` is the delay after a successful poll, and `interval` the longer of the two in the config. The delay doubles with every
/// failure, up to 8 × `interval`. `jitter` (0 to 1) shortens it by up to a tenth, so that targets that failed together are not
/// polled together.
#[must_use]
pub fn poll_delay(pause: Duration, interval: Duration, failed_polls: u32, jitter: f64) -> Duration {
    let doublings = failed_polls.saturating_sub(1).min(16);
    let limit = interval.saturating_mul(8);
    let delay = pause.saturating_mul(1 << doublings).min(limit);
    delay.saturating_sub(delay.mul_f64(0.1 * jitter.clamp(0.0, 1.0)))
}

/// Delay before internal work is retried, such as a read of the state or a worker's restart, after so many failures in a row: 1 s,
/// doubled each time, at most [`MAX_RETRY_DELAY`].
#[must_use]
pub fn retry_delay(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(6);
    Duration::from_secs(1 << doublings).min(MAX_RETRY_DELAY)
}

/// Parses a `Retry-After` header: seconds, or a date. `None` if it is neither. At most [`MAX_RETRY_AFTER`].
///
/// A date comes from the server's clock, so it is compared with the response's own `Date` if there is one, else with `now`.
#[must_use]
pub fn retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let now = date
        .and_then(|date| httpdate::parse_http_date(date).ok())
        .map_or(now, Timestamp::from);
    let value = value.trim();
    let span = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that overflow mean "very long".
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        Timestamp::from(httpdate::parse_http_date(value).ok()?).since(now)
    };
    Some(span.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_requests_of_one_second_may_be_made_at_once() {
        let mut budget = Budget::new(5.0);
        let now = Duration::from_secs(100);
        let waits: Vec<_> = (0..7).map(|_| budget.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 200, 400]);
        assert_eq!(
            budget.reserve(now + Duration::from_secs(10)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_budget_below_one_a_second_spaces_its_requests() {
        let mut budget = Budget::new(0.5);
        let now = Duration::from_secs(100);
        assert_eq!(budget.reserve(now), Duration::ZERO);
        assert_eq!(budget.reserve(now), Duration::from_secs(2));
    }

    #[test]
    fn retries_slow_down_to_one_per_minute() {
        let delays: Vec<_> = (0..9).map(|n| retry_delay(n).as_secs()).collect();
        assert_eq!(delays, [1, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry_delay(u32::MAX), MAX_RETRY_DELAY);
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date() {
        let now = Timestamp::from_unix_seconds(784_111_777).unwrap();
        let seconds = |value| retry_after(value, None, now).map(|span| span.as_secs());
        assert_eq!(seconds(" 120 "), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:27 GMT"), Some(0));
        assert_eq!(seconds("999999999999"), Some(86_400));
        assert_eq!(seconds("-1"), None);
        assert_eq!(seconds("soon"), None);
    }

    /// With our clock a day behind, a date half a minute away once meant a day.
    #[test]
    fn a_retry_after_date_is_compared_with_the_servers_clock() {
        let ours = Timestamp::from_unix_seconds(784_111_777 - 86_400).unwrap();
        let wait = |date| retry_after("Sun, 06 Nov 1994 08:50:07 GMT", date, ours);
        let theirs = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(wait(theirs), Some(Duration::from_secs(30)));
        assert_eq!(wait(Some("today")), Some(MAX_RETRY_AFTER));
    }

    proptest! {
        #[test]
        fn a_failing_target_is_polled_after_at_least_its_pause_and_at_most_eight_intervals(
            pause in 1u64..1000, longer in 0u64..1000, failed in 0u32..100, jitter in 0.0..1.0f64,
        ) {
            let (pause, interval) = (Duration::from_secs(pause), Duration::from_secs(pause + longer));
            let delay = poll_delay(pause, interval, failed, jitter);
            prop_assert!(delay <= interval * 8);
            prop_assert!(delay >= pause.mul_f64(0.89));
            prop_assert!(poll_delay(pause, interval, failed + 1, 0.0) >= poll_delay(pause, interval, failed, 0.0));
        }

        #[test]
        fn a_budget_is_never_overdrawn(rate in 0.5..50.0f64, steps in prop::collection::vec(0u64..500, 1..60)) {
            let mut budget = Budget::new(rate);
            let mut now = Duration::from_secs(10);
            let mut made: Vec<Duration> = Vec::new();
            for step in steps {
                now += Duration::from_millis(step);
                made.push(now + budget.reserve(now));
            }
            for (n, at) in made.iter().enumerate() {
                let within = made[..=n].iter().filter(|other| **other + Duration::from_secs(1) > *at).count();
                let within = f64::from(u32::try_from(within).unwrap());
                prop_assert!(within <= 2.0 * rate.max(1.0) + 1.0, "{within} requests within a second");
            }
        }
    }
}
