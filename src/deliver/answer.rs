//! What a receiver's answer means for the delivery. Pure: one function decides, whoever asks.

use std::fmt;
use std::time::Duration;

use super::receiver::Reply;
use crate::domain::model::Timestamp;
use crate::domain::schedule;
use crate::formats::Refusal;
use crate::http::HttpError;

/// What came of one POST, as far as the verdict needs it.
///
/// Prints in short, for logs and the state: `HTTP 503`, or why there was no answer. No secrets.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// The receiver answered.
    Status {
        /// The status code.
        status: u16,
        /// `Retry-After`, as it came.
        retry_after: Option<&'a str>,
        /// `Date`, likewise.
        date: Option<&'a str>,
    },
    /// It answered, and its own words in the body say more than the status.
    Refusal(Refusal),
    /// It did not, or not in time, or not in HTTP.
    None(&'a HttpError),
}

/// What to do with the delivery now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: the receiver has it.
    Delivered,
    /// Attempt again later.
    Retry {
        /// Not sooner than this from now on, if the receiver asked for it.
        retry_after: Option<Duration>,
    },
    /// Give it up: the same bytes would be refused again.
    Refused,
    /// Leave the webhook alone until somebody looks at the config: nobody is there any more.
    Gone,
}

impl<'a> Answer<'a> {
    /// Takes out of a call's result what matters.
    #[must_use]
    pub fn of(result: &'a Result<Reply, HttpError>) -> Self {
        match result {
            Ok(Reply {
                refusal: Some(refusal),
                ..
            }) => Self::Refusal(*refusal),
            Ok(Reply { answer, .. }) => Self::Status {
                status: answer.status,
                retry_after: answer.header("retry-after"),
                date: answer.header("date"),
            },
            Err(error) => Self::None(error),
        }
    }

    /// The one place that decides what an answer means. `now` is for a `Retry-After` that names a moment.
    ///
    /// Whatever is not named here is tried again: an outage passes, a lost event does not come back.
    #[must_use]
    pub fn verdict(&self, now: Timestamp) -> Verdict {
        match self {
            Self::Status {
                status: 200..=299, ..
            } => Verdict::Delivered,
            Self::Status {
                status: 400 | 413 | 422,
                ..
            } => Verdict::Refused,
            Self::Status { status: 410, .. } => Verdict::Gone,
            Self::Status {
                retry_after, date, ..
            } => Verdict::Retry {
                retry_after: retry_after.and_then(|value| schedule::retry_after(value, *date, now)),
            },
            Self::Refusal(refusal) => refusal.verdict(),
            Self::None(_) => Verdict::Retry { retry_after: None },
        }
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { status, .. } => write!(f, "HTTP {status}"),
            Self::Refusal(refusal) => refusal.fmt(f),
            Self::None(error) => error.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 784_111_777;

    fn verdict(status: u16, retry_after: Option<&str>) -> Verdict {
        Answer::Status {
            status,
            retry_after,
            date: None,
        }
        .verdict(Timestamp::from_unix_seconds(NOW).unwrap())
    }

    fn asked(retry_after: &str) -> Option<u64> {
        match verdict(503, Some(retry_after)) {
            Verdict::Retry { retry_after } => retry_after.map(|span| span.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_status_has_the_contracts_verdict() {
        for status in 100..1000 {
            let expected = match status {
                200..300 => Verdict::Delivered,
                400 | 413 | 422 => Verdict::Refused,
                410 => Verdict::Gone,
                _ => Verdict::Retry { retry_after: None },
            };
            assert_eq!(verdict(status, None), expected, "{status}");
        }
    }

    #[test]
    fn no_answer_is_tried_again() {
        let answer = Answer::None(&HttpError::HostNotFound);
        assert_eq!(
            answer.verdict(Timestamp::EPOCH),
            Verdict::Retry { retry_after: None }
        );
        assert_eq!(answer.to_string(), "the host name can't be resolved");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_and_a_day_at_the_most() {
        assert_eq!(asked("120"), Some(120));
        assert_eq!(asked(" 0 "), Some(0));
        assert_eq!(asked("99999999999999999999999"), Some(86_400));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(asked("Sat, 06 Nov 2094 08:50:37 GMT"), Some(86_400));
    }

    #[test]
    fn a_senseless_retry_after_is_ignored() {
        for nonsense in [
            "",
            "soon",
            "-5",
            "+5",
            "1.5",
            "5s",
            "0x10",
            "٣",
            "1994-11-06",
        ] {
            assert_eq!(asked(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn only_a_retry_heeds_retry_after() {
        assert_eq!(verdict(204, Some("5")), Verdict::Delivered);
        assert_eq!(verdict(410, Some("5")), Verdict::Gone);
        assert_eq!(
            verdict(301, Some("5")),
            Verdict::Retry {
                retry_after: Some(Duration::from_secs(5))
            }
        );
    }

    proptest! {
        #[test]
        fn no_retry_after_does_harm(value in ".*", status: u16) {
            if let Verdict::Retry { retry_after: Some(span) } = verdict(status, Some(&value)) {
                prop_assert!(span <= schedule::MAX_RETRY_AFTER);
            }
        }
    }
}
