//! When a failed delivery is tried again. Pure: jitter is an argument.

use std::time::Duration;

use crate::model::Timestamp;
use crate::schedule::LONGEST_RETRY_AFTER;

/// How long to wait after the first failed try, the second, …; after the last of them for ever the same.
const DELIVERY_DELAYS_SECONDS: [u32; 7] = [1, 5, 30, 120, 600, 1_800, 3_600];

/// A delay is up to this part longer or shorter than the table says.
const DELIVERY_JITTER: f64 = 0.2;

/// How long to wait before a delivery is tried again, after `tries` failed tries (1 or more).
///
/// `jitter` is from [0, 1): 0 makes the shortest delay, 1 the longest. Never sooner than `retry_after`, of which at
/// most [`LONGEST_RETRY_AFTER`] is heeded.
#[must_use]
pub fn delivery_delay(tries: u32, retry_after: Option<Duration>, jitter: f64) -> Duration {
    let step = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
    let seconds = DELIVERY_DELAYS_SECONDS
        .get(step)
        .or(DELIVERY_DELAYS_SECONDS.last())
        .map_or(0.0, |seconds| f64::from(*seconds));
    let swing = DELIVERY_JITTER * (2.0 * jitter.clamp(0.0, 1.0) - 1.0);
    let delay = Duration::from_secs_f64(seconds * (1.0 + swing));
    delay.max(retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

/// How long until a stored `next_try`, by wall time; zero: it is due.
///
/// One that lies further ahead than any delay that we give was written under another clock, and says nothing: due.
#[must_use]
pub fn delivery_wait(next_try: Option<Timestamp>, now: Timestamp) -> Duration {
    let wait = next_try.map_or(Duration::ZERO, |next_try| next_try.since(now));
    // A second of room: a stored moment is that much later than the delay, being whole seconds.
    if wait > LONGEST_RETRY_AFTER + Duration::from_secs(1) {
        return Duration::ZERO;
    }
    wait
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{delivery_delay, delivery_wait};
    use crate::model::Timestamp;
    use crate::schedule::LONGEST_RETRY_AFTER;

    #[test]
    fn delays_are_those_of_the_contract() {
        let seconds: Vec<u64> = (1..=9)
            .map(|tries| delivery_delay(tries, None, 0.5).as_secs())
            .collect();
        assert_eq!(seconds, [1, 5, 30, 120, 600, 1800, 3600, 3600, 3600]);
        assert_eq!(delivery_delay(u32::MAX, None, 0.5).as_secs(), 3600);
        assert_eq!(delivery_delay(0, None, 0.5).as_secs(), 1);
    }

    #[test]
    fn a_moment_that_no_delay_reaches_is_due() {
        let now = Timestamp::from_unix_seconds(1_000_000).unwrap();
        let ahead = |span| Some(now.saturating_add(span));
        assert_eq!(delivery_wait(None, now), Duration::ZERO);
        assert_eq!(delivery_wait(Some(Timestamp::EPOCH), now), Duration::ZERO);
        assert_eq!(
            delivery_wait(ahead(LONGEST_RETRY_AFTER), now),
            LONGEST_RETRY_AFTER
        );
        assert_eq!(
            delivery_wait(ahead(LONGEST_RETRY_AFTER * 2), now),
            Duration::ZERO
        );
    }

    proptest! {
        #[test]
        fn jitter_stays_within_a_fifth(tries in 1_u32.., jitter in 0.0..1.0_f64) {
            let middle = delivery_delay(tries, None, 0.5).as_secs_f64();
            let delay = delivery_delay(tries, None, jitter).as_secs_f64();
            prop_assert!(delay >= middle * 0.8 - 1e-6 && delay <= middle * 1.2 + 1e-6);
        }

        #[test]
        fn no_delay_is_sooner_than_retry_after(tries: u32, asked: u32, jitter in 0.0..1.0_f64) {
            let asked = Duration::from_secs(asked.into());
            let delay = delivery_delay(tries, Some(asked), jitter);
            prop_assert!(delay >= asked.min(LONGEST_RETRY_AFTER));
            prop_assert!(delay <= LONGEST_RETRY_AFTER);
            prop_assert!(delay >= delivery_delay(tries, None, jitter));
        }

        #[test]
        fn later_delays_are_longer_whatever_the_jitter(tries in 1_u32..6, a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            prop_assert!(delivery_delay(tries, None, a) < delivery_delay(tries + 1, None, b));
        }
    }
}
